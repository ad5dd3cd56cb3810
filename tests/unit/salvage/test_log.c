/* Data directories with a damaged database: what the log makes good, and what not; and
 * the way of what was saved to its name. */
#include <errno.h>
#include <unistd.h>

#include "boltdb/page.h"
#include "tests/flow/golden.h"
#include "tests/lib/fault.h"
#include "tests/unit/datadir/den.h"
#include "tests/unit/salvage/wreck.h"

enum { PAGE = 4096 };

/* A member's directory, and what is true of it. */
struct scene {
    struct den den;
    struct buf db;
    uint64_t applied, term, pages;
    uint32_t hash;
    struct salvage_request q;
    const char *out; /* the directory where it goes */
};

static void scene_end(struct scene *s)
{
    buf_clear(&s->db);
    den_clear(&s->den);
}
#define SCENE [[gnu::cleanup(scene_end)]] struct scene

static void scene_make(struct scene *s, const struct den_golden *g)
{
    *s = (struct scene){ 0 };
    den_golden(&s->den, g->version);
    OK(den_open(&s->den), &s->den.e);
    s->applied = s->den.d->applied;
    s->term = s->den.d->facts.has_term ? s->den.d->facts.term : 2;
    s->hash = s->den.d->facts.hashkv.hash;
    s->pages = bolt_file_meta(s->den.d->db)->high_water;
    den_clear(&s->den);
    s->db = golden_file(s->den.db);
    s->out = tmpdir_new();
    s->q.source = s->den.dir;
    s->q.store.file = path_in(s->out, "x.db");
    s->q.store.allow_same_filesystem = true;
}

static void wipe(const struct scene *s, uint64_t page)
{
    static const uint8_t zeros[PAGE];
    OWNED_FD int fd = open(s->den.db, O_WRONLY | O_CLOEXEC);

    cr_assert_geq(fd, 0);
    cr_assert_eq(pwrite(fd, zeros, PAGE, (off_t)(page * PAGE)), PAGE);
}

static void repair(const struct scene *s)
{
    golden_write(s->den.db, s->db.p, s->db.n);
}

static uint32_t hash_of(const struct salvage_result *r)
{
    struct mvcc_hashkv got;
    struct err e = { 0 };

    cr_assert_not_null(r->tail.machine);
    OK(kvstore_hashkv(machine_kv(r->tail.machine), 0, &got, &e), &e);
    return got.hash;
}

/* What the log says again instead of all those of the golden one: nothing, so that the
 * database's own state is the truth. */
static void short_log(struct scene *s, uint64_t first, uint64_t last)
{
    unlink(s->den.segment);
    den_log(&s->den,
            (struct den_log){
                .first = first, .last = last, .term = s->term, .mark = first - 1 });
}

/* ---- what is taken ----------------------------------------------------------------- */

CASE(wreck_log, with_all_of_the_log_nothing_is_ever_lost, .timeout = 120)
{
    uint64_t step = golden_effort(8, 1);

    for (int i = 0; i < DEN_GOLDENS; i++) {
        SCENE s;

        scene_make(&s, &den_goldens[i]);
        s.q.look_only = true;
        for (uint64_t page = (uint64_t)i % step; page < s.pages; page += step) {
            AT_END(salvage_result_clear) struct salvage_result r = { 0 };
            struct err e = { 0 };

            repair(&s);
            wipe(&s, page);
            OK(salvage_run(&s.q, &r, &e), &e);
            cr_assert(r.whole, "%s, page %lu", den_goldens[i].version,
                      (unsigned long)page);
            cr_assert_eq(hash_of(&r), den_goldens[i].hashkv, "%s, page %lu",
                         den_goldens[i].version, (unsigned long)page);
        }
    }
}

/* Which of an earlier commit's pages were used again since shows nowhere; the log knows.
 */
CASE(wreck_log, all_of_the_log_comes_before_an_earlier_commit)
{
    for (int i = 0; i < DEN_GOLDENS; i++) {
        AT_END(salvage_result_clear) struct salvage_result r = { 0 };
        struct err e = { 0 };
        SCENE s;

        scene_make(&s, &den_goldens[i]);
        s.q.look_only = true;
        wipe(&s, 0);
        wipe(&s, 1);
        OK(salvage_run(&s.q, &r, &e), &e);
        cr_assert_eq(r.root, SALVAGE_ROOT_FOUND);
        cr_assert(r.base_whole, "%s", den_goldens[i].version);
        cr_assert(r.whole && r.log.use == SALVAGE_LOG_ALONE, "%s",
                  den_goldens[i].version);
        cr_assert_eq(hash_of(&r), den_goldens[i].hashkv);
    }
}

/* The log begins where the commit before ends, or just behind the one in force. */
CASE(wreck_log, a_short_log_goes_on_from_a_whole_commit, .timeout = 120)
{
    unsigned whole = 0, over = 0, left = 0;
    uint64_t step = golden_effort(4, 1);

    for (int i = 0; i < 2 * DEN_GOLDENS; i++) {
        SCENE s;

        scene_make(&s, &den_goldens[i / 2]);
        short_log(&s, i % 2 == 0 ? s.applied + 1 : 2, s.applied + 5);
        s.q.look_only = true;
        for (uint64_t page = (uint64_t)i % step; page < s.pages; page += step) {
            AT_END(salvage_result_clear) struct salvage_result r = { 0 };
            struct err e = { 0 };

            repair(&s);
            wipe(&s, page);
            OK(salvage_run(&s.q, &r, &e), &e);
            cr_assert(!r.whole || (r.root <= SALVAGE_ROOT_NEWER && hash_of(&r) == s.hash),
                      "%s, page %lu", den_goldens[i / 2].version, (unsigned long)page);
            cr_assert(!r.whole || r.log.use == SALVAGE_LOG_APPLIED);
            cr_assert(!r.whole || r.base_whole);
            whole += r.whole;
            over += r.log.use == SALVAGE_LOG_OVER_LOSSES;
            left += r.log.use == SALVAGE_LOG_LEFT;
        }
    }
    cr_assert(whole > 20 && over > 0 && left > 0, "%u whole, %u over losses, %u left",
              whole, over, left);
}

CASE(wreck_log, a_log_with_a_gap_or_none_is_told)
{
    SCENE s;
    struct err e = { 0 };
    AT_END(salvage_result_clear) struct salvage_result gap = { 0 };
    AT_END(salvage_result_clear) struct salvage_result none = { 0 };

    scene_make(&s, &den_goldens[1]);
    s.q.look_only = true;
    short_log(&s, s.applied + 3, s.applied + 5);
    OK(salvage_run(&s.q, &gap, &e), &e);
    cr_assert(gap.base_whole && !gap.whole && gap.log.lost.count > 0);
    unlink(s.den.segment);
    OK(salvage_run(&s.q, &none, &e), &e);
    cr_assert(none.base_whole && !none.whole && none.log.lost.count > 0);
}

CASE(wreck_log, without_a_database_the_log_makes_it)
{
    SCENE s;
    struct err e = { 0 };
    AT_END(salvage_result_clear) struct salvage_result r = { 0 };
    AT_END(salvage_result_clear) struct salvage_result nothing = { 0 };

    scene_make(&s, &den_goldens[2]);
    s.q.look_only = true;
    unlink(s.den.db);
    OK(salvage_run(&s.q, &r, &e), &e);
    cr_assert(r.whole && r.log.use == SALVAGE_LOG_ALONE);
    cr_assert_eq(hash_of(&r), den_goldens[2].hashkv);
    short_log(&s, 5, 9);
    cr_assert_eq(salvage_run(&s.q, &nothing, &e), RC_NOTFOUND);
}

CASE(wreck_log, a_log_is_named_only_for_a_directory)
{
    SCENE s;
    struct err e = { 0 };
    AT_END(salvage_result_clear) struct salvage_result r = { 0 };

    scene_make(&s, &den_goldens[0]);
    s.q.source = s.den.db;
    s.q.wal_dir = s.den.wal;
    cr_assert_eq(salvage_run(&s.q, &r, &e), RC_USAGE);
}

/* ---- what is stored ---------------------------------------------------------------- */

static void is_stored(const struct scene *s, uint32_t hash)
{
    const struct snap_verify_options o = { .file = s->q.store.file,
                                           .level = SNAP_LEVEL_FULL };
    AT_END(snap_verdict_clear) struct snap_verdict v = { 0 };
    struct err e = { 0 };

    OK(snap_verify(&o, &v, &e), &e);
    cr_assert(v.trailer.present && v.trailer.matches);
    cr_assert_eq(v.facts.hashkv.hash, hash);
}

CASE(wreck_log, plain_and_compressed)
{
    static const char *const names[] = { "x.db", "x.db.zst" };

    for (int i = 0; i < 2 * DEN_GOLDENS; i++) {
        AT_END(salvage_result_clear) struct salvage_result r = { 0 };
        struct err e = { 0 };
        SCENE s;

        scene_make(&s, &den_goldens[i / 2]);
        s.q.store.file = path_in(s.out, names[i % 2]);
        wipe(&s, 0);
        OK(salvage_run(&s.q, &r, &e), &e);
        cr_assert(r.whole && r.made.stored.file.read_back);
        cr_assert_str_eq(dir_listing(s.out), names[i % 2]);
        is_stored(&s, den_goldens[i / 2].hashkv);
    }
}

CASE(wreck_log, never_in_the_clear_under_an_encrypted_name)
{
    AT_END(salvage_result_clear) struct salvage_result r = { 0 };
    struct err e = { 0 };
    SCENE s;

    scene_make(&s, &den_goldens[1]);
    s.q.store.file = path_in(s.out, "x.db.age");
    cr_assert_eq(salvage_run(&s.q, &r, &e), RC_USAGE);
    cr_assert_str_eq(dir_listing(s.out), "");
    s.q.store.file = path_in(s.out, "x.db");
    golden_write(s.q.store.file, "mine", 4);
    cr_assert_eq(salvage_run(&s.q, &r, &e), RC_REFUSED);
    cr_assert_eq(den_size(s.q.store.file), 4);
}

/* The file is there, whole and durable, or it is not there; a directory and a file. */
static void sweep(bool dir, enum fault_point point, int error, unsigned least)
{
    bool all = point != FAULT_ALLOC || golden_effort(0, 1) > 0;
    unsigned runs = 0, nth = 1;
    SCENE s;

    scene_make(&s, &den_goldens[0]);
    s.q.source = dir ? s.den.dir : s.den.db;
    for (bool hit = true; hit; runs++, nth += all ? 1 : 1 + nth / 16) {
        AT_END(salvage_result_clear) struct salvage_result r = { 0 };
        struct err e = { 0 };
        enum rc rc;

        fault_arm(point, nth, error);
        rc = salvage_run(&s.q, &r, &e);
        hit = fault_disarm();
        if (rc == RC_OK) {
            is_stored(&s, dir ? den_goldens[0].hashkv : s.hash);
            cr_assert_eq(unlink(s.q.store.file), 0);
        }
        cr_assert_str_eq(dir_listing(s.out), "", "call %u: %s", nth, e.why);
        cr_assert(rc == (point == FAULT_ALLOC ? RC_NOMEM : RC_STORAGE) || rc == RC_OK,
                  "call %u: %s / %s", nth, e.what, e.why);
        cr_assert(hit || rc == RC_OK);
    }
    cr_assert_gt(runs, least, "only %u", runs);
}

CASE(wreck_log, any_failed_write)
{
    sweep(false, FAULT_WRITE, ENOSPC, 1);
    sweep(true, FAULT_WRITE, ENOSPC, 1);
}

CASE(wreck_log, any_failed_fsync)
{
    sweep(false, FAULT_FSYNC, EIO, 1);
    sweep(true, FAULT_FSYNC, EIO, 1);
}

CASE(wreck_log, any_failed_link)
{
    sweep(false, FAULT_RENAME, EIO, 1);
    sweep(true, FAULT_RENAME, EIO, 1);
}

CASE(wreck_log, any_failed_allocation_stores_nothing, .timeout = 600)
{
    sweep(false, FAULT_ALLOC, 0, 50);
    sweep(true, FAULT_ALLOC, 0, 50);
}
