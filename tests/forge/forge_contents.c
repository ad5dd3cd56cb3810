/* Freelists, buckets and keys: B14 to B18 of the fault matrix. */
#include "tests/forge/forge.h"

#include "tests/lib/case.h"
#include "util/mem.h"

enum { PAGE = 4096 };

static const char *inline_bucket(const struct image *db)
{
    static const char *const names[] = { "cluster", "meta", "lease", "members" };

    for (size_t i = 0; i < 4; i++)
        if (le64(forge_bucket_value(db, names[i])) == 0 &&
            le16(forge_bucket_value(db, names[i]) + 16 + 10) > 0)
            return names[i];
    cr_assert_fail("no inline bucket");
    return NULL;
}

static uint8_t *inlined(const struct image *db)
{
    return forge_bucket_value(db, inline_bucket(db)) + 16;
}

/* ---- freelist ------------------------------------------------------------
 */

static uint64_t freelist_with(struct image *db, uint64_t first, uint64_t second)
{
    const uint64_t ids[] = { first, second };

    forge_freelist(db, ids, 2);
    return le64(forge_page(db, 0) + 48);
}

static uint64_t free_and_reachable(struct image *db)
{
    freelist_with(db, 2 + (forge_leaf(db) == 2), forge_leaf(db));
    return forge_leaf(db);
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

/* ---- buckets ---------------------------------------------------------------
 */

static uint64_t inline_count(struct image *db)
{
    put_le16(inlined(db) + 10, 0xfff);
    return forge_root(db);
}

static uint64_t inline_pos(struct image *db)
{
    put_le32(inlined(db) + 16 + 4, 0xffffff);
    return forge_root(db);
}

static uint64_t inline_kind(struct image *db)
{
    put_le16(inlined(db) + 8, BOLT_PAGE_BRANCH);
    return forge_root(db);
}

static uint64_t inline_overflow(struct image *db)
{
    put_le32(inlined(db) + 12, 1);
    return forge_root(db);
}

static uint64_t inline_id(struct image *db)
{
    put_le64(inlined(db), 3);
    return forge_root(db);
}

static uint64_t inline_nested(struct image *db)
{
    put_le32(inlined(db) + 16, 1);
    return forge_root(db);
}

static uint64_t inline_with_root(struct image *db)
{
    put_le64(forge_bucket_value(db, inline_bucket(db)), forge_leaf(db));
    return forge_root(db);
}

static uint64_t bucket_without_header(struct image *db)
{
    uint8_t *el = forge_bucket_element(db, "meta"); /* the last one: no gap follows */

    put_le32(el + 12, 15);
    return forge_root(db);
}

static uint64_t bucket_without_page(struct image *db)
{
    put_le64(forge_bucket_value(db, "key"), 0);
    return forge_root(db);
}

static uint64_t bucket_is_the_root(struct image *db)
{
    put_le64(forge_bucket_value(db, "key"), forge_root(db));
    return forge_root(db);
}

static uint64_t bucket_in_a_bucket(struct image *db)
{
    return forge_edit_element(db, 0, 1);
}

static uint64_t pair_in_the_root(struct image *db)
{
    put_le32(forge_bucket_element(db, "meta"), 0);
    return forge_root(db);
}

/* ---- keys -----------------------------------------------------------------------
 */

static uint8_t *key_of(const struct image *db, uint64_t page, unsigned i)
{
    uint8_t *el = forge_element(db, page, i);

    return el + le32(el + 4);
}

static uint64_t keys_swapped(struct image *db)
{
    uint64_t id = forge_leaf(db);
    uint8_t kept[17];

    memcpy(kept, key_of(db, id, 0), 17);
    memcpy(key_of(db, id, 0), key_of(db, id, 1), 17);
    memcpy(key_of(db, id, 1), kept, 17);
    return id;
}

static uint64_t keys_equal(struct image *db)
{
    uint64_t id = forge_leaf(db);

    memcpy(key_of(db, id, 1), key_of(db, id, 0), 17);
    return id;
}

static uint64_t key_below_parent(struct image *db)
{
    uint64_t id = forge_leaf(db);

    memset(key_of(db, id, 0), 0, 8);
    return id;
}

static uint64_t key_above_parent(struct image *db)
{
    uint64_t id = forge_leaf(db);

    memset(key_of(db, id, le16(forge_page(db, id) + 10) - 1U), 0xff, 8);
    return id;
}

/* The key in the branch is the first that belongs to the next leaf, not the last of this.
 */
static uint64_t key_of_next_parent(struct image *db)
{
    uint64_t id = forge_leaf(db);
    unsigned i = 0;

    while (forge_child(db, i) != id)
        i++;
    memcpy(key_of(db, id, le16(forge_page(db, id) + 10) - 1U),
           forge_element(db, forge_branch(db), i + 1) +
               le32(forge_element(db, forge_branch(db), i + 1)),
           17);
    return id;
}

static uint64_t branch_keys_swapped(struct image *db)
{
    uint64_t id = forge_branch(db);

    memset(forge_element(db, id, 3) + le32(forge_element(db, id, 3)), 0, 8);
    return id;
}

#define E FINDING_ERROR
#define W FINDING_WARN
const struct forgery forgeries_of_contents[] = {
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
    { "key is the next parent's", "key-bounds", key_of_next_parent, E },
    { "branch keys out of order", "key-order", branch_keys_swapped, E },
    { 0 },
};
