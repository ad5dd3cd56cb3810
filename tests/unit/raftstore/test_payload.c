#include "raftstore/payload.h"
#include "tests/lib/case.h"

static void make(size_t n, struct raft_buffer *out)
{
    static const uint8_t body[64] = { 1, 2, 3 };
    const struct payload p = { PAYLOAD_REQUEST, 7, 0x1122334455667788, { body, n } };
    struct err e = { 0 };

    OK(payload_write(&p, out, &e), &e);
}

CASE(payload, what_is_written_is_read)
{
    for (size_t n = 0; n <= 64; n++) {
        struct raft_buffer b;
        struct payload p;
        struct err e = { 0 };

        make(n, &b);
        cr_assert_eq(b.len % 8, 0);
        OK(payload_read((struct bytes){ b.base, b.len }, &p, &e), &e);
        cr_assert_eq(p.kind, PAYLOAD_REQUEST);
        cr_assert_eq(p.term, 7);
        cr_assert_eq(p.id, 0x1122334455667788);
        cr_assert_eq(p.body.n, n);
        raft_free(b.base);
    }
}

CASE(payload, refuses_every_other_size_and_kind)
{
    struct raft_buffer b;
    struct payload p;
    struct err e = { 0 };
    uint8_t *at;

    make(16, &b);
    at = b.base;
    for (size_t n = 0; n < b.len; n++)
        cr_assert_eq(payload_read((struct bytes){ at, n }, &p, &e), RC_CORRUPT, "%zu", n);
    for (unsigned kind = 0; kind < 256; kind++) {
        at[0] = (uint8_t)kind;
        cr_assert_eq(payload_read((struct bytes){ at, b.len }, &p, &e) == RC_OK,
                     kind == PAYLOAD_REQUEST || kind == PAYLOAD_CHANGE);
    }
    at[0] = PAYLOAD_CHANGE;
    for (uint64_t size = 0; size < UINT32_MAX; size = size * 3 + 1) {
        put_le32(at + 4, (uint32_t)size);
        cr_assert_eq(payload_read((struct bytes){ at, b.len }, &p, &e) == RC_OK,
                     size > 8 && size <= 16, "size %llu", (unsigned long long)size);
    }
    raft_free(b.base);
}
