#include "boltdb/draft.h"

#include "boltdb/page.h"
#include "tests/lib/case.h"

static enum rc put(void *arg, const void *p, size_t n, struct err *e)
{
    return buf_add(arg, p, n, e);
}

static struct bytes letter(const char *all, unsigned i)
{
    return (struct bytes){ (const uint8_t *)all + i, 1 };
}

CASE(boltdb_draft, writes_the_first_elements_and_keeps_the_rest)
{
    AT_END(draft_clear) struct draft d = { .kind = BOLT_PAGE_LEAF };
    AT_END(buf_clear) struct buf page = { 0 };
    const struct draft_element plain = { 0 };
    struct bolt_page p;
    struct bolt_fault fault;
    struct err e = { 0 };

    for (unsigned i = 0; i < 100; i++)
        OK(draft_add(&d, &plain, letter("abcdefghijklmnopqrstuvwxyz", i % 26),
                     bytes_str("value"), &e),
           &e);
    draft_drop(&d, 26);
    cr_assert_eq(d.count, 74);
    cr_assert_eq(d.size, 16 + 74 * (16 + 6));
    cr_assert_eq(draft_size_of(&d, 26), 16 + 26 * (16 + 6));
    cr_assert(bytes_is(draft_first_key(&d), "a"));
    cr_assert(bytes_is(draft_last_key(&d), "v"));
    OK(draft_write(&d, 26, 7, 0, put, &page, &e), &e);
    cr_assert_eq(page.n, 16 + 26 * (16 + 6));
    cr_assert(bolt_page_head(page.p, page.n, 7, (uint32_t)page.n, &p, &fault));
    cr_assert(bolt_page_body(&p, &fault), "%s", bolt_fault_code(&fault));
    cr_assert(bytes_is(bolt_leaf_at(&p, 25).key, "z"));
    cr_assert(bytes_is(bolt_leaf_at(&p, 25).value, "value"));
    draft_drop(&d, 74);
    cr_assert_eq(d.size, BOLT_PAGE_HEADER);
}

CASE(boltdb_draft, writes_branches)
{
    AT_END(draft_clear) struct draft d = { .kind = BOLT_PAGE_BRANCH };
    AT_END(buf_clear) struct buf page = { 0 };
    struct bolt_page p;
    struct bolt_fault fault;
    struct err e = { 0 };

    for (unsigned i = 0; i < 20; i++) {
        const struct draft_element child = { .child = 1000 + i };

        OK(draft_add(&d, &child, letter("abcdefghijklmnopqrstuvwxyz", i),
                     (struct bytes){ NULL, 0 }, &e),
           &e);
    }
    OK(draft_write(&d, 20, 7, 0, put, &page, &e), &e);
    cr_assert(bolt_page_head(page.p, page.n, 7, (uint32_t)page.n, &p, &fault));
    cr_assert(bolt_page_body(&p, &fault), "%s", bolt_fault_code(&fault));
    cr_assert_eq(bolt_branch_child(&p, 19), 1019);
    cr_assert(bytes_is(bolt_branch_key(&p, 19), "t"));
}
