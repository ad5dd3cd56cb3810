#include "boltdb/page.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/lib/case.h"
#include "util/mem.h"

/* A page of `n` elements with keys of 8 bytes and empty values. */
static uint8_t *leaf_of(unsigned n, size_t size)
{
    uint8_t *p = mem_zero(size);

    put_le64(p, 5);
    put_le16(p + 8, BOLT_PAGE_LEAF);
    put_le16(p + 10, (uint16_t)n);
    put_le32(p + 12, (uint32_t)(size / 512 - 1));
    for (unsigned i = 0; i < n; i++) {
        uint8_t *el = p + 16 + i * 16UL;

        put_le32(el + 4, (n - i) * 16 + i * 8);
        put_le32(el + 8, 8);
        put_be64(p + 16 + n * 16UL + i * 8UL, i);
    }
    return p;
}

static enum rc open_it(const uint8_t *p, size_t n, struct bolt_page *out, struct err *e)
{
    return bolt_page_open((struct bytes){ p, n }, 5, 512, out, e);
}

static void expect_fault(const uint8_t *p, size_t n, const char *predicate)
{
    struct bolt_page page = { .id = 99 };
    struct err e = { 0 };
    char why[200];

    snprintf(why, sizeof why, "page 5 (offset 2560) %s", predicate);
    cr_assert_eq(open_it(p, n, &page, &e), RC_CORRUPT, "%s", predicate);
    cr_assert_str_eq(e.why, why);
    cr_assert_eq(page.id, 99, "outputs are not touched on failure");
}

CASE(boltdb_page, reads_as_many_elements_as_a_page_can_have)
{
    AT_END(mem_end) uint8_t *p = leaf_of(65534, 24UL * 65536);
    struct bolt_page page;
    struct err e = { 0 };

    OK(open_it(p, 24UL * 65536, &page, &e), &e);
    cr_assert_eq(page.count, 65534);
    cr_assert_eq(page.extent, 24 * 65536);
    for (unsigned i = 0; i < 65534; i++)
        cr_assert_eq(be64(bolt_leaf_at(&page, (uint16_t)i).key.p), i);
}

CASE(boltdb_page, says_what_is_wrong)
{
    AT_END(mem_end) uint8_t *p = leaf_of(10, 512);
    AT_END(mem_end) uint8_t *text = mem_zero(512);

    memset(text, 'a', 512);
    expect_fault(text, 512, "bears no page header");
    expect_fault(p, 511, "bears no page header");
    put_le64(p, 6);
    expect_fault(p, 512, "names itself page 6");
    put_le64(p, 5);
    put_le16(p + 8, 0x13);
    expect_fault(p, 512, "is of kind 0x13, which does not belong here");
    put_le16(p + 8, BOLT_PAGE_META);
    expect_fault(p, 512, "is of kind 0x4, which does not belong here");
    put_le16(p + 8, BOLT_PAGE_LEAF);
    put_le32(p + 12, 1);
    expect_fault(p, 512, "claims 1 overflow pages, more than follow it");
    put_le32(p + 12, 0);
    put_le16(p + 10, 32);
    expect_fault(p, 512, "claims 32 elements, more than fit its 512 bytes");
    put_le16(p + 10, 0);
    put_le16(p + 8, BOLT_PAGE_BRANCH);
    expect_fault(p, 512, "is a branch without children");
}

CASE(boltdb_page, says_what_is_wrong_with_an_element)
{
    AT_END(mem_end) uint8_t *p = leaf_of(10, 512);
    uint8_t *el = p + 16 + 3 * 16;
    uint32_t pos = le32(el + 4);

    put_le32(el, 4);
    expect_fault(p, 512, "has unknown flags 0x4 in element 3");
    put_le32(el, 0);
    put_le32(el + 4, pos - 1);
    expect_fault(p, 512, "has element 3 begin at its byte 199, inside what precedes it");
    put_le32(el + 4, UINT32_MAX);
    expect_fault(p, 512, "has element 3 end at its byte 4294967367, beyond the page");
    put_le32(el + 4, pos);
    put_le32(el + 12, UINT32_MAX);
    expect_fault(p, 512, "has element 3 end at its byte 4294967503, beyond the page");
    put_le32(el + 12, 0);
    put_le32(el + 8, 0);
    expect_fault(p, 512, "has a key of 0 bytes in element 3");
    put_le32(el + 8, 8);
    put_be64(p + 16 + 10 * 16 + 3 * 8, 2);
    expect_fault(p, 512, "has keys out of order at element 3");
}

CASE(boltdb_page, allows_the_first_key_of_a_branch_to_be_empty)
{
    AT_END(mem_end) uint8_t *p = mem_zero(512);
    struct bolt_page page;
    struct err e = { 0 };

    put_le64(p, 5);
    put_le16(p + 8, BOLT_PAGE_BRANCH);
    put_le16(p + 10, 2);
    put_le32(p + 16, 32);
    put_le32(p + 32, 16);
    put_le32(p + 36, 1);
    put_le64(p + 40, 77);
    p[48] = 'k';
    OK(open_it(p, 512, &page, &e), &e);
    cr_assert_eq(bolt_branch_key(&page, 0).n, 0);
    cr_assert(bytes_is(bolt_branch_key(&page, 1), "k"));
    cr_assert_eq(bolt_branch_child(&page, 1), 77);
    put_le32(p + 36, 0);
    expect_fault(p, 512, "has a key of 0 bytes in element 1");
}

CASE(boltdb_page, may_be_full_to_its_last_byte)
{
    AT_END(mem_end) uint8_t *p = leaf_of(1, 512);
    struct bolt_page page;
    struct err e = { 0 };

    put_le32(p + 16 + 12, 512 - 16 - 16 - 8);
    OK(open_it(p, 512, &page, &e), &e);
    put_le32(p + 16 + 12, 512 - 16 - 16 - 8 + 1);
    expect_fault(p, 512, "has element 0 end at its byte 513, beyond the page");
}

CASE(boltdb_page, limits_keys_to_32768_bytes)
{
    const size_t size = 512UL * 65;
    AT_END(mem_end) uint8_t *p = leaf_of(1, size);
    struct bolt_page page;
    struct err e = { 0 };

    put_le32(p + 16 + 8, BOLT_KEY_MAX);
    OK(open_it(p, size, &page, &e), &e);
    put_le32(p + 16 + 8, BOLT_KEY_MAX + 1);
    expect_fault(p, size, "has a key of 32769 bytes in element 0");
}

/* A page that changes under our feet gives other bytes, never bytes beyond it. */
CASE(boltdb_page, stays_within_a_page_that_changes)
{
    AT_END(mem_end) uint8_t *p = leaf_of(10, 512);
    struct bolt_page page;
    struct bolt_pair pair;
    struct err e = { 0 };

    OK(open_it(p, 512, &page, &e), &e);
    for (unsigned at = 16; at < 32; at += 4)
        put_le32(p + at, UINT32_MAX);
    pair = bolt_leaf_at(&page, 0);
    cr_assert_eq(pair.key.n + pair.value.n, 0);
    cr_assert_eq(bolt_branch_key(&page, 0).n, 0);
}

CASE(boltdb_page, opens_buckets)
{
    uint8_t value[64] = { 0 };
    struct bolt_bucket b;
    struct err e = { 0 };

    put_le64(value, 12);
    put_le64(value + 8, 3);
    OK(bolt_bucket_open((struct bytes){ value, 16 }, &b, &e), &e);
    cr_assert_eq(b.root, 12);
    cr_assert_eq(b.sequence, 3);
    cr_assert_eq(bolt_bucket_open((struct bytes){ value, 17 }, &b, &e), RC_CORRUPT);
    cr_assert_str_eq(e.why, "a bucket's value is a bucket header of 17 bytes");
    cr_assert_eq(bolt_bucket_open((struct bytes){ value, 15 }, &b, &e), RC_CORRUPT);
    put_le64(value, 0);
    cr_assert_eq(bolt_bucket_open((struct bytes){ value, 31 }, &b, &e), RC_CORRUPT);
    put_le16(value + 24, BOLT_PAGE_LEAF);
    OK(bolt_bucket_open((struct bytes){ value, 32 }, &b, &e), &e);
    cr_assert_eq(b.inlined.count, 0);
    put_le16(value + 26, 3);
    cr_assert_eq(bolt_bucket_open((struct bytes){ value, 64 }, &b, &e), RC_CORRUPT);
    cr_assert_str_eq(
        e.why, "an inline bucket's page claims 3 elements, more than fit its 48 bytes");
}

CASE(boltdb_page, opens_freelists_of_both_counts)
{
    AT_END(mem_end) uint8_t *p = mem_zero(512);
    struct bolt_freelist list;
    struct bolt_fault fault;

    put_le64(p, 5);
    put_le16(p + 8, BOLT_PAGE_FREELIST);
    put_le16(p + 10, 62);
    cr_assert(bolt_freelist_open(p, 512, 5, 512, &list, &fault));
    cr_assert_eq(list.count, 62);
    cr_assert_eq(list.ids - p, 16);
    put_le16(p + 10, 63);
    cr_assert(!bolt_freelist_open(p, 512, 5, 512, &list, &fault));
    cr_assert_str_eq(bolt_fault_code(&fault), "freelist-count");
    put_le16(p + 10, 0xffff);
    put_le64(p + 16, 61);
    cr_assert(bolt_freelist_open(p, 512, 5, 512, &list, &fault));
    cr_assert_eq(list.count, 61);
    cr_assert_eq(list.ids - p, 24);
    put_le64(p + 16, 62);
    cr_assert(!bolt_freelist_open(p, 512, 5, 512, &list, &fault));
}
