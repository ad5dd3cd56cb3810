#include "http/http.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "tests/lib/case.h"
#include "tests/lib/fakeetcd.h"
#include "tests/lib/fault.h"
#include "tests/lib/proc.h"
#include "tests/lib/tmpdir.h"
#include "util/clock.h"
#include "util/stop.h"

/* A server that reads a request's head and answers each with the same bytes. */
struct canned {
    int listener, port;
    pthread_t thread;
    const char *answer;
    size_t size;
    unsigned served;
    char request[2048]; /* the last */
};

static void *serve(void *arg)
{
    struct canned *s = arg;
    int fd;

    while ((fd = accept(s->listener, NULL, NULL)) >= 0) {
        ssize_t n = read(fd, s->request, sizeof s->request - 1);

        /* The client may keep the connection for later: it is not waited for. */
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){ .tv_usec = 50000 },
                   sizeof(struct timeval));
        s->request[n > 0 ? n : 0] = '\0';
        s->served++;
        if (s->size > 0 && send(fd, s->answer, s->size, MSG_NOSIGNAL) < 0)
            perror("send");
        shutdown(fd, SHUT_WR);
        while (read(fd, (char[512]){ 0 }, 512) > 0) {
        }
        close(fd);
    }
    return NULL;
}

static void canned_start(struct canned *s, const char *answer, size_t size)
{
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof at;

    *s = (struct canned){ .answer = answer, .size = size };
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert(bind(s->listener, (struct sockaddr *)&at, sizeof at) == 0 &&
              listen(s->listener, 8) == 0 &&
              getsockname(s->listener, (struct sockaddr *)&at, &n) == 0);
    s->port = ntohs(at.sin_port);
    pthread_create(&s->thread, NULL, serve, s);
}

static void canned_stop(struct canned *s)
{
    shutdown(s->listener, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    close(s->listener);
}
#define CANNED AT_END(canned_stop) struct canned

static const char *url_of(int port, const char *path)
{
    static char url[128];

    snprintf(url, sizeof url, "http://127.0.0.1:%d%s", port, path);
    return url;
}

static struct http *plain(void)
{
    struct http *h = NULL;
    struct err e = { 0 };

    OK(http_new(&(struct http_options){ .dial_timeout_ms = 2000 }, &h, &e), &e);
    return h;
}

static enum rc get(const char *answer, size_t size, struct buf *body, int *status,
                   struct err *e)
{
    OWNED(http) h = plain();
    CANNED s;

    canned_start(&s, answer, size);
    return http_get(h, url_of(s.port, "/x"), 2000, body, status, e);
}
#define GET(text, body, status, e) get(text, sizeof text - 1, body, status, e)

CASE(http_http, gets_a_body)
{
    AT_END(buf_clear) struct buf body = { 0 };
    struct err e = { 0 };
    int status = 0;

    OK(GET("HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nabc", &body, &status, &e),
       &e);
    cr_assert(status == 404 && body.n == 3 && memcmp(body.p, "abc", 3) == 0);
}

CASE(http_http, nothing_from_the_surroundings_is_used)
{
    OWNED(http) h = plain();
    AT_END(buf_clear) struct buf body = { 0 };
    struct err e = { 0 };
    int status = 0;
    static const char moved[] = "HTTP/1.1 302 Found\r\nLocation: /other\r\n"
                                "Set-Cookie: a=b\r\nContent-Length: 0\r\n\r\n";
    CANNED s;

    setenv("http_proxy", "http://127.0.0.1:1", 1);
    setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
    canned_start(&s, moved, sizeof moved - 1);
    OK(http_get(h, url_of(s.port, "/x"), 2000, &body, &status, &e), &e);
    cr_assert(status == 302 && s.served == 1, "a redirect is not followed");
    cr_assert(strncmp(s.request, "GET /x HTTP/1.1\r\n", 17) == 0, "%s", s.request);
    cr_assert_null(strstr(s.request, "Accept:"), "%s", s.request);
}

CASE(http_http, a_body_is_bounded)
{
    AT_END(buf_clear) struct buf body = { .cap_max = 4 };
    struct err e = { 0 };
    int status = 0;

    cr_assert_eq(
        GET("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde", &body, &status, &e),
        RC_CORRUPT);
    cr_assert_str_eq(e.why, "5 bytes do not fit the limit of 4");
}

CASE(http_http, broken_answers_are_net_failures)
{
    static const struct {
        const char *answer, *why;
    } rows[] = {
        { "", "the connection broke: Empty reply from server" },
        { "SSH-2.0-OpenSSH_9.2\r\n", "the connection broke: Received HTTP/0.9 when not "
                                     "allowed" },
        { "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",
          "the connection broke: transfer closed with 6 bytes remaining to read" },
    };

    for (size_t i = 0; i < 3; i++) {
        AT_END(buf_clear) struct buf body = { 0 };
        struct err e = { 0 };
        int status = 0;

        cr_assert_eq(get(rows[i].answer, strlen(rows[i].answer), &body, &status, &e),
                     RC_NET, "case %zu", i);
        cr_assert_str_eq(e.why, rows[i].why);
    }
}

CASE(http_http, endless_headers_are_refused)
{
    static char flood[200000] = "HTTP/1.1 200 OK\r\n";
    AT_END(buf_clear) struct buf body = { 0 };
    struct err e = { 0 };
    size_t n = strlen(flood);
    int status = 0;

    while (n + 20 < sizeof flood)
        n += (size_t)snprintf(flood + n, sizeof flood - n, "a: 0123456789\r\n");
    cr_assert_eq(get(flood, n, &body, &status, &e), RC_CORRUPT);
    cr_assert_str_eq(e.why, "the answer has more than 64 KiB of headers");
}

/* ---- HTTP/2, from the scripted etcd
 * -------------------------------------------------------- */

struct seen {
    char status[8], grpc_status[8];
    bool trailer_after_body;
    uint64_t bytes, useful;
    enum rc answer; /* of the body callback */
};

static enum rc on_header(void *arg, struct bytes name, struct bytes value, struct err *e)
{
    struct seen *s = arg;

    (void)e;
    if (bytes_is(name, ":status"))
        snprintf(s->status, sizeof s->status, "%.*s", (int)value.n,
                 (const char *)value.p);
    if (bytes_is(name, "grpc-status")) {
        snprintf(s->grpc_status, sizeof s->grpc_status, "%.*s", (int)value.n,
                 (const char *)value.p);
        s->trailer_after_body = s->bytes > 0;
    }
    return RC_OK;
}

static enum rc on_body(void *arg, struct bytes piece, struct err *e)
{
    struct seen *s = arg;

    s->bytes += piece.n;
    return s->answer == RC_OK ? RC_OK : err_set(e, s->answer, "the taker refuses");
}

static const char *const grpc_headers[] = { "content-type: application/grpc",
                                            "te: trailers", NULL };

static struct http_request snapshot_request(const struct fake *f, struct seen *s)
{
    static const uint8_t empty_message[5];

    return (struct http_request){
        .url = url_of(fake_port(f), "/etcdserverpb.Maintenance/Snapshot"),
        .headers = grpc_headers,
        .body = BYTES_OF(empty_message),
        .http2 = true,
        .on_header = on_header,
        .on_body = on_body,
        .arg = s,
    };
}

CASE(http_http, trailers_come_after_the_body)
{
    FAKE f = fake_start(&(struct fake_script){ 0 });
    OWNED(http) h = plain();
    struct seen s = { 0 };
    struct http_request q = snapshot_request(f, &s);
    struct http_answer told;
    struct err e = { 0 };

    OK(http_perform(h, &q, &told, &e), &e);
    cr_assert(told.end == HTTP_DONE && told.status == 200 && told.body_bytes == s.bytes);
    cr_assert_str_eq(s.status, "200");
    cr_assert_str_eq(s.grpc_status, "0");
    cr_assert(s.trailer_after_body && s.bytes > 256 << 10);
}

CASE(http_http, one_object_serves_many_requests)
{
    FAKE f = fake_start(&(struct fake_script){ .db_size = 512 });
    OWNED(http) h = plain();
    struct http_answer told;
    struct err e = { 0 };

    for (int i = 0; i < 50; i++) {
        struct seen s = { 0 };
        struct http_request q = snapshot_request(f, &s);

        q.once = i % 2 == 0;
        OK(http_perform(h, &q, &told, &e), &e);
        cr_assert_str_eq(s.grpc_status, "0", "request %d", i);
    }
}

CASE(http_http, what_a_callback_returns_goes_up)
{
    FAKE f = fake_start(&(struct fake_script){ 0 });
    OWNED(http) h = plain();
    struct seen s = { .answer = RC_LOCKED };
    struct http_request q = snapshot_request(f, &s);
    struct http_answer told;
    struct err e = { 0 };

    cr_assert_eq(http_perform(h, &q, &told, &e), RC_LOCKED);
    cr_assert_str_eq(e.why, "the taker refuses");
    cr_assert_eq(told.end, HTTP_ABORTED);
}

CASE(http_http, each_limit_ends_a_silent_stream)
{
    static const struct fake_step steps[] = { FAKE_DO(FAKE_DATA, 32768),
                                              FAKE_DO(FAKE_STALL, 0) };
    FAKE f = fake_start(&(struct fake_script){ .steps = steps, .step_count = 2 });
    OWNED(http) h = plain();

    for (int i = 0; i < 3; i++) {
        struct seen s = { 0 };
        struct http_request q = snapshot_request(f, &s);
        struct http_answer told;
        struct err e = { 0 };
        uint64_t from = clock_ms();

        q.total_ms = i == 0 ? 300 : 0;
        q.stall_ms = i == 1 || i == 2 ? 300 : 0;
        q.progress = i == 2 ? &s.useful : NULL; /* nothing of it was useful */
        cr_assert_eq(http_perform(h, &q, &told, &e), RC_NET, "limit %d", i);
        cr_assert_eq(told.end, HTTP_LATE, "limit %d", i);
        cr_assert_gt(s.bytes, 0, "limit %d", i);
        cr_assert_lt(clock_ms() - from, 2000, "limit %d", i);
    }
}

CASE(http_http, a_wanted_stop_is_obeyed)
{
    static const struct fake_step steps[] = { FAKE_DO(FAKE_STALL, 0) };
    FAKE f = fake_start(&(struct fake_script){ .steps = steps, .step_count = 1 });
    OWNED(http) h = plain();
    struct seen s = { 0 };
    struct http_request q = snapshot_request(f, &s);
    struct http_answer told;
    struct err e = { 0 };

    stop_request();
    cr_assert_eq(http_perform(h, &q, &told, &e), RC_INTERRUPTED);
    cr_assert_eq(told.end, HTTP_ABORTED);
    stop_reset();
}

CASE(http_http, a_request_may_be_given_up_or_outlast_a_stop)
{
    static const struct fake_step steps[] = { FAKE_DO(FAKE_STALL, 0) };
    FAKE f = fake_start(&(struct fake_script){ .steps = steps, .step_count = 1 });
    OWNED(http) h = plain();
    struct seen s = { 0 };
    struct http_request q = snapshot_request(f, &s);
    atomic_bool cancel = true;
    struct http_answer told;
    struct err e = { 0 };

    q.cancel = &cancel;
    cr_assert_eq(http_perform(h, &q, &told, &e), RC_INTERRUPTED);
    cr_assert_eq(told.end, HTTP_ABORTED);
    q.cancel = NULL;
    q.unstoppable = true;
    q.total_ms = 200;
    stop_request();
    cr_assert_eq(http_perform(h, &q, &told, &e), RC_NET, "its own limit ends it");
    cr_assert_eq(told.end, HTTP_LATE);
    stop_reset();
}

CASE(http_http, who_never_connected_was_never_sent_to)
{
    OWNED(http) h = plain();
    struct seen s = { 0 };
    char url[64];
    struct http_request q = { .url = url, .on_body = on_body, .arg = &s };
    struct http_answer told;
    struct err e = { 0 };

    snprintf(url, sizeof url, "http://127.0.0.1:%d/", free_port());
    cr_assert_eq(http_perform(h, &q, &told, &e), RC_NET);
    cr_assert_eq(told.end, HTTP_UNSENT);
    cr_assert_str_eq(e.why, "cannot connect: Connection refused");
    snprintf(url, sizeof url, "http://nonexistent.invalid:1/");
    cr_assert_eq(http_perform(h, &q, &told, &e), RC_NET);
    cr_assert_eq(told.end, HTTP_UNSENT);
    snprintf(url, sizeof url, "ftp://127.0.0.1/");
    cr_assert_neq(http_perform(h, &q, &told, &e), RC_OK);
    cr_assert_eq(told.end, HTTP_UNSENT);
}

CASE(http_http, plain_http_1_is_no_http_2)
{
    static const char answer[] = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
    OWNED(http) h = plain();
    struct seen seen = { 0 };
    struct http_answer told;
    struct err e = { 0 };
    CANNED s;

    canned_start(&s, answer, sizeof answer - 1);
    struct http_request q = { .url = url_of(s.port, "/"),
                              .http2 = true,
                              .body = BYTES_OF("x"),
                              .on_body = on_body,
                              .arg = &seen };

    cr_assert_eq(http_perform(h, &q, &told, &e), RC_NET);
    cr_assert_eq(told.end, HTTP_BROKEN);
    cr_assert_str_eq(e.hint, "the server sent no answer at all: use https:// if it "
                             "expects TLS");
}

CASE(http_http, any_method_takes_a_body_from_memory)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nETag: \"x\"\r\n"
                                 "Content-Length: 0\r\n\r\n";
    static const struct {
        const char *method, *body, *head;
    } rows[] = {
        { "PUT", "abc", "PUT /k HTTP/1.1\r\n" },
        { "POST", "", "POST /k HTTP/1.1\r\n" },
        { "DELETE", NULL, "DELETE /k HTTP/1.1\r\n" },
        { "HEAD", NULL, "HEAD /k HTTP/1.1\r\n" },
    };
    CANNED s;

    canned_start(&s, answer, sizeof answer - 1);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        OWNED(http) h = plain();
        struct seen seen = { 0 };
        struct http_answer told;
        struct err e = { 0 };
        struct http_request q = { .url = url_of(s.port, "/k"),
                                  .method = rows[i].method,
                                  .on_header = on_header,
                                  .on_body = on_body,
                                  .arg = &seen };

        if (rows[i].body != NULL)
            q.body = bytes_str(rows[i].body);
        OK(http_perform(h, &q, &told, &e), &e);
        cr_assert(strncmp(s.request, rows[i].head, strlen(rows[i].head)) == 0, "%s",
                  s.request);
        if (rows[i].body != NULL)
            cr_assert(strstr(s.request, rows[i].body[0] == '\0' ? "Content-Length: 0\r\n"
                                                                : "\r\n\r\nabc") != NULL,
                      "%s", s.request);
    }
}

CASE(http_http, unusable_options_are_refused)
{
    const char *dir = tmpdir_new();
    struct http *h = NULL;
    struct err e = { 0 };

    cr_assert_eq(http_new(&(struct http_options){ .key = "/dev/null" }, &h, &e),
                 RC_USAGE);
    cr_assert_eq(http_new(&(struct http_options){ .cacert = path_in(dir, "ca") }, &h, &e),
                 RC_USAGE);
    cr_assert_eq(http_new(&(struct http_options){ .cacert = dir }, &h, &e), RC_USAGE);
    cr_assert_null(h);
}

CASE(http_http, every_allocation_may_fail)
{
    FAKE f = fake_start(&(struct fake_script){ .db_size = 512 });
    unsigned runs = 0;

    FAULT_SWEEP(FAULT_ALLOC, nth, 0) {
        struct http_options o = { .server_name = "x" };
        OWNED(http) h = NULL;
        AT_END(buf_clear) struct buf body = { 0 };
        struct err e = { 0 };
        int status;
        enum rc rc = http_new(&o, &h, &e);

        if (rc == RC_OK)
            rc = http_get(h, url_of(fake_port(f), "/"), 2000, &body, &status, &e);
        cr_assert(rc == RC_NET || rc == RC_NOMEM, "allocation %u: %s", nth, rc_name(rc));
        runs = nth;
    }
    cr_assert_geq(runs, 3, "object, name, and a clean run: %u", runs);
}
