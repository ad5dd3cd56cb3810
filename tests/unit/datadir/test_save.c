#include "datadir/save.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "snapshot/verify.h"
#include "tests/flow/golden.h"
#include "tests/lib/fault.h"
#include "tests/unit/datadir/den.h"

struct saving {
    struct den den;
    const char *out; /* the directory where it goes */
    struct datadir_save_options o;
};

static void saving_of(struct saving *s, const char *version, const char *name)
{
    *s = (struct saving){ 0 };
    den_golden(&s->den, version);
    s->out = tmpdir_new();
    s->o.from.dir = s->den.dir;
    s->o.store.file = path_in(s->out, name);
    s->o.store.allow_same_filesystem = true;
}

static void is_stored(const struct saving *s, const struct datadir_saved *d,
                      const struct den_golden *g)
{
    const struct snap_verify_options o = { .file = s->o.store.file,
                                           .level = SNAP_LEVEL_FULL };
    AT_END(snap_verdict_clear) struct snap_verdict v = { 0 };
    struct err e = { 0 };

    OK(snap_verify(&o, &v, &e), &e);
    OK(findings_verdict(&v.findings, &e), &e);
    cr_assert(v.trailer.present && v.trailer.matches);
    cr_assert_eq(v.trailer.size, d->size);
    cr_assert_eq(v.facts.hashkv.hash, g->hashkv, "%s", g->version);
    cr_assert_eq(v.facts.revision, DEN_REVISION);
    cr_assert_eq(v.facts.consistent_index, d->last);
    cr_assert_eq(v.facts.leases, 2);
    cr_assert_eq(v.facts.user_count, 1);
    cr_assert_eq(den_size(s->o.store.file), d->stored_size);
    if (v.kind.zstd)
        cr_assert_eq(memcmp(v.stored.sha256, d->sha256, SHA256_SIZE), 0);
    else
        cr_assert_eq(memcmp(v.trailer.whole, d->sha256, SHA256_SIZE), 0);
}

CASE(save, plain_and_compressed)
{
    static const char *const names[] = { "x.db", "x.db.zst" };

    for (int i = 0; i < DEN_GOLDENS; i++) {
        AT_END(datadir_saved_clear) struct datadir_saved d = { 0 };
        struct err e = { 0 };
        struct saving s;

        saving_of(&s, den_goldens[i].version, names[i % 2]);
        OK(datadir_save(&s.o, &d, &e), &e);
        cr_assert(d.proved && d.lost.count == 0);
        cr_assert_str_eq(d.member_name, "tricky");
        is_stored(&s, &d, &den_goldens[i]);
        cr_assert_str_eq(dir_listing(s.out), names[i % 2]);
    }
}

CASE(save, names_and_recipients_must_fit)
{
    struct datadir_saved d = { 0 };
    struct err e = { 0 };
    struct saving s;

    saving_of(&s, "3.5", "x.db.age");
    cr_assert_eq(datadir_save(&s.o, &d, &e), RC_USAGE);
    cr_assert_str_eq(dir_listing(s.out), "");
}

CASE(save, nothing_that_exists_is_replaced)
{
    struct datadir_saved d = { 0 };
    struct err e = { 0 };
    struct saving s;

    saving_of(&s, "3.5", "x.db");
    golden_write(s.o.store.file, "mine", 4);
    cr_assert_eq(datadir_save(&s.o, &d, &e), RC_REFUSED);
    cr_assert_eq(den_size(s.o.store.file), 4);
}

CASE(save, nothing_is_stored_of_a_damaged_log)
{
    AT_END(datadir_saved_clear) struct datadir_saved d = { 0 };
    struct err e = { 0 };
    struct saving s;

    saving_of(&s, "3.5", "x.db");
    den_flip(s.den.segment, den_size(s.den.segment) / 2);
    cr_assert_eq(datadir_save(&s.o, &d, &e), RC_CORRUPT);
    cr_assert_str_eq(dir_listing(s.out), "");

    s.o.tail.allow_loss = true;
    OK(datadir_save(&s.o, &d, &e), &e);
    cr_assert(d.proved && d.lost.count > 0);
    cr_assert_eq(d.from->verdict, DATADIR_DAMAGED);
}

/* The file is there, whole and durable, or it is not there. */
static void sweep(enum fault_point point, int error, unsigned least)
{
    unsigned runs = 0;
    struct saving s;

    saving_of(&s, "3.4", "x.db");
    FAULT_SWEEP(point, nth, error) {
        AT_END(datadir_saved_clear) struct datadir_saved d = { 0 };
        struct err e = { 0 };
        enum rc rc = datadir_save(&s.o, &d, &e);

        runs = nth;
        fault_disarm();
        if (rc == RC_OK) {
            is_stored(&s, &d, &den_goldens[0]);
            cr_assert_eq(unlink(s.o.store.file), 0);
        }
        cr_assert_str_eq(dir_listing(s.out), "", "call %u: %s", nth, e.why);
        if (rc == RC_OK)
            break;
        cr_assert_eq(rc, RC_STORAGE, "call %u: %s / %s", nth, e.what, e.why);
    }
    cr_assert_gt(runs, least);
}

CASE(save, any_failed_write)
{
    sweep(FAULT_WRITE, ENOSPC, 1);
}

CASE(save, any_failed_fsync)
{
    sweep(FAULT_FSYNC, EIO, 1);
}

CASE(save, any_failed_link)
{
    sweep(FAULT_RENAME, EIO, 1);
}
