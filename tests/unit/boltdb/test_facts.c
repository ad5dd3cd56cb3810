#include "boltdb/facts.h"

#include "boltdb/draft.h"
#include "tests/lib/case.h"
#include "tests/lib/fault.h"

static enum rc put(void *arg, const void *p, size_t n, struct err *e)
{
    return buf_add(arg, p, n, e);
}

static const struct bytes rev_1 = { (const uint8_t *)"\0\0\0\0\0\0\0\1_\0\0\0\0\0\0\0\0",
                                    17 };
static const struct bytes rev_2 = {
    (const uint8_t *)"\0\0\0\0\0\0\0\2_\0\0\0\0\x7f\xff\xff\xfft", 18
};
static const struct bytes rev_3 = {
    (const uint8_t *)"\0\0\0\0\0\0\0\2_\0\0\0\0\x80\0\0\0", 17
};
static const struct bytes text_1 = { (const uint8_t *)"\0\0\0\0\0\0\0\1-\0\0\0\0\0\0\0\0",
                                     17 };
static const struct bytes text_2 = {
    (const uint8_t *)"\0\0\0\0\0\0\0\2_\0\0\0\0\0\0\0\1x", 18
};

static struct spool *in_memory(void)
{
    struct spool *s = NULL;
    struct err e = { 0 };

    OK(spool_new(&(struct spool_options){ .resident = SIZE_MAX }, &s, &e), &e);
    return s;
}

/* Facts of a page with the two keys, looked up again. */
static void expect_back(enum bolt_page_kind kind, struct bytes a, struct bytes b,
                        uint32_t flags, size_t memory)
{
    AT_END(draft_clear) struct draft d = { .kind = kind };
    AT_END(buf_clear) struct buf page = { 0 };
    OWNED(spool) spool = in_memory();
    AT_END(facts_clear) struct facts f = { .spool = spool };
    struct bytes keys[2] = { a, b }, key;
    uint8_t room[TREE_KEY_ROOM];
    struct tree_node node;
    struct bolt_fault fault;
    struct bolt_page p;
    struct err e = { 0 };

    for (unsigned i = 0; i < 2; i++) {
        const struct draft_element el = { .child = 1000 + i, .flags = flags };

        OK(draft_add(&d, &el, keys[i], (struct bytes){ NULL, 0 }, &e), &e);
    }
    OK(draft_write(&d, 2, 7, 0, put, &page, &e), &e);
    cr_assert(bolt_page_head(page.p, page.n, 7, (uint32_t)page.n, &p, &fault));
    cr_assert(bolt_page_body(&p, &fault), "%s", bolt_fault_code(&fault));
    OK(facts_add_page(&f, &p, flags == 1, 77, &e), &e);
    if (memory != 0)
        cr_assert_eq(facts_memory(&f) + spool_memory(spool), (size_t)8 * 4 + memory);
    cr_assert_eq(facts_look(&f, 7, &node, &fault), TREE_FOUND);
    cr_assert_eq(node.page.kind, kind);
    cr_assert_eq(node.page.count, 2);
    cr_assert_eq(node.note, 77);
    cr_assert_eq(node.page.buckets, 2 * flags);
    cr_assert(bytes_equal(node.first, a) && bytes_equal(node.last, b));
    for (uint16_t i = 0; kind == BOLT_PAGE_BRANCH && i < 2; i++) {
        cr_assert_eq(facts_child(&f, &node, i, &key, room), 1000U + i);
        cr_assert(bytes_equal(key, keys[i]));
    }
}

CASE(boltdb_facts, keep_keys_exactly)
{
    expect_back(BOLT_PAGE_LEAF, rev_1, rev_2, 0, 36);
    expect_back(BOLT_PAGE_BRANCH, rev_1, rev_2, 0, 52);
    expect_back(BOLT_PAGE_LEAF, rev_2, rev_3, 0, 0);
    expect_back(BOLT_PAGE_BRANCH, rev_2, rev_3, 0, 0);
    expect_back(BOLT_PAGE_LEAF, text_1, rev_2, 0, 0);
    expect_back(BOLT_PAGE_BRANCH, text_1, rev_2, 0, 0);
    expect_back(BOLT_PAGE_LEAF, rev_1, text_2, 0, 0);
    expect_back(BOLT_PAGE_BRANCH, rev_1, text_2, 0, 0);
    expect_back(BOLT_PAGE_LEAF, rev_1, bytes_str("a"), 0, 0);
}

CASE(boltdb_facts, keep_what_is_a_bucket)
{
    expect_back(BOLT_PAGE_LEAF, rev_1, rev_2, 1, 0);
}

CASE(boltdb_facts, tell_pages_apart)
{
    OWNED(spool) spool = in_memory();
    AT_END(facts_clear) struct facts f = { .spool = spool };
    const struct bolt_fault odd = { .kind = BOLT_FAULT_RANGE, .element = 3, .detail = 9 };
    struct bolt_fault fault = { 0 };
    struct tree_node node;
    struct err e = { 0 };

    OK(facts_add_fault(&f, 5000, &odd, &e), &e);
    OK(facts_add_unseen(&f, 3, &e), &e);
    cr_assert_eq(facts_look(&f, 5000, &node, &fault), TREE_FAULTY);
    cr_assert_eq(memcmp(&fault, &odd, sizeof odd), 0);
    cr_assert_eq(facts_look(&f, 3, &node, &fault), TREE_UNSEEN);
    cr_assert_eq(facts_look(&f, 4, &node, &fault), TREE_FAULTY);
    cr_assert_eq(fault.kind, BOLT_FAULT_HEADER);
    cr_assert_eq(facts_look(&f, 5001, &node, &fault), TREE_FAULTY);
    cr_assert_eq(facts_look(&f, UINT64_MAX, &node, &fault), TREE_FAULTY);
}
