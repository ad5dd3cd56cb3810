#include "grpcd/call.h"

#include <assert.h>
#include <stdio.h>

#include "codec/frame.h"
#include "grpcd/h1.h"
#include "grpcd/text.h"
#include "util/mem.h"
#include "util/str.h"

enum { KEEP_MAX = 256 << 10 }; /* an empty buffer that is larger gives its memory back */

struct grpcd_call *call_new(struct conn *c, int32_t id)
{
    struct grpcd_call *call = mem_zero(sizeof *call);

    if (call == NULL)
        return NULL;
    call->conn = c;
    call->service = c->service;
    call->id = id;
    call->open = true;
    call->deadline = UINT64_MAX;
    call->head.cap_max = HEAD_MAX;
    call->in.cap_max = 2 * (c->service->o.message_max + STREAM_WINDOW);
    call->out.cap_max = SIZE_MAX / 4;
    call->next = c->calls;
    call->link = &c->calls;
    if (call->next != NULL)
        call->next->link = &call->next;
    c->calls = call;
    c->call_count++;
    return call;
}

static void leave_conn(struct grpcd_call *call)
{
    *call->link = call->next;
    if (call->next != NULL)
        call->next->link = call->link;
    call->conn->call_count--;
    call->conn = NULL;
}

void call_free(struct grpcd_call *call)
{
    if (call->conn != NULL)
        leave_conn(call);
    buf_clear(&call->head);
    buf_clear(&call->in);
    buf_clear(&call->out);
    mem_free(call->text);
    mem_free(call);
}

void call_note(struct grpcd_call *call)
{
    struct conn *c = call->conn;

    if (c == NULL || c->closing)
        return;
    c->due = true;
    c->wake(c->arg);
}

/* What was taken from the front is forgotten when nothing or little is left. */
static void shift(struct buf *b, size_t *at)
{
    if (*at == b->n) {
        *at = b->n = 0;
        if (b->cap > KEEP_MAX)
            buf_clear(b);
    } else if (*at > KEEP_MAX && *at > b->n / 2) {
        memmove(b->p, b->p + *at, b->n - *at);
        b->n -= *at;
        *at = 0;
    }
}

/* ---- which method ------------------------------------------------------------------ */

/* "unknown method X for service Y", as etcd's own server words it. */
static void refuse_method(struct grpcd_call *call, const char *path)
{
    const struct grpcd_options *o = &call->service->o;
    AT_END(mem_end) char *text = NULL;
    const char *slash = strrchr(path + 1, '/');
    struct err e = { 0 };
    bool service = false;
    enum rc rc;

    if (slash == NULL) {
        call_end(call, GRPCD_UNIMPLEMENTED, "malformed method name");
        return;
    }
    size_t n = (size_t)(slash - path);

    for (size_t i = 0; i < o->method_count && !service; i++)
        service = strncmp(o->methods[i].path, path, n + 1) == 0;
    if (service)
        rc = str_format(&text, &e, "unknown method %s for service %.*s", slash + 1,
                        (int)n - 1, path + 1);
    else
        rc = str_format(&text, &e, "unknown service %.*s", (int)n - 1, path + 1);
    call_end(call, GRPCD_UNIMPLEMENTED, rc == RC_OK ? text : NULL);
}

static bool is_grpc(const struct grpcd_call *call)
{
    const char *type = grpcd_meta(call, "content-type");
    const size_t n = strlen("application/grpc");

    return type != NULL && strncmp(type, "application/grpc", n) == 0 &&
           (type[n] == '\0' || type[n] == '+' || type[n] == ';');
}

static void route_page(struct grpcd_call *call, const char *path)
{
    struct grpcd_answer answer = { 0 };
    AT_END(mem_end) char *plain = mem_str(path);
    char *query = plain == NULL ? NULL : strchr(plain, '?');
    const char *method = grpcd_meta(call, ":method");

    call->deaf = true;
    if (plain == NULL) {
        h2_reset(call, NGHTTP2_INTERNAL_ERROR);
        return;
    }
    if (query != NULL)
        *query++ = '\0';
    if (strcmp(method, "GET") == 0)
        h1_page(&call->service->o, plain, query == NULL ? "" : query, &answer);
    else
        h1_refuse(&answer, strcmp(method, "POST") == 0 ? 415 : 405);
    h2_page(call, &answer);
    buf_clear(&answer.body);
}

/* What a client asked for that no method here can give. */
static bool refuse_encoding(struct grpcd_call *call)
{
    const char *encoding = grpcd_meta(call, "grpc-encoding");
    char text[160];

    if (encoding == NULL || strcmp(encoding, "identity") == 0)
        return false;
    snprintf(text, sizeof text,
             "grpc: Decompressor is not installed for grpc-encoding \"%.64s\"", encoding);
    call_end(call, GRPCD_UNIMPLEMENTED, text);
    return true;
}

static void take_deadline(struct grpcd_call *call)
{
    const char *timeout = grpcd_meta(call, "grpc-timeout");
    uint64_t ms;

    if (timeout == NULL)
        return;
    if (!text_timeout(timeout, &ms)) {
        call_end(call, GRPCD_INTERNAL, "malformed grpc-timeout");
        return;
    }
    call->deadline = call->conn->now + ms;
    if (call->deadline < call->conn->deadline)
        call->conn->deadline = call->deadline;
}

void call_route(struct grpcd_call *call)
{
    const struct grpcd_options *o = &call->service->o;
    const char *path = grpcd_meta(call, ":path"), *method = grpcd_meta(call, ":method");

    if (path == NULL || method == NULL || path[0] != '/') {
        h2_reset(call, NGHTTP2_PROTOCOL_ERROR);
        return;
    }
    if (!is_grpc(call) || strcmp(method, "POST") != 0) {
        route_page(call, path);
        return;
    }
    for (size_t i = 0; i < o->method_count; i++)
        if (strcmp(o->methods[i].path, path) == 0)
            call->method = &o->methods[i];
    if (call->method == NULL)
        refuse_method(call, path);
    else if (!refuse_encoding(call))
        take_deadline(call);
}

/* ---- requests ---------------------------------------------------------------------- */

static void start(struct grpcd_call *call, struct bytes request)
{
    call->started = true;
    call->service->calls++;
    call->method->start(call, request, call->service->o.arg);
}

/* The next whole message of `in`, still counted there; false when there is none, which
 * may be because the call was refused for it. */
static bool next_message(struct grpcd_call *call, struct bytes *message)
{
    size_t n = call->in.n - call->in_at, max = call->service->o.message_max;
    char text[96];

    if (n < FRAME_HEADER_SIZE)
        return false;

    const uint8_t *p = call->in.p + call->in_at;

    if (p[0] != 0) {
        snprintf(text, sizeof text,
                 p[0] == 1 ? "grpc: compressed flag set with identity or empty encoding"
                           : "grpc: received unexpected payload format %u",
                 p[0]);
        call_end(call, GRPCD_INTERNAL, text);
        return false;
    }
    *message = (struct bytes){ p + FRAME_HEADER_SIZE, be32(p + 1) };
    if (message->n > max) {
        snprintf(text, sizeof text,
                 "grpc: received message larger than max (%zu vs. %zu)", message->n, max);
        call_end(call, GRPCD_RESOURCE_EXHAUSTED, text);
        return false;
    }
    return message->n <= n - FRAME_HEADER_SIZE;
}

static bool listens(const struct grpcd_call *call)
{
    return call->open && !call->gone && !call->finished && !call->deaf &&
           call->method != NULL;
}

/* The client has said all; nothing more can become a message. */
static void take_end(struct grpcd_call *call)
{
    if (!call->half_closed || call->told_ended || !listens(call) || call->paused)
        return;
    if (call->in.n > call->in_at) {
        call_end(call, GRPCD_INTERNAL, "unexpected EOF");
    } else if (!call->started) {
        call_end(call, GRPCD_INTERNAL, "the request ended without a message");
    } else {
        call->told_ended = true;
        if (call->hooks != NULL && call->hooks->ended != NULL)
            call->hooks->ended(call, call->state);
    }
}

static void take_requests(struct grpcd_call *call)
{
    struct bytes message;

    if (listens(call) && !call->started && call->method->kind == GRPCD_BIDI)
        start(call, (struct bytes){ 0 });
    while (listens(call) && !call->paused && next_message(call, &message)) {
        call->in_at += FRAME_HEADER_SIZE + message.n;
        if (call->method->kind != GRPCD_BIDI) {
            call->deaf = true;
            start(call, message);
        } else if (call->hooks != NULL && call->hooks->message != NULL) {
            call->hooks->message(call, message, call->state);
        }
    }
    take_end(call);
    if (!listens(call))
        call->in_at = call->in.n;
    shift(&call->in, &call->in_at);
    if (call->open && !call->paused)
        h2_consumed(call);
}

/* ---- hooks ------------------------------------------------------------------------- */

static void tell_canceled(struct grpcd_call *call)
{
    if (!call->started || call->finished || call->told_canceled)
        return;
    call->told_canceled = call->gone = true;
    if (call->hooks != NULL && call->hooks->canceled != NULL)
        call->hooks->canceled(call, call->state);
}

void call_settle(struct grpcd_call *call)
{
    shift(&call->out, &call->out_at);
    take_requests(call);
    if (!call->open || call->gone)
        tell_canceled(call);
    if (call->full && !call->finished && !call->gone &&
        call_queued(call) <= call->service->o.send_mark / 2) {
        call->full = false;
        if (call->hooks != NULL && call->hooks->room != NULL)
            call->hooks->room(call, call->state);
    }
}

void call_end(struct grpcd_call *call, enum grpcd_code code, const char *text)
{
    if (!call->open || call->ending || call->gone)
        return;
    call->gone = call->ending = call->deaf = true;
    call->code = code;
    call->text = text == NULL || text[0] == '\0' ? NULL : mem_str(text);
    h2_answer(call);
    call_note(call);
}

void call_expire(struct grpcd_call *call)
{
    call->deadline = UINT64_MAX;
    if (!call->open || call->ending || call->gone)
        return;
    if (call_queued(call) == 0) {
        call_end(call, GRPCD_DEADLINE_EXCEEDED, "context deadline exceeded");
        return;
    }
    /* A message is under way: trailers behind a part of it would be a lie. */
    call->gone = true;
    h2_reset(call, NGHTTP2_CANCEL);
    call_note(call);
}

void call_orphan(struct grpcd_call *call)
{
    leave_conn(call);
    call->open = false;
    call->gone = true;
    if (!call->started || call->finished) {
        call_free(call);
        return;
    }
    buf_clear(&call->in);
    buf_clear(&call->out);
    call->in_at = call->out_at = 0;
    tell_canceled(call);
}

/* ---- what handlers call ------------------------------------------------------------ */

void grpcd_hook(struct grpcd_call *call, const struct grpcd_hooks *hooks, void *state)
{
    call->hooks = hooks;
    call->state = state;
}

void *grpcd_state(const struct grpcd_call *call)
{
    return call->state;
}

const char *grpcd_meta(const struct grpcd_call *call, const char *name)
{
    for (size_t at = 0; at < call->head.n;) {
        const char *found = (const char *)call->head.p + at;
        const char *value = found + strlen(found) + 1;

        if (strcmp(found, name) == 0)
            return value;
        at += (size_t)(value - found) + strlen(value) + 1;
    }
    return NULL;
}

uint64_t grpcd_deadline(const struct grpcd_call *call)
{
    return call->deadline;
}

const char *grpcd_peer_name(const struct grpcd_call *call)
{
    return call->conn == NULL ? NULL : call->conn->peer_name;
}

bool grpcd_canceled(const struct grpcd_call *call)
{
    return call->gone || !call->open;
}

bool grpcd_send(struct grpcd_call *call, struct bytes message)
{
    size_t before = call_queued(call);
    struct err e = { 0 };

    assert(!call->finished);
    if (grpcd_canceled(call))
        return true;
    if (frame_add(&call->out, message, &e) != RC_OK) {
        call->gone = true;
        grpcd_reset(call, NGHTTP2_INTERNAL_ERROR);
        return true;
    }
    call->conn->held_out += call_queued(call) - before;
    h2_answer(call);
    call->full = call_queued(call) > call->service->o.send_mark;
    call_note(call);
    return !call->full;
}

void grpcd_pause_reads(struct grpcd_call *call)
{
    call->paused = true;
}

void grpcd_resume_reads(struct grpcd_call *call)
{
    call->paused = false;
    call_note(call);
}

/* One call fewer runs; the server may wait for just that. */
static void over(struct service *service)
{
    if (--service->calls == 0 && service->changed != NULL)
        service->changed(service->arg);
}

void grpcd_finish(struct grpcd_call *call, enum grpcd_code code, const char *text)
{
    struct service *service = call->service;

    assert(call->started && !call->finished);
    call->finished = true;
    if (call->conn == NULL) {
        call_free(call);
    } else {
        if (!grpcd_canceled(call)) {
            call->ending = true;
            call->code = code;
            call->text = text == NULL || text[0] == '\0' ? NULL : mem_str(text);
            h2_answer(call);
        }
        call_note(call);
    }
    over(service);
}

void grpcd_reply(struct grpcd_call *call, struct bytes message)
{
    (void)grpcd_send(call, message);
    grpcd_finish(call, GRPCD_OK, NULL);
}

void grpcd_stall(struct grpcd_call *call, bool stalled)
{
    call->stalled = stalled;
    if (!stalled && !grpcd_canceled(call)) {
        h2_answer(call);
        call_note(call);
    }
}

void grpcd_reset(struct grpcd_call *call, uint32_t http2_error)
{
    if (!call->open)
        return;
    call->gone = true;
    h2_reset(call, http2_error);
    call_note(call);
}

void grpcd_drop(struct grpcd_call *call)
{
    if (call->conn == NULL)
        return;
    conn_kill(call->conn);
}
