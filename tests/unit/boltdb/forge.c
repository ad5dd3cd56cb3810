#include "tests/unit/boltdb/forge.h"

#include <stdio.h>

#include "codec/crc32c.h"
#include "tests/lib/case.h"
#include "util/mem.h"

enum { PAGE = 4096 };

uint8_t *forge_page(const struct image *db, uint64_t id)
{
    return db->p + id * PAGE;
}

void forge_sums(struct image *db)
{
    for (uint64_t i = 0; i < 2; i++)
        put_le64(forge_page(db, i) + 72, fnv1a64(forge_page(db, i) + 16, 56));
}

/* ---- finding the way --------------------------------------------------------------- */

static uint8_t *element(const struct image *db, uint64_t page, unsigned i)
{
    return forge_page(db, page) + 16 + (size_t)i * 16;
}

static uint64_t root(const struct image *db)
{
    return le64(forge_page(db, 0) + 32);
}

/* The root leaf's element of a bucket. */
static uint8_t *bucket_element(const struct image *db, const char *bucket)
{
    unsigned count = le16(forge_page(db, root(db)) + 10);

    for (unsigned i = 0; i < count; i++) {
        uint8_t *el = element(db, root(db), i);
        struct bytes key = { el + le32(el + 4), le32(el + 8) };

        if (bytes_is(key, bucket))
            return el;
    }
    cr_assert_fail("no bucket %s", bucket);
    return NULL;
}

static uint8_t *bucket_value(const struct image *db, const char *bucket)
{
    uint8_t *el = bucket_element(db, bucket);

    return el + le32(el + 4) + le32(el + 8);
}

uint64_t forge_bucket_root(const struct image *db, const char *bucket)
{
    return le64(bucket_value(db, bucket));
}

static uint64_t branch(const struct image *db)
{
    uint64_t id = forge_bucket_root(db, "key");

    return id;
}

static uint64_t child(const struct image *db, unsigned i)
{
    return le64(element(db, branch(db), i) + 8);
}

/* Some leaf of bucket "key" that satisfies `want`. */
static uint64_t leaf_with(const struct image *db, bool (*want)(const uint8_t *page))
{
    unsigned count = le16(forge_page(db, branch(db)) + 10);

    for (unsigned i = 1; i + 1 < count; i++)
        if (want(forge_page(db, child(db, i))))
            return child(db, i);
    cr_assert_fail("no such leaf");
    return 0;
}

static bool has_three(const uint8_t *page)
{
    return le16(page + 10) >= 3 && le32(page + 12) == 0;
}

static bool has_overflow(const uint8_t *page)
{
    return le32(page + 12) >= 2;
}

static uint64_t leaf(const struct image *db)
{
    return leaf_with(db, has_three);
}

static const char *inline_bucket(const struct image *db)
{
    static const char *const names[] = { "cluster", "meta", "lease", "members" };

    for (size_t i = 0; i < 4; i++)
        if (le64(bucket_value(db, names[i])) == 0 &&
            le16(bucket_value(db, names[i]) + 16 + 10) > 0)
            return names[i];
    cr_assert_fail("no inline bucket");
    return NULL;
}

static uint8_t *inlined(const struct image *db)
{
    return bucket_value(db, inline_bucket(db)) + 16;
}

static void mark(const struct image *db, uint64_t id, uint8_t *used)
{
    const uint8_t *p = forge_page(db, id);

    memset(used + id, 1, 1 + le32(p + 12));
    for (unsigned i = 0; le16(p + 8) == BOLT_PAGE_BRANCH && i < le16(p + 10); i++)
        mark(db, le64(element(db, id, i) + 8), used);
}

uint64_t *forge_free_pages(const struct image *db, size_t *count)
{
    uint64_t high_water = le64(forge_page(db, 0) + 56);
    unsigned buckets = le16(forge_page(db, root(db)) + 10);
    AT_END(mem_end) uint8_t *used = mem_zero(high_water);
    uint64_t *list = mem_zero(high_water * sizeof *list);

    used[0] = used[1] = 1;
    mark(db, root(db), used);
    for (unsigned i = 0; i < buckets; i++) {
        const uint8_t *el = element(db, root(db), i);
        uint64_t id = le64(el + le32(el + 4) + le32(el + 8));

        if (id != 0)
            mark(db, id, used);
    }
    *count = 0;
    for (uint64_t id = 0; id < high_water; id++)
        if (!used[id])
            list[(*count)++] = id;
    return list;
}

void forge_freelist(struct image *db, const uint64_t *ids, size_t count)
{
    uint64_t high_water = le64(forge_page(db, 0) + 56);
    size_t pages = (16 + count * 8 + PAGE - 1) / PAGE;
    uint8_t *p;

    db->n = (high_water + pages) * PAGE;
    db->p = mem_resize(db->p, db->n, 1);
    p = forge_page(db, high_water);
    memset(p, 0, pages * PAGE);
    put_le64(p, high_water);
    put_le16(p + 8, BOLT_PAGE_FREELIST);
    put_le16(p + 10, (uint16_t)count);
    put_le32(p + 12, (uint32_t)pages - 1);
    for (size_t i = 0; i < count; i++)
        put_le64(p + 16 + i * 8, ids[i]);
    for (uint64_t i = 0; i < 2; i++) {
        put_le64(forge_page(db, i) + 48, high_water);
        put_le64(forge_page(db, i) + 56, high_water + pages);
    }
    forge_sums(db);
}

static void set_metas(struct image *db, unsigned at, uint64_t value)
{
    put_le64(forge_page(db, 0) + at, value);
    put_le64(forge_page(db, 1) + at, value);
    forge_sums(db);
}

/* ---- metas (B3 to B6) -------------------------------------------------------------- */

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
    set_metas(db, 56, root(db));
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
    uint64_t id = leaf(db);

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
    uint64_t id = leaf(db);

    set_metas(db, 48, id);
    return id;
}

static uint64_t freelist_is_overflow(struct image *db)
{
    uint64_t id = leaf_with(db, has_overflow) + 1;

    set_metas(db, 48, id);
    return id;
}

/* ---- pages (B7 to B14) ------------------------------------------------------------- */

static uint64_t child_is_itself(struct image *db)
{
    put_le64(element(db, branch(db), 2) + 8, branch(db));
    return branch(db);
}

static uint64_t child_is_the_root(struct image *db)
{
    put_le64(element(db, branch(db), 2) + 8, root(db));
    return root(db);
}

static uint64_t child_is_a_sibling(struct image *db)
{
    put_le64(element(db, branch(db), 2) + 8, child(db, 1));
    return child(db, 1);
}

static uint64_t child_is_overflow(struct image *db)
{
    uint64_t id = leaf_with(db, has_overflow) + 1;

    put_le64(element(db, branch(db), 0) + 8, id);
    return id;
}

static uint64_t child_huge(struct image *db)
{
    put_le64(element(db, branch(db), 2) + 8, (uint64_t)1 << 40);
    return branch(db);
}

static uint64_t child_is_a_meta(struct image *db)
{
    put_le64(element(db, branch(db), 2) + 8, 1);
    return branch(db);
}

static uint64_t count_all_ones(struct image *db)
{
    uint64_t id = leaf(db);

    put_le16(forge_page(db, id) + 10, 0xffff);
    return id;
}

static uint64_t branch_count_0(struct image *db)
{
    put_le16(forge_page(db, branch(db)) + 10, 0);
    return branch(db);
}

static uint64_t branch_count_1(struct image *db)
{
    put_le16(forge_page(db, branch(db)) + 10, 1);
    return branch(db);
}

static uint64_t leaf_count_0(struct image *db)
{
    uint64_t id = leaf(db);

    put_le16(forge_page(db, id) + 10, 0);
    return id;
}

static uint64_t edit_element(struct image *db, unsigned at, uint32_t value)
{
    uint64_t id = leaf(db);

    put_le32(element(db, id, 1) + at, value);
    return id;
}

static uint64_t pos_huge(struct image *db)
{
    return edit_element(db, 4, 0xfffffff0);
}

static uint64_t pos_small(struct image *db)
{
    return edit_element(db, 4, 16);
}

static uint64_t pos_zero(struct image *db)
{
    return edit_element(db, 4, 0);
}

static uint64_t key_size_huge(struct image *db)
{
    return edit_element(db, 8, 0xffffffff);
}

static uint64_t key_size_0(struct image *db)
{
    return edit_element(db, 8, 0);
}

static uint64_t value_size_huge(struct image *db)
{
    return edit_element(db, 12, 0xffffffff);
}

static uint64_t value_size_one_more(struct image *db)
{
    return edit_element(db, 12, le32(element(db, leaf(db), 1) + 12) + 1);
}

static uint64_t unknown_flags(struct image *db)
{
    return edit_element(db, 0, 2);
}

static uint64_t overflow_huge(struct image *db)
{
    uint64_t id = leaf(db);

    put_le32(forge_page(db, id) + 12, 0xffffffff);
    return id;
}

static uint64_t overflow_shrunk(struct image *db)
{
    uint64_t id = leaf_with(db, has_overflow);

    put_le32(forge_page(db, id) + 12, 0);
    return id;
}

static uint64_t overflow_grown(struct image *db)
{
    uint64_t id = leaf(db);
    uint64_t high_water = le64(forge_page(db, 0) + 56);

    put_le32(forge_page(db, id) + 12, (uint32_t)(high_water - id - 1));
    return FINDING_NO_PAGE;
}

static uint64_t wrong_id(struct image *db)
{
    uint64_t id = leaf(db);

    put_le64(forge_page(db, id), id + 1);
    return id;
}

static uint64_t no_header(struct image *db)
{
    uint64_t id = leaf(db);

    memset(forge_page(db, id), 'x', 16);
    return id;
}

static uint64_t page_of_zeros(struct image *db)
{
    uint64_t id = leaf(db);

    memset(forge_page(db, id), 0, PAGE);
    return id;
}

static uint64_t edit_kind(struct image *db, uint16_t kind)
{
    uint64_t id = leaf(db);

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

/* ---- freelist (B14, B15) ------------------------------------------------------------
 */

static uint64_t freelist_with(struct image *db, uint64_t first, uint64_t second)
{
    const uint64_t ids[] = { first, second };

    forge_freelist(db, ids, 2);
    return le64(forge_page(db, 0) + 48);
}

static uint64_t free_and_reachable(struct image *db)
{
    freelist_with(db, 2 + (leaf(db) == 2), leaf(db));
    return leaf(db);
}

static uint64_t free_twice(struct image *db)
{
    size_t count;
    AT_END(mem_end) uint64_t *free = forge_free_pages(db, &count);

    return freelist_with(db, free[0], free[0]);
}

static uint64_t free_unsorted(struct image *db)
{
    size_t count;
    AT_END(mem_end) uint64_t *free = forge_free_pages(db, &count);

    return freelist_with(db, free[1], free[0]);
}

static uint64_t free_beyond(struct image *db)
{
    return freelist_with(db, 2, db->n / PAGE + 10);
}

static uint64_t free_lacks_pages(struct image *db)
{
    size_t count;
    AT_END(mem_end) uint64_t *free = forge_free_pages(db, &count);

    cr_assert_gt(count, 2);
    return freelist_with(db, free[0], free[1]);
}

static uint64_t free_count_huge(struct image *db)
{
    uint64_t id = freelist_with(db, (uint64_t)1 << 60, 2);

    put_le16(forge_page(db, id) + 10, 0xffff);
    return id;
}

static uint64_t free_count_beyond(struct image *db)
{
    uint64_t id = freelist_with(db, 2, 3);

    put_le16(forge_page(db, id) + 10, 511);
    return id;
}

/* ---- buckets (B16, B17) ---------------------------------------------------------------
 */

static uint64_t inline_count(struct image *db)
{
    put_le16(inlined(db) + 10, 0xfff);
    return root(db);
}

static uint64_t inline_pos(struct image *db)
{
    put_le32(inlined(db) + 16 + 4, 0xffffff);
    return root(db);
}

static uint64_t inline_kind(struct image *db)
{
    put_le16(inlined(db) + 8, BOLT_PAGE_BRANCH);
    return root(db);
}

static uint64_t inline_overflow(struct image *db)
{
    put_le32(inlined(db) + 12, 1);
    return root(db);
}

static uint64_t inline_id(struct image *db)
{
    put_le64(inlined(db), 3);
    return root(db);
}

static uint64_t inline_nested(struct image *db)
{
    put_le32(inlined(db) + 16, 1);
    return root(db);
}

static uint64_t inline_with_root(struct image *db)
{
    put_le64(bucket_value(db, inline_bucket(db)), leaf(db));
    return root(db);
}

static uint64_t bucket_without_header(struct image *db)
{
    uint8_t *el = bucket_element(db, "key");

    put_le32(el + 12, 15);
    return root(db);
}

static uint64_t bucket_without_page(struct image *db)
{
    put_le64(bucket_value(db, "key"), 0);
    return root(db);
}

static uint64_t bucket_is_the_root(struct image *db)
{
    put_le64(bucket_value(db, "key"), root(db));
    return root(db);
}

static uint64_t bucket_in_a_bucket(struct image *db)
{
    return edit_element(db, 0, 1);
}

static uint64_t pair_in_the_root(struct image *db)
{
    put_le32(bucket_element(db, "meta"), 0);
    return root(db);
}

/* ---- keys (B18) -----------------------------------------------------------------------
 */

static uint8_t *key_of(const struct image *db, uint64_t page, unsigned i)
{
    uint8_t *el = element(db, page, i);

    return el + le32(el + 4);
}

static uint64_t keys_swapped(struct image *db)
{
    uint64_t id = leaf(db);
    uint8_t kept[17];

    memcpy(kept, key_of(db, id, 0), 17);
    memcpy(key_of(db, id, 0), key_of(db, id, 1), 17);
    memcpy(key_of(db, id, 1), kept, 17);
    return id;
}

static uint64_t keys_equal(struct image *db)
{
    uint64_t id = leaf(db);

    memcpy(key_of(db, id, 1), key_of(db, id, 0), 17);
    return id;
}

static uint64_t key_below_parent(struct image *db)
{
    uint64_t id = leaf(db);

    memset(key_of(db, id, 0), 0, 8);
    return id;
}

static uint64_t key_above_parent(struct image *db)
{
    uint64_t id = leaf(db);

    memset(key_of(db, id, le16(forge_page(db, id) + 10) - 1U), 0xff, 8);
    return id;
}

static uint64_t branch_keys_swapped(struct image *db)
{
    uint64_t id = branch(db);

    memset(element(db, id, 3) + le32(element(db, id, 3)), 0, 8);
    return id;
}

#define E FINDING_ERROR
#define W FINDING_WARN
#define N FINDING_NOTE
const struct forgery forgeries[] = {
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
    { "empty leaf", "leaf-empty", leaf_count_0, E },
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
    { "overflow reaches over others", "page-twice", overflow_grown, E },
    { "wrong id", "page-id", wrong_id, E },
    { "no header", "page-id", no_header, E },
    { "page of zeros", "page-id", page_of_zeros, E },
    { "kind 0x13", "page-kind", kind_0x13, E },
    { "kind 0", "page-kind", kind_0, E },
    { "meta in the tree", "page-kind", kind_meta, E },
    { "freelist in the tree", "page-kind", kind_freelist, E },
    { "stale page claims the rest", NULL, stale_claims_the_rest, N },
    { "free and reachable", "free-reachable", free_and_reachable, E },
    { "free twice", "freelist-order", free_twice, E },
    { "freelist unsorted", "freelist-order", free_unsorted, E },
    { "free page beyond the mark", "freelist-range", free_beyond, E },
    { "freelist lacks pages", "page-leaked", free_lacks_pages, W },
    { "free count 2^60", "freelist-count", free_count_huge, E },
    { "free count beyond the page", "freelist-count", free_count_beyond, E },
    { "inline count", "bucket-inline", inline_count, E },
    { "inline pos", "bucket-inline", inline_pos, E },
    { "inline branch", "bucket-inline", inline_kind, E },
    { "inline overflow", "bucket-inline", inline_overflow, E },
    { "inline id", "bucket-inline", inline_id, E },
    { "bucket in an inline bucket", "bucket-nested", inline_nested, E },
    { "inline bucket with a root", "bucket-header", inline_with_root, E },
    { "bucket without header", "bucket-header", bucket_without_header, E },
    { "bucket without page", "bucket-header", bucket_without_page, E },
    { "bucket is the root", "page-cycle", bucket_is_the_root, E },
    { "bucket in a bucket", "bucket-nested", bucket_in_a_bucket, E },
    { "pair in the root", "root-element", pair_in_the_root, E },
    { "keys swapped", "key-order", keys_swapped, E },
    { "keys equal", "key-order", keys_equal, E },
    { "key below its parent's", "key-bounds", key_below_parent, E },
    { "key above the next parent's", "key-bounds", key_above_parent, E },
    { "branch keys out of order", "key-order", branch_keys_swapped, E },
};
const size_t forgery_count = sizeof forgeries / sizeof forgeries[0];
