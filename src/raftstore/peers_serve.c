#include "raftstore/peers_priv.h"
#include "util/log.h"

enum { BACKLOG = 64 };

static enum hello_answer judge(const struct peers *p, const struct hello *h)
{
    const struct peers_hooks *hooks = &p->o.hooks;

    if (h->cluster == 0 && h->from == 0 && h->kind == HELLO_CALLS)
        return HELLO_WELCOME;
    if (h->cluster != p->o.cluster)
        return HELLO_OTHER_CLUSTER;
    if (h->to != 0 && h->to != p->o.me)
        return HELLO_NOT_ME;
    if (hooks->removed(hooks->arg, h->from))
        return HELLO_REMOVED;
    return HELLO_WELCOME;
}

static void welcome(struct link *c, const struct hello *h)
{
    struct peers *p = c->peers;
    uv_stream_t *stream = (uv_stream_t *)c->tcp;

    if (h->kind == HELLO_CALLS) {
        c->welcome = true;
        return;
    }
    uv_read_stop(stream);
    link_release(c);
    p->accept(&p->transport, h->from, h->url, stream);
}

void serve_hello(struct link *c)
{
    struct hello h;
    struct err e;
    uint8_t answer;
    uv_buf_t b = uv_buf_init((char *)&answer, 1);

    if (hello_read(c->hello, &h, &e) != RC_OK ||
        !faults_pass(c->peers->o.faults, h.from, FAULT_IN)) {
        link_close(c);
        return;
    }
    c->peer = h.from;
    answer = (uint8_t)judge(c->peers, &h);
    if (uv_try_write((uv_stream_t *)c->tcp, &b, 1) != 1 || answer != HELLO_WELCOME) {
        link_close(c);
        return;
    }
    welcome(c, &h);
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct peers *p = listener->data;
    struct link *c = status != 0 || p->closing ? NULL : link_new(p, LINK_IN);

    if (c == NULL)
        return;
    if (uv_accept(listener, (uv_stream_t *)c->tcp) != 0) {
        link_close(c);
        return;
    }
    uv_tcp_nodelay(c->tcp, 1);
    link_read(c);
}

int serve_listen(struct peers *p)
{
    struct sockaddr_in at;
    char host[16];
    uint16_t port;
    struct err e;
    int status;

    if (hello_address(p->o.listen_url, host, &port, &e) != RC_OK)
        return RAFT_INVALID;
    uv_ip4_addr(host, port, &at);
    status = uv_tcp_bind(&p->listener, (const struct sockaddr *)&at, 0);
    if (status == 0)
        status = uv_listen((uv_stream_t *)&p->listener, BACKLOG, on_connection);
    if (status != 0) {
        log_warn("cannot listen for peers at %s: %s", p->o.listen_url,
                 uv_strerror(status));
        return RAFT_IOERR;
    }
    return 0;
}
