/* Disks that are full, fail or take less than asked, at every call. Nothing may appear
 * under the final name unless it is whole, nothing may be left beside it, and what is
 * read must not change. */
#include <errno.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "boltdb/walk.h"
#include "restore/restore.h"
#include "snapshot/save.h"
#include "snapshot/verify.h"
#include "tests/flow/golden.h"
#include "tests/lib/fakeetcd.h"
#include "tests/lib/fault.h"
#include "tests/lib/proc.h"

/* HashKV of tests/golden/etcd-3.6/facts.json. */
enum { HASHKV = 1484043585 };

static struct buf snapshot;

/* Memory instead of a disk: thousands of fsyncs would be most of the time. */
static void set_up(void)
{
    if (access("/dev/shm", W_OK) == 0)
        setenv("TMPDIR", "/dev/shm", 1);
    snapshot = golden_snapshot("3.6");
}

static void tear_down(void)
{
    buf_clear(&snapshot);
}

#define DISK(name) CASE(disk, name, .init = set_up, .fini = tear_down)

struct fault {
    enum fault_point point;
    int error;
    const char *name;
    unsigned least; /* so many calls there must be, or the test sees nothing */
};

static const struct fault faults[] = {
    { FAULT_WRITE, ENOSPC, "ENOSPC in write", 2 },
    { FAULT_WRITE, EIO, "EIO in write", 2 },
    { FAULT_WRITE, 0, "a short write", 2 },
    { FAULT_FSYNC, EIO, "EIO in fsync", 2 },
    { FAULT_RENAME, ENOSPC, "ENOSPC in the step that publishes", 1 },
    { FAULT_MKDIR, ENOSPC, "ENOSPC in mkdir", 0 },
    { FAULT_READ, EIO, "EIO in read", 3 },
    { FAULT_READ, 0, "a short read", 3 },
    { FAULT_OPEN, ENOSPC, "ENOSPC in open", 3 },
    { FAULT_ALLOC, ENOMEM, "no memory", 100 },
};
enum { FAULTS = sizeof faults / sizeof faults[0] };

/* Each of the first calls, then ever fewer of those that follow. */
static unsigned next_call(unsigned nth)
{
    unsigned dense = golden_effort(25, 2000);

    return nth + (nth < dense ? 1 : 1 + nth / golden_effort(4, 50));
}

/* One job: 0 when all went well. It looks after its own invariants, with `note`. */
typedef enum rc job(const char *dir, struct err *e);
typedef void look(const char *dir, enum rc rc, const char *note);

static void sweep(const struct fault *f, job *run, look *check)
{
    const char *dir = tmpdir_new();
    bool fired = true;
    char note[160];
    unsigned nth;

    for (nth = 1; fired; nth = next_call(nth)) {
        struct err e = { 0 };
        enum rc rc;

        fault_arm(f->point, nth, f->error);
        rc = run(dir, &e);
        fired = fault_disarm();
        snprintf(note, sizeof note, "%s, call %u: %s", f->name, nth, rc_name(rc));
        cr_assert(fired || rc == RC_OK, "%s without a fault: %s", note, e.why);
        cr_assert(rc == RC_OK || e.why[0] != '\0', "%s without a word", note);
        cr_assert_neq(rc, RC_INTERNAL, "%s: %s", note, e.why);
        cr_assert(f->error != ENOSPC || f->point == FAULT_OPEN || rc == RC_OK ||
                      rc == RC_STORAGE,
                  "%s: %s", note, e.why);
        check(dir, rc, note);
    }
    cr_assert_gt(nth, f->least, "%s: only %u calls", f->name, nth);
}

/* ---- save -----------------------------------------------------------------------------
 */

static struct fake *member;
static const char *save_as;

static enum rc save(const char *dir, struct err *e)
{
    AT_END(snap_saved_clear) struct snap_saved saved = { 0 };
    const struct snap_save_options o = { .file = path_in(dir, save_as) };
    const struct wire_options w = { .endpoints = fake_endpoint(member) };
    OWNED(wire_client) c = NULL;

    TRY(wire_client_new(&w, &c, e));
    return snap_save(c, &o, &saved, e);
}

static void check_saved(const char *dir, enum rc rc, const char *note)
{
    const char *file = path_in(dir, save_as);
    AT_END(snap_verdict_clear) struct snap_verdict v = { 0 };
    const struct snap_verify_options o = { .file = file, .level = SNAP_LEVEL_FULL };
    struct err e = { 0 };

    cr_assert_str_eq(dir_listing(dir), rc == RC_OK ? save_as : "", "%s", note);
    if (rc != RC_OK)
        return;
    OK(snap_verify(&o, &v, &e), &e);
    cr_assert_eq(v.findings.errors, 0, "%s: %s", note, v.findings.items[0].message);
    cr_assert_eq(v.facts.hashkv.hash, HASHKV, "%s", note);
    unlink(file);
}

static void sweep_save(const char *name, size_t from, size_t to)
{
    const struct fake_script script = {
        .db = snapshot.p,
        .db_size = snapshot.n - GOLDEN_TRAILER,
        .revision = 56,
    };
    FAKE f = fake_start(&script);

    member = f;
    save_as = name;
    for (size_t i = from; i < to; i++)
        if (faults[i].point != FAULT_MKDIR)
            sweep(&faults[i], save, check_saved);
}

DISK(a_save_publishes_all_or_nothing_when_writing_fails)
{
    sweep_save("x.db", 0, 5);
}

DISK(a_save_publishes_all_or_nothing_when_reading_or_memory_fails)
{
    sweep_save("x.db", 5, FAULTS);
}

DISK(a_compressed_save_publishes_all_or_nothing)
{
    sweep_save("x.db.zst", 0, 5);
}

/* ---- restore --------------------------------------------------------------------------
 */

static const char *source;
static struct buf source_bytes;
static const char *wal_name; /* NULL: inside the data dir */

static enum rc restore(const char *dir, struct err *e)
{
    AT_END(restore_plan_clear) struct restore_plan plan = { 0 };
    const struct restore_request q = {
        .data_dir = path_in(dir, "data"),
        .wal_dir = wal_name == NULL ? NULL : path_in(dir, wal_name),
        .bump = RESTORE_BUMP_BY,
    };
    struct restore_done done;

    TRY(restore_plan_make(&q, &plan, e));
    return restore_run(&plan, source, NULL, &done, e);
}

/* The directory as etcd would find it: log, marker and a database with the history. */
static void check_whole(const char *dir, const char *note)
{
    AT_END(snap_verdict_clear) struct snap_verdict v = { 0 };
    const struct snap_verify_options o = { .file = path_in(dir, "data/member/snap/db"),
                                           .level = SNAP_LEVEL_FULL };
    struct err e = { 0 };

    cr_assert_str_eq(dir_listing(path_in(dir, "data")), "member", "%s", note);
    cr_assert_str_eq(dir_listing(path_in(dir, "data/member/snap")),
                     "0000000000000001-0000000000000001.snap db", "%s", note);
    cr_assert_str_eq(
        dir_listing(path_in(dir, wal_name == NULL ? "data/member/wal" : wal_name)),
        "0000000000000000-0000000000000000.wal", "%s", note);
    OK(snap_verify(&o, &v, &e), &e);
    cr_assert_eq(v.findings.errors, 1, "%s: more than the missing trailer: %s", note,
                 v.findings.items[0].message);
    cr_assert_eq(v.facts.hashkv.hash, HASHKV, "%s", note);
}

static void check_restored(const char *dir, enum rc rc, const char *note)
{
    struct err e = { 0 };

    cr_assert(golden_same(source, source_bytes), "%s: the source changed", note);
    if (rc != RC_OK) {
        cr_assert_str_eq(dir_listing(dir), "", "%s", note);
        return;
    }
    cr_assert_str_eq(dir_listing(dir), wal_name == NULL ? "data" : "data wal", "%s",
                     note);
    check_whole(dir, note);
    OK(os_remove_tree(AT_FDCWD, path_in(dir, "data"), &e), &e);
    OK(os_remove_tree(AT_FDCWD, path_in(dir, "wal"), &e), &e);
}

static void sweep_restore(const char *file, size_t from, size_t to)
{
    source = file;
    source_bytes = golden_file(file);
    for (size_t i = from; i < to; i++)
        sweep(&faults[i], restore, check_restored);
    buf_clear(&source_bytes);
}

static const char *raw_source(void)
{
    const char *file = path_in(tmpdir_new(), "s.db");

    golden_write(file, snapshot.p, snapshot.n);
    return file;
}

DISK(a_restore_appears_whole_or_not_at_all_when_writing_fails)
{
    sweep_restore(raw_source(), 0, 6);
}

DISK(a_restore_appears_whole_or_not_at_all_when_reading_or_memory_fails)
{
    sweep_restore(raw_source(), 6, FAULTS);
}

DISK(a_restore_of_a_compressed_file_appears_whole_or_not_at_all)
{
    sweep_restore("tests/golden/etcd-3.6/snapshot.db.zst", 0, FAULTS);
}

DISK(a_restore_with_a_log_elsewhere_appears_whole_or_not_at_all)
{
    wal_name = "wal";
    sweep_restore(raw_source(), 0, 6);
}
