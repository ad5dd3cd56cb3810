#include "grpcd/h1.h"

#include "tests/lib/case.h"

CASE(grpcd_h1, every_beginning_of_a_request_waits_for_more)
{
    static const char text[] = "GET /a/b?c=d HTTP/1.1\r\nhOST: x\r\n"
                               "Connection: Close \r\nX-Y:\r\n\r\n";
    struct h1_request q;

    for (size_t n = 0; n < sizeof text - 1; n++)
        cr_assert_eq(h1_parse((struct bytes){ (const uint8_t *)text, n }, &q), H1_MORE);
    cr_assert_eq(h1_parse(bytes_str(text), &q), H1_GET);
    cr_assert_str_eq(q.path, "/a/b");
    cr_assert_str_eq(q.query, "c=d");
    cr_assert(q.close);
    cr_assert_eq(q.size, sizeof text - 1);
}

CASE(grpcd_h1, what_is_not_quite_http_is_refused)
{
    static const struct {
        const char *text;
        int status;
    } cases[] = {
        { "\r\n\r\n", 400 },
        { "GET\r\n\r\n", 400 },
        { "GET /\r\n\r\n", 400 },
        { "GET  HTTP/1.1\r\nHost: x\r\n\r\n", 400 },
        { "GET / http/1.1\r\nHost: x\r\n\r\n", 400 },
        { "GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505 },
        { "GET /a b HTTP/1.1\r\nHost: x\r\n\r\n", 400 },
        { "GET /\x80 HTTP/1.1\r\nHost: x\r\n\r\n", 400 },
        { "GET * HTTP/1.1\r\nHost: x\r\n\r\n", 400 },
        { "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", 405 },
        { "GET / HTTP/1.1\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\n: x\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\nHost: x\x01\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", 400 },
    };
    struct h1_request q;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cr_assert_eq(h1_parse(bytes_str(cases[i].text), &q), H1_BAD, "%s", cases[i].text);
        cr_assert_eq(q.status, cases[i].status, "%d for %s", q.status, cases[i].text);
        cr_assert(q.close);
    }
}

CASE(grpcd_h1, a_tls_hello_is_no_request_and_gets_its_answer_at_once)
{
    const uint8_t hello[] = { 0x16, 0x03, 0x01, 0x02, 0x00, 0x01 };
    struct h1_request q;

    for (size_t n = 1; n <= sizeof hello; n++) {
        cr_assert_eq(h1_parse((struct bytes){ hello, n }, &q), H1_BAD);
        cr_assert_eq(q.status, 400);
    }
}

CASE(grpcd_h1, long_requests_are_refused_before_they_end)
{
    static char text[H1_REQUEST_MAX + 64];
    struct h1_request q;

    memset(text, 'a', sizeof text);
    cr_assert_eq(h1_parse((struct bytes){ (uint8_t *)text, H1_REQUEST_MAX }, &q),
                 H1_MORE);
    cr_assert_eq(h1_parse((struct bytes){ (uint8_t *)text, H1_REQUEST_MAX + 1 }, &q),
                 H1_BAD);
    cr_assert_eq(q.status, 431);
    memcpy(text, "GET /", 5);
    memcpy(text + 1000, " HTTP/1.1\r\nHost: x\r\n\r\n", 22);
    cr_assert_eq(h1_parse((struct bytes){ (uint8_t *)text, 1021 }, &q), H1_MORE);
    cr_assert_eq(h1_parse((struct bytes){ (uint8_t *)text, 1022 }, &q), H1_BAD);
    cr_assert_eq(q.status, 414);
}
