#include "mvcc/pack.h"

#include "mvcc/chain.h"
#include "mvcc/keys.h"
#include "tests/lib/case.h"
#include "tests/unit/mvcc/fixture.h"

static const uint8_t seed[SIPHASH_KEY_SIZE] = { 1, 2, 3 };

static void round_trip(struct bytes key, struct bytes value, struct buf *b,
                       struct mvcc_packed *out)
{
    struct bytes rest;
    struct err e = { 0 };

    b->n = 0;
    OK(mvcc_pack_add(b, seed, key, value, &e), &e);
    rest = (struct bytes){ b->p, b->n };
    cr_assert(mvcc_pack_next(&rest, out));
    cr_assert_eq(rest.n, 0);
    struct mvcc_packed none;

    cr_assert_not(mvcc_pack_next(&rest, &none));
}

/* Everything that the record's own reader says must survive. */
static void check_change(const struct change *c, size_t size)
{
    AT_END(buf_clear) struct buf key = { 0 };
    AT_END(buf_clear) struct buf value = { 0 };
    AT_END(buf_clear) struct buf b = { 0 };
    struct mvcc_packed packed;
    struct mvcc_record want;
    struct mvcc_rev rev;
    struct err e = { 0 };

    change_pair(c, &key, &value);
    struct bytes k = { key.p, key.n }, v = { value.p, value.n };

    OK(mvcc_rev_read(k, &rev, &e), &e);
    OK(mvcc_record_read(seed, &rev, v, &want, &e), &e);
    round_trip(k, v, &b, &packed);
    cr_assert(packed.reduced);
    cr_assert_eq(b.n, size);
    cr_assert(packed.record.main == want.main && packed.record.sub == want.sub);
    cr_assert(packed.record.create == want.create && packed.record.lease == want.lease);
    cr_assert(packed.record.version == want.version);
    cr_assert(want.tombstone || packed.record.mod == want.mod);
    cr_assert(packed.record.key.a == want.key.a && packed.record.key.b == want.key.b);
    cr_assert_eq(packed.record.length, want.length);
    cr_assert_eq(packed.record.crc, mvcc_pair_crc(k, v));
    cr_assert(packed.record.tombstone == want.tombstone);
    cr_assert(packed.record.kubernetes == want.kubernetes);
}

CASE(mvcc_pack, keeps_the_facts_of_records)
{
    check_change(&(struct change){ 9, 3, "/registry/x", 5, 2, 0, "v" }, 48);
    check_change(&(struct change){ 9, 3, "x", 5, 2, 99, "v" }, 56);
    check_change(&(struct change){ 9, UINT32_MAX, "x", 9, MVCC_KEY_VERSION_MAX, -1, "" },
                 56);
    check_change(&(struct change){ 9, 0, "x", 0, 0, 0, NULL }, 48);
}

CASE(mvcc_pack, keeps_what_is_no_clean_record_as_it_is)
{
    static const struct change odd[] = {
        { 9, (int64_t)UINT32_MAX + 1, "x", 5, 2, 0, "v" },
        { 9, 0, "x", 5, MVCC_KEY_VERSION_MAX + 1, 0, "v" },
        { 9, 0, "x", 5, -1, 0, "v" },
        { (int64_t)1 << 61, 0, "x", 5, 1, 0, "v" },
        { 9, 0, "", 5, 1, 0, "v" },
    };

    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        AT_END(buf_clear) struct buf key = { 0 };
        AT_END(buf_clear) struct buf value = { 0 };
        AT_END(buf_clear) struct buf b = { 0 };
        struct mvcc_packed packed;

        change_pair(&odd[i], &key, &value);
        round_trip((struct bytes){ key.p, key.n }, (struct bytes){ value.p, value.n }, &b,
                   &packed);
        cr_assert_not(packed.reduced, "%zu", i);
        cr_assert(bytes_equal(packed.key, (struct bytes){ key.p, key.n }));
        cr_assert(bytes_equal(packed.value, (struct bytes){ value.p, value.n }));
    }
}

CASE(mvcc_pack, names_of_17_bytes_are_no_records)
{
    AT_END(buf_clear) struct buf b = { 0 };
    struct mvcc_packed packed;

    round_trip(bytes_str("username_12345678"), bytes_str("\x0a\1x"), &b, &packed);
    cr_assert_not(packed.reduced);
    round_trip(bytes_str("k"), bytes_str(""), &b, &packed);
    cr_assert(bytes_is(packed.key, "k") && packed.value.n == 0);
}
