/* Sockets and clocks around the connections of conn.h. */
#include "crypto/tls_engine.h"
#include "grpcd/conn.h"
#include "util/mem.h"

enum {
    PIECE = 64 << 10,      /* bytes of one read or write */
    WRITING_MAX = 1 << 20, /* bytes given to the socket and not taken by it */
    TURNS_MAX = 16,        /* pieces written before the loop goes on */
    BACKLOG = 128,
};

struct client {
    struct client *next, **link;
    struct client *next_woken;
    struct grpcd *server;
    uv_tcp_t tcp;
    uv_timer_t timer;
    unsigned handles; /* not closed yet */
    struct conn *conn;
    struct tls_engine *tls;
    uint64_t patience; /* when to close what does not speak, or does not read our last */
    bool woken, closing, deaf;
};

struct grpcd {
    struct service service;
    uv_loop_t *loop;
    uv_tcp_t listener;
    uv_idle_t soon; /* runs while `woken` is not empty */
    uv_timer_t grace;
    unsigned handles;
    struct client *clients, *woken;
    uint32_t client_count;
    uint16_t port;
    bool closing, ended;
    void (*closed)(void *arg);
    void *arg;
    uint8_t piece[PIECE], plain[PIECE];
};

static void client_close(struct client *k);
static void flush(struct client *k);
static void look_whether_closed(struct grpcd *g);

/* ---- waking ------------------------------------------------------------------------ */

/* Who is woken meanwhile has its turn in the next round, so that one busy client cannot
 * keep the loop to itself. */
static void on_soon(uv_idle_t *soon)
{
    struct grpcd *g = soon->data;
    struct client *round = g->woken;

    g->woken = NULL;
    while (round != NULL) {
        struct client *k = round;

        round = k->next_woken;
        k->woken = false;
        flush(k);
    }
    if (g->woken == NULL)
        uv_idle_stop(soon);
}

/* An idle handle rather than a prepare handle: whoever wakes us in whichever phase of the
 * loop, it does not go to sleep before we had our turn. */
static void wake(void *arg)
{
    struct client *k = arg;
    struct grpcd *g = k->server;

    if (k->woken || k->closing)
        return;
    k->woken = true;
    k->next_woken = g->woken;
    g->woken = k;
    uv_idle_start(&g->soon, on_soon);
}

/* ---- the end of a client ----------------------------------------------------------- */

static void client_free(struct client *k)
{
    conn_free(k->conn);
    tls_engine_free(k->tls);
    mem_free(k);
}

static void unlink_client(struct client *k)
{
    struct grpcd *g = k->server;

    if (k->woken) {
        struct client **at = &g->woken;

        while (*at != k)
            at = &(*at)->next_woken;
        *at = k->next_woken;
    }
    *k->link = k->next;
    if (k->next != NULL)
        k->next->link = k->link;
    g->client_count--;
}

static void on_client_handle_closed(uv_handle_t *handle)
{
    struct client *k = handle->data;
    struct grpcd *g = k->server;

    if (--k->handles > 0)
        return;
    unlink_client(k);
    client_free(k);
    look_whether_closed(g);
}

/* Cancels its calls at once; never called from below a handler. */
static void client_close(struct client *k)
{
    if (k->closing)
        return;
    k->closing = true;
    conn_free(k->conn);
    k->conn = NULL;
    uv_close((uv_handle_t *)&k->timer, on_client_handle_closed);
    uv_close((uv_handle_t *)&k->tcp, on_client_handle_closed);
}

/* ---- output ------------------------------------------------------------------------ */

struct write {
    uv_write_t req;
    struct client *client;
    uint8_t bytes[];
};

static void on_written(uv_write_t *req, int status)
{
    struct write *w = req->data;
    struct client *k = w->client;

    mem_free(w);
    if (k->closing)
        return;
    if (status < 0)
        client_close(k);
    else
        flush(k);
}

/* Hands the server's piece to the socket; false when the client is lost. */
static bool write_piece(struct client *k, size_t n)
{
    struct write *w = mem_zero(sizeof *w + n);

    if (w == NULL)
        return false;
    w->client = k;
    w->req.data = w;
    memcpy(w->bytes, k->server->piece, n);

    uv_buf_t buf = uv_buf_init((char *)w->bytes, (unsigned)n);

    if (uv_write(&w->req, (uv_stream_t *)&k->tcp, &buf, 1, on_written) == 0)
        return true;
    mem_free(w);
    return false;
}

static size_t writing(const struct client *k)
{
    return uv_stream_get_write_queue_size((const uv_stream_t *)&k->tcp);
}

/* Moves up to a piece of plaintext into the TLS engine; how much. */
static enum rc encrypt(struct client *k, size_t *moved, struct err *e)
{
    *moved = 0;
    while (k->conn != NULL && tls_engine_ready(k->tls) && *moved < PIECE) {
        struct bytes b = conn_output(k->conn);

        if (b.n == 0)
            break;
        *moved += b.n;
        TRY(tls_engine_write(k->tls, b, e));
    }
    return RC_OK;
}

/* Fill the server's piece with what the client should get next; false: it is lost. */
static bool gather_cipher(struct client *k, size_t *filled)
{
    struct grpcd *g = k->server;
    size_t moved = 1;
    struct err e = { 0 };

    *filled = 0;
    while (moved > 0) {
        *filled += tls_engine_out(k->tls, g->piece + *filled, PIECE - *filled);
        if (*filled == PIECE)
            return true;
        if (encrypt(k, &moved, &e) != RC_OK)
            return false;
    }
    return true;
}

/* The same without TLS. What is larger than the piece (a long page) goes in several. */
static bool gather_plain(struct client *k, size_t *filled)
{
    struct grpcd *g = k->server;

    *filled = 0;
    for (struct bytes b; *filled < PIECE / 2 && (b = conn_output(k->conn)).n > 0;) {
        for (; b.n > PIECE - *filled; *filled = 0) {
            size_t part = PIECE - *filled;

            memcpy(g->piece + *filled, b.p, part);
            if (!write_piece(k, PIECE))
                return false;
            b = (struct bytes){ b.p + part, b.n - part };
        }
        memcpy(g->piece + *filled, b.p, b.n);
        *filled += b.n;
    }
    return true;
}

static bool gather(struct client *k, size_t *filled)
{
    return k->tls != NULL ? gather_cipher(k, filled) : gather_plain(k, filled);
}

/* ---- time -------------------------------------------------------------------------- */

static void on_timer(uv_timer_t *timer)
{
    struct client *k = timer->data;
    uint64_t now = uv_now(k->server->loop);

    if (now >= k->patience) {
        client_close(k);
        return;
    }
    if (k->conn != NULL)
        conn_tick(k->conn, now);
    flush(k);
}

static void arm(struct client *k)
{
    uint64_t now = uv_now(k->server->loop);
    uint64_t at = k->conn == NULL ? UINT64_MAX : conn_deadline(k->conn);

    if (k->patience < at)
        at = k->patience;
    if (at == UINT64_MAX)
        uv_timer_stop(&k->timer);
    else
        uv_timer_start(&k->timer, on_timer, at > now ? at - now : 0, 0);
}

static void be_patient(struct client *k)
{
    if (k->patience == UINT64_MAX)
        k->patience = uv_now(k->server->loop) + k->server->service.o.handshake_ms;
}

/* Lets handlers run and writes what there is, as long as the socket takes it. */
static void flush(struct client *k)
{
    size_t n = 1;

    if (k->closing)
        return;
    for (unsigned turn = 0; n > 0 && writing(k) < WRITING_MAX; turn++) {
        if (turn == TURNS_MAX) { /* the others want theirs, too */
            wake(k);
            break;
        }
        if (k->conn != NULL)
            conn_settle(k->conn);
        if ((k->conn != NULL && conn_dead(k->conn)) || !gather(k, &n) ||
            (n > 0 && !write_piece(k, n))) {
            client_close(k);
            return;
        }
    }
    if (k->conn != NULL && conn_spoke(k->conn) && !conn_done(k->conn))
        k->patience = UINT64_MAX;
    if (k->deaf || (k->conn != NULL && conn_done(k->conn))) {
        if (writing(k) == 0) {
            client_close(k);
            return;
        }
        be_patient(k);
    }
    arm(k);
}

/* ---- input ------------------------------------------------------------------------- */

static enum rc open_conn(struct client *k, struct err *e)
{
    char name[256];
    bool named = k->tls != NULL && tls_engine_peer(k->tls, name, sizeof name);

    return conn_new(&k->server->service, named ? name : NULL, wake, k, &k->conn, e);
}

static enum rc decrypt(struct client *k, struct bytes cipher, struct err *e)
{
    struct grpcd *g = k->server;
    size_t n = 1;

    TRY(tls_engine_feed(k->tls, cipher, e));
    while (n > 0) {
        TRY(tls_engine_read(k->tls, g->plain, PIECE, &n, e));
        if (k->conn == NULL && tls_engine_ready(k->tls))
            TRY(open_conn(k, e));
        if (n > 0) {
            conn_feed(k->conn, (struct bytes){ g->plain, n }, uv_now(g->loop));
            conn_settle(k->conn);
        }
    }
    k->deaf = tls_engine_closed(k->tls);
    return RC_OK;
}

static void give_piece(uv_handle_t *handle, size_t wanted, uv_buf_t *buf)
{
    struct client *k = handle->data;

    (void)wanted;
    *buf = uv_buf_init((char *)k->server->piece, PIECE);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct client *k = stream->data;
    struct err e = { 0 };

    if (n == 0 || k->closing)
        return;
    if (n < 0) {
        client_close(k);
        return;
    }
    struct bytes in = { (const uint8_t *)buf->base, (size_t)n };

    if (k->tls == NULL)
        conn_feed(k->conn, in, uv_now(k->server->loop));
    else if (decrypt(k, in, &e) != RC_OK)
        k->deaf = true; /* an alert may still have to go out */
    if (k->deaf)
        uv_read_stop(stream);
    flush(k);
}

/* ---- accepting --------------------------------------------------------------------- */

static enum rc open_client(struct client *k, struct err *e)
{
    if (k->server->service.o.tls != NULL)
        return tls_engine_new(k->server->service.o.tls, &k->tls, e);
    return open_conn(k, e);
}

static struct client *client_new(struct grpcd *g)
{
    struct client *k = mem_zero(sizeof *k);
    struct err e = { 0 };

    if (k == NULL)
        return NULL;
    k->server = g;
    k->patience = uv_now(g->loop) + g->service.o.handshake_ms;
    if (open_client(k, &e) != RC_OK || uv_tcp_init(g->loop, &k->tcp) != 0) {
        client_free(k);
        return NULL;
    }
    (void)uv_timer_init(g->loop, &k->timer); /* cannot fail */
    k->tcp.data = k->timer.data = k;
    k->handles = 2;
    k->next = g->clients;
    k->link = &g->clients;
    if (k->next != NULL)
        k->next->link = &k->next;
    g->clients = k;
    g->client_count++;
    return k;
}

static void close_and_free(uv_handle_t *handle)
{
    mem_free(handle);
}

/* Takes one off the queue only to close it; unaccepted, libuv would stop listening. */
static void turn_away(struct grpcd *g)
{
    uv_tcp_t *tcp = mem_zero(sizeof *tcp);

    if (tcp == NULL || uv_tcp_init(g->loop, tcp) != 0) {
        mem_free(tcp);
        return;
    }
    (void)uv_accept((uv_stream_t *)&g->listener, (uv_stream_t *)tcp);
    uv_close((uv_handle_t *)tcp, close_and_free);
}

static void on_client(uv_stream_t *listener, int status)
{
    struct grpcd *g = listener->data;
    struct client *k;

    if (status < 0)
        return;
    k = g->client_count >= g->service.o.clients_max ? NULL : client_new(g);
    if (k == NULL) {
        turn_away(g);
        return;
    }
    if (uv_accept(listener, (uv_stream_t *)&k->tcp) != 0 ||
        uv_read_start((uv_stream_t *)&k->tcp, give_piece, on_read) != 0) {
        client_close(k);
        return;
    }
    uv_tcp_nodelay(&k->tcp, 1);
    arm(k);
}

/* ---- the server -------------------------------------------------------------------- */

static void on_handle_closed(uv_handle_t *handle)
{
    struct grpcd *g = handle->data;

    if (--g->handles > 0)
        return;
    if (g->closed != NULL)
        g->closed(g->arg);
    mem_free(g);
}

/* The last step of closing, when nobody is left who could come back to us. */
static void look_whether_closed(struct grpcd *g)
{
    if (!g->closing || g->ended || g->clients != NULL || g->service.calls > 0)
        return;
    g->ended = true;
    uv_close((uv_handle_t *)&g->soon, on_handle_closed);
    uv_close((uv_handle_t *)&g->grace, on_handle_closed);
}

static void on_calls_over(void *arg)
{
    look_whether_closed(arg);
}

static enum rc parse_address(const struct grpcd_options *o,
                             struct sockaddr_storage *address, struct err *e)
{
    if (uv_ip4_addr(o->host, o->port, (struct sockaddr_in *)address) != 0 &&
        uv_ip6_addr(o->host, o->port, (struct sockaddr_in6 *)address) != 0)
        return err_set(e, RC_USAGE, "'%s' is no IP address", o->host);
    return RC_OK;
}

static enum rc listen_on(struct grpcd *g, const struct sockaddr_storage *address,
                         struct err *e)
{
    struct sockaddr_storage bound;
    int size = sizeof bound;
    int failed = uv_tcp_bind(&g->listener, (const struct sockaddr *)address, 0);

    if (failed == 0)
        failed = uv_listen((uv_stream_t *)&g->listener, BACKLOG, on_client);
    if (failed == 0)
        failed = uv_tcp_getsockname(&g->listener, (struct sockaddr *)&bound, &size);
    if (failed != 0)
        return err_set(e, RC_NET, "cannot listen on '%s' port %u: %s", g->service.o.host,
                       g->service.o.port, uv_strerror(failed));
    /* The port lies at the same place in both families. */
    g->port = ntohs(((const struct sockaddr_in *)&bound)->sin_port);
    return RC_OK;
}

enum rc grpcd_listen(uv_loop_t *loop, const struct grpcd_options *o, struct grpcd **out,
                     struct err *e)
{
    struct sockaddr_storage address;
    struct grpcd *g;

    TRY(parse_address(o, &address, e));
    TRY(mem_new(&g, sizeof *g, "a gRPC server", e));
    g->loop = loop;
    g->service = (struct service){ .o = *o, .changed = on_calls_over, .arg = g };
    service_defaults(&g->service.o);
    (void)uv_tcp_init(loop, &g->listener); /* these three cannot fail: no socket yet */
    (void)uv_idle_init(loop, &g->soon);
    (void)uv_timer_init(loop, &g->grace);
    g->listener.data = g->soon.data = g->grace.data = g;
    g->handles = 3;

    enum rc rc = listen_on(g, &address, e);

    if (rc != RC_OK)
        grpcd_close(g, 0, NULL, NULL);
    else
        *out = g;
    return rc;
}

uint16_t grpcd_port(const struct grpcd *g)
{
    return g->port;
}

struct grpcd_counts grpcd_count(const struct grpcd *g)
{
    return (struct grpcd_counts){ .clients = g->client_count, .calls = g->service.calls };
}

void grpcd_drop_all(struct grpcd *g)
{
    for (struct client *k = g->clients, *next; k != NULL; k = next) {
        next = k->next;
        if (k->conn != NULL)
            conn_kill(k->conn);
        else
            client_close(k); /* still shaking hands: no handler can be running */
    }
}

static void on_grace_over(uv_timer_t *timer)
{
    grpcd_drop_all(timer->data);
}

static void leave(struct grpcd *g)
{
    for (struct client *k = g->clients, *next; k != NULL; k = next) {
        next = k->next;
        if (k->conn != NULL)
            conn_leave(k->conn);
        else
            client_close(k);
    }
}

void grpcd_close(struct grpcd *g, uint64_t grace_ms, void (*closed)(void *arg), void *arg)
{
    g->closing = true;
    g->closed = closed;
    g->arg = arg;
    uv_update_time(g->loop);
    uv_timer_start(&g->grace, on_grace_over, grace_ms, 0);
    uv_close((uv_handle_t *)&g->listener, on_handle_closed);
    leave(g);
    look_whether_closed(g);
}
