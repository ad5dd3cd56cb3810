#include "tests/forge/forge.h"

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

uint8_t *forge_element(const struct image *db, uint64_t page, unsigned i)
{
    return forge_page(db, page) + 16 + (size_t)i * 16;
}

uint64_t forge_root(const struct image *db)
{
    return le64(forge_page(db, 0) + 32);
}

/* The root leaf's element of a bucket. */
uint8_t *forge_bucket_element(const struct image *db, const char *bucket)
{
    unsigned count = le16(forge_page(db, forge_root(db)) + 10);

    for (unsigned i = 0; i < count; i++) {
        uint8_t *el = forge_element(db, forge_root(db), i);
        struct bytes key = { el + le32(el + 4), le32(el + 8) };

        if (bytes_is(key, bucket))
            return el;
    }
    cr_assert_fail("no bucket %s", bucket);
    return NULL;
}

uint8_t *forge_bucket_value(const struct image *db, const char *bucket)
{
    uint8_t *el = forge_bucket_element(db, bucket);

    return el + le32(el + 4) + le32(el + 8);
}

uint64_t forge_bucket_root(const struct image *db, const char *bucket)
{
    return le64(forge_bucket_value(db, bucket));
}

uint64_t forge_branch(const struct image *db)
{
    uint64_t id = forge_bucket_root(db, "key");

    return id;
}

uint64_t forge_child(const struct image *db, unsigned i)
{
    return le64(forge_element(db, forge_branch(db), i) + 8);
}

/* Some leaf of bucket "key" that satisfies `want`. */
uint64_t forge_leaf_with(const struct image *db, bool (*want)(const uint8_t *page))
{
    unsigned count = le16(forge_page(db, forge_branch(db)) + 10);

    for (unsigned i = 1; i + 1 < count; i++)
        if (want(forge_page(db, forge_child(db, i))))
            return forge_child(db, i);
    cr_assert_fail("no such leaf");
    return 0;
}

static bool has_three(const uint8_t *page)
{
    return le16(page + 10) >= 3 && le32(page + 12) == 0;
}

bool forge_has_overflow(const uint8_t *page)
{
    return le32(page + 12) >= 2;
}

uint64_t forge_leaf(const struct image *db)
{
    return forge_leaf_with(db, has_three);
}

static void mark(const struct image *db, uint64_t id, uint8_t *used)
{
    const uint8_t *p = forge_page(db, id);

    memset(used + id, 1, 1 + le32(p + 12));
    for (unsigned i = 0; le16(p + 8) == BOLT_PAGE_BRANCH && i < le16(p + 10); i++)
        mark(db, le64(forge_element(db, id, i) + 8), used);
}

uint64_t *forge_free_pages(const struct image *db, size_t *count)
{
    uint64_t high_water = le64(forge_page(db, 0) + 56);
    unsigned buckets = le16(forge_page(db, forge_root(db)) + 10);
    AT_END(mem_end) uint8_t *used = mem_zero(high_water);
    uint64_t *list = mem_zero(high_water * sizeof *list);

    used[0] = used[1] = 1;
    mark(db, forge_root(db), used);
    for (unsigned i = 0; i < buckets; i++) {
        const uint8_t *el = forge_element(db, forge_root(db), i);
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

uint64_t forge_edit_element(struct image *db, unsigned at, uint32_t value)
{
    uint64_t id = forge_leaf(db);

    put_le32(forge_element(db, id, 1) + at, value);
    return id;
}

const struct forgery *forgery_at(size_t i)
{
    size_t pages = 0;

    while (forgeries_of_pages[pages].edit != NULL)
        pages++;
    if (i < pages)
        return &forgeries_of_pages[i];
    return forgeries_of_contents[i - pages].edit == NULL
               ? NULL
               : &forgeries_of_contents[i - pages];
}
