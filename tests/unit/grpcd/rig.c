#include "tests/unit/grpcd/rig.h"

#include <stdio.h>
#include <stdlib.h>

#include "util/mem.h"

/* ---- the service ------------------------------------------------------------------- */

static void echo(struct grpcd_call *call, struct bytes request, void *arg)
{
    (void)arg;
    grpcd_reply(call, request);
}

static void fail(struct grpcd_call *call, struct bytes request, void *arg)
{
    (void)request;
    (void)arg;
    grpcd_finish(call, GRPCD_NOT_FOUND, "100% gone\n\xc3\xa9");
}

static void where(struct grpcd_call *call, struct bytes request, void *arg)
{
    const char *token = grpcd_meta(call, "token");

    (void)request;
    (void)arg;
    grpcd_reply(call, bytes_str(token == NULL ? "none" : token));
}

static void who(struct grpcd_call *call, struct bytes request, void *arg)
{
    const char *name = grpcd_peer_name(call);

    (void)request;
    (void)arg;
    grpcd_reply(call, bytes_str(name == NULL ? "none" : name));
}

static void on_canceled(struct grpcd_call *call, void *state)
{
    struct desk *d = state;

    d->canceled++;
    (void)grpcd_send(call, bytes_str("nobody hears this"));
    if (d->finish_when_canceled)
        grpcd_finish(call, GRPCD_OK, NULL);
}

static const struct grpcd_hooks hold_hooks = { .canceled = on_canceled };

static void hold(struct grpcd_call *call, struct bytes request, void *arg)
{
    struct desk *d = arg;

    (void)request;
    grpcd_hook(call, &hold_hooks, d);
    d->held[d->held_count++] = call;
}

struct pour {
    struct desk *desk;
    unsigned left;
    bool empty;
    size_t since_room;
};

static uint8_t block[65536];

static void pour_on(struct grpcd_call *call, void *state)
{
    struct pour *p = state;

    p->since_room = 0;
    while (p->left > 0) {
        p->left--;
        p->since_room += p->empty ? 0 : sizeof block;
        if (p->since_room > p->desk->queued_max)
            p->desk->queued_max = p->since_room;
        if (!grpcd_send(call, (struct bytes){ block, p->empty ? 0 : sizeof block }))
            return;
    }
    free(p);
    grpcd_finish(call, GRPCD_OK, NULL);
}

static void pour_canceled(struct grpcd_call *call, void *state)
{
    struct pour *p = state;

    p->desk->canceled++;
    free(p);
    grpcd_finish(call, GRPCD_OK, NULL);
}

static const struct grpcd_hooks pour_hooks = { .canceled = pour_canceled,
                                               .room = pour_on };

static void pour(struct grpcd_call *call, struct bytes request, void *arg)
{
    struct pour *p = calloc(1, sizeof *p);
    char text[16] = "";

    memcpy(text, request.p, request.n < 15 ? request.n : 15);
    p->desk = arg;
    p->empty = text[0] == 'e';
    p->left = (unsigned)strtoul(text + p->empty, NULL, 10);
    grpcd_hook(call, &pour_hooks, p);
    pour_on(call, p);
}

static void chat_message(struct grpcd_call *call, struct bytes request, void *state)
{
    struct desk *d = state;

    if (bytes_is(request, "pause")) {
        d->held[d->held_count++] = call;
        grpcd_pause_reads(call);
    }
    (void)grpcd_send(call, request);
}

static void chat_ended(struct grpcd_call *call, void *state)
{
    struct desk *d = state;

    d->ended++;
    grpcd_finish(call, GRPCD_OK, "");
}

static void chat_canceled(struct grpcd_call *call, void *state)
{
    struct desk *d = state;

    d->canceled++;
    grpcd_finish(call, GRPCD_OK, NULL);
}

static const struct grpcd_hooks chat_hooks = { .canceled = chat_canceled,
                                               .message = chat_message,
                                               .ended = chat_ended };

static void chat(struct grpcd_call *call, struct bytes request, void *arg)
{
    (void)request;
    grpcd_hook(call, &chat_hooks, arg);
}

static enum rc version(struct grpcd_answer *answer, const char *query, void *arg,
                       struct err *e)
{
    static const char text[] = "{\"etcdserver\":\"3.5.30\",\"etcdcluster\":\"3.5.0\"}";

    (void)arg;
    if (strcmp(query, "broken") == 0)
        return err_set(e, RC_STORAGE, "the disk is gone");
    return buf_add(&answer->body, text, sizeof text - 1, e);
}

static enum rc metrics(struct grpcd_answer *answer, const char *query, void *arg,
                       struct err *e)
{
    (void)arg;
    (void)query;
    answer->type = "text/plain; version=0.0.4";
    for (unsigned i = 0; i < 10000; i++)
        TRY(buf_add(&answer->body, "etcd_server_has_leader 1\n", 25, e));
    return RC_OK;
}

struct grpcd_options desk_options(struct desk *d)
{
    static const struct grpcd_method methods[] = {
        { "/t.Desk/Echo", GRPCD_UNARY, echo },   { "/t.Desk/Fail", GRPCD_UNARY, fail },
        { "/t.Desk/Where", GRPCD_UNARY, where }, { "/t.Desk/Hold", GRPCD_UNARY, hold },
        { "/t.Desk/Pour", GRPCD_STREAM, pour },  { "/t.Desk/Chat", GRPCD_BIDI, chat },
        { "/t.Desk/Who", GRPCD_UNARY, who },
    };
    static const struct grpcd_page pages[] = { { "/version", version },
                                               { "/metrics", metrics } };
    struct grpcd_options o = { .host = "127.0.0.1",
                               .methods = methods,
                               .method_count = sizeof methods / sizeof methods[0],
                               .pages = pages,
                               .page_count = sizeof pages / sizeof pages[0],
                               .arg = d };

    return o;
}

/* ---- the client -------------------------------------------------------------------- */

static void keep(char *to, size_t size, const uint8_t *value, size_t n)
{
    snprintf(to, size, "%.*s", (int)n, (const char *)value);
}

static int on_header(nghttp2_session *s, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_n, const uint8_t *value, size_t n, uint8_t flags,
                     void *user)
{
    struct ask *a = nghttp2_session_get_stream_user_data(s, frame->hd.stream_id);
    struct bytes b = { name, name_n };

    (void)flags;
    (void)user;
    if (a == NULL)
        return 0;
    if (bytes_is(b, ":status"))
        keep(a->http, sizeof a->http, value, n);
    else if (bytes_is(b, "content-type"))
        keep(a->type, sizeof a->type, value, n);
    else if (bytes_is(b, "grpc-status"))
        keep(a->status, sizeof a->status, value, n);
    else if (bytes_is(b, "grpc-message"))
        keep(a->message, sizeof a->message, value, n);
    return 0;
}

static int on_data(nghttp2_session *s, uint8_t flags, int32_t id, const uint8_t *p,
                   size_t n, void *user)
{
    struct ask *a = nghttp2_session_get_stream_user_data(s, id);

    (void)flags;
    (void)user;
    if (a == NULL)
        return 0;
    a->got = realloc(a->got, a->got_n + n);
    memcpy(a->got + a->got_n, p, n);
    a->got_n += n;
    return 0;
}

static int on_close(nghttp2_session *s, int32_t id, uint32_t code, void *user)
{
    struct ask *a = nghttp2_session_get_stream_user_data(s, id);

    (void)user;
    if (a != NULL) {
        a->closed = true;
        a->error = code;
    }
    return 0;
}

static int on_frame(nghttp2_session *s, const nghttp2_frame *frame, void *user)
{
    struct rig *r = user;

    (void)s;
    r->goaway |= frame->hd.type == NGHTTP2_GOAWAY;
    return 0;
}

static ssize_t read_body(nghttp2_session *s, int32_t id, uint8_t *to, size_t room,
                         uint32_t *flags, nghttp2_data_source *source, void *user)
{
    struct ask *a = source->ptr;
    size_t n = a->body_n - a->body_at < room ? a->body_n - a->body_at : room;

    (void)s;
    (void)id;
    (void)user;
    if (n == 0 && a->keep_open) {
        a->deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    if (n > 0)
        memcpy(to, a->body + a->body_at, n);
    a->body_at += n;
    if (a->body_at == a->body_n && !a->keep_open)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

static void on_wake(void *arg)
{
    (void)arg;
}

bool rig_open(struct rig *r)
{
    nghttp2_session_callbacks *callbacks;
    struct err e = { 0 };

    r->service.o = desk_options(&r->desk);
    service_defaults(&r->service.o);
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_client_new(&r->client, callbacks, r);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_submit_settings(r->client, NGHTTP2_FLAG_NONE, NULL, 0);
    return conn_new(&r->service, "rig", on_wake, r, &r->conn, &e) == RC_OK;
}

void rig_close(struct rig *r)
{
    conn_free(r->conn);
    r->conn = NULL;
    nghttp2_session_del(r->client);
    for (struct ask *a = r->asks, *next; a != NULL; a = next) {
        next = a->next;
        free(a->body);
        free(a->got);
        free(a);
    }
    r->asks = NULL;
}

static bool to_server(struct rig *r)
{
    const uint8_t *p;
    ssize_t n = nghttp2_session_mem_send(r->client, &p);

    for (size_t at = 0; n > 0 && at < (size_t)n;) {
        size_t part = r->cut == 0 || (size_t)n - at < r->cut ? (size_t)n - at : r->cut;

        conn_feed(r->conn, (struct bytes){ p + at, part }, r->now);
        conn_settle(r->conn);
        at += part;
    }
    return n > 0;
}

static bool to_client(struct rig *r)
{
    conn_settle(r->conn);
    if (r->deaf)
        return false;

    struct bytes b = conn_output(r->conn);

    r->from_server += b.n;
    if (b.n > 0)
        (void)nghttp2_session_mem_recv(r->client, b.p, b.n);
    conn_settle(r->conn);
    return b.n > 0;
}

void rig_run(struct rig *r)
{
    bool a = true, b = true;

    while (a || b) {
        a = to_server(r);
        b = to_client(r);
    }
}

struct ask *rig_ask_raw(struct rig *r, const char *method, const char *path,
                        const uint8_t *body, size_t n, const char *const *extra)
{
    const char *const none[] = { NULL };
    nghttp2_nv nv[32];
    size_t count = 0;
    struct ask *a = calloc(1, sizeof *a);
    const char *base[] = {
        ":method", method,  ":scheme", "http",         ":authority",
        "desk",    ":path", path,      "content-type", "application/grpc",
        NULL
    };
    const char *const *lists[] = { base, extra == NULL ? none : extra };

    if (strcmp(method, "GET") == 0)
        base[8] = NULL;
    for (unsigned l = 0; l < 2; l++)
        for (const char *const *at = lists[l]; *at != NULL; at += 2) {
            union {
                const char *from;
                uint8_t *to;
            } name = { at[0] }, value = { at[1] };

            nv[count++] = (nghttp2_nv){ name.to, value.to, strlen(at[0]), strlen(at[1]),
                                        NGHTTP2_NV_FLAG_NONE };
        }
    nghttp2_data_provider provider = { .source.ptr = a, .read_callback = read_body };

    a->body = malloc(n + 1);
    if (n > 0)
        memcpy(a->body, body, n);
    a->body_n = n;
    a->keep_open = body == NULL && strcmp(method, "GET") != 0;
    a->next = r->asks;
    r->asks = a;
    a->id = nghttp2_submit_request(r->client, NULL, nv, count,
                                   n > 0 || a->keep_open ? &provider : NULL, a);
    return a;
}

struct ask *rig_ask(struct rig *r, const char *path, const char *body,
                    const char *const *extra)
{
    size_t n = body == NULL ? 0 : strlen(body);
    uint8_t *framed = malloc(n + 5);

    framed[0] = 0;
    put_be32(framed + 1, (uint32_t)n);
    if (n > 0)
        memcpy(framed + 5, body, n);
    struct ask *a = rig_ask_raw(r, "POST", path, body == NULL ? NULL : framed,
                                body == NULL ? 0 : n + 5, extra);

    free(framed);
    return a;
}

void rig_say(struct rig *r, struct ask *a, const char *message, bool last)
{
    size_t n = message == NULL ? 0 : strlen(message) + 5;

    a->body = realloc(a->body, a->body_n + n + 1);
    if (message != NULL) {
        a->body[a->body_n] = 0;
        put_be32(a->body + a->body_n + 1, (uint32_t)n - 5);
        memcpy(a->body + a->body_n + 5, message, n - 5);
    }
    a->body_n += n;
    a->keep_open = !last;
    if (a->deferred) {
        a->deferred = false;
        nghttp2_session_resume_data(r->client, a->id);
    }
}
