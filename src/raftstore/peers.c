#include <stdio.h>

#include "raftstore/peers_priv.h"
#include "util/log.h"
#include "util/mem.h"

enum { CALLS_TICK_MS = 20, READ_SIZE = 64 << 10 };

struct piece {
    uv_write_t write;
    uint8_t bytes[];
};

void peers_handle_closed(struct peers *p)
{
    if (--p->handles == 0 && p->closing && p->closed != NULL)
        p->closed(&p->transport);
}

struct link *link_new(struct peers *p, enum link_role role)
{
    struct link *c = mem_zero(sizeof *c);
    uv_tcp_t *tcp = raft_calloc(1, sizeof *tcp);

    if (c == NULL || tcp == NULL || uv_tcp_init(p->o.loop, tcp) != 0) {
        mem_free(c);
        raft_free(tcp);
        return NULL;
    }
    *c = (struct link){ .peers = p, .role = role, .tcp = tcp, .next = p->links };
    c->in.cap_max = c->waiting.cap_max = 2 * (size_t)PEER_MESSAGE_MAX;
    if (c->next != NULL)
        c->next->before = c;
    p->links = c;
    p->handles++;
    tcp->data = c;
    return c;
}

void link_release(struct link *c)
{
    struct peers *p = c->peers;

    if (c->before != NULL)
        c->before->next = c->next;
    else
        p->links = c->next;
    if (c->next != NULL)
        c->next->before = c->before;
    buf_clear(&c->in);
    buf_clear(&c->waiting);
    mem_free(c);
    peers_handle_closed(p);
}

static void on_closed(uv_handle_t *handle)
{
    struct link *c = handle->data;
    struct raft_uv_connect *req = c->raft_connect;
    raft_uv_connect_cb connected = c->raft_connected;
    int status = c->peers->closing ? RAFT_CANCELED : RAFT_NOCONNECTION;

    raft_free(c->tcp);
    if (req != NULL)
        connected(req, NULL, status);
    link_release(c);
}

void link_close(struct link *c)
{
    if (c->closing)
        return;
    c->closing = true;
    calls_lost(c);
    uv_close((uv_handle_t *)c->tcp, on_closed);
}

/* ---- reading and writing ---------------------------------------------------------- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    struct link *c = handle->data;
    struct err e;

    (void)suggested;
    if (!c->welcome) {
        size_t all = c->role == LINK_IN ? HELLO_SIZE : 1;

        *out = uv_buf_init((char *)c->hello + c->got, (unsigned)(all - c->got));
        return;
    }
    if (buf_reserve(&c->in, READ_SIZE, &e) != RC_OK) {
        *out = uv_buf_init(NULL, 0);
        return;
    }
    *out = uv_buf_init((char *)c->in.p + c->in.n, READ_SIZE);
}

static void hand_to_libraft(struct link *c)
{
    struct raft_uv_connect *req = c->raft_connect;
    raft_uv_connect_cb connected = c->raft_connected;
    uv_stream_t *stream = (uv_stream_t *)c->tcp;

    uv_read_stop(stream);
    link_release(c);
    connected(req, stream, 0);
}

static void answered(struct link *c)
{
    struct peers *p = c->peers;

    switch ((enum hello_answer)c->hello[0]) {
    case HELLO_WELCOME:
        c->welcome = true;
        if (c->role == LINK_RAFT_OUT)
            hand_to_libraft(c);
        else
            calls_welcomed(c);
        return;
    case HELLO_REMOVED:
        link_close(c);
        p->o.hooks.we_are_removed(p->o.hooks.arg);
        return;
    case HELLO_OTHER_CLUSTER:
    case HELLO_NOT_ME:
        break;
    }
    link_close(c);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer)
{
    struct link *c = stream->data;

    (void)buffer;
    if (n < 0) {
        link_close(c);
        return;
    }
    if (c->welcome) {
        c->in.n += (size_t)n;
        calls_received(c);
        return;
    }
    c->got += (size_t)n;
    if (c->role == LINK_IN && !hello_begins(c->hello, c->got))
        link_close(c);
    else if (c->role == LINK_IN && c->got == HELLO_SIZE)
        serve_hello(c);
    else if (c->role != LINK_IN && c->got == 1)
        answered(c);
}

void link_read(struct link *c)
{
    if (uv_read_start((uv_stream_t *)c->tcp, on_alloc, on_read) != 0)
        link_close(c);
}

static void on_written(uv_write_t *write, int status)
{
    struct link *c = write->handle->data;

    mem_free(write->data);
    if (status != 0)
        link_close(c);
}

void link_send(struct link *c, struct bytes piece)
{
    struct piece *w = mem_zero(sizeof *w + piece.n);
    uv_buf_t b;

    if (c->closing || w == NULL) {
        mem_free(w);
        return;
    }
    memcpy(w->bytes, piece.p, piece.n);
    w->write.data = w;
    b = uv_buf_init((char *)w->bytes, (unsigned)piece.n);
    if (uv_write(&w->write, (uv_stream_t *)c->tcp, &b, 1, on_written) != 0) {
        mem_free(w);
        link_close(c);
    }
}

/* ---- calling ---------------------------------------------------------------------- */

static void on_hello_written(uv_write_t *write, int status)
{
    struct link *c = write->data;

    if (status != 0)
        link_close(c);
    else
        link_read(c);
}

static void on_connected(uv_connect_t *connect, int status)
{
    struct link *c = connect->data;
    uv_buf_t b = uv_buf_init((char *)c->hello, HELLO_SIZE);

    c->write.data = c;
    if (status != 0 ||
        uv_write(&c->write, (uv_stream_t *)c->tcp, &b, 1, on_hello_written) != 0)
        link_close(c);
}

static int connect_to(struct link *c, const char *url)
{
    struct sockaddr_in to;
    char host[16];
    uint16_t port;
    struct err e;

    if (hello_address(url, host, &port, &e) != RC_OK)
        return UV_EINVAL;
    uv_ip4_addr(host, port, &to);
    c->connect.data = c;
    uv_tcp_nodelay(c->tcp, 1);
    return uv_tcp_connect(&c->connect, c->tcp, (const struct sockaddr *)&to,
                          on_connected);
}

void link_call(struct link *c, uint64_t to, const char *url)
{
    const struct peers_options *o = &c->peers->o;
    struct hello h = {
        .kind = c->role == LINK_RAFT_OUT ? HELLO_RAFT : HELLO_CALLS,
        .cluster = o->cluster,
        .from = o->me,
        .to = to,
    };
    const char *known = o->hooks.url(o->hooks.arg, to);

    c->peer = to;
    snprintf(h.url, sizeof h.url, "%s", o->url);
    hello_write(&h, c->hello);
    if (known != NULL)
        url = known;
    if (url == NULL || !faults_pass(o->faults, to, FAULT_OUT) || connect_to(c, url) != 0)
        link_close(c);
}

/* ---- what libraft calls ----------------------------------------------------------- */

static int transport_init(struct raft_uv_transport *t, raft_id id, const char *address)
{
    (void)t;
    (void)id;
    (void)address;
    return 0;
}

static int transport_listen(struct raft_uv_transport *t, raft_uv_accept_cb accept)
{
    struct peers *p = t->impl;

    p->accept = accept;
    return serve_listen(p);
}

static int transport_connect(struct raft_uv_transport *t, struct raft_uv_connect *req,
                             raft_id id, const char *address, raft_uv_connect_cb cb)
{
    struct peers *p = t->impl;
    struct link *c = p->closing ? NULL : link_new(p, LINK_RAFT_OUT);

    if (c == NULL)
        return p->closing ? RAFT_CANCELED : RAFT_NOMEM;
    c->raft_connect = req;
    c->raft_connected = cb;
    link_call(c, id, address);
    return 0;
}

static void on_handle_closed(uv_handle_t *handle)
{
    peers_handle_closed(handle->data);
}

static void transport_close(struct raft_uv_transport *t, raft_uv_transport_close_cb cb)
{
    struct peers *p = t->impl;

    p->closing = true;
    p->closed = cb;
    calls_expire(p, true);
    for (struct link *c = p->links; c != NULL; c = c->next)
        link_close(c);
    uv_close((uv_handle_t *)&p->listener, on_handle_closed);
    uv_close((uv_handle_t *)&p->timer, on_handle_closed);
}

struct raft_uv_transport *peers_transport(struct peers *p)
{
    return &p->transport;
}

static void on_timer(uv_timer_t *timer)
{
    calls_expire(timer->data, false);
}

enum rc peers_new(const struct peers_options *options, struct peers **out, struct err *e)
{
    struct peers *p = NULL;
    int status;

    TRY(mem_new(&p, sizeof *p, "the peer port", e));
    p->o = *options;
    p->next_number = 1;
    p->transport = (struct raft_uv_transport){
        .impl = p,
        .init = transport_init,
        .listen = transport_listen,
        .connect = transport_connect,
        .close = transport_close,
    };
    /* Neither can fail before a descriptor is made. */
    uv_tcp_init(p->o.loop, &p->listener);
    uv_timer_init(p->o.loop, &p->timer);
    p->listener.data = p->timer.data = p;
    p->handles = 2;
    status = uv_timer_start(&p->timer, on_timer, CALLS_TICK_MS, CALLS_TICK_MS);
    if (status != 0)
        log_warn("calls to other members will not time out: %s", uv_strerror(status));
    *out = p;
    return RC_OK;
}

void peers_free(struct peers *p)
{
    mem_free(p);
}
