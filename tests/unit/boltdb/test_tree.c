/* Shapes of trees that no builder makes. */
#include "boltdb/tree.h"

#include "boltdb/draft.h"
#include "codec/crc32c.h"
#include "tests/forge/forge.h"
#include "tests/lib/case.h"
#include "tests/unit/boltdb/both.h"
#include "util/mem.h"

enum { PAGE = 512 };

/* `levels` branches of one child each below a bucket, then an empty leaf. */
static struct image chain(unsigned levels)
{
    unsigned pages = 3 + levels + 1;
    struct image db = { mem_zero((size_t)pages * PAGE), (size_t)pages * PAGE };

    for (unsigned i = 0; i < 2; i++) {
        uint8_t *meta = db.p + i * PAGE + 16;

        put_le64(meta - 16, i);
        put_le16(meta - 8, BOLT_PAGE_META);
        put_le32(meta, BOLT_MAGIC);
        put_le32(meta + 4, BOLT_VERSION);
        put_le32(meta + 8, PAGE);
        put_le64(meta + 16, 2);
        put_le64(meta + 32, BOLT_NO_FREELIST);
        put_le64(meta + 40, pages);
        put_le64(meta + 48, 2 - i);
        put_le64(meta + 56, fnv1a64(meta, 56));
    }
    for (unsigned id = 2; id < pages; id++) {
        uint8_t *p = db.p + (size_t)id * PAGE;

        put_le64(p, id);
        put_le16(p + 8, id == 2 || id + 1 == pages ? BOLT_PAGE_LEAF : BOLT_PAGE_BRANCH);
        put_le16(p + 10, id + 1 == pages ? 0 : 1);
        if (id == 2) { /* bucket "b" at page 3 */
            put_le32(p + 16, 1);
            put_le32(p + 20, 16);
            put_le32(p + 24, 1);
            put_le32(p + 28, 16);
            p[32] = 'b';
            put_le64(p + 33, 3);
        } else if (id + 1 < pages) { /* an empty key */
            put_le32(p + 16, 16);
            put_le64(p + 24, id + 1);
        }
    }
    return db;
}

static void expect(unsigned levels, size_t errors, size_t warnings, const char *code)
{
    OWNED_IMAGE db = chain(levels);
    AT_END(findings_clear) struct findings f = { 0 };
    struct totals t = { 0 };
    char seen[4096];

    image_walk(db.p, db.n, &f, &t);
    findings_print(&f, seen, sizeof seen);
    cr_assert_eq(f.errors, errors, "%u levels: %s", levels, seen);
    cr_assert_eq(f.warnings, warnings, "%u levels: %s", levels, seen);
    if (code != NULL)
        cr_assert_str_eq(f.items[f.kept - 1].code, code, "%u levels: %s", levels, seen);
    both_agree(db.p, db.n, 1000, "chain of levels", levels);
}

CASE(boltdb_tree, follows_64_levels_and_no_more)
{
    expect(0, 0, 0, NULL);
    expect(1, 1, 1, "leaf-empty");
    expect(62, 1, 62, "leaf-empty");
    expect(63, 1, 63, "tree-depth");
    expect(5000, 1, 63, "tree-depth");
}

CASE(boltdb_tree, ends_at_the_first_error_when_nobody_collects)
{
    OWNED_IMAGE db = chain(3);
    OWNED(bolt_file) file = NULL;
    struct bolt_walk_result r = { .pages = 77 };
    struct err e = { 0 };

    OK(image_open(db.p, db.n, NULL, &file, &e), &e);
    cr_assert_eq(bolt_walk(file, NULL, NULL, &r, &e), RC_CORRUPT);
    cr_assert_str_eq(e.why, "page 6 (offset 3072) is an empty leaf and no bucket's root");
    cr_assert_eq(r.pages, 77);
}

/* All children of a branch are one and the same: it is looked at once. */
CASE(boltdb_tree, looks_at_a_page_once_however_often_it_is_named)
{
    OWNED_IMAGE db = golden_load("etcd-3.5");
    AT_END(findings_clear) struct findings f = { 0 };
    uint64_t branch = forge_bucket_root(&db, "key");
    uint8_t *p = forge_page(&db, branch);
    unsigned count = le16(p + 10);
    uint64_t leaf = le64(p + 24);
    struct totals t = { 0 };

    for (unsigned i = 0; i < count; i++)
        put_le64(p + 16 + i * 16UL + 8, leaf);
    put_le16(forge_page(&db, leaf) + 8, 0);
    image_walk(db.p, db.n, &f, &t);
    cr_assert_eq(f.errors, count);
    cr_assert_str_eq(f.items[0].code, "page-kind");
    cr_assert_str_eq(f.items[1].code, "page-twice");
}

CASE(boltdb_tree, stops_where_nothing_is_left)
{
    OWNED_IMAGE db = golden_load("etcd-3.5");
    AT_END(findings_clear) struct findings f = { 0 };
    struct totals t = { 0 };

    for (uint64_t id = 2; id < db.n / 4096; id++)
        put_le64(db.p + id * 4096, id + 1);
    image_walk(db.p, db.n, &f, &t);
    cr_assert_eq(f.errors, 1, "the root alone is reached");
    cr_assert_eq(t.buckets, 0);
}
