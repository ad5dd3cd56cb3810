#include "raftstore/hello.h"
#include "tests/lib/case.h"

CASE(hello, what_is_written_is_read)
{
    const struct hello h = { HELLO_CALLS, 1, UINT64_MAX, 3, "http://127.0.0.1:2380" };
    uint8_t wire[HELLO_SIZE];
    struct hello got;
    struct err e = { 0 };

    hello_write(&h, wire);
    OK(hello_read(wire, &got, &e), &e);
    cr_assert_eq(got.kind, HELLO_CALLS);
    cr_assert_eq(got.cluster, 1);
    cr_assert_eq(got.from, UINT64_MAX);
    cr_assert_eq(got.to, 3);
    cr_assert_str_eq(got.url, h.url);
}

CASE(hello, refuses_other_words)
{
    const struct hello h = { HELLO_RAFT, 1, 2, 3, "http://127.0.0.1:2380" };
    static const size_t matters[] = { 0, 7, 8, HELLO_SIZE - 1 };
    uint8_t wire[HELLO_SIZE];
    struct hello got;
    struct err e = { 0 };

    for (size_t i = 0; i < sizeof matters / sizeof *matters; i++) {
        hello_write(&h, wire);
        wire[matters[i]] ^= 0x40;
        cr_assert_eq(hello_read(wire, &got, &e), RC_CORRUPT, "byte %zu", matters[i]);
    }
}

CASE(hello, addresses)
{
    static const struct {
        const char *url, *host;
        uint16_t port;
    } good[] = {
        { "http://127.0.0.1:2380", "127.0.0.1", 2380 },
        { "https://10.0.0.255:1", "10.0.0.255", 1 },
        { "localhost:65535", "127.0.0.1", 65535 },
    };
    static const char *const bad[] = { "",         "127.0.0.1",
                                       "x:1",      "http://host:2380",
                                       ":2380",    "http://127.0.0.1:65536",
                                       "[::1]:80", "http://127.0.0.1:2380/x",
                                       "1.2.3:80", "http://123.123.123.1234:1" };
    char host[16];
    uint16_t port;
    struct err e = { 0 };

    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        OK(hello_address(good[i].url, host, &port, &e), &e);
        cr_assert_str_eq(host, good[i].host);
        cr_assert_eq(port, good[i].port);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_eq(hello_address(bad[i], host, &port, &e), RC_USAGE, "%s", bad[i]);
}
