#include "codec/pb.h"

#include <stdlib.h>

#include "tests/lib/case.h"
#include "tests/lib/fault.h"

/* Reads every field; the sum makes sure that each was handed over. */
static size_t fields(struct bytes message, uint64_t *sum, struct pb_reader *r)
{
    struct pb_field f;
    size_t n = 0;

    *sum = 0;
    *r = pb_reader_of(message);
    for (; pb_next(r, &f); n++) {
        bool bytes = (f.tag & 7) == PB_BYTES;

        *sum += f.tag + (bytes ? f.bytes.n : f.value);
    }
    return n;
}

static bool accepted(struct bytes message)
{
    struct pb_reader r;
    uint64_t sum;

    fields(message, &sum, &r);
    return pb_done(&r);
}

CASE(codec_pb, reads_every_wire_type)
{
    static const uint8_t message[] = {
        0x08, 0x96, 0x01,                       /* 1: 150 */
        0x11, 1,    2,    3,   4,   5, 6, 7, 8, /* 2: fixed64 */
        0x1a, 3,    'a',  'b', 'c',             /* 3: bytes */
        0x25, 1,    2,    3,   4,               /* 4: fixed32 */
        0x2a, 0,                                /* 5: empty bytes */
    };
    struct pb_reader r = pb_reader_of(BYTES_OF(message));
    struct pb_field f;

    cr_assert(pb_next(&r, &f) && f.tag == PB_TAG(1, PB_VARINT) && f.value == 150);
    cr_assert(pb_next(&r, &f) && f.tag == PB_TAG(2, PB_FIXED64));
    cr_assert_eq(f.value, 0x0807060504030201);
    cr_assert(pb_next(&r, &f) && f.tag == PB_TAG(3, PB_BYTES));
    cr_assert(bytes_is(f.bytes, "abc"));
    cr_assert(pb_next(&r, &f) && f.tag == PB_TAG(4, PB_FIXED32) && f.value == 0x04030201);
    cr_assert(!pb_done(&r));
    cr_assert(pb_next(&r, &f) && f.tag == PB_TAG(5, PB_BYTES) && f.bytes.n == 0);
    cr_assert(pb_done(&r) && !pb_next(&r, &f));
}

CASE(codec_pb, an_empty_message_is_done)
{
    struct pb_reader r = pb_reader_of((struct bytes){ NULL, 0 });
    struct pb_field f;

    cr_assert(!pb_next(&r, &f) && pb_done(&r));
}

CASE(codec_pb, numbers_survive_a_round_trip)
{
    for (unsigned bit = 0; bit <= 64; bit++)
        for (int less = 0; less < 2; less++) {
            uint64_t v = (bit == 64 ? 0 : UINT64_C(1) << bit) - (uint64_t)less, got;
            struct buf b = { 0 };
            struct err e = { 0 };

            OK(pb_put_varint(&b, v, &e), &e);
            struct pb_reader r = pb_reader_of((struct bytes){ b.p, b.n });

            cr_assert(pb_varint(&r, &got) && got == v && pb_done(&r), "2^%u-%d", bit,
                      less);
            buf_clear(&b);
        }
}

CASE(codec_pb, refuses_what_no_encoder_writes)
{
    static const struct {
        const char *what;
        uint8_t p[16];
        size_t n;
    } bad[] = {
        { "field number 0", { 0x00, 1 }, 2 },
        { "start of a group", { 0x0b }, 1 },
        { "end of a group", { 0x0c }, 1 },
        { "wire type 6", { 0x0e, 0 }, 2 },
        { "wire type 7", { 0x0f, 0 }, 2 },
        { "varint with a needless byte", { 0x08, 0x80, 0x00 }, 3 },
        { "varint of 65 bits",
          { 0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02 },
          11 },
        { "varint of 11 bytes",
          { 0x08, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1 },
          12 },
        { "varint cut off", { 0x08, 0x80 }, 2 },
        { "value missing", { 0x08 }, 1 },
        { "length past the end", { 0x0a, 2, 'a' }, 3 },
        { "huge length",
          { 0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01 },
          11 },
        { "fixed64 cut off", { 0x09, 1, 2, 3, 4, 5, 6, 7 }, 8 },
        { "fixed32 cut off", { 0x0d, 1, 2, 3 }, 4 },
        { "tag beyond 32 bits", { 0x88, 0x80, 0x80, 0x80, 0x10, 1 }, 6 },
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct bytes message = { bad[i].p, bad[i].n };
        struct pb_reader r = pb_reader_of(message);
        struct pb_field f;

        cr_assert(!pb_next(&r, &f) && !pb_done(&r), "%s", bad[i].what);
        cr_assert_eq(pb_offset(&r, message), 0, "%s", bad[i].what);
        cr_assert(!pb_next(&r, &f), "%s: goes on after a refusal", bad[i].what);
    }
}

CASE(codec_pb, a_prefix_is_whole_only_between_fields)
{
    static const uint8_t message[] = { 0x08, 0x96, 0x01, 0x1a, 3,    'a', 'b',
                                       'c',  0x25, 1,    2,    3,    4,   0xa2,
                                       0x06, 1,    'x',  0xf8, 0x7f, 5 };

    for (size_t n = 0; n <= sizeof message; n++) {
        bool between = n == 0 || n == 3 || n == 8 || n == 13 || n == 17 || n == 20;

        cr_assert_eq(accepted((struct bytes){ message, n }), between, "%zu bytes", n);
    }
}

CASE(codec_pb, any_bytes_end_without_reading_past_them)
{
    uint64_t seed = 1;

    for (int round = 0; round < 20000; round++) {
        size_t n = (size_t)(seed >> 60);
        uint8_t *p = malloc(n == 0 ? 1 : n); /* exact: ASan sees one byte too many */
        struct pb_reader r;
        uint64_t sum;

        for (size_t i = 0; i < n; i++) {
            seed = seed * 6364136223846793005 + 1442695040888963407;
            p[i] = (uint8_t)(seed >> 56) & (round & 1 ? 0xff : 0x3f);
        }
        seed = seed * 6364136223846793005 + 1442695040888963407;
        cr_assert(fields((struct bytes){ p, n }, &sum, &r) <= n, "round %d", round);
        cr_assert(pb_done(&r) || r.bad, "round %d", round);
        free(p);
    }
}

CASE(codec_pb, writes_what_etcd_writes)
{
    /* raftpb.HardState{term 2, commit 300} and a nested field. */
    static const uint8_t want[] = { 0x08, 2, 0x18, 0xac, 0x02, 0x22, 2, 'h', 'i' };
    struct buf b = { 0 };
    struct err e = { 0 };

    OK(pb_put_u64(&b, 1, 2, &e), &e);
    OK(pb_put_u64(&b, 3, 300, &e), &e);
    OK(pb_put_bytes(&b, 4, bytes_str("hi"), &e), &e);
    cr_assert(bytes_equal((struct bytes){ b.p, b.n }, BYTES_OF(want)));
    buf_clear(&b);
}

CASE(codec_pb, a_full_buffer_and_no_memory_are_errors)
{
    struct buf b = { .cap_max = 4 };
    struct err e = { 0 };

    cr_assert_eq(pb_put_bytes(&b, 1, bytes_str("abc"), &e), RC_CORRUPT);
    buf_clear(&b);
    fault_arm(FAULT_ALLOC, 1, 0);
    cr_assert_eq(pb_put_u64(&b, 1, 1, &e), RC_NOMEM);
    cr_assert(fault_disarm());
    buf_clear(&b);
}
