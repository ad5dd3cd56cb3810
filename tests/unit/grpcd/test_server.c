/* The server on real sockets: gRPC by libcurl and by etcdctl, pages, TLS, and clients
 * that mean no good. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "codec/frame.h"
#include "crypto/tls_engine.h"
#include "http/http.h"
#include "tests/lib/case.h"
#include "tests/lib/cluster.h"
#include "tests/lib/fault.h"
#include "tests/lib/proc.h"
#include "tests/lib/tmpdir.h"
#include "tests/unit/grpcd/hall.h"
#include "util/clock.h"

struct said {
    char status[8], message[128];
    uint64_t bytes;
    unsigned pieces, sleep_every;
    struct buf body;
};

static enum rc on_header(void *arg, struct bytes name, struct bytes value, struct err *e)
{
    struct said *s = arg;

    (void)e;
    if (bytes_is(name, "grpc-status"))
        snprintf(s->status, sizeof s->status, "%.*s", (int)value.n,
                 (const char *)value.p);
    if (bytes_is(name, "grpc-message"))
        snprintf(s->message, sizeof s->message, "%.*s", (int)value.n,
                 (const char *)value.p);
    return RC_OK;
}

static enum rc on_body(void *arg, struct bytes piece, struct err *e)
{
    struct said *s = arg;

    s->bytes += piece.n;
    if (s->sleep_every > 0 && ++s->pieces % s->sleep_every == 0)
        clock_sleep_ms(5);
    return s->bytes <= 4096 ? buf_add(&s->body, piece.p, piece.n, e) : RC_OK;
}

static enum rc ask_with(const struct hall *h, const struct http_options *o,
                        const char *path, struct bytes message, struct said *s,
                        struct err *e)
{
    static const char *const headers[] = { "content-type: application/grpc",
                                           "te: trailers", NULL };
    OWNED(http) http = NULL;
    struct buf body = { 0 };
    struct http_answer told;
    char url[160];

    snprintf(url, sizeof url, "%s%s", h->url, path);
    TRY(http_new(o, &http, e));
    TRY(frame_add(&body, message, e));
    struct http_request q = { .url = url,
                              .headers = headers,
                              .body = { body.p, body.n },
                              .http2 = true,
                              .total_ms = 60000,
                              .on_header = on_header,
                              .on_body = on_body,
                              .arg = s };
    enum rc rc = http_perform(http, &q, &told, e);

    buf_clear(&body);
    return rc;
}

static enum rc ask(const struct hall *h, const char *path, struct bytes message,
                   struct said *s, struct err *e)
{
    const struct http_options o = { 0 };

    return ask_with(h, &o, path, message, s, e);
}

CASE(grpcd_server, libcurl_gets_answers_and_errors)
{
    struct hall h = { 0 };
    struct said s = { 0 }, f = { 0 };
    struct err e = { 0 };

    hall_open(&h);
    OK(ask(&h, "/t.Desk/Echo", bytes_str("hello"), &s, &e), &e);
    cr_assert_str_eq(s.status, "0");
    cr_assert_eq(s.body.n, 10);
    OK(ask(&h, "/t.Desk/Fail", bytes_str(""), &f, &e), &e);
    cr_assert_str_eq(f.status, "5");
    cr_assert_str_eq(f.message, "100%25 gone%0A%C3%A9");
    buf_clear(&s.body);
    hall_close(&h);
}

CASE(grpcd_server, a_long_stream_to_a_slow_reader_takes_little_memory)
{
    struct hall h = { 0 };
    struct said s = { .sleep_every = 32 };
    struct rusage before, after;
    struct err e = { 0 };

    hall_open(&h);
    getrusage(RUSAGE_SELF, &before);
    OK(ask(&h, "/t.Desk/Pour", bytes_str("1024"), &s, &e), &e);
    getrusage(RUSAGE_SELF, &after);
    cr_assert_str_eq(s.status, "0");
    cr_assert_eq(s.bytes, 1024 * (65536 + 5));
    cr_assert_leq(h.desk.queued_max, 5 * 65536);
#ifndef SANITIZE /* which keeps what was freed */
    cr_assert_lt(after.ru_maxrss - before.ru_maxrss, 12 << 10, "%ld KiB",
                 after.ru_maxrss - before.ru_maxrss);
#endif
    buf_clear(&s.body);
    hall_close(&h);
}

static void talk(const struct hall *h, const char *request, const char *begins,
                 const char *ends)
{
    static char text[512 << 10];
    int fd = hall_connect(h);
    size_t n = strlen(request);

    cr_assert_eq(send(fd, request, n, 0), (ssize_t)n);
    n = hall_hear(fd, text, sizeof text, 2000);
    cr_assert(strncmp(text, begins, strlen(begins)) == 0, "%.60s got %.200s", request,
              text);
    cr_assert(n >= strlen(ends) && strcmp(text + n - strlen(ends), ends) == 0, "%.300s",
              text);
    close(fd);
}

#define HEAD(path) "GET " path " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

CASE(grpcd_server, pages_over_http_1)
{
    struct hall h = { 0 };

    hall_open(&h);
    talk(&h, HEAD("/version"), "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n",
         "\r\n\r\n{\"etcdserver\":\"3.5.30\",\"etcdcluster\":\"3.5.0\"}");
    talk(&h, HEAD("/version?broken"), "HTTP/1.1 500 ", "the disk is gone");
    talk(&h, HEAD("/metrics"), "HTTP/1.1 200 OK\r\nContent-Type: text/plain",
         "etcd_server_has_leader 1\n");
    talk(&h, HEAD("/nowhere"), "HTTP/1.1 404 ", "Not Found");
    talk(&h, "GET /version HTTP/1.0\r\n\r\n", "HTTP/1.1 200 OK", "}");
    talk(&h, "POST /version HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
         "HTTP/1.1 405 ", "Method Not Allowed");
    talk(&h, "GET /version HTTP/1.1\r\n\r\n", "HTTP/1.1 400 ", "Bad Request");
    talk(&h, "GET version HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400 ", "Bad Request");
    talk(&h, "GET /version HTTP/1.1\r\nHost : x\r\n\r\n", "HTTP/1.1 400 ", "Bad Request");
    talk(&h, "GET /version HTTP/3.0\r\nHost: x\r\n\r\n", "HTTP/1.1 505 ", "Supported");
    hall_close(&h);
}

CASE(grpcd_server, http_1_connections_are_kept)
{
    static const char request[] = "GET /version HTTP/1.1\r\nHost: x\r\n\r\n";
    struct hall h = { 0 };
    char text[1024];

    hall_open(&h);
    int fd = hall_connect(&h);

    for (unsigned i = 0; i < 3; i++) {
        cr_assert_eq(send(fd, request, sizeof request - 1, 0), sizeof request - 1);
        hall_hear(fd, text, sizeof text, 100);
        cr_assert(strncmp(text, "HTTP/1.1 200", 12) == 0, "%u: %s", i, text);
    }
    close(fd);
    hall_close(&h);
}

CASE(grpcd_server, garbage_is_hung_up_on)
{
    struct hall h = { .o = { .handshake_ms = 300 } };
    char junk[9000], text[1000];
    struct said s = { 0 };
    struct err e = { 0 };

    hall_open(&h);
    for (unsigned i = 0; i < sizeof junk; i++)
        junk[i] = (char)('a' + i % 23);
    int fd = hall_connect(&h);

    (void)send(fd, junk, sizeof junk, MSG_NOSIGNAL);
    hall_hear(fd, text, sizeof text, 2000);
    cr_assert(strncmp(text, "HTTP/1.1 431 ", 13) == 0, "%s", text);
    close(fd);

    fd = hall_connect(&h); /* a preface, then frames that are none */
    (void)send(fd, NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN, 0);
    (void)send(fd, junk, sizeof junk, MSG_NOSIGNAL);
    size_t n = hall_hear(fd, text, sizeof text, 2000);

    cr_assert(n > 17 && memcmp(text + 3, "\4\0\0\0\0\0", 6) == 0,
              "SETTINGS, then GOAWAY");
    close(fd);

    fd = hall_connect(&h); /* says nothing at all */
    uint64_t start = clock_ms();

    cr_assert_eq(hall_hear(fd, text, sizeof text, 5000), 0);
    cr_assert(clock_ms() - start >= 250 && clock_ms() - start < 3000);
    close(fd);
    OK(ask(&h, "/t.Desk/Echo", bytes_str("alive"), &s, &e), &e);
    buf_clear(&s.body);
    hall_close(&h);
}

CASE(grpcd_server, a_client_that_vanishes_cancels_its_calls)
{
    static const uint8_t hold[] = "\0\0\0\4\0\0\0\0\0"; /* SETTINGS */
    struct hall h = { .grace_ms = 5000 };
    struct rig r = { 0 };
    const uint8_t *p;
    char text[4096];

    hall_open(&h);
    rig_open(&r); /* only its client is used */
    rig_ask(&r, "/t.Desk/Hold", "", NULL);
    int fd = hall_connect(&h);
    ssize_t n;

    while ((n = nghttp2_session_mem_send(r.client, &p)) > 0)
        cr_assert_eq(send(fd, p, (size_t)n, 0), n);
    cr_assert_eq(send(fd, hold, 9, 0), 9);
    hall_hear(fd, text, sizeof text, 100);
    cr_assert_eq(h.desk.held_count, 1);
    cr_assert_eq(h.desk.canceled, 0);
    close(fd);
    for (unsigned i = 0; i < 200 && h.desk.canceled == 0; i++)
        clock_sleep_ms(10);
    cr_assert_eq(h.desk.canceled, 1);
    hall_close(&h);
    rig_close(&r);
}

CASE(grpcd_server, closing_waits_for_grace_and_then_cancels)
{
    struct hall h = { .grace_ms = 50 };
    struct rig r = { 0 };
    const uint8_t *p;
    char text[4096];
    ssize_t n;

    hall_open(&h);
    rig_open(&r);
    rig_ask(&r, "/t.Desk/Hold", "", NULL);
    int fd = hall_connect(&h);

    while ((n = nghttp2_session_mem_send(r.client, &p)) > 0)
        cr_assert_eq(send(fd, p, (size_t)n, 0), n);
    hall_hear(fd, text, sizeof text, 100);
    cr_assert_eq(h.desk.held_count, 1);
    hall_close(&h);
    cr_assert_eq(h.desk.canceled, 1);
    close(fd);
    rig_close(&r);
}

CASE(grpcd_server, clients_above_the_limit_are_turned_away)
{
    struct hall h = { .o = { .clients_max = 2 } };
    char text[100];

    hall_open(&h);
    int a = hall_connect(&h), b = hall_connect(&h), c = hall_connect(&h);
    uint64_t start = clock_ms();

    cr_assert_eq(hall_hear(c, text, sizeof text, 5000), 0);
    cr_assert_lt(clock_ms() - start, 4000);
    close(a);
    close(b);
    close(c);
    hall_close(&h);
}

CASE(grpcd_server, addresses_that_are_none_or_taken_are_errors)
{
    struct desk d = { 0 };
    struct grpcd_options o = desk_options(&d);
    struct grpcd *g = NULL, *taken = NULL;
    struct err e = { 0 };
    uv_loop_t loop;

    uv_loop_init(&loop);
    o.host = "nowhere";
    cr_assert_eq(grpcd_listen(&loop, &o, &g, &e), RC_USAGE);
    o.host = "127.0.0.1";
    OK(grpcd_listen(&loop, &o, &g, &e), &e);
    o.port = grpcd_port(g);
    cr_assert_eq(grpcd_listen(&loop, &o, &taken, &e), RC_NET);
    cr_assert_null(taken);
    cr_assert_eq(grpcd_count(g).clients + grpcd_count(g).calls, 0);
    grpcd_close(g, 0, NULL, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_eq(uv_loop_close(&loop), 0);
}

/* One client's life on a loop that is turned by hand. */
static void serve_once(uv_loop_t *loop, struct grpcd *g)
{
    struct hall h = { .port = grpcd_port(g) };
    const char request[] = HEAD("/metrics");
    char text[64];
    int fd = hall_connect(&h);

    (void)send(fd, request, sizeof request - 1, MSG_NOSIGNAL);
    for (unsigned i = 0; i < 20; i++)
        uv_run(loop, UV_RUN_NOWAIT);
    hall_hear(fd, text, sizeof text, 0);
    close(fd);
}

CASE(grpcd_server, any_failed_allocation_costs_a_client_at_most)
{
    unsigned runs = 0, listened = 0;

    FAULT_SWEEP(FAULT_ALLOC, nth, 0) {
        struct desk d = { 0 };
        struct grpcd_options o = desk_options(&d);
        struct grpcd *g = NULL;
        struct err e = { 0 };
        uv_loop_t loop;

        uv_loop_init(&loop);
        if (grpcd_listen(&loop, &o, &g, &e) == RC_OK) {
            listened++;
            serve_once(&loop, g);
            cr_assert_leq(grpcd_count(g).clients, 1);
            grpcd_close(g, 0, NULL, NULL);
        }
        uv_run(&loop, UV_RUN_DEFAULT);
        cr_assert_eq(uv_loop_close(&loop), 0, "allocation %u", nth);
        runs = nth;
    }
    cr_assert_eq(runs, listened + 1, "only the first allocation is the server's own");
    cr_assert_gt(runs, 8, "%u", runs);
}

/* ---- etcd's own client ------------------------------------------------------------- */

/* `dir` holds certificates, or NULL. */
static void status_by_etcdctl(const struct hall *h, const char *dir)
{
    const char *host = strstr(h->url, "//") + 2, *tls = dir == NULL ? "" : dir;

    for (const struct cluster_backend *b = cluster_backends; b->name != NULL; b++) {
        if (!cluster_available(b))
            continue;
        RUN(p, "sh", "-c",
            "dir=$2; ETCDCTL_API=3 exec \"$0\" --endpoints \"$1\" "
            "${dir:+--cacert=$dir/ca.crt --cert=$dir/root.crt --key=$dir/root.key} "
            "endpoint status -w json",
            cluster_tool(b, "etcdctl"), host, tls);
        cr_assert_eq(p.status, 0, "%s: %s", b->name, p.err);
        cr_assert_not_null(strstr(p.out, "\"version\":\"3.5.30\""), "%s", p.out);
    }
}

CASE(grpcd_server, etcdctl_of_each_version_reads_the_status, .timeout = 60)
{
    struct hall h = { 0 };

    hall_open(&h);
    status_by_etcdctl(&h, NULL);
    hall_close(&h);
}

/* ---- TLS --------------------------------------------------------------------------- */

static const char *certificates(void)
{
    static const char make[] =
        "set -e; cd \"$0\"; exec 2>openssl.log\n"
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
        "\\\n"
        "  -keyout ca.key -out ca.crt -subj /CN=ca\n"
        "printf 'subjectAltName=IP:127.0.0.1\\n' > ext\n"
        "for name in server root; do\n"
        "  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \\\n"
        "    -keyout $name.key -out $name.csr -subj /CN=$name\n"
        "  openssl x509 -req -in $name.csr -CA ca.crt -CAkey ca.key -CAcreateserial \\\n"
        "    -extfile ext -out $name.crt -days 2\n"
        "done\n";
    const char *dir = tmpdir_new();

    RUN(p, "sh", "-c", make, dir);
    cr_assert_eq(p.status, 0, "openssl failed, see %s/openssl.log", dir);
    return dir;
}

static void over_tls(bool clients_prove)
{
    const char *dir = certificates();
    OWNED(tls_server) tls = NULL;
    struct tls_files files = { .cert = path_in(dir, "server.crt"),
                               .key = path_in(dir, "server.key"),
                               .client_ca =
                                   clients_prove ? path_in(dir, "ca.crt") : NULL };
    struct hall h = { 0 };
    struct said named = { 0 }, nobody = { 0 }, pour = { 0 };
    struct err e = { 0 };

    OK(tls_server_new(&files, &tls, &e), &e);
    h.o.tls = tls;
    hall_open(&h);
    struct http_options o = { .cacert = path_in(dir, "ca.crt") };
    enum rc rc = ask_with(&h, &o, "/t.Desk/Echo", bytes_str("x"), &nobody, &e);

    cr_assert_eq(rc == RC_OK, !clients_prove, "%s", e.why);
    o.cert = path_in(dir, "root.crt");
    o.key = path_in(dir, "root.key");
    OK(ask_with(&h, &o, "/t.Desk/Who", bytes_str(""), &named, &e), &e);
    cr_assert_eq(named.body.n, 5 + 4);
    cr_assert_arr_eq(named.body.p + 5, clients_prove ? "root" : "none", 4);
    OK(ask_with(&h, &o, "/t.Desk/Pour", bytes_str("256"), &pour, &e), &e);
    cr_assert_eq(pour.bytes, 256 * (65536 + 5));
    if (clients_prove)
        status_by_etcdctl(&h, dir);
    buf_clear(&named.body);
    buf_clear(&nobody.body);
    buf_clear(&pour.body);
    hall_close(&h);
}

CASE(grpcd_server, tls_without_client_certificates)
{
    over_tls(false);
}

CASE(grpcd_server, tls_with_client_certificates_tells_the_name, .timeout = 60)
{
    over_tls(true);
}

CASE(grpcd_server, certificates_that_do_not_fit_are_errors)
{
    const char *dir = certificates();
    struct tls_server *tls = NULL;
    struct err e = { 0 };
    struct tls_files files = { .cert = path_in(dir, "none.crt"),
                               .key = path_in(dir, "server.key") };

    cr_assert_eq(tls_server_new(&files, &tls, &e), RC_USAGE);
    files.cert = path_in(dir, "server.crt");
    files.key = path_in(dir, "root.key");
    cr_assert_eq(tls_server_new(&files, &tls, &e), RC_USAGE);
    files.key = path_in(dir, "server.key");
    files.client_ca = path_in(dir, "none.crt");
    cr_assert_eq(tls_server_new(&files, &tls, &e), RC_USAGE);
    cr_assert_null(tls);
}
