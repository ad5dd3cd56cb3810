/* Disks that are full, fail or take less than asked, at every call. Nothing may appear
 * under the final name unless it is whole, nothing may be left beside it, and what is
 * read must not change. */
#include <errno.h>
#include <sys/stat.h>

#include "restore/restore.h"
#include "snapshot/save.h"
#include "tests/flow/golden.h"
#include "tests/lib/fakeetcd.h"
#include "tests/lib/fault.h"
#include "tests/lib/proc.h"
#include "tests/lib/tmpfs.h"

static struct buf snapshot;

static void set_up(void)
{
    golden_in_memory();
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
    { FAULT_READ, EIO, "EIO in read", 1 },
    { FAULT_READ, 0, "a short read", 1 },
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
    cr_assert_eq(v.facts.hashkv.hash, GOLDEN_HASHKV, "%s", note);
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

static char source[512];
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
    cr_assert_str_eq(dir_listing(path_in(dir, "data")), "member", "%s", note);
    golden_check_restored(dir, wal_name != NULL, note);
    OK(os_remove_tree(AT_FDCWD, path_in(dir, "data"), &e), &e);
    OK(os_remove_tree(AT_FDCWD, path_in(dir, "wal"), &e), &e);
}

static void sweep_restore(const char *file, size_t from, size_t to)
{
    snprintf(source, sizeof source, "%s", file);
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

/* ---- the program on a file system of its own
 * -------------------------------------------
 */

static void check_full(const struct proc *p, const char *dir, const char *note)
{
    cr_assert_eq(p->status, 6, "%s: exit %d: %s", note, p->status, p->err);
    cr_assert_not_null(strstr(p->err, "next: "), "%s: no advice: %s", note, p->err);
    cr_assert_str_eq(dir_listing(dir), "", "%s", note);
}

/* Inodes run out one earlier or later each time: a full disk at each new file. */
DISK(a_restore_to_a_full_disk_exits_with_6)
{
    const char *dir = tmpdir_new();
    char file[512], data[512], options[64];
    unsigned inodes = 1;
    int status = 6;

    snprintf(file, sizeof file, "%s", raw_source());
    snprintf(data, sizeof data, "%s/data", dir);
    for (; status == 6; inodes++) {
        snprintf(options, sizeof options, "size=200m,nr_inodes=%u", inodes);
        if (!tmpfs_mount(dir, options))
            return;
        HOLDFAST(p, "restore", file, "--data-dir", data);
        status = p.status;
        if (status == 6)
            check_full(&p, dir, options);
        cr_assert(status == 0 || status == 6, "%s: %s", options, p.err);
        tmpfs_unmount(dir);
    }
    cr_assert_gt(inodes, 8, "a restore needs more than %u files", inodes);
}

static void save_to_disk_of(unsigned kib, const char *name, struct proc *p, char *left)
{
    const struct fake_script script = {
        .db = snapshot.p,
        .db_size = snapshot.n - GOLDEN_TRAILER,
        .revision = 56,
    };
    const struct proc_options o = { .timeout_s = 60 };
    const char *dir = tmpdir_new();
    char options[64];
    FAKE f = fake_start(&script);

    snprintf(options, sizeof options, "size=%uk", kib);
    if (!tmpfs_mount(dir, options))
        return;
    proc_run(p, &o,
             (const char *const[]){ HOLDFAST_BIN, "snapshot", "save", path_in(dir, name),
                                    "--endpoints", fake_endpoint(f), NULL });
    snprintf(left, 64, "%s", dir_listing(dir));
    tmpfs_unmount(dir);
}

/* 64 MiB of it are to stay free, which a file of known size (464 KiB) must respect at
 * once; one that is compressed notices it as it grows, and these grow little. */
DISK(a_save_to_a_full_disk_exits_with_6)
{
    static const struct {
        unsigned kib;
        const char *name;
        int status;
    } disks[] = {
        { 64, "x.db", 6 },          { 1000, "x.db", 6 },
        { 65536, "x.db", 6 },       { 65536 + 400, "x.db", 6 },
        { 65536 + 500, "x.db", 0 }, { 16, "x.db.zst", 6 },
        { 64, "x.db.zst", 6 },      { 65536 + 500, "x.db.zst", 0 },
    };

    for (size_t i = 0; i < sizeof disks / sizeof disks[0]; i++) {
        AT_END(proc_end) struct proc p = { 0 };
        char left[64];

        save_to_disk_of(disks[i].kib, disks[i].name, &p, left);
        if (p.out == NULL)
            return;
        cr_assert_eq(p.status, disks[i].status, "%s to %u KiB: exit %d: %s",
                     disks[i].name, disks[i].kib, p.status, p.err);
        cr_assert_str_eq(left, p.status == 0 ? disks[i].name : "", "%s to %u KiB",
                         disks[i].name, disks[i].kib);
    }
}

DISK(a_file_size_limit_is_an_error_and_no_signal)
{
    const char *dir = tmpdir_new();
    char file[512];

    snprintf(file, sizeof file, "%s", raw_source());
    for (unsigned limit = 0; limit <= 1000000; limit = limit * 4 + 4000) {
        char option[64];

        snprintf(option, sizeof option, "--fsize=%u", limit);
        RUN(p, "prlimit", option, HOLDFAST_BIN, "restore", file, "--data-dir",
            path_in(dir, "data"));
        check_full(&p, dir, option);
    }
}

/* The kernel itself says no, once, at the n-th call of each kind in any thread. */
static void inject(const char *call, const char *error, const char *file)
{
    static const char *const env[] = { "ASAN_OPTIONS=detect_leaks=0", NULL };
    const struct proc_options o = { .env = env, .timeout_s = 60 };
    const char *dir = tmpdir_new();
    char trace[64], option[128];
    unsigned failed = 0, ok = 0;

    snprintf(trace, sizeof trace, "trace=%s", call);
    for (unsigned nth = 1; ok == 0 && nth < 100; nth++) {
        AT_END(proc_end) struct proc p = { 0 };

        snprintf(option, sizeof option, "inject=%s:error=%s:when=%u", call, error, nth);
        proc_run(&p, &o,
                 (const char *const[]){ "strace", "-f", "-qq", "-o", "/dev/null", "-e",
                                        trace, "-e", option, HOLDFAST_BIN, "restore",
                                        file, "--data-dir", path_in(dir, "data"), NULL });
        ok += p.status == 0;
        failed += p.status == 6;
        cr_assert(p.status == 0 || p.status == 6, "%s: exit %d: %s", option, p.status,
                  p.err);
        cr_assert_str_eq(dir_listing(dir), p.status == 0 ? "data" : "", "%s: %s", option,
                         p.err);
    }
    cr_assert(ok == 1 && failed > 0, "%s: %u failed, %u did not", option, failed, ok);
}

DISK(a_restore_meets_kernel_errors_with_exit_6)
{
    char file[512];

    snprintf(file, sizeof file, "%s", raw_source());
    inject("fsync", "EIO", file);
    inject("pwrite64", "ENOSPC", file);
    inject("mkdirat", "EDQUOT", file);
    inject("renameat2", "ENOSPC", file);
}
