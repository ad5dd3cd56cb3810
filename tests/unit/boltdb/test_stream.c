#include "boltdb/stream.h"

#include <stdlib.h>

#include "tests/forge/forge.h"
#include "tests/lib/case.h"
#include "tests/lib/fault.h"
#include "tests/unit/boltdb/both.h"
#include "tests/unit/boltdb/build_to.h"

CASE(boltdb_stream, agrees_with_the_walk_on_golden_files)
{
    static const size_t pieces[] = { 1, 2, 7, 4096, 32768, 65536, 1 << 20 };

    for (size_t i = 0; i < GOLDEN_COUNT; i++) {
        OWNED_IMAGE db = golden_load(golden_names[i]);

        for (size_t k = 0; k < sizeof pieces / sizeof pieces[0]; k++)
            cr_assert(
                !both_agree(db.p, db.n, pieces[k], golden_names[i], (unsigned)pieces[k]));
    }
}

CASE(boltdb_stream, agrees_with_the_walk_on_every_forgery)
{
    static const size_t pieces[] = { 7, 5000, 32768, 1 << 20 };

    const struct forgery *forgery;

    for (size_t i = 0; (forgery = forgery_at(i)) != NULL; i++) {
        OWNED_IMAGE db = golden_load("etcd-3.5");

        forgery->edit(&db);
        for (size_t k = 0; k < sizeof pieces / sizeof pieces[0]; k++) {
            bool damaged =
                both_agree(db.p, db.n, pieces[k], forgery->name, (unsigned)pieces[k]);

            cr_assert_eq(damaged, forgery->severity == FINDING_ERROR, "%s",
                         forgery->name);
        }
    }
}

/* A page of bytes changed, with a leaning towards headers, tables and metas. */
static void damage(struct image *db, unsigned *random)
{
    unsigned flips = 1 + (unsigned)rand_r(random) % 4;

    for (unsigned i = 0; i < flips; i++) {
        size_t page = (size_t)rand_r(random) % (db->n / 4096);
        size_t within = (size_t)rand_r(random) % (rand_r(random) % 4 == 0 ? 4096 : 48);

        db->p[page * 4096 + within] ^= (uint8_t)(1 << rand_r(random) % 8);
    }
    if (rand_r(random) % 8 != 0)
        forge_sums(db);
}

CASE(boltdb_stream, agrees_with_the_walk_on_flipped_bits)
{
    OWNED_IMAGE whole = golden_load("etcd-3.4");
    OWNED_IMAGE db = golden_load("etcd-3.4");
    unsigned damaged = 0;

    for (unsigned seed = 1; seed <= 3000; seed++) {
        unsigned random = seed;

        memcpy(db.p, whole.p, db.n);
        damage(&db, &random);
        damaged += both_agree(db.p, db.n, 1 + (size_t)rand_r(&random) % 70000,
                              "flipped bits", seed);
    }
    cr_assert(damaged > 600 && damaged < 2900, "%u of 3000", damaged);
}

/* Pages copied over others, as lost and misplaced writes do. */
CASE(boltdb_stream, agrees_with_the_walk_on_misplaced_pages)
{
    OWNED_IMAGE whole = golden_load("etcd-3.7");
    OWNED_IMAGE db = golden_load("etcd-3.7");
    unsigned damaged = 0;

    for (unsigned seed = 1; seed <= 1500; seed++) {
        unsigned random = seed;
        size_t pages = db.n / 4096;
        size_t from = (size_t)rand_r(&random) % pages,
               to = (size_t)rand_r(&random) % pages;
        size_t n = 1 + (size_t)rand_r(&random) % 3;

        if (from + n > pages || to + n > pages)
            continue;
        memcpy(db.p, whole.p, db.n);
        memcpy(db.p + to * 4096, whole.p + from * 4096, n * 4096);
        if (rand_r(&random) % 2 == 0)
            put_le64(db.p + to * 4096, to);
        damaged += both_agree(db.p, db.n, 32768, "misplaced pages", seed);
    }
    cr_assert(damaged > 200, "%u", damaged);
}

static enum rc write_all(struct bolt_stream *s, const void *p, size_t n, struct err *e)
{
    for (size_t at = 0; at < n; at += 32768)
        TRY(bolt_stream_write(s, (const uint8_t *)p + at, n - at < 32768 ? n - at : 32768,
                              e));
    return RC_OK;
}

static enum rc stream_all(const struct image *db, size_t memory_max, struct findings *f,
                          bool *checked, struct err *e)
{
    OWNED(bolt_stream) s = NULL;
    struct bolt_walk_result r;

    TRY(bolt_stream_new(NULL, 0, memory_max, &s, e));
    TRY(write_all(s, db->p, db->n, e));
    return bolt_stream_finish(s, f, &r, checked, e);
}

CASE(boltdb_stream, does_not_judge_beyond_its_memory)
{
    OWNED_IMAGE db = golden_load("etcd-3.5");
    struct err e = { 0 };

    put_le64(forge_page(&db, forge_bucket_root(&db, "key")), 1);
    for (size_t memory = 1; memory <= 1 << 21; memory *= 4) {
        AT_END(findings_clear) struct findings f = { 0 };
        bool checked = false;

        OK(stream_all(&db, memory, &f, &checked, &e), &e);
        cr_assert_eq(f.errors, checked, "%zu bytes", memory);
        cr_assert_eq(checked, memory >= 1 << 18, "%zu bytes", memory);
    }
}

/* A value too large to be held: no verdict, and little memory. */
CASE(boltdb_stream, does_not_judge_pages_it_could_not_hold)
{
    static const size_t sizes[] = { BOLT_STREAM_EXTENT_MAX - 4096,
                                    BOLT_STREAM_EXTENT_MAX };

    for (size_t i = 0; i < 2; i++) {
        OWNED_IMAGE db = { 0 };
        AT_END(findings_clear) struct findings f = { 0 };
        struct err e = { 0 };
        bool checked = i == 1;

        OK(build_uniform(NULL, 1, 1, sizes[i], &db, &e), &e);
        OK(stream_all(&db, 0, &f, &checked, &e), &e);
        cr_assert_eq(checked, i == 0);
        cr_assert_eq(f.errors, 0);
    }
}

CASE(boltdb_stream, knows_the_meta_early)
{
    OWNED_IMAGE db = golden_load("etcd-3.5");
    OWNED(bolt_stream) s = NULL;
    struct err e = { 0 };

    OK(bolt_stream_new(NULL, 0, 0, &s, &e), &e);
    OK(bolt_stream_write(s, db.p, 65536, &e), &e);
    cr_assert_null(bolt_stream_meta(s));
    OK(bolt_stream_write(s, db.p + 65536, 32768, &e), &e);
    cr_assert_eq(bolt_stream_meta(s)->high_water, db.n / 4096);
}

CASE(boltdb_stream, says_when_nothing_came)
{
    const struct image nothing = { 0 };
    AT_END(findings_clear) struct findings f = { 0 };
    struct err e = { 0 };
    bool checked = false;

    OK(stream_all(&nothing, 0, &f, &checked, &e), &e);
    cr_assert(checked);
    cr_assert_eq(f.errors, 1);
    cr_assert_str_eq(f.items[0].code, "meta-bad");
}

CASE(boltdb_stream, says_when_it_ends_early)
{
    OWNED_IMAGE db = golden_load("etcd-3.5");
    AT_END(findings_clear) struct findings f = { 0 };
    struct err e = { 0 };
    bool checked = false;

    db.n = 200000;
    OK(stream_all(&db, 0, &f, &checked, &e), &e);
    cr_assert(checked);
    cr_assert_str_eq(f.items[0].code, "truncated");
    cr_assert_str_eq(f.items[0].message,
                     "truncated: 200000 bytes, the meta page needs 116 "
                     "pages of 4096");
}

static enum rc refuse(void *arg, const struct bolt_page *page, uint32_t *note,
                      struct err *e)
{
    (void)arg;
    (void)note;
    return err_set(e, RC_REFUSED, "page %llu", (unsigned long long)page->id);
}

CASE(boltdb_stream, hands_the_visitors_failure_up)
{
    const struct bolt_stream_visitor v = { .leaf = refuse };
    OWNED_IMAGE db = golden_load("etcd-3.5");
    OWNED(bolt_stream) s = NULL;
    struct err e = { 0 };

    OK(bolt_stream_new(&v, 0, 0, &s, &e), &e);
    cr_assert_eq(write_all(s, db.p, db.n, &e), RC_REFUSED);
}

CASE(boltdb_stream, survives_every_failed_allocation)
{
    OWNED_IMAGE db = golden_load("etcd-3.5");
    unsigned runs = 0;

    put_le64(db.p + 72, 0);
    FAULT_SWEEP(FAULT_ALLOC, nth, 0) {
        AT_END(findings_clear) struct findings f = { 0 };
        struct err e = { 0 };
        bool checked;
        enum rc rc = stream_all(&db, 0, &f, &checked, &e);

        cr_assert(rc == RC_OK || rc == RC_NOMEM, "allocation %u: %s", nth, e.why);
        runs = nth;
    }
    cr_assert_gt(runs, 7, "%u", runs);
}
