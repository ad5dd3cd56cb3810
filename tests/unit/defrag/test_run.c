/* The whole: what comes out, and that at no moment there is anything but the old database
 * or the new one. */
#include <errno.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "mvcc/history.h"
#include "tests/lib/fault.h"
#include "tests/unit/defrag/lair.h"
#include "tests/unit/defrag/model.h"

/* What a defrag of the lair makes: it is the same bytes every time. */
static struct buf expected(void (*make)(struct lair *))
{
    LAIR l;
    struct defrag_request q;
    struct err e = { 0 };

    make(&l);
    q = lair_defrag(&l);
    OK(lair_run(&q, NULL, &e), &e);
    return golden_file(l.snapshot[0] != '\0' ? l.snapshot : l.db);
}

static void make_snapshot(struct lair *l)
{
    lair_snapshot(l, true);
}

CASE(run, a_data_dir_keeps_mode_owner_and_content)
{
    LAIR l;
    struct defrag_request q;
    struct defrag_done d, would;
    struct stat before, after;
    struct err e = { 0 };

    lair_data_dir(&l);
    cr_assert_eq(chmod(l.db, 0640), 0);
    /* Only root may give files away. */
    cr_assert(geteuid() != 0 || chown(l.db, 4711, 4712) == 0);
    cr_assert_eq(stat(l.db, &before), 0);
    q = lair_defrag(&l);
    q.place.look_only = true;
    OK(lair_run(&q, &would, &e), &e);
    cr_assert(golden_same(l.db, l.old));
    cr_assert_str_eq(dir_listing(l.snap), "db");
    q.place.look_only = false;
    OK(lair_run(&q, &d, &e), &e);
    cr_assert_eq(stat(l.db, &after), 0);
    cr_assert_eq(after.st_mode & 07777, 0640);
    cr_assert(after.st_uid == before.st_uid && after.st_gid == before.st_gid);
    cr_assert_eq((uint64_t)after.st_size, d.size_after);
    cr_assert_eq(after.st_nlink, 1);
    cr_assert_str_eq(dir_listing(l.snap), "db");

    cr_assert(d.proved && !would.proved);
    cr_assert_eq(d.size_before, l.old.n);
    cr_assert(would.size_after == d.size_after && would.pages_freed == d.pages_freed &&
                  would.hashkv == d.hashkv && would.pairs == d.pairs,
              "the dry run is exact");
    cr_assert_eq((uint64_t)d.pages_freed * 4096, d.size_before - d.size_after);
    cr_assert(d.hash_known && d.hashkv == 1355990218 && d.revision == 56 &&
                  d.compact_revision == 21,
              "as `snapshot hashkv` of the golden file");
}

CASE(run, the_backup_stays_on_demand)
{
    LAIR l;
    struct defrag_request q;
    struct err e = { 0 };
    char backup[400];

    lair_data_dir(&l);
    q = lair_defrag(&l);
    q.place.keep_backup = true;
    OK(lair_run(&q, NULL, &e), &e);
    cr_assert_str_eq(dir_listing(l.snap), "db db.bak");
    snprintf(backup, sizeof backup, "%s.bak", l.db);
    cr_assert(golden_same(backup, l.old));
    cr_assert_eq(lair_run(&q, NULL, &e), RC_REFUSED);
}

CASE(run, a_snapshot_ends_in_its_digest)
{
    for (unsigned trailer = 0; trailer < 2; trailer++)
        for (unsigned output = 0; output < 2; output++) {
            LAIR l;
            struct defrag_request q;
            struct defrag_done d;
            struct stat st;
            struct err e = { 0 };
            char out[400];

            lair_snapshot(&l, trailer);
            snprintf(out, sizeof out, "%s/new.db", l.dir);
            q = lair_defrag(&l);
            q.place.output = output ? out : NULL;
            OK(lair_run(&q, &d, &e), &e);
            cr_assert_eq(d.trailer_added, !trailer);
            cr_assert_eq(golden_same(l.snapshot, l.old), output == 1);

            AT_END(buf_clear) struct buf got = golden_file(output ? out : l.snapshot);
            AT_END(buf_clear) struct buf want = expected(make_snapshot);

            cr_assert(got.n == d.size_after && got.n % 512 == 32);
            cr_assert(got.n == want.n && memcmp(got.p, want.p, got.n) == 0);
            if (output) {
                cr_assert_eq(stat(out, &st), 0);
                cr_assert_eq(st.st_mode & 07777, 0600);
            }
        }
}

static void untouched(const struct lair *l, enum rc rc, const char *says)
{
    struct defrag_request q = lair_defrag(l);
    struct err e = { 0 };

    cr_assert_eq(lair_run(&q, NULL, &e), rc, "%s: %s", says, e.why);
    cr_assert_not_null(strstr(e.why, says), "%s: %s", says, e.why);
    cr_assert_str_eq(dir_listing(l->snap), l->snapshot[0] != '\0' ? "x.db" : "db");
    cr_assert(golden_same(l->snapshot[0] != '\0' ? l->snapshot : l->db, l->old));
}

CASE(run, damage_is_not_copied)
{
    LAIR l;

    lair_snapshot(&l, true);
    l.old.p[l.old.n - 1] ^= 1;
    golden_write(l.snapshot, l.old.p, l.old.n);
    untouched(&l, RC_CORRUPT, "SHA-256 trailer does not match");
    l.old.p[l.old.n - 1] ^= 1;
    /* A leaf's header: it names itself another page. */
    for (size_t at = 8192; at < l.old.n - 4096; at += 4096)
        if (l.old.p[at + 8] == 2)
            l.old.p[at] ^= 0x55;
    golden_write(l.snapshot, l.old.p, l.old.n);
    untouched(&l, RC_CORRUPT, "page");
    golden_write(l.snapshot, "\x28\xb5\x2f\xfd and so on", 14);
    buf_clear(&l.old);
    l.old = golden_file(l.snapshot);
    untouched(&l, RC_CORRUPT, "zstd data");
}

CASE(run, compacts_only_what_makes_sense)
{
    static struct model m;
    AT_END(buf_clear) struct buf image = { 0 };
    AT_END(findings_clear) struct findings f = { 0 };
    LAIR l;
    struct defrag_request q;
    struct defrag_done d;
    struct err e = { 0 };

    lair_snapshot(&l, true);
    q = lair_defrag(&l);
    q.goal = (struct defrag_goal){ .kind = DEFRAG_REVISION, .number = 57 };
    cr_assert_eq(lair_run(&q, NULL, &e), RC_USAGE);
    q.goal.number = 21;
    cr_assert_eq(lair_run(&q, NULL, &e), RC_REFUSED);
    cr_assert(golden_same(l.snapshot, l.old));

    /* A record in the middle is missing: its key's history cannot be told. */
    model_make(&m, 7, 40);
    memmove(&m.records[9], &m.records[10], (m.count - 10) * sizeof m.records[0]);
    m.count--;
    image = model_image(&m, true);
    golden_write(l.snapshot, image.p, image.n);
    q.goal.number = 20;
    cr_assert_eq(lair_run(&q, NULL, &e), RC_CORRUPT, "%s", e.why);
    cr_assert_not_null(strstr(e.hint, "a compaction goes by the history"), "%s", e.hint);
    cr_assert(golden_same(l.snapshot, image));
    /* A defrag takes it as it is, and says so. */
    q.goal.kind = DEFRAG_ALL;
    OK(defrag_run(&q, &f, &d, &e), &e);
    cr_assert(d.proved && f.errors > 0);
}

CASE(run, compacts_in_place)
{
    LAIR l;
    struct defrag_request q;
    struct defrag_done d, would;
    struct err e = { 0 };

    lair_data_dir(&l);
    q = lair_defrag(&l);
    q.goal = (struct defrag_goal){ .kind = DEFRAG_NEWEST, .number = 10 };
    q.place.look_only = true;
    OK(lair_run(&q, &would, &e), &e);
    q.place.look_only = false;
    OK(lair_run(&q, &d, &e), &e);
    cr_assert(d.compact_revision == 46 && d.revision == 56 && d.records_dropped > 0);
    cr_assert(would.records_dropped == d.records_dropped &&
              would.size_after == d.size_after && would.hashkv == d.hashkv &&
              would.bytes_dropped == d.bytes_dropped);
    cr_assert_eq(lair_run(&q, &d, &e), RC_REFUSED, "now it is done");
}

/* ---- room -------------------------------------------------------------------------- */

static uint64_t blocks_free;

static int small_disk(int fd, struct statvfs *st)
{
    int r = fstatvfs(fd, st);

    st->f_frsize = 4096;
    st->f_blocks = 20 << 10; /* 80 MiB, of which 64 MiB stay free */
    st->f_bavail = (16 << 10) + blocks_free;
    return r;
}

CASE(run, wants_room_for_the_new_one_not_for_the_old_one)
{
    int (*real)(int, struct statvfs *) = os.fstatvfs;
    LAIR l;
    struct defrag_request q;
    struct defrag_done d;
    struct err e = { 0 };

    lair_data_dir(&l);
    q = lair_defrag(&l);
    q.place.look_only = true;
    OK(lair_run(&q, &d, &e), &e);
    q.place.look_only = false;
    os.fstatvfs = small_disk;
    blocks_free = d.size_after / 4096 - 1;
    cr_assert_eq(lair_run(&q, NULL, &e), RC_STORAGE);
    cr_assert_not_null(strstr(e.why, "it takes 266.3 kB"), "%s", e.why);
    cr_assert(golden_same(l.db, l.old));
    cr_assert_str_eq(dir_listing(l.snap), "db");
    blocks_free = d.size_after / 4096 + 1;
    cr_assert_lt(blocks_free, l.old.n / 4096, "too little for a copy of the old one");
    OK(lair_run(&q, NULL, &e), &e);
    os.fstatvfs = real;
}

/* ---- failures ---------------------------------------------------------------------- */

/* Is there one of the two, whole? And if it is the new one after a failure, the old one
 * beside it? */
static bool whole(const struct lair *l, const struct buf *new)
{
    const char *path = l->snapshot[0] != '\0' ? l->snapshot : l->db;
    char backup[400];

    if (golden_same(path, l->old))
        return true;
    snprintf(backup, sizeof backup, "%s.bak", path);
    return golden_same(path, *new) &&
           (access(backup, F_OK) < 0 || golden_same(backup, l->old));
}

static unsigned sweep(enum fault_point point, int error, unsigned stride_after,
                      void (*make)(struct lair *))
{
    AT_END(buf_clear) struct buf new = expected(make);
    unsigned failures = 0;
    bool more = true;

    for (unsigned nth = 1; more; nth += nth < stride_after ? 1 : 41) {
        LAIR l;
        struct defrag_request q;
        struct err e = { 0 };
        enum rc rc;

        make(&l);
        q = lair_defrag(&l);
        fault_arm(point, nth, error);
        rc = lair_run(&q, NULL, &e);
        more = fault_disarm();
        failures += rc != RC_OK;
        cr_assert(whole(&l, &new), "fault %d, call %u: neither old nor new (%s)", point,
                  nth, e.why);
        cr_assert(rc == RC_OK || e.why[0] != '\0', "fault %d, call %u", point, nth);
        cr_assert(rc != RC_OK || strcmp(dir_listing(l.snap), "db") == 0 ||
                      strcmp(dir_listing(l.snap), "x.db") == 0,
                  "fault %d, call %u leaves %s", point, nth, dir_listing(l.snap));
    }
    return failures;
}

CASE(run, failed_writes_leave_the_old_or_the_new, .timeout = 240)
{
    cr_assert_geq(sweep(FAULT_WRITE, ENOSPC, 1000, lair_data_dir), 2);
    cr_assert_geq(sweep(FAULT_WRITE, EIO, 1000, make_snapshot), 3);
    cr_assert_eq(sweep(FAULT_WRITE, 0, 1000, make_snapshot), 0, "short writes go on");
}

CASE(run, failed_syncs_and_renames_leave_the_old_or_the_new, .timeout = 240)
{
    cr_assert_geq(sweep(FAULT_FSYNC, EIO, 1000, lair_data_dir), 3);
    cr_assert_geq(sweep(FAULT_FSYNC, EIO, 1000, make_snapshot), 4);
    cr_assert_geq(sweep(FAULT_RENAME, EIO, 1000, lair_data_dir), 3, "link, link, rename");
    cr_assert_geq(sweep(FAULT_RENAME, EIO, 1000, make_snapshot), 3);
}

CASE(run, failed_opens_and_memory_leave_the_old_or_the_new, .timeout = 240)
{
    cr_assert_geq(sweep(FAULT_OPEN, EMFILE, 1000, make_snapshot), 5);
    cr_assert_geq(sweep(FAULT_ALLOC, 0, 40, make_snapshot), 20);
}

/* ---- kills ------------------------------------------------------------------------- */

static struct {
    struct os_calls real;
    unsigned calls, last; /* dies before call number `last` that changes anything */
    bool dirty;           /* written and not yet synced */
} killer;

enum { DIED = 9, RENAMED_DIRTY = 77 };

static void step(void)
{
    if (++killer.calls == killer.last)
        _exit(DIED);
}

static ssize_t killing_pwrite(int fd, const void *p, size_t n, off_t at)
{
    step();
    killer.dirty = true;
    return killer.real.pwrite(fd, p, n, at);
}

static int killing_fsync(int fd)
{
    step();
    killer.dirty = false;
    return killer.real.fsync(fd);
}

static void publishing(void)
{
    step();
    if (killer.dirty)
        _exit(RENAMED_DIRTY);
}

static int killing_linkat(int dir, const char *from, int to_dir, const char *to,
                          int flags)
{
    publishing();
    return killer.real.linkat(dir, from, to_dir, to, flags);
}

static bool no_links;

static int failing_linkat(int dir, const char *from, int to_dir, const char *to,
                          int flags)
{
    if (dir != AT_FDCWD) {
        errno = EPERM;
        return -1;
    }
    return killing_linkat(dir, from, to_dir, to, flags);
}

static int killing_renameat2(int dir, const char *from, int to_dir, const char *to,
                             unsigned flags)
{
    publishing();
    return killer.real.renameat2(dir, from, to_dir, to, flags);
}

static int killing_unlinkat(int dir, const char *path, int flags)
{
    step();
    return killer.real.unlinkat(dir, path, flags);
}

/* In a process of its own, which dies before its nth call. Its exit status. */
static int run_and_die(const struct lair *l, unsigned nth)
{
    struct defrag_request q = lair_defrag(l);
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        struct err e = { 0 };

        killer.real = os;
        killer.last = nth;
        os.pwrite = killing_pwrite;
        os.fsync = killing_fsync;
        os.linkat = no_links ? failing_linkat : killing_linkat;
        os.renameat2 = killing_renameat2;
        os.unlinkat = killing_unlinkat;
        _exit(lair_run(&q, NULL, &e) == RC_OK ? 0 : 1);
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFEXITED(status), "call %u", nth);
    return WEXITSTATUS(status);
}

/* The next run clears up; only a backup that is not the database itself is left to the
 * operator. */
static void run_again(const struct lair *l, const struct buf *new, unsigned nth)
{
    struct defrag_request q = lair_defrag(l);
    const char *path = l->snapshot[0] != '\0' ? l->snapshot : l->db;
    struct err e = { 0 };
    enum rc rc = lair_run(&q, NULL, &e);
    char backup[400];

    if (rc == RC_REFUSED) {
        snprintf(backup, sizeof backup, "%s.bak", path);
        cr_assert(golden_same(path, *new) && golden_same(backup, l->old), "call %u", nth);
        cr_assert_eq(unlink(backup), 0);
        rc = lair_run(&q, NULL, &e);
    }
    cr_assert(rc == RC_OK, "call %u: %s", nth, e.why);
    cr_assert(golden_same(path, *new), "call %u", nth);
    cr_assert(strchr(dir_listing(l->snap), ' ') == NULL, "call %u leaves %s", nth,
              dir_listing(l->snap));
}

static void kill_everywhere(void (*make)(struct lair *), unsigned at_least)
{
    AT_END(buf_clear) struct buf new = expected(make);
    unsigned nth = 1;
    int status = DIED;

    for (; status == DIED; nth++) {
        LAIR l;

        make(&l);
        status = run_and_die(&l, nth);
        cr_assert(status == DIED || status == 0, "call %u: status %d", nth, status);
        if (!no_links)
            cr_assert(whole(&l, &new), "killed before call %u", nth);
        run_again(&l, &new, nth);
    }
    cr_assert_geq(nth, at_least, "only %u calls", nth);
}

CASE(run, killed_anywhere_there_is_the_old_or_the_new, .timeout = 240)
{
    kill_everywhere(lair_data_dir, 9);
    kill_everywhere(make_snapshot, 11);
}

/* Without hard links there is a moment in which the old one is only there as .bak; the
 * next run finds it. */
CASE(run, killed_anywhere_without_links_nothing_is_lost, .timeout = 240)
{
    no_links = true;
    kill_everywhere(lair_data_dir, 9);
}
