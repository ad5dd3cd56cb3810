#include "tests/lib/fakeetcd.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/lib/fakeetcd_priv.h"

enum { CONNS_MAX = 32, PIECE = 65536, TICK_MS = 2 };

struct conn {
    struct fake *fake;
    int fd;
    nghttp2_session *session;
    struct stream *streams;
    const uint8_t *pending; /* what nghttp2 wants sent and the socket did not take */
    size_t pending_n;
    uint64_t sent;
    bool close, abort;
};

/* ---- HTTP/2
 * ----------------------------------------------------------------------------- */

static nghttp2_nv pair(const char *name, const char *value)
{
    union {
        const char *from;
        uint8_t *to;
    } n = { .from = name }, v = { .from = value };

    return (nghttp2_nv){ n.to, v.to, strlen(name), strlen(value), NGHTTP2_NV_FLAG_NONE };
}

/* The trailers, also for an answer that has nothing else. */
static size_t fill_trailers(const struct stream *s, nghttp2_nv *to, char text[static 24])
{
    size_t n = 0;

    if (s->status < 0)
        return 0;
    snprintf(text, 12, "%d", s->status);
    to[n++] = pair("grpc-status", text);
    if (s->second_status >= 0) {
        snprintf(text + 12, 12, "%d", s->second_status);
        to[n++] = pair("grpc-status", text + 12);
    }
    if (s->text != NULL)
        to[n++] = pair("grpc-message", s->text);
    return n;
}

/* Obeys what fake_say wants besides bytes. */
static ssize_t obey(struct conn *c, struct stream *s, enum say say, uint32_t *flags)
{
    nghttp2_nv trailers[3];
    char text[24];
    size_t n;

    switch (say) {
    case SAY_END:
        n = fill_trailers(s, trailers, text);
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        if (n > 0) {
            *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
            nghttp2_submit_trailer(c->session, s->id, trailers, n);
        }
        return 0;
    case SAY_RESET:
        nghttp2_submit_rst_stream(c->session, NGHTTP2_FLAG_NONE, s->id,
                                  (uint32_t)s->status);
        return NGHTTP2_ERR_DEFERRED;
    case SAY_ABORT:
        c->abort = true;
        [[fallthrough]];
    case SAY_CLOSE:
        c->close = true;
        return NGHTTP2_ERR_DEFERRED;
    case SAY_GOAWAY:
        nghttp2_submit_goaway(c->session, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_NO_ERROR,
                              NULL, 0);
        s->wake_ms = 1;
        return NGHTTP2_ERR_DEFERRED;
    case SAY_WAIT:
    case SAY_MORE:
        break;
    }
    return NGHTTP2_ERR_DEFERRED;
}

static ssize_t read_data(nghttp2_session *session, int32_t id, uint8_t *to, size_t n,
                         uint32_t *flags, nghttp2_data_source *source, void *user)
{
    struct stream *s = source->ptr;
    struct conn *c = user;

    (void)session;
    (void)id;
    if (s->out_at == s->out.n) {
        s->out_at = s->out.n = 0;
        enum say say = fake_say(c->fake, s);

        if (say != SAY_MORE)
            return obey(c, s, say, flags);
    }
    if (n > s->out.n - s->out_at)
        n = s->out.n - s->out_at;
    memcpy(to, s->out.p + s->out_at, n);
    s->out_at += n;
    return (ssize_t)n;
}

static void respond(struct conn *c, struct stream *s)
{
    const struct fake_script *script = &c->fake->script;
    size_t max = script->junk_headers + 6, n = 0;
    nghttp2_nv *headers = calloc(max, sizeof *headers);
    nghttp2_data_provider body = { .source.ptr = s, .read_callback = read_data };
    char status[12], junk[1001], text[24];

    snprintf(status, sizeof status, "%d", script->http_status);
    memset(junk, 'j', sizeof junk - 1);
    junk[sizeof junk - 1] = '\0';
    headers[n++] = pair(":status", status);
    headers[n++] = pair("content-type", script->content_type);
    for (unsigned i = 0; i < script->junk_headers; i++)
        headers[n++] = pair("x-junk", junk);
    if (s->trailers_only)
        n += fill_trailers(s, headers + n, text);
    nghttp2_submit_response(c->session, s->id, headers, n,
                            s->trailers_only ? NULL : &body);
    free(headers);
}

static int on_begin(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct conn *c = user;
    struct stream *s = calloc(1, sizeof *s);

    s->id = frame->hd.stream_id;
    s->second_status = -1;
    s->next = c->streams;
    c->streams = s;
    nghttp2_session_set_stream_user_data(session, s->id, s);
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame,
                     const uint8_t *name, size_t name_n, const uint8_t *value,
                     size_t value_n, uint8_t flags, void *user)
{
    static const char prefix[] = "/etcdserverpb.";
    struct stream *s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    size_t skip = sizeof prefix - 1;

    (void)flags;
    (void)user;
    if (s == NULL)
        return 0;
    if (name_n == 5 && memcmp(name, ":path", 5) == 0 && value_n > skip)
        snprintf(s->method, sizeof s->method, "%.*s", (int)(value_n - skip),
                 (const char *)value + skip);
    if (name_n == 5 && memcmp(name, "token", 5) == 0)
        snprintf(s->token, sizeof s->token, "%.*s", (int)value_n, (const char *)value);
    return 0;
}

static int on_chunk(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *p,
                    size_t n, void *user)
{
    struct stream *s = nghttp2_session_get_stream_user_data(session, id);

    (void)flags;
    (void)user;
    if (s != NULL)
        blob_add(&s->request, p, n);
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct stream *s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    struct conn *c = user;

    if (s == NULL || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM) ||
        (frame->hd.type != NGHTTP2_DATA && frame->hd.type != NGHTTP2_HEADERS))
        return 0;
    fake_answer(c->fake, s);
    respond(c, s);
    return 0;
}

static void stream_free(struct stream *s)
{
    blob_free(&s->request);
    blob_free(&s->out);
    blob_free(&s->last);
    EVP_MD_CTX_free(s->hash);
    free(s);
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t code, void *user)
{
    struct conn *c = user;

    (void)session;
    (void)code;
    for (struct stream **at = &c->streams; *at != NULL; at = &(*at)->next)
        if ((*at)->id == id) {
            struct stream *s = *at;

            *at = s->next;
            stream_free(s);
            return 0;
        }
    return 0;
}

static void open_session(struct conn *c)
{
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *option;

    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_chunk);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    nghttp2_option_new(&option);
    nghttp2_option_set_max_send_header_block_length(option, 16 << 20);
    nghttp2_session_server_new2(&c->session, callbacks, c, option);
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, NULL, 0);
}

/* ---- sockets --------------------------------------------------------------------------
 */

static void conn_close(struct conn *c)
{
    struct linger at_once = { .l_onoff = 1 };

    if (c->fd < 0)
        return;
    if (c->abort)
        setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(c->fd);
    c->fd = -1;
    while (c->streams != NULL) {
        struct stream *s = c->streams;

        c->streams = s->next;
        stream_free(s);
    }
    nghttp2_session_del(c->session);
}

static void conn_accept(struct fake *f, struct conn *conns)
{
    int fd = accept4(f->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), one = 1;

    for (size_t i = 0; i < CONNS_MAX && fd >= 0; i++)
        if (conns[i].fd < 0) {
            conns[i] = (struct conn){ .fake = f, .fd = fd };
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
            open_session(&conns[i]);
            return;
        }
    if (fd >= 0)
        close(fd);
}

static void conn_read(struct conn *c)
{
    uint8_t piece[PIECE];
    ssize_t n = read(c->fd, piece, sizeof piece);

    if (n == 0 || (n < 0 && errno != EAGAIN) ||
        (n > 0 && nghttp2_session_mem_recv(c->session, piece, (size_t)n) < 0))
        conn_close(c);
}

/* Sends as much as the socket takes, and no more than the script allows. */
static void conn_write(struct conn *c)
{
    uint64_t limit = c->fake->script.close_after;

    while (c->fd >= 0) {
        size_t n = c->pending_n;

        if (n == 0) {
            ssize_t more = nghttp2_session_mem_send(c->session, &c->pending);

            if (more <= 0)
                break;
            n = c->pending_n = (size_t)more;
        }
        if (limit > 0 && n > limit - c->sent)
            n = (size_t)(limit - c->sent);
        ssize_t done = n == 0 ? 0 : send(c->fd, c->pending, n, MSG_NOSIGNAL);

        if (done < 0 && errno == EAGAIN)
            return;
        if (done < 0 || (limit > 0 && c->sent + (uint64_t)done == limit)) {
            conn_close(c);
            return;
        }
        c->pending += done;
        c->pending_n -= (size_t)done;
        c->sent += (uint64_t)done;
    }
    if (c->fd >= 0 && c->close)
        conn_close(c);
}

/* Streams that slept long enough go on. */
static void conn_wake(struct conn *c)
{
    uint64_t now = fake_now_ms();

    for (struct stream *s = c->streams; s != NULL; s = s->next)
        if (s->wake_ms != 0 && s->wake_ms <= now) {
            s->wake_ms = 0;
            nghttp2_session_resume_data(c->session, s->id);
        }
}

static bool conn_naps(const struct conn *c)
{
    for (const struct stream *s = c->fd < 0 ? NULL : c->streams; s != NULL; s = s->next)
        if (s->wake_ms != 0)
            return true;
    return false;
}

static void serve_once(struct fake *f, struct conn *conns)
{
    struct pollfd fds[CONNS_MAX + 2] = { { f->wake, POLLIN, 0 },
                                         { f->listener, POLLIN, 0 } };
    bool naps = false;

    for (size_t i = 0; i < CONNS_MAX; i++) {
        if (conns[i].fd >= 0) {
            conn_wake(&conns[i]);
            conn_write(&conns[i]);
        }
        naps = naps || conn_naps(&conns[i]);
        fds[i + 2] = (struct pollfd){
            conns[i].fd, (short)(POLLIN | (conns[i].pending_n > 0 ? POLLOUT : 0)), 0
        };
    }
    poll(fds, CONNS_MAX + 2, naps ? TICK_MS : -1);
    if (fds[1].revents != 0)
        conn_accept(f, conns);
    for (size_t i = 0; i < CONNS_MAX; i++)
        if (conns[i].fd >= 0 && conns[i].fd == fds[i + 2].fd &&
            (fds[i + 2].revents & ~POLLOUT) != 0)
            conn_read(&conns[i]);
}

static bool is_stopped(struct fake *f)
{
    pthread_mutex_lock(&f->lock);
    bool stop = f->stop;
    pthread_mutex_unlock(&f->lock);
    return stop;
}

static void *serve(void *arg)
{
    struct fake *f = arg;
    struct conn *conns = calloc(CONNS_MAX, sizeof *conns);

    for (size_t i = 0; i < CONNS_MAX; i++)
        conns[i].fd = -1;
    while (!is_stopped(f))
        serve_once(f, conns);
    for (size_t i = 0; i < CONNS_MAX; i++)
        conn_close(&conns[i]);
    free(conns);
    return NULL;
}

static void listen_somewhere(struct fake *f)
{
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof at;

    f->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert(f->listener >= 0 &&
                  bind(f->listener, (struct sockaddr *)&at, sizeof at) == 0 &&
                  listen(f->listener, CONNS_MAX) == 0 &&
                  getsockname(f->listener, (struct sockaddr *)&at, &size) == 0,
              "the fake cannot listen: %s", strerror(errno));
    f->port = ntohs(at.sin_port);
    snprintf(f->endpoint, sizeof f->endpoint, "http://127.0.0.1:%d", f->port);
}

static void fill_defaults(struct fake_script *s)
{
    if (s->cluster_id == 0)
        s->cluster_id = 0xc1;
    if (s->member_id == 0)
        s->member_id = 0x11;
    if (s->revision == 0)
        s->revision = 1;
    if (s->version == NULL)
        s->version = "3.5.30";
    if (s->db_size == 0)
        s->db_size = 256 << 10;
    if (s->snapshot_db_size == 0)
        s->snapshot_db_size = s->db_size;
    if (s->content_type == NULL)
        s->content_type = "application/grpc";
    if (s->http_status == 0)
        s->http_status = 200;
}

struct fake *fake_start(const struct fake_script *s)
{
    struct fake *f = calloc(1, sizeof *f);

    f->script = *s;
    fill_defaults(&f->script);
    f->answer_uses = calloc(s->answer_count + 1, sizeof *f->answer_uses);
    f->wake = eventfd(0, EFD_CLOEXEC);
    pthread_mutex_init(&f->lock, NULL);
    listen_somewhere(f);
    cr_assert_eq(pthread_create(&f->thread, NULL, serve, f), 0, "no thread");
    return f;
}

void fake_stop(struct fake *f)
{
    uint64_t one = 1;

    if (f == NULL)
        return;
    pthread_mutex_lock(&f->lock);
    f->stop = true;
    pthread_mutex_unlock(&f->lock);
    if (write(f->wake, &one, sizeof one) != sizeof one)
        abort();
    pthread_join(f->thread, NULL);
    pthread_mutex_destroy(&f->lock);
    close(f->wake);
    close(f->listener);
    free(f->answer_uses);
    free(f);
}

int fake_port(const struct fake *f)
{
    return f->port;
}

const char *fake_endpoint(const struct fake *f)
{
    return f->endpoint;
}

unsigned fake_calls(struct fake *f, const char *method)
{
    unsigned count = 0;

    pthread_mutex_lock(&f->lock);
    for (size_t i = 0; i < sizeof f->calls / sizeof f->calls[0]; i++)
        if (strcmp(f->calls[i].method, method) == 0)
            count = f->calls[i].count;
    pthread_mutex_unlock(&f->lock);
    return count;
}

unsigned fake_changes(struct fake *f)
{
    static const char *const methods[] = {
        "KV/Put",
        "KV/DeleteRange",
        "KV/Txn",
        "KV/Compact",
        "Lease/LeaseGrant",
        "Lease/LeaseRevoke",
        "Cluster/MemberAdd",
        "Cluster/MemberRemove",
        "Cluster/MemberUpdate",
        "Cluster/MemberPromote",
        "Maintenance/Defragment",
        "Maintenance/MoveLeader",
        "Maintenance/Downgrade",
        FAKE_ALARM_CHANGE,
    };
    unsigned count = 0;

    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        count += fake_calls(f, methods[i]);
    return count;
}

void fake_become(struct fake *f, uint64_t cluster_id, uint64_t member_id)
{
    pthread_mutex_lock(&f->lock);
    f->script.cluster_id = cluster_id;
    f->script.member_id = member_id;
    pthread_mutex_unlock(&f->lock);
}
