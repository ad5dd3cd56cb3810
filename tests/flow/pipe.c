#include "tests/flow/pipe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "codec/frame.h"
#include "codec/message.h"
#include "tests/lib/case.h"
#include "util/mem.h"

enum { WINDOW = 1 << 30, READ_SIZE = 256 << 10, ANSWER_MAX = 512 << 20 };

struct pipe {
    nghttp2_session *session;
    int fd;
    char authority[32];
    bool broken;
    uint8_t in[READ_SIZE];
};

/* ---- what nghttp2 tells -------------------------------------------------------------
 */

static struct pipe_call *call_of(nghttp2_session *s, int32_t stream)
{
    return nghttp2_session_get_stream_user_data(s, stream);
}

static int on_header(nghttp2_session *s, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_n, const uint8_t *value, size_t value_n, uint8_t flags,
                     void *arg)
{
    struct pipe_call *c = call_of(s, frame->hd.stream_id);
    struct bytes n = { name, name_n };

    (void)flags;
    (void)arg;
    if (c != NULL && bytes_is(n, "grpc-status"))
        c->status = (int)strtol((const char *)value, NULL, 10);
    if (c != NULL && bytes_is(n, "grpc-message"))
        snprintf(c->message, sizeof c->message, "%.*s", (int)value_n,
                 (const char *)value);
    return 0;
}

static int on_data(nghttp2_session *s, uint8_t flags, int32_t stream, const uint8_t *data,
                   size_t n, void *arg)
{
    struct pipe_call *c = call_of(s, stream);
    struct err e = { 0 };

    (void)flags;
    (void)arg;
    if (c == NULL)
        return 0;
    OK(buf_add(&c->body, data, n, &e), &e);
    if (c->body.n >= FRAME_HEADER_SIZE &&
        c->body.n - FRAME_HEADER_SIZE >= be32(c->body.p + 1))
        c->reply = (struct bytes){ c->body.p + FRAME_HEADER_SIZE, be32(c->body.p + 1) };
    return 0;
}

static int on_close(nghttp2_session *s, int32_t stream, uint32_t error, void *arg)
{
    struct pipe_call *c = call_of(s, stream);

    (void)error;
    (void)arg;
    if (c != NULL)
        c->done = true;
    return 0;
}

static ssize_t give(nghttp2_session *s, int32_t stream, uint8_t *to, size_t room,
                    uint32_t *flags, nghttp2_data_source *source, void *arg)
{
    struct pipe_call *c = source->ptr;
    size_t n = c->request_n - c->request_at;

    (void)s;
    (void)stream;
    (void)arg;
    if (n > room)
        n = room;
    memcpy(to, c->request + c->request_at, n);
    c->request_at += n;
    if (c->request_at == c->request_n)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

/* ---- the socket ---------------------------------------------------------------------
 */

static void say(struct pipe *p)
{
    const uint8_t *out;
    ssize_t n;

    while (!p->broken && (n = nghttp2_session_mem_send(p->session, &out)) > 0)
        for (ssize_t at = 0, more; at < n; at += more)
            if ((more = send(p->fd, out + at, (size_t)(n - at), MSG_NOSIGNAL)) <= 0) {
                p->broken = true;
                return;
            }
}

static void hear(struct pipe *p)
{
    ssize_t n = recv(p->fd, p->in, sizeof p->in, 0);

    if (n <= 0 || nghttp2_session_mem_recv(p->session, p->in, (size_t)n) < 0)
        p->broken = true;
}

void pipe_turn(struct pipe *p, int ms)
{
    struct pollfd f = { .fd = p->fd, .events = POLLIN };

    say(p);
    if (!p->broken && poll(&f, 1, ms) > 0)
        hear(p);
    say(p);
}

void pipe_wait(struct pipe *p, struct pipe_call *c)
{
    while (!c->done && !p->broken) {
        say(p);
        if (!p->broken)
            hear(p);
    }
}

bool pipe_broken(const struct pipe *p)
{
    return p->broken;
}

static void begin(struct pipe *p)
{
    const nghttp2_settings_entry settings[] = {
        { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW },
        { NGHTTP2_SETTINGS_ENABLE_PUSH, 0 },
    };
    nghttp2_session_callbacks *callbacks;

    cr_assert_eq(nghttp2_session_callbacks_new(&callbacks), 0);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    cr_assert_eq(nghttp2_session_client_new(&p->session, callbacks, p), 0);
    nghttp2_session_callbacks_del(callbacks);
    cr_assert_eq(nghttp2_submit_settings(p->session, NGHTTP2_FLAG_NONE, settings, 2), 0);
    cr_assert_eq(nghttp2_session_set_local_window_size(p->session, 0, 0, WINDOW), 0);
}

struct pipe *pipe_open(int port)
{
    const struct sockaddr_in to = { .sin_family = AF_INET,
                                    .sin_port = htons((uint16_t)port),
                                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct pipe *p;
    struct err e = { 0 };
    int one = 1;

    OK(mem_new(&p, sizeof *p, "a pipe", &e), &e);
    snprintf(p->authority, sizeof p->authority, "127.0.0.1:%d", port);
    p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(connect(p->fd, (const struct sockaddr *)&to, sizeof to), 0,
                 "nobody listens on port %d", port);
    cr_assert_eq(setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one), 0);
    begin(p);
    return p;
}

void pipe_free(struct pipe *p)
{
    if (p == NULL)
        return;
    nghttp2_session_del(p->session);
    close(p->fd);
    mem_free(p);
}

/* ---- calls --------------------------------------------------------------------------
 */

static nghttp2_nv header(const char *name, const char *value)
{
    return (nghttp2_nv){ .name = (uint8_t *)(uintptr_t)name,
                         .value = (uint8_t *)(uintptr_t)value,
                         .namelen = strlen(name),
                         .valuelen = strlen(value) };
}

struct pipe_call *pipe_send(struct pipe *p, const char *method, const void *message)
{
    AT_END(buf_clear) struct buf packed = { 0 };
    struct buf framed = { 0 };
    struct pipe_call *c;
    struct err e = { 0 };
    char path[64];

    OK(mem_new(&c, sizeof *c, "a call", &e), &e);
    OK(codec_pack(message, &packed, &e), &e);
    OK(frame_add(&framed, (struct bytes){ packed.p, packed.n }, &e), &e);
    snprintf(path, sizeof path, "/etcdserverpb.%s", method);
    c->request = framed.p;
    c->request_n = framed.n;
    c->body.cap_max = ANSWER_MAX;
    c->status = -1;

    const nghttp2_nv headers[] = {
        header(":method", "POST"), header(":scheme", "http"),
        header(":path", path),     header(":authority", p->authority),
        header("te", "trailers"),  header("content-type", "application/grpc"),
    };
    const nghttp2_data_provider body = { .source.ptr = c, .read_callback = give };

    c->stream = nghttp2_submit_request(p->session, NULL, headers, 6, &body, c);
    cr_assert_gt(c->stream, 0);
    say(p);
    return c;
}

void pipe_cancel(struct pipe *p, struct pipe_call *c)
{
    if (c->done || p->broken)
        return;
    (void)nghttp2_submit_rst_stream(p->session, NGHTTP2_FLAG_NONE, c->stream,
                                    NGHTTP2_CANCEL);
    say(p);
    c->done = true;
}

void pipe_drop(struct pipe_call *c)
{
    if (c == NULL)
        return;
    mem_free(c->request);
    buf_clear(&c->body);
    mem_free(c);
}
