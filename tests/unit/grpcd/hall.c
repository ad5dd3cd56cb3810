#include "tests/unit/grpcd/hall.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "codec/message.h"

static void status(struct grpcd_call *call, struct bytes request, void *arg)
{
    Etcdrpc__ResponseHeader header;
    Etcdrpc__StatusResponse r;
    char version[] = "3.5.30";
    struct buf b = { 0 };
    struct err e = { 0 };

    (void)request;
    (void)arg;
    etcdrpc__response_header__init(&header);
    etcdrpc__status_response__init(&r);
    header.cluster_id = 0xc1;
    header.member_id = 0xa1;
    header.revision = 7;
    header.raft_term = 2;
    r.header = &header;
    r.version = version;
    r.leader = 0xa1;
    r.db_size = 20480;
    r.db_size_in_use = 16384;
    r.raft_index = r.raft_applied_index = 9;
    r.raft_term = 2;
    if (codec_pack(&r, &b, &e) != RC_OK)
        grpcd_finish(call, GRPCD_INTERNAL, e.why);
    else
        grpcd_reply(call, (struct bytes){ b.p, b.n });
    buf_clear(&b);
}

static struct grpcd_method methods[16];

static void on_closed(void *arg)
{
    ((struct hall *)arg)->stopped++;
}

static void on_stop(uv_async_t *stop)
{
    struct hall *h = stop->data;

    uv_close((uv_handle_t *)stop, NULL);
    grpcd_close(h->server, h->grace_ms, on_closed, h);
}

static void *run(void *arg)
{
    struct hall *h = arg;

    uv_run(&h->loop, UV_RUN_DEFAULT);
    return NULL;
}

void hall_open(struct hall *h)
{
    struct grpcd_options o = desk_options(&h->desk);
    struct err e = { 0 };

    signal(SIGPIPE, SIG_IGN);
    memcpy(methods, o.methods, o.method_count * sizeof *methods);
    methods[o.method_count] =
        (struct grpcd_method){ "/etcdserverpb.Maintenance/Status", GRPCD_UNARY, status };
    o.methods = methods;
    o.method_count++;
    o.tls = h->o.tls;
    o.streams_max = h->o.streams_max;
    o.clients_max = h->o.clients_max;
    o.handshake_ms = h->o.handshake_ms;
    h->desk.finish_when_canceled = true;
    uv_loop_init(&h->loop);
    cr_assert(grpcd_listen(&h->loop, &o, &h->server, &e) == RC_OK, "%s", e.why);
    h->port = grpcd_port(h->server);
    snprintf(h->url, sizeof h->url, "%s://127.0.0.1:%u", o.tls == NULL ? "http" : "https",
             h->port);
    uv_async_init(&h->loop, &h->stop, on_stop);
    h->stop.data = h;
    cr_assert_eq(pthread_create(&h->thread, NULL, run, h), 0);
}

void hall_close(struct hall *h)
{
    uv_async_send(&h->stop);
    pthread_join(h->thread, NULL);
    cr_assert_eq(h->stopped, 1);
    cr_assert_eq(uv_loop_close(&h->loop), 0, "handles are left");
}

int hall_connect(const struct hall *h)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(h->port) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    cr_assert_eq(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

size_t hall_hear(int fd, char *to, size_t room, int wait_ms)
{
    size_t n = 0;

    for (;;) {
        struct pollfd p = { .fd = fd, .events = POLLIN };
        ssize_t got;

        if (n + 1 >= room || poll(&p, 1, wait_ms) <= 0)
            break;
        got = recv(fd, to + n, room - 1 - n, 0);
        if (got <= 0)
            break;
        n += (size_t)got;
    }
    to[n] = '\0';
    return n;
}
