#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "util/clock.h"
#include "util/mem.h"
#include "util/str.h"
#include "wire/call.h"
#include "wire/outcome.h"

enum {
    DEADLINE_MAX_MS = 90000000, /* the header has room for eight digits */
    /* The server gives up after us: it would reset the stream, and say less than we. */
    DEADLINE_SLACK_MS = 500,
};

struct exchange {
    struct wire_client *c;
    const struct wire_stream *s;
    struct frame_reader reader;
    bool ok, grpc;      /* ":status" 200; "content-type" application/grpc */
    int status;         /* "grpc-status", -1 before */
    char message[256];  /* "grpc-message" */
    char http_says[64]; /* ":status" and "content-type" of an answer that is not gRPC */
};

/* Two of them contradict each other, and then the failure is believed. */
static void take_status(struct exchange *x, struct bytes value)
{
    char text[12];
    uint64_t code;

    snprintf(text, sizeof text, "%.*s", (int)(value.n < 11 ? value.n : 11),
             (const char *)value.p);
    if (!str_to_u64(text, &code) || code > INT32_MAX)
        code = 2; /* Unknown, as gRPC's specification wants it for nonsense */
    if (x->status <= 0)
        x->status = (int)code;
}

static enum rc on_header(void *arg, struct bytes name, struct bytes value, struct err *e)
{
    struct exchange *x = arg;
    char safe[40];

    (void)e;
    str_printable(safe, sizeof safe, value);
    if (bytes_is(name, ":status")) {
        x->ok = bytes_is(value, "200");
        snprintf(x->http_says, sizeof x->http_says, "HTTP status %s", safe);
    } else if (bytes_is(name, "content-type")) {
        size_t used = strlen(x->http_says);

        x->grpc = bytes_starts(value, "application/grpc");
        snprintf(x->http_says + used, sizeof x->http_says - used, ", %s", safe);
    } else if (bytes_is(name, "grpc-status")) {
        take_status(x, value);
    } else if (bytes_is(name, "grpc-message")) {
        outcome_decode(value, x->message, sizeof x->message);
    }
    return RC_OK;
}

static enum rc no_grpc(const struct exchange *x, struct err *e)
{
    return err_set(e, RC_NET,
                   "the answer is not gRPC (%s)" HINT "is this etcd's client port?",
                   x->http_says);
}

static enum rc on_body(void *arg, struct bytes piece, struct err *e)
{
    struct exchange *x = arg;

    if (!x->ok || !x->grpc)
        return no_grpc(x, e);
    enum rc rc = frame_push(&x->reader, piece, x->s->on_message, x->s->arg, e);

    if (rc == RC_CORRUPT && x->c->last.detail == WIRE_FINE)
        x->c->last.detail = WIRE_BAD_STREAM;
    return rc;
}

static enum rc frame_request(const struct wire_call *q, struct buf *out, struct err *e)
{
    struct buf packed = { 0 };
    enum rc rc = codec_pack(q->request, &packed, e);

    if (rc == RC_OK)
        rc = frame_add(out, (struct bytes){ packed.p, packed.n }, e);
    buf_wipe(&packed); /* it may hold a password */
    return rc;
}

static uint64_t time_limit(const struct wire_client *c, const struct wire_call *q)
{
    if (q->timeout_ms == UINT64_MAX)
        return 0;
    return q->timeout_ms == 0 ? c->command_timeout_ms : q->timeout_ms;
}

/* Header lines; those that depend on the call are in `text`. */
struct headers {
    const char *lines[8];
    char timeout[40];
    struct text *token;
};

static enum rc make_headers(struct headers *h, const struct wire_client *c,
                            const struct wire_call *q, struct err *e)
{
    uint64_t limit = time_limit(c, q);
    size_t n = 0;
    char *token = NULL;

    h->lines[n++] = "content-type: application/grpc";
    h->lines[n++] = "te: trailers";
    h->lines[n++] = "user-agent: holdfast";
    if (!q->lone) /* "no leader" at once instead of a wait for the deadline */
        h->lines[n++] = "hasleader: true";
    if (limit > 0 && limit < DEADLINE_MAX_MS) {
        snprintf(h->timeout, sizeof h->timeout, "grpc-timeout: %" PRIu64 "m",
                 limit + DEADLINE_SLACK_MS);
        h->lines[n++] = h->timeout;
    }
    if (c->token == NULL)
        return RC_OK;
    TRY(str_format(&token, e, "token: %s", c->token));
    h->token = (struct text *)token;
    h->lines[n] = token;
    return RC_OK;
}

static void headers_clear(struct headers *h)
{
    if (h->token != NULL)
        mem_wipe(h->token, strlen((char *)h->token));
    text_free(h->token);
}

static void note(struct wire_client *c, enum wire_detail detail, const struct exchange *x)
{
    c->last.detail = detail;
    c->last.grpc_code = x->status;
    snprintf(c->last.message, sizeof c->last.message, "%s", x->message);
}

/* No status came: what the transport says counts. */
static enum rc without_status(struct exchange *x, const struct wire_call *q,
                              enum http_end end, struct err *e)
{
    static const enum wire_detail details[] = {
        [HTTP_DONE] = WIRE_UNREACHABLE,  [HTTP_UNSENT] = WIRE_UNREACHABLE,
        [HTTP_UNTRUST] = WIRE_UNTRUSTED, [HTTP_BROKEN] = WIRE_UNREACHABLE,
        [HTTP_LATE] = WIRE_TIMEOUT,      [HTTP_ABORTED] = WIRE_OTHER,
    };
    bool streams = x->s->rate_min != 0;

    /* A stream's taker knows better than we why it stopped the stream. */
    if (end != HTTP_ABORTED || x->c->last.detail == WIRE_FINE)
        note(x->c, end == HTTP_LATE && streams ? WIRE_STALLED : details[end], x);
    x->c->last.unknown = q->writes && end != HTTP_UNSENT && end != HTTP_UNTRUST;
    if (end != HTTP_DONE)
        return e->code;
    if (!x->ok || !x->grpc)
        return no_grpc(x, e);
    return err_set(e, RC_NET, "the answer ended without a gRPC status");
}

static enum rc with_status(struct exchange *x, const struct wire_call *q, struct err *e)
{
    const struct verdict *v = outcome_judge(x->status, x->message);
    char scratch[16];

    note(x->c, v->detail, x);
    if (x->status == 0)
        return frame_end(&x->reader, e);
    x->c->last.unknown = q->writes && v->elsewhere && !v->unapplied;
    return err_set(e, v->rc, "%s (gRPC %s)" HINT "%s",
                   x->message[0] == '\0' ? "no reason given" : x->message,
                   outcome_code_name(x->status, scratch), v->hint);
}

static enum rc perform(struct exchange *x, const struct wire_call *q, const char *url,
                       const struct buf *body, struct err *e)
{
    struct headers headers = { 0 };
    struct http_answer told = { .end = HTTP_UNSENT };
    struct err cause = { 0 };
    enum rc rc = make_headers(&headers, x->c, q, e);

    if (rc != RC_OK)
        return rc;
    struct http_request request = {
        .url = url,
        .headers = headers.lines,
        .body = { body->p, body->n },
        .http2 = true,
        .once = q->writes,
        .total_ms = time_limit(x->c, q),
        .stall_ms = x->s->rate_min == 0 ? 0 : x->c->stall_timeout_ms,
        .rate_min = x->s->rate_min,
        .progress = x->s->progress,
        .on_header = on_header,
        .on_body = on_body,
        .arg = x,
    };

    rc = http_perform(x->c->http, &request, &told, &cause);
    headers_clear(&headers);
    x->c->end = told.end;
    /* A status that came wins over what the transport thinks of the rest: libcurl 7.88
     * reports a broken stream when the server answers before the request is all sent. */
    if (x->status >= 0 && told.end != HTTP_ABORTED)
        return with_status(x, q, e);
    if (rc != RC_OK)
        *e = cause;
    return without_status(x, q, told.end, e);
}

enum rc wire_exchange(struct wire_client *c, const struct wire_call *q, size_t endpoint,
                      const struct wire_stream *s, struct err *e)
{
    struct exchange x = { .c = c, .s = s, .status = -1 };
    AT_END(mem_end) char *url = NULL;
    struct buf body = { 0 };
    enum rc rc;

    c->last = (struct wire_outcome){ .grpc_code = -1, .endpoint = endpoint };
    TRY(str_format(&url, e, "%s/etcdserverpb.%s", c->endpoints[endpoint].url, q->method));
    rc = frame_request(q, &body, e);
    if (rc == RC_OK)
        rc = perform(&x, q, url, &body, e);
    buf_wipe(&body);
    frame_reader_clear(&x.reader);
    return rc;
}
