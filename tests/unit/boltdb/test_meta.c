#include "boltdb/file.h"
#include "codec/crc32c.h"
#include "tests/lib/case.h"

/* Page 0 of a fresh etcd 3.5 database. */
static void fresh(uint8_t page[static 128])
{
    memset(page, 0, 128);
    page[8] = 4;
    put_le32(page + 16, BOLT_MAGIC);
    put_le32(page + 20, 2);
    put_le32(page + 24, 4096);
    put_le64(page + 32, 3);
    put_le64(page + 48, BOLT_NO_FREELIST);
    put_le64(page + 56, 4);
    put_le64(page + 64, 2);
    memcpy(page + 72, "\xe6\x7d\x87\x1f\x1d\x80\x59\xc7", 8);
}

static void expect_bad(const uint8_t *page, size_t n, const char *why)
{
    struct bolt_meta m = { .page = 9 };
    struct err e = { 0 };

    cr_assert_eq(bolt_meta_read((struct bytes){ page, n }, &m, &e), RC_CORRUPT);
    cr_assert_str_eq(e.why, why);
    cr_assert_eq(m.page, 9);
}

CASE(boltdb_meta, reads_a_real_one)
{
    uint8_t page[128];
    struct bolt_meta m;
    struct err e = { 0 };

    fresh(page);
    OK(bolt_meta_read((struct bytes){ page, 80 }, &m, &e), &e);
    cr_assert_eq(m.root, 3);
    cr_assert_eq(m.freelist, BOLT_NO_FREELIST);
    cr_assert_eq(m.high_water, 4);
    cr_assert_eq(m.txid, 2);
    cr_assert_eq(m.page_size, 4096);
}

CASE(boltdb_meta, says_what_is_wrong)
{
    uint8_t page[128];

    fresh(page);
    expect_bad(page, 79, "no room for a meta page");
    page[70] ^= 1;
    expect_bad(page, 128, "checksum mismatch");
    page[20] = 3;
    expect_bad(page, 128, "format version 3, not 2");
    page[16] ^= 1;
    expect_bad(page, 128, "no bbolt magic");
    put_be32(page + 16, BOLT_MAGIC);
    expect_bad(page, 128, "written on a big-endian machine");
    fresh(page);
    put_le32(page + 24, 0);
    put_le64(page + 72, fnv1a64(page + 16, 56));
    expect_bad(page, 128, "page size 0");
}

/* Every bit under the checksum, and the checksum itself, matters. */
CASE(boltdb_meta, notices_every_flipped_bit)
{
    uint8_t page[128];
    struct bolt_meta m;
    struct err e = { 0 };

    for (unsigned bit = 16 * 8; bit < 80 * 8; bit++) {
        fresh(page);
        page[bit / 8] ^= (uint8_t)(1 << bit % 8);
        cr_assert_eq(bolt_meta_read(BYTES_OF(page), &m, &e), RC_CORRUPT, "bit %u", bit);
    }
}

CASE(boltdb_meta, takes_the_later_of_two)
{
    static uint8_t head[2 * 4096];
    struct bolt_meta m;
    struct err e = { 0 };

    for (uint64_t second = 1; second <= 3; second++) {
        AT_END(findings_clear) struct findings f = { 0 };

        fresh(head);
        fresh(head + 4096);
        put_le64(head + 4096 + 64, second);
        put_le64(head + 4096 + 72, fnv1a64(head + 4096 + 16, 56));
        OK(bolt_meta_choose(BYTES_OF(head), &f, &m, &e), &e);
        cr_assert_eq(m.page, second > 2, "txids 2 and %llu", (unsigned long long)second);
        cr_assert_eq(f.notes, second == 2);
    }
}

/* With page 0 lost, a meta that stands where its page size does not put it is none. */
CASE(boltdb_meta, searches_the_second_where_it_belongs)
{
    static uint8_t head[3 * 4096];
    struct bolt_meta m;
    struct err e = { 0 };

    fresh(head + 1024);
    fresh(head + 8192);
    cr_assert_eq(bolt_meta_choose(BYTES_OF(head), NULL, &m, &e), RC_CORRUPT);
    fresh(head + 4096);
    put_le64(head + 4096 + 64, 9);
    put_le64(head + 4096 + 72, fnv1a64(head + 4096 + 16, 56));
    OK(bolt_meta_choose(BYTES_OF(head), NULL, &m, &e), &e);
    cr_assert_eq(m.txid, 9);
    cr_assert_eq(m.page, 1);
}
