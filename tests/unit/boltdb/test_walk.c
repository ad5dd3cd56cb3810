#include "boltdb/walk.h"

#include "tests/forge/forge.h"
#include "tests/forge/golden.h"
#include "tests/lib/case.h"
#include "tests/lib/fault.h"
#include "tests/unit/boltdb/both.h"
#include "util/stop.h"

CASE(boltdb_walk, finds_nothing_in_what_etcd_wrote)
{
    for (size_t i = 0; i < GOLDEN_COUNT; i++) {
        OWNED_IMAGE db = golden_load(golden_names[i]);
        AT_END(findings_clear) struct findings f = { 0 };
        struct totals t = { 0 };
        char seen[4096];
        struct bolt_walk_result r = image_walk(db.p, db.n, &f, &t);

        findings_print(&f, seen, sizeof seen);
        cr_assert_eq(f.errors + f.warnings + f.notes, 0, "%s: %s", golden_names[i], seen);
        cr_assert_eq(r.buckets, 10, "%s", golden_names[i]);
        cr_assert_eq(r.pairs, t.pairs, "%s", golden_names[i]);
        cr_assert_eq(2 + r.pages + r.free_pages, (db.n - 32) / 4096, "%s",
                     golden_names[i]);
    }
}

/* totalKey counts the records of all buckets up to 3.5, live keys only later. */
CASE(boltdb_walk, agrees_with_snapshot_status)
{
    for (size_t i = 0; i < GOLDEN_COUNT; i++) {
        const char *name = golden_names[i];
        OWNED_IMAGE db = golden_load(name);
        AT_END(findings_clear) struct findings f = { 0 };
        struct totals t = { 0 };

        image_walk(db.p, db.n, &f, &t);
        cr_assert_eq(t.crc, golden_number(name, "snapstatus.json", "hash"), "%s", name);
        if (i < 2)
            cr_assert_eq(t.pairs, golden_number(name, "snapstatus.json", "totalKey"),
                         "%s", name);
    }
}

CASE(boltdb_walk, ends_when_a_stop_is_wanted)
{
    OWNED_IMAGE db = golden_load("etcd-3.5");
    OWNED(bolt_file) file = NULL;
    struct bolt_walk_result r = { .pages = 77 };
    struct err e = { 0 };

    OK(image_open(db.p, db.n, NULL, &file, &e), &e);
    stop_request();
    cr_assert_eq(bolt_walk(file, NULL, NULL, &r, &e), RC_INTERRUPTED);
    cr_assert_eq(r.pages, 77, "outputs are not touched on failure");
    stop_reset();
    OK(bolt_walk(file, NULL, NULL, &r, &e), &e);
    cr_assert_gt(r.pages, 50);
}

/* Page FINDING_NO_PAGE in the table: at whichever page. */
static bool found(const struct findings *f, const char *code, uint64_t page)
{
    for (size_t i = 0; i < f->kept; i++)
        if (strcmp(f->items[i].code, code) == 0 &&
            (page == FINDING_NO_PAGE || f->items[i].page == page))
            return true;
    return false;
}

CASE(boltdb_walk, names_every_forgery)
{
    const struct forgery *forgery;

    for (size_t i = 0; (forgery = forgery_at(i)) != NULL; i++) {
        OWNED_IMAGE db = golden_load("etcd-3.5");
        AT_END(findings_clear) struct findings f = { 0 };
        struct totals t = { 0 };
        uint64_t page = forgery->edit(&db);
        char seen[4096];

        image_walk(db.p, db.n, &f, &t);
        findings_print(&f, seen, sizeof seen);
        cr_assert_eq(f.errors > 0, forgery->severity == FINDING_ERROR, "%s: %s",
                     forgery->name, seen);
        cr_assert(forgery->code == NULL || found(&f, forgery->code, page),
                  "%s: want %s at page %lld, got\n%s", forgery->name, forgery->code,
                  (long long)page, seen);
    }
}

/* bbolt's own compaction keeps a freelist; etcd opens such files as well. */
CASE(boltdb_walk, checks_the_freelist_that_bbolt_wrote)
{
    OWNED_IMAGE db = golden_load("bolt");
    AT_END(findings_clear) struct findings f = { 0 };
    uint64_t freelist = le64(forge_page(&db, 0) + 48);
    struct totals t = { 0 };
    struct bolt_walk_result r = image_walk(db.p, db.n, &f, &t);
    uint8_t *p = forge_page(&db, freelist);

    cr_assert_eq(f.errors + f.warnings, 0);
    cr_assert_eq(t.crc, golden_number("etcd-3.5", "snapstatus.json", "hash"));
    cr_assert_eq(r.free_pages, le16(p + 10));
    cr_assert(!both_agree(db.p, db.n, 7000, "bbolt compact", 0));

    put_le64(p, freelist - 1);
    cr_assert(both_agree(db.p, db.n, 7000, "bbolt compact, wrong freelist id", 0));
    put_le64(p, freelist);
    put_le16(p + 10, 0);
    image_walk(db.p, db.n, &f, &t);
    cr_assert(findings_has(&f, "page-leaked", freelist));
}
