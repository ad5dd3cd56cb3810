#include "grpcd/call.h"

#include <stdio.h>

#include "grpcd/text.h"
#include "util/mem.h"

/* ---- nghttp2's memory comes through the same seam as ours -------------------------- */

static void *take(size_t n, void *user)
{
    (void)user;
    return mem_zero(n);
}

static void give(void *p, void *user)
{
    (void)user;
    mem_free(p);
}

static void *take_many(size_t count, size_t n, void *user)
{
    size_t all;

    (void)user;
    return __builtin_mul_overflow(count, n, &all) ? NULL : mem_zero(all);
}

static void *retake(void *p, size_t n, void *user)
{
    (void)user;
    return mem_resize(p, n, 1);
}

static nghttp2_mem memory = { NULL, take, give, take_many, retake };

/* ---- answers ----------------------------------------------------------------------- */

static nghttp2_nv pair(const char *name, const char *value)
{
    union {
        const char *from;
        uint8_t *to;
    } n = { .from = name }, v = { .from = value };

    return (nghttp2_nv){ n.to, v.to, strlen(name), strlen(value), NGHTTP2_NV_FLAG_NONE };
}

/* nghttp2 fails for want of memory only: the connection is lost then. */
static void must(struct conn *c, int result)
{
    if (result != 0)
        c->dead = true;
}

struct trailers {
    nghttp2_nv nv[2];
    size_t n;
    char status[12];
    struct buf text;
};

/* A message that memory is missing for is left out: the code alone still is true. */
static void trailers_fill(struct trailers *t, const struct grpcd_call *call)
{
    struct err e = { 0 };

    snprintf(t->status, sizeof t->status, "%d", (int)call->code);
    t->nv[t->n++] = pair("grpc-status", t->status);
    if (call->text != NULL && text_percent(&t->text, call->text, &e) == RC_OK &&
        buf_add(&t->text, "", 1, &e) == RC_OK)
        t->nv[t->n++] = pair("grpc-message", (const char *)t->text.p);
}

static void submit_trailers(struct grpcd_call *call)
{
    struct trailers t = { 0 };

    trailers_fill(&t, call);
    must(call->conn, nghttp2_submit_trailer(call->conn->session, call->id, t.nv, t.n));
    buf_clear(&t.text);
}

static ssize_t read_out(nghttp2_session *session, int32_t id, uint8_t *to, size_t room,
                        uint32_t *flags, nghttp2_data_source *source, void *user)
{
    struct grpcd_call *call = source->ptr;
    struct conn *c = user;
    size_t n = call_queued(call) < room ? call_queued(call) : room;

    (void)session;
    (void)id;
    if (call->stalled || (n == 0 && !call->ending)) {
        call->deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    if (n > 0)
        memcpy(to, call->out.p + call->out_at, n);
    call->out_at += n;
    c->held_out -= n;
    c->due = true; /* there may be room again */
    if (call_queued(call) == 0 && call->ending) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        if (!call->plain) {
            *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
            submit_trailers(call);
        }
    }
    return (ssize_t)n;
}

static void submit_headers(struct grpcd_call *call, const nghttp2_nv *nv, size_t n,
                           bool body)
{
    nghttp2_data_provider provider = { .source.ptr = call, .read_callback = read_out };

    call->answered = true;
    must(call->conn, nghttp2_submit_response(call->conn->session, call->id, nv, n,
                                             body ? &provider : NULL));
}

/* An error before any message is one HEADERS frame, as gRPC's own servers send it. */
static void answer_trailers_only(struct grpcd_call *call)
{
    struct trailers t = { 0 };
    nghttp2_nv nv[4] = { pair(":status", "200"),
                         pair("content-type", "application/grpc") };

    trailers_fill(&t, call);
    memcpy(nv + 2, t.nv, t.n * sizeof *t.nv);
    submit_headers(call, nv, 2 + t.n, false);
    buf_clear(&t.text);
}

void h2_answer(struct grpcd_call *call)
{
    const nghttp2_nv nv[] = { pair(":status", "200"),
                              pair("content-type", "application/grpc") };

    if (!call->answered && call->ending && !call->stalled && call_queued(call) == 0) {
        answer_trailers_only(call);
    } else if (!call->answered) {
        submit_headers(call, nv, 2, true);
    } else if (call->deferred && !call->stalled) {
        call->deferred = false;
        must(call->conn, nghttp2_session_resume_data(call->conn->session, call->id));
    }
}

void h2_page(struct grpcd_call *call, struct grpcd_answer *answer)
{
    char status[12], length[24];

    snprintf(status, sizeof status, "%d", answer->status);
    snprintf(length, sizeof length, "%zu", answer->body.n);

    const nghttp2_nv nv[] = { pair(":status", status), pair("content-type", answer->type),
                              pair("content-length", length) };

    call->out = answer->body;
    answer->body = (struct buf){ 0 };
    call->conn->held_out += call->out.n;
    call->plain = call->ending = call->gone = true;
    submit_headers(call, nv, 3, call->out.n > 0);
}

void h2_reset(struct grpcd_call *call, uint32_t http2_error)
{
    call->gone = true;
    must(call->conn, nghttp2_submit_rst_stream(call->conn->session, NGHTTP2_FLAG_NONE,
                                               call->id, http2_error));
}

void h2_consumed(struct grpcd_call *call)
{
    if (call->unconsumed == 0)
        return;
    must(call->conn,
         nghttp2_session_consume_stream(call->conn->session, call->id, call->unconsumed));
    call->unconsumed = 0;
}

/* ---- what nghttp2 reports ---------------------------------------------------------- */

static int refuse(nghttp2_session *session, int32_t id)
{
    return nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, id,
                                     NGHTTP2_REFUSED_STREAM) == 0
               ? 0
               : NGHTTP2_ERR_CALLBACK_FAILURE;
}

/* Canceled calls that handlers still hold count as well: a client cannot pile them up by
 * opening and resetting streams. */
static int on_begin(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct conn *c = user;
    int32_t id = frame->hd.stream_id;

    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    if (c->leaving || c->call_count >= 2 * c->service->o.streams_max ||
        c->held_out > HELD_OUT_MAX)
        return refuse(session, id);

    struct grpcd_call *call = call_new(c, id);

    if (call == NULL)
        return refuse(session, id);
    if (nghttp2_session_set_stream_user_data(session, id, call) != 0)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    return 0;
}

static struct grpcd_call *call_of(nghttp2_session *session, int32_t id)
{
    return id == 0 ? NULL : nghttp2_session_get_stream_user_data(session, id);
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame,
                     const uint8_t *name, size_t name_n, const uint8_t *value,
                     size_t value_n, uint8_t flags, void *user)
{
    struct grpcd_call *call = call_of(session, frame->hd.stream_id);
    struct err e = { 0 };

    (void)flags;
    (void)user;
    if (call == NULL || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    if (buf_add(&call->head, name, name_n, &e) != RC_OK ||
        buf_add(&call->head, "", 1, &e) != RC_OK ||
        buf_add(&call->head, value, value_n, &e) != RC_OK ||
        buf_add(&call->head, "", 1, &e) != RC_OK)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct grpcd_call *call = call_of(session, frame->hd.stream_id);
    struct conn *c = user;

    c->spoke = true;
    if (call == NULL ||
        (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA))
        return 0;
    if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
        call->half_closed = true;
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
        call_route(call);
    call_note(call);
    return 0;
}

static int on_chunk(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *p,
                    size_t n, void *user)
{
    struct grpcd_call *call = call_of(session, id);
    struct conn *c = user;
    struct err e = { 0 };

    (void)flags;
    if (nghttp2_session_consume_connection(session, n) != 0)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    if (call == NULL)
        return 0;
    call->unconsumed += n;
    call_note(call);
    if (call->deaf || call->gone)
        return 0;
    if (n > HELD_IN_MAX - c->held_in) {
        call_end(call, GRPCD_RESOURCE_EXHAUSTED,
                 "too many requests are under way on this connection");
        return 0;
    }
    if (buf_add(&call->in, p, n, &e) == RC_OK)
        c->held_in += n;
    else
        h2_reset(call, NGHTTP2_INTERNAL_ERROR);
    return 0;
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t code, void *user)
{
    struct grpcd_call *call = call_of(session, id);

    (void)code;
    (void)user;
    if (call == NULL)
        return 0;
    call->open = false;
    call->unconsumed = 0;
    call->conn->held_out -= call_queued(call);
    buf_clear(&call->out);
    call->out_at = 0;
    call_note(call);
    return 0;
}

/* We have said all while the client still talks: it may stop. */
static int on_sent(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct grpcd_call *call = call_of(session, frame->hd.stream_id);

    (void)user;
    if (call == NULL || call->half_closed ||
        (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) ||
        !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        return 0;
    call->half_closed = true;
    return nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, call->id,
                                     NGHTTP2_NO_ERROR) == 0
               ? 0
               : NGHTTP2_ERR_CALLBACK_FAILURE;
}

/* ---- the session ------------------------------------------------------------------- */

static void callbacks_end(nghttp2_session_callbacks **callbacks)
{
    nghttp2_session_callbacks_del(*callbacks);
}

static void option_end(nghttp2_option **option)
{
    nghttp2_option_del(*option);
}

static enum rc no_memory(struct err *e)
{
    return err_set(e, RC_NOMEM, "no memory for an HTTP/2 session");
}

static enum rc greet(struct conn *c, struct err *e)
{
    const nghttp2_settings_entry settings[] = {
        { NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, c->service->o.streams_max },
        { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW },
        { NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HEAD_MAX },
    };

    if (nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, settings, 3) != 0 ||
        nghttp2_session_set_local_window_size(c->session, NGHTTP2_FLAG_NONE, 0,
                                              CONN_WINDOW) != 0)
        return no_memory(e);
    return RC_OK;
}

enum rc h2_open(struct conn *c, struct err *e)
{
    AT_END(callbacks_end) nghttp2_session_callbacks *callbacks = NULL;
    AT_END(option_end) nghttp2_option *option = NULL;

    if (nghttp2_session_callbacks_new(&callbacks) != 0 ||
        nghttp2_option_new(&option) != 0)
        return no_memory(e);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_chunk);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_sent);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    nghttp2_option_set_no_auto_window_update(option, 1);
    if (nghttp2_session_server_new3(&c->session, callbacks, c, option, &memory) != 0)
        return no_memory(e);
    return greet(c, e);
}

void h2_feed(struct conn *c, struct bytes in)
{
    ssize_t n = nghttp2_session_mem_recv(c->session, in.p, in.n);

    if (n < 0 || nghttp2_session_get_outbound_queue_size(c->session) > CONTROL_FRAMES_MAX)
        c->dead = true;
}

struct bytes h2_output(struct conn *c)
{
    const uint8_t *p = NULL;
    ssize_t n = nghttp2_session_mem_send(c->session, &p);

    if (n < 0)
        c->dead = true;
    return n <= 0 ? (struct bytes){ 0 } : (struct bytes){ p, (size_t)n };
}

bool h2_done(const struct conn *c)
{
    return !nghttp2_session_want_read(c->session) &&
           !nghttp2_session_want_write(c->session);
}

void h2_leave(struct conn *c)
{
    must(c, nghttp2_submit_goaway(c->session, NGHTTP2_FLAG_NONE,
                                  nghttp2_session_get_last_proc_stream_id(c->session),
                                  NGHTTP2_NO_ERROR, NULL, 0));
}

void h2_close(struct conn *c)
{
    nghttp2_session_del(c->session);
    c->session = NULL;
}
