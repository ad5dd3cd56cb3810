#include "codec/message.h"

#include <string.h>

#include "tests/lib/case.h"
#include "tests/lib/fault.h"
#include "util/mem.h"

/* A Status answer in the shape of etcd 3.4. */
static const uint8_t status[] = {
    0x0a, 0x1a, 0x08, 0xf1, 0xd5, 0xe4, 0xde, 0x8e, 0xa4, 0x9c, 0xdb, 0xcd, 0x01, 0x10,
    0xd3, 0xdc, 0xd3, 0xa0, 0xc4, 0xe9, 0xca, 0xb4, 0x8e, 0x01, 0x18, 0x01, 0x20, 0x02,
    0x12, 0x06, '3',  '.',  '4',  '.',  '2',  '3',  0x18, 0x80, 0xa0, 0x01,
};

CASE(codec_message, decodes_a_status)
{
    AT_END(codec_end) Etcdrpc__StatusResponse *r = NULL;
    struct err e = { 0 };

    OK(codec_unpack(&etcdrpc__status_response__descriptor, BYTES_OF(status), &r, &e), &e);
    cr_assert_str_eq(r->version, "3.4.23");
    cr_assert_eq(r->db_size, 20480);
    const Etcdrpc__ResponseHeader *h = codec_child(r, "header");

    cr_assert(h == r->header && h->raft_term == 2 && h->revision == 1);
    cr_assert_null(codec_child(r, "downgrade_info"), "absent");
    cr_assert_null(codec_child(r, "version"), "no message");
    cr_assert_null(codec_child(r, "errors"), "a list");
    cr_assert_null(codec_child(r, "nothing"), "no such field");
}

CASE(codec_message, packs_what_it_unpacks)
{
    AT_END(codec_end) Etcdrpc__StatusResponse *r = NULL;
    struct buf out = { 0 };
    struct err e = { 0 };

    OK(codec_unpack(&etcdrpc__status_response__descriptor, BYTES_OF(status), &r, &e), &e);
    OK(codec_pack(r, &out, &e), &e);
    cr_assert(bytes_equal((struct bytes){ out.p, out.n }, BYTES_OF(status)));
    buf_clear(&out);
}

CASE(codec_message, unknown_fields_of_a_newer_server_are_skipped)
{
    static const uint8_t newer[] = { 0x12, 1, '4', 0xfa, 0x3e, 2, 'a', 'b', 0x18, 7 };
    AT_END(codec_end) Etcdrpc__StatusResponse *r = NULL;
    struct err e = { 0 };

    OK(codec_unpack(&etcdrpc__status_response__descriptor, BYTES_OF(newer), &r, &e), &e);
    cr_assert_str_eq(r->version, "4");
    cr_assert_eq(r->db_size, 7);
}

CASE(codec_message, every_cut_is_refused_or_decoded_without_a_leak)
{
    for (size_t n = 0; n <= sizeof status; n++) {
        AT_END(mem_end) uint8_t *exact = mem_copy(status, n);
        AT_END(codec_end) Etcdrpc__StatusResponse *r = NULL;
        struct err e = { 0 };
        enum rc rc = codec_unpack(&etcdrpc__status_response__descriptor,
                                  (struct bytes){ exact, n }, &r, &e);

        cr_assert(rc == RC_OK || rc == RC_CORRUPT, "cut at %zu", n);
        cr_assert((rc == RC_OK) == (r != NULL), "cut at %zu", n);
    }
}

CASE(codec_message, refusals_name_the_type)
{
    Etcdrpc__StatusResponse *r = NULL;
    struct err e = { 0 };

    cr_assert_eq(codec_unpack(&etcdrpc__status_response__descriptor,
                              bytes_str("\x12\x05"
                                        "ab"),
                              &r, &e),
                 RC_CORRUPT);
    cr_assert_str_eq(e.why, "4 bytes are no valid StatusResponse message");
    cr_assert_null(r);
}

/* Wraps `b` into field 4 of RequestOp and field 2 of TxnRequest, again and again. */
static void nest(struct buf *b, unsigned levels)
{
    struct err e = { 0 };

    for (unsigned i = 0; i < levels; i++) {
        struct buf outer = { 0 };
        uint8_t head[6] = { i % 2 == 0 ? 0x22 : 0x12 };
        size_t used = 1;

        for (size_t n = b->n; n > 0 || used == 1; n >>= 7)
            head[used++] = (uint8_t)((n & 0x7f) | (n >> 7 ? 0x80 : 0));
        OK(buf_add(&outer, head, used, &e), &e);
        OK(buf_add(&outer, b->p, b->n, &e), &e);
        buf_clear(b);
        *b = outer;
    }
}

CASE(codec_message, nesting_is_bounded)
{
    static const unsigned levels[] = { 8, 32, 34, 20000 };

    for (size_t i = 0; i < 4; i++) {
        AT_END(codec_end) Etcdrpc__TxnRequest *t = NULL;
        struct buf b = { 0 };
        struct err e = { 0 };
        enum rc rc;

        nest(&b, levels[i]);
        rc = codec_unpack(&etcdrpc__txn_request__descriptor, (struct bytes){ b.p, b.n },
                          &t, &e);
        cr_assert_eq(rc, levels[i] <= CODEC_DEPTH_MAX ? RC_OK : RC_CORRUPT, "%u levels",
                     levels[i]);
        if (rc != RC_OK)
            cr_assert_str_eq(e.why, "a TxnRequest message nests more than 32 deep");
        buf_clear(&b);
    }
}

/* Two bytes each, and a hundred in memory. */
CASE(codec_message, element_bombs_are_refused)
{
    enum { SIZE = 1 << 20 };
    AT_END(mem_end) uint8_t *bomb = mem_zero(SIZE);
    Etcdrpc__RangeResponse *r = NULL;
    struct err e = { 0 };

    for (size_t i = 0; i < SIZE; i += 2)
        bomb[i] = 0x12;
    cr_assert_eq(codec_unpack(&etcdrpc__range_response__descriptor,
                              (struct bytes){ bomb, SIZE }, &r, &e),
                 RC_CORRUPT);
    cr_assert_str_eq(e.why, "a RangeResponse message of 1048576 bytes claims more "
                            "elements than is sane");
}

/* The worst honest case: one-byte keys at low revisions. */
CASE(codec_message, a_range_of_tiny_keys_is_no_bomb)
{
    static const uint8_t kv[] = { 0x12, 9, 0x0a, 1, 'k', 0x10, 2, 0x18, 2, 0x20, 1 };
    AT_END(codec_end) Etcdrpc__RangeResponse *r = NULL;
    struct buf b = { 0 };
    struct err e = { 0 };

    for (int i = 0; i < 100000; i++)
        OK(buf_add(&b, kv, sizeof kv, &e), &e);
    OK(codec_unpack(&etcdrpc__range_response__descriptor, (struct bytes){ b.p, b.n }, &r,
                    &e),
       &e);
    cr_assert_eq(r->n_kvs, 100000);
    buf_clear(&b);
}

CASE(codec_message, every_allocation_may_fail)
{
    unsigned runs = 0;

    FAULT_SWEEP(FAULT_ALLOC, nth, 0) {
        AT_END(codec_end) Etcdrpc__StatusResponse *r = NULL;
        struct buf out = { 0 };
        struct err e = { 0 };
        enum rc rc =
            codec_unpack(&etcdrpc__status_response__descriptor, BYTES_OF(status), &r, &e);

        if (rc == RC_OK)
            rc = codec_pack(r, &out, &e);
        cr_assert(rc == RC_OK || rc == RC_NOMEM, "allocation %u: %s", nth, e.why);
        buf_clear(&out);
        runs = nth;
    }
    cr_assert_eq(runs, 5, "message, header, version, buffer, clean: %u", runs);
}
