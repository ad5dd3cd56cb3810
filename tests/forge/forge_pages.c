/* Metas and pages: B3 to B14 of the fault matrix. */
#include "tests/forge/forge.h"

#include "tests/lib/case.h"
#include "util/mem.h"

enum { PAGE = 4096 };

static void set_metas(struct image *db, unsigned at, uint64_t value)
{
    put_le64(forge_page(db, 0) + at, value);
    put_le64(forge_page(db, 1) + at, value);
    forge_sums(db);
}

/* ---- metas -------------------------------------------------------------- */

static uint64_t meta_0_bad(struct image *db)
{
    forge_page(db, 0)[72] ^= 1;
    return 0;
}

static uint64_t meta_1_bad(struct image *db)
{
    forge_page(db, 1)[16] ^= 1;
    return 1;
}

static uint64_t metas_bad(struct image *db)
{
    forge_page(db, 0)[72] ^= 1;
    forge_page(db, 1)[72] ^= 1;
    return FINDING_NO_PAGE;
}

static uint64_t meta_ids_equal(struct image *db)
{
    set_metas(db, 64, 7);
    return 0;
}

static uint64_t meta_id_jumps(struct image *db)
{
    put_le64(forge_page(db, 1) + 64, UINT64_MAX - 5);
    forge_sums(db);
    return 0;
}

static uint64_t meta_size_differs(struct image *db)
{
    put_le32(forge_page(db, 1) + 24, 8192);
    forge_sums(db);
    return 1;
}

#define PAGE_SIZE_CASE(n)                              \
    static uint64_t page_size_##n(struct image *db)    \
    {                                                  \
        put_le32(forge_page(db, 0) + 24, UINT32_C(n)); \
        put_le32(forge_page(db, 1) + 24, UINT32_C(n)); \
        forge_sums(db);                                \
        return FINDING_NO_PAGE;                        \
    }
PAGE_SIZE_CASE(0)
PAGE_SIZE_CASE(1)
PAGE_SIZE_CASE(3)
PAGE_SIZE_CASE(511)
PAGE_SIZE_CASE(4095)
PAGE_SIZE_CASE(131072)
PAGE_SIZE_CASE(2147483648)

static uint64_t high_water_huge(struct image *db)
{
    set_metas(db, 56, (uint64_t)1 << 50);
    return FINDING_NO_PAGE;
}

static uint64_t high_water_wraps(struct image *db)
{
    set_metas(db, 56, ((uint64_t)1 << 52) + 1);
    return FINDING_NO_PAGE;
}

static uint64_t high_water_one_more(struct image *db)
{
    set_metas(db, 56, db->n / PAGE + 1);
    return FINDING_NO_PAGE;
}

static uint64_t high_water_below_root(struct image *db)
{
    set_metas(db, 56, forge_root(db));
    return 0;
}

static uint64_t high_water_zero(struct image *db)
{
    set_metas(db, 56, 0);
    return 0;
}

static uint64_t root_0(struct image *db)
{
    set_metas(db, 32, 0);
    return 0;
}

static uint64_t root_1(struct image *db)
{
    set_metas(db, 32, 1);
    return 0;
}

static uint64_t root_huge(struct image *db)
{
    set_metas(db, 32, UINT64_MAX);
    return 0;
}

static uint64_t root_is_a_leaf_of_keys(struct image *db)
{
    uint64_t id = forge_leaf(db);

    set_metas(db, 32, id);
    return id;
}

static uint64_t freelist_0(struct image *db)
{
    set_metas(db, 48, 0);
    return 0;
}

static uint64_t freelist_beyond(struct image *db)
{
    set_metas(db, 48, db->n / PAGE);
    return 0;
}

static uint64_t freelist_is_a_leaf(struct image *db)
{
    uint64_t id = forge_leaf(db);

    set_metas(db, 48, id);
    return id;
}

static uint64_t freelist_is_overflow(struct image *db)
{
    uint64_t id = forge_leaf_with(db, forge_has_overflow) + 1;

    set_metas(db, 48, id);
    return id;
}

/* ---- pages ------------------------------------------------------------- */

static uint64_t child_is_itself(struct image *db)
{
    put_le64(forge_element(db, forge_branch(db), 2) + 8, forge_branch(db));
    return forge_branch(db);
}

static uint64_t child_is_the_root(struct image *db)
{
    put_le64(forge_element(db, forge_branch(db), 2) + 8, forge_root(db));
    return forge_root(db);
}

static uint64_t child_is_a_sibling(struct image *db)
{
    put_le64(forge_element(db, forge_branch(db), 2) + 8, forge_child(db, 1));
    return forge_child(db, 1);
}

static uint64_t child_is_overflow(struct image *db)
{
    uint64_t id = forge_leaf_with(db, forge_has_overflow) + 1;

    put_le64(forge_element(db, forge_branch(db), 0) + 8, id);
    return id;
}

static uint64_t child_huge(struct image *db)
{
    put_le64(forge_element(db, forge_branch(db), 2) + 8, (uint64_t)1 << 40);
    return forge_branch(db);
}

static uint64_t child_is_a_meta(struct image *db)
{
    put_le64(forge_element(db, forge_branch(db), 2) + 8, 1);
    return forge_branch(db);
}

static uint64_t count_all_ones(struct image *db)
{
    uint64_t id = forge_leaf(db);

    put_le16(forge_page(db, id) + 10, 0xffff);
    return id;
}

static uint64_t branch_count_0(struct image *db)
{
    put_le16(forge_page(db, forge_branch(db)) + 10, 0);
    return forge_branch(db);
}

static uint64_t branch_count_1(struct image *db)
{
    uint8_t *page = forge_page(db, forge_branch(db)), *el = page + 16;

    memmove(el + 16, el + le32(el), le32(el + 4));
    put_le32(el, 16);
    put_le16(page + 10, 1);
    return forge_branch(db);
}

static uint64_t branch_count_less(struct image *db)
{
    uint8_t *page = forge_page(db, forge_branch(db));

    put_le16(page + 10, le16(page + 10) - 1);
    return forge_branch(db);
}

static uint64_t leaf_count_less(struct image *db)
{
    uint64_t id = forge_leaf(db);

    put_le16(forge_page(db, id) + 10, le16(forge_page(db, id) + 10) - 1);
    return id;
}

static uint64_t leaf_count_0(struct image *db)
{
    uint64_t id = forge_leaf(db);

    put_le16(forge_page(db, id) + 10, 0);
    return id;
}

static uint64_t leaf_of_nothing(struct image *db)
{
    uint64_t id = leaf_count_0(db);

    memset(forge_page(db, id) + 16, 0, PAGE - 16);
    return id;
}

/* Alone in its bucket, where a leaf may be empty. */
static uint64_t root_leaf_count_0(struct image *db)
{
    put_le64(forge_bucket_value(db, "key"), leaf_count_0(db));
    return le64(forge_bucket_value(db, "key"));
}

static uint64_t inline_count_0(struct image *db)
{
    put_le16(forge_bucket_value(db, "meta") + 16 + 10, 0);
    return forge_root(db);
}

static uint64_t pos_huge(struct image *db)
{
    return forge_edit_element(db, 4, 0xfffffff0);
}

static uint64_t pos_small(struct image *db)
{
    return forge_edit_element(db, 4, 16);
}

static uint64_t pos_zero(struct image *db)
{
    return forge_edit_element(db, 4, 0);
}

static uint64_t key_size_huge(struct image *db)
{
    return forge_edit_element(db, 8, 0xffffffff);
}

static uint64_t key_size_0(struct image *db)
{
    return forge_edit_element(db, 8, 0);
}

static uint64_t value_size_huge(struct image *db)
{
    return forge_edit_element(db, 12, 0xffffffff);
}

static uint64_t value_size_one_more(struct image *db)
{
    return forge_edit_element(db, 12,
                              le32(forge_element(db, forge_leaf(db), 1) + 12) + 1);
}

static uint64_t unknown_flags(struct image *db)
{
    return forge_edit_element(db, 0, 2);
}

static uint64_t overflow_huge(struct image *db)
{
    uint64_t id = forge_leaf(db);

    put_le32(forge_page(db, id) + 12, 0xffffffff);
    return id;
}

static uint64_t overflow_shrunk(struct image *db)
{
    uint64_t id = forge_leaf_with(db, forge_has_overflow);

    put_le32(forge_page(db, id) + 12, 0);
    return id;
}

static uint64_t overflow_grown(struct image *db)
{
    uint64_t id = forge_leaf(db);
    uint64_t high_water = le64(forge_page(db, 0) + 56);

    put_le32(forge_page(db, id) + 12, (uint32_t)(high_water - id - 1));
    return id;
}

static uint64_t wrong_id(struct image *db)
{
    uint64_t id = forge_leaf(db);

    put_le64(forge_page(db, id), id + 1);
    return id;
}

static uint64_t no_header(struct image *db)
{
    uint64_t id = forge_leaf(db);

    memset(forge_page(db, id), 'x', 16);
    return id;
}

static uint64_t page_of_zeros(struct image *db)
{
    uint64_t id = forge_leaf(db);

    memset(forge_page(db, id), 0, PAGE);
    return id;
}

static uint64_t edit_kind(struct image *db, uint16_t kind)
{
    uint64_t id = forge_leaf(db);

    put_le16(forge_page(db, id) + 8, kind);
    return id;
}

static uint64_t kind_0x13(struct image *db)
{
    return edit_kind(db, 0x13);
}

static uint64_t kind_0(struct image *db)
{
    return edit_kind(db, 0);
}

static uint64_t kind_meta(struct image *db)
{
    return edit_kind(db, BOLT_PAGE_META);
}

static uint64_t kind_freelist(struct image *db)
{
    return edit_kind(db, BOLT_PAGE_FREELIST);
}

/* A free page inside whose claimed extent a page in use lies must do no harm. */
static uint64_t stale_claims_the_rest(struct image *db)
{
    size_t count;
    AT_END(mem_end) uint64_t *free = forge_free_pages(db, &count);
    uint64_t high_water = le64(forge_page(db, 0) + 56);
    uint8_t *p;

    cr_assert_gt(count, 0);
    p = forge_page(db, free[0]);
    memset(p, 0, 16);
    put_le64(p, free[0]);
    put_le16(p + 8, BOLT_PAGE_LEAF);
    put_le32(p + 12, (uint32_t)(high_water - free[0] - 1));
    return FINDING_NO_PAGE;
}

#define E FINDING_ERROR
#define W FINDING_WARN
#define N FINDING_NOTE
const struct forgery forgeries_of_pages[] = {
    { "meta page 0 bad", "meta-bad", meta_0_bad, W },
    { "meta page 1 bad", "meta-bad", meta_1_bad, W },
    { "both metas bad", "open", metas_bad, E },
    { "equal txids", "meta-txid", meta_ids_equal, N },
    { "txid jumps", "meta-txid", meta_id_jumps, N },
    { "page sizes differ", "meta-bad", meta_size_differs, W },
    { "page size 0", "open", page_size_0, E },
    { "page size 1", "open", page_size_1, E },
    { "page size 3", "open", page_size_3, E },
    { "page size 511", "open", page_size_511, E },
    { "page size 4095", "open", page_size_4095, E },
    { "page size 131072", "open", page_size_131072, E },
    { "page size 2^31", "open", page_size_2147483648, E },
    { "high-water mark 2^50", "open", high_water_huge, E },
    { "high-water mark wraps", "open", high_water_wraps, E },
    { "high-water mark beyond the file", "open", high_water_one_more, E },
    { "high-water mark below the root", "page-range", high_water_below_root, E },
    { "high-water mark 0", "page-range", high_water_zero, E },
    { "root 0", "page-range", root_0, E },
    { "root 1", "page-range", root_1, E },
    { "root 2^64-1", "page-range", root_huge, E },
    { "root is a leaf of keys", "root-element", root_is_a_leaf_of_keys, E },
    { "freelist 0", "freelist-range", freelist_0, E },
    { "freelist beyond the mark", "freelist-range", freelist_beyond, E },
    { "freelist is a leaf", "page-kind", freelist_is_a_leaf, E },
    { "freelist is an overflow page", "page-id", freelist_is_overflow, E },
    { "child is itself", "page-cycle", child_is_itself, E },
    { "child is the root", "page-cycle", child_is_the_root, E },
    { "child is a sibling", "page-twice", child_is_a_sibling, E },
    { "child is an overflow page", "page-id", child_is_overflow, E },
    { "child 2^40", "page-range", child_huge, E },
    { "child is a meta page", "page-range", child_is_a_meta, E },
    { "count 0xffff", "element-range", count_all_ones, E },
    { "branch of no child", "branch-empty", branch_count_0, E },
    { "branch of one child", "branch-arity", branch_count_1, W },
    { "branch that lost a child", "element-gap", branch_count_less, E },
    { "leaf that lost an element", "element-gap", leaf_count_less, E },
    { "leaf that lost all elements", "element-gap", leaf_count_0, E },
    { "root leaf that lost all elements", "element-gap", root_leaf_count_0, E },
    { "inline bucket that lost all elements", "bucket-inline", inline_count_0, E },
    { "empty leaf", "leaf-empty", leaf_of_nothing, E },
    { "pos wraps", "element-range", pos_huge, E },
    { "pos inside the data before", "element-overlap", pos_small, E },
    { "pos inside the table", "element-overlap", pos_zero, E },
    { "key size wraps", "element-range", key_size_huge, E },
    { "key size 0", "key-size", key_size_0, E },
    { "value size wraps", "element-range", value_size_huge, E },
    { "values overlap", "element-overlap", value_size_one_more, E },
    { "unknown element flags", "element-flags", unknown_flags, E },
    { "overflow 2^32-1", "page-extent", overflow_huge, E },
    { "overflow shrunk", "element-range", overflow_shrunk, E },
    { "overflow reaches over others", "page-extent", overflow_grown, E },
    { "wrong id", "page-id", wrong_id, E },
    { "no header", "page-id", no_header, E },
    { "page of zeros", "page-id", page_of_zeros, E },
    { "kind 0x13", "page-kind", kind_0x13, E },
    { "kind 0", "page-kind", kind_0, E },
    { "meta in the tree", "page-kind", kind_meta, E },
    { "freelist in the tree", "page-kind", kind_freelist, E },
    { "stale page claims the rest", NULL, stale_claims_the_rest, N },
    { 0 },
};
