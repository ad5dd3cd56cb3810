/* Two members' peer ports on one loop, without raft. */
#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "raftstore/peers.h"
#include "tests/lib/case.h"

enum { WHAT = 5, MS = 2000 };

struct side {
    struct peers *peers;
    struct faults faults;
    char url[64];
    const char *other; /* where the other one listens */
    bool removes;      /* takes everybody for removed */
    bool silent;       /* answers nobody */
    unsigned requests, told_removed;
    uint64_t from;
    struct peer_request *held;
};

struct pair {
    uv_loop_t loop;
    struct side a, b; /* members 1 and 2 */
};

static const char *url_of(void *arg, uint64_t id)
{
    (void)id;
    return ((struct side *)arg)->other;
}

static bool removed(void *arg, uint64_t id)
{
    (void)id;
    return ((struct side *)arg)->removes;
}

static void request(void *arg, uint64_t from, uint8_t what, struct bytes body,
                    struct peer_request *r)
{
    struct side *s = arg;

    s->requests++;
    s->from = from;
    cr_assert_eq(what, WHAT);
    if (s->silent)
        s->held = r;
    else
        peer_answer(r, body.n > 0 && body.p[0] == '?' ? 9 : 0, body);
}

static void we_are_removed(void *arg)
{
    ((struct side *)arg)->told_removed++;
}

static void free_url(char out[static 64])
{
    struct sockaddr_in at = { .sin_family = AF_INET };
    socklen_t n = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    cr_assert_eq(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&at, &n), 0);
    close(fd);
    snprintf(out, 64, "http://127.0.0.1:%u", ntohs(at.sin_port));
}

static void accept_none(struct raft_uv_transport *t, raft_id id, const char *address,
                        struct uv_stream_s *stream)
{
    (void)t;
    (void)id;
    (void)address;
    uv_close((uv_handle_t *)stream, (uv_close_cb)raft_free);
}

static void side_open(struct pair *p, struct side *s, uint64_t id, uint64_t cluster)
{
    const struct peers_options o = {
        .loop = &p->loop,
        .cluster = cluster,
        .me = id,
        .listen_url = s->url,
        .url = s->url,
        .faults = &s->faults,
        .hooks = { s, url_of, removed, request, we_are_removed },
    };
    struct err e = { 0 };

    OK(peers_new(&o, &s->peers, &e), &e);
    cr_assert_eq(
        peers_transport(s->peers)->listen(peers_transport(s->peers), accept_none), 0);
}

static void pair_open(struct pair *p, uint64_t cluster_of_b)
{
    *p = (struct pair){ 0 };
    cr_assert_eq(uv_loop_init(&p->loop), 0);
    free_url(p->a.url);
    free_url(p->b.url);
    p->a.other = p->b.url;
    p->b.other = p->a.url;
    side_open(p, &p->a, 1, 77);
    side_open(p, &p->b, 2, cluster_of_b);
}

static void closed(struct raft_uv_transport *t)
{
    (void)t;
}

static void pair_close(struct pair *p)
{
    peers_transport(p->a.peers)->close(peers_transport(p->a.peers), closed);
    peers_transport(p->b.peers)->close(peers_transport(p->b.peers), closed);
    uv_run(&p->loop, UV_RUN_DEFAULT);
    if (p->b.held != NULL)
        peer_answer(p->b.held, 0, (struct bytes){ 0 });
    cr_assert_eq(uv_loop_close(&p->loop), 0, "handles are left");
    peers_free(p->a.peers);
    peers_free(p->b.peers);
}
#define PAIR [[gnu::cleanup(pair_close)]] struct pair

struct result {
    unsigned count;
    int status;
    size_t n;
    uint8_t first;
};

static void done(void *arg, int status, struct bytes body)
{
    struct result *r = arg;

    r->count++;
    r->status = status;
    r->n = body.n;
    r->first = body.n > 0 ? body.p[0] : 0;
}

static void wait_for(struct pair *p, const struct result *r)
{
    while (r->count == 0)
        uv_run(&p->loop, UV_RUN_ONCE);
}

static struct result call(struct pair *p, struct bytes body, unsigned ms)
{
    struct result r = { 0 };

    peer_call(p->a.peers, 2, WHAT, body, ms, done, &r);
    wait_for(p, &r);
    cr_assert_eq(r.count, 1);
    return r;
}

CASE(peers, a_call_is_answered)
{
    PAIR p;
    struct result r;

    pair_open(&p, 77);
    r = call(&p, bytes_str("hello"), MS);
    cr_assert_eq(r.status, 0);
    cr_assert_eq(r.n, 5);
    cr_assert_eq(p.b.from, 1);
    r = call(&p, bytes_str("?"), MS);
    cr_assert_eq(r.status, 9);
    r = call(&p, (struct bytes){ 0 }, MS);
    cr_assert_eq(r.status, 0);
    cr_assert_eq(r.n, 0);
}

CASE(peers, large_messages_and_many_at_once)
{
    static uint8_t big[3 << 20];
    struct result each[50] = { 0 }, r;
    PAIR p;

    pair_open(&p, 77);
    big[0] = 'B';
    r = call(&p, BYTES_OF(big), MS);
    cr_assert_eq(r.status, 0);
    cr_assert_eq(r.n, sizeof big);
    for (size_t i = 0; i < 50; i++)
        peer_call(p.a.peers, 2, WHAT, (struct bytes){ big, i }, MS, done, &each[i]);
    for (size_t i = 0; i < 50; i++) {
        wait_for(&p, &each[i]);
        cr_assert_eq(each[i].n, i);
    }
}

CASE(peers, nobody_there_means_unsent)
{
    PAIR p;

    pair_open(&p, 77);
    p.a.other = "http://127.0.0.1:1";
    cr_assert_eq(call(&p, bytes_str("x"), MS).status, PEER_UNSENT);
    p.a.other = NULL;
    cr_assert_eq(call(&p, bytes_str("x"), MS).status, PEER_UNSENT);
    cr_assert_eq(p.b.requests, 0);
}

CASE(peers, silence_means_lost)
{
    PAIR p;

    pair_open(&p, 77);
    p.b.silent = true;
    cr_assert_eq(call(&p, bytes_str("x"), 50).status, PEER_LOST);
    cr_assert_eq(p.b.requests, 1);
}

CASE(peers, another_cluster_is_turned_away)
{
    PAIR p;

    pair_open(&p, 78);
    cr_assert_eq(call(&p, bytes_str("x"), MS).status, PEER_UNSENT);
    cr_assert_eq(p.b.requests, 0);
    cr_assert_eq(p.a.told_removed, 0);
}

CASE(peers, a_removed_member_is_told)
{
    PAIR p;

    pair_open(&p, 77);
    p.b.removes = true;
    cr_assert_eq(call(&p, bytes_str("x"), MS).status, PEER_UNSENT);
    cr_assert_eq(p.a.told_removed, 1);
    cr_assert_eq(p.b.requests, 0);
}

CASE(peers, a_cut_drops_what_passes)
{
    PAIR p;

    pair_open(&p, 77);
    cr_assert_eq(call(&p, bytes_str("x"), MS).status, 0);
    faults_cut(&p.b.faults, 1, FAULT_IN);
    cr_assert_eq(call(&p, bytes_str("x"), 50).status, PEER_LOST);
    cr_assert_eq(p.b.requests, 1, "it did not get through");
    faults_cut(&p.b.faults, 1, FAULT_OUT);
    cr_assert_eq(call(&p, bytes_str("x"), 50).status, PEER_LOST);
    cr_assert_eq(p.b.requests, 2, "only the answer did not");
    faults_cut(&p.b.faults, 1, 0);
    cr_assert_eq(call(&p, bytes_str("x"), MS).status, 0);
}

/* Whatever a stranger sends, the port goes on serving. */
CASE(peers, garbage_does_no_harm)
{
    static const char *const words[] = {
        "", "GET / HTTP/1.1\r\n\r\n", "HOLDPEER",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n and so on, until it is as long as a hello is, "
        "which takes two hundred bytes, so here are some more of them: one two three "
        "four "
        "five six seven eight nine ten eleven twelve thirteen"
    };
    PAIR p;

    pair_open(&p, 77);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        struct sockaddr_in to = { .sin_family = AF_INET };
        uint16_t port;
        char host[16];
        struct err e = { 0 };
        int fd = socket(AF_INET, SOCK_STREAM, 0);

        OK(hello_address(p.b.url, host, &port, &e), &e);
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        to.sin_port = htons(port);
        cr_assert_eq(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
        cr_assert_geq(write(fd, words[i], strlen(words[i])), 0);
        cr_assert_eq(call(&p, bytes_str("x"), MS).status, 0);
        close(fd);
        cr_assert_eq(call(&p, bytes_str("x"), MS).status, 0);
    }
}

/* A caller that says hello and then lies about sizes is dropped. */
CASE(peers, a_size_beyond_the_limit_ends_the_connection)
{
    const struct hello h = { HELLO_CALLS, 77, 1, 2, "http://127.0.0.1:9" };
    uint8_t wire[HELLO_SIZE + 13] = { 0 }, answer;
    struct sockaddr_in to = { .sin_family = AF_INET };
    struct err e = { 0 };
    uint16_t port;
    char host[16];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    PAIR p;

    pair_open(&p, 77);
    hello_write(&h, wire);
    put_le32(wire + HELLO_SIZE, UINT32_MAX);
    OK(hello_address(p.b.url, host, &port, &e), &e);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons(port);
    (void)connect(fd, (struct sockaddr *)&to, sizeof to);
    for (int turns = 0; send(fd, wire, sizeof wire, MSG_NOSIGNAL) < 0; turns++)
        cr_assert_lt(turns, 10000);
    for (int turns = 0; recv(fd, &answer, 1, 0) != 1; turns++) {
        cr_assert_lt(turns, 10000);
        uv_run(&p.loop, UV_RUN_NOWAIT);
    }
    cr_assert_eq(answer, HELLO_WELCOME);
    for (int turns = 0; recv(fd, &answer, 1, 0) != 0; turns++) {
        cr_assert_lt(turns, 10000, "it was not closed");
        uv_run(&p.loop, UV_RUN_NOWAIT);
    }
    close(fd);
    cr_assert_eq(p.b.requests, 0);
}
