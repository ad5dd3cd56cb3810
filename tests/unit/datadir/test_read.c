#include "datadir/read.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/flow/golden.h"
#include "tests/lib/fault.h"
#include "tests/unit/datadir/den.h"

/* What the golden database of 3.5 says: its last entry, and the term of that. */
enum { APPLIED = 93, TERM = 2 };
enum { APPLIED_3_4 = 90 };

CASE(read, what_real_servers_left)
{
    for (int i = 0; i < DEN_GOLDENS; i++) {
        const struct den_golden *g = &den_goldens[i];
        bool lags = strcmp(g->version, "3.4") == 0;
        DEN den;

        den_golden(&den, g->version);
        OK(den_open(&den), &den.e);
        cr_assert(den.d->ok, "%s", g->version);
        cr_assert_eq(den.d->verdict, DATADIR_WHOLE, "%s: %s", g->version,
                     datadir_verdict_name(den.d->verdict));
        cr_assert_eq(den.d->member_id, g->member);
        cr_assert_str_eq(den.d->member_name, "tricky");
        cr_assert_eq(den.d->applied, lags ? 90 : 93, "%" PRIu64, den.d->applied);
        cr_assert_eq(den.d->committed, lags ? 92 : 93, "%" PRIu64, den.d->committed);
        cr_assert_eq(den.d->first, den.d->applied + 1);
        cr_assert_eq(den.d->last, lags ? 92 : 93);
        cr_assert_eq(den.d->facts.revision, lags ? DEN_REVISION - 2 : DEN_REVISION);
        cr_assert_eq(den_has(&den, "wal-tail", FINDING_NOTE), lags);
    }
}

/* The 3.5 database with another log. */
static void with_log(struct den *den, struct den_log log)
{
    den_make(den);
    den_golden_db(den, "3.5", "db");
    den_log(den, log);
    OK(den_open(den), &den->e);
}

CASE(read, a_log_that_goes_on)
{
    DEN den;

    with_log(&den, (struct den_log){ .first = APPLIED - 3, .last = 100, .term = TERM });
    cr_assert(den.d->ok);
    cr_assert(den.d->first == APPLIED + 1 && den.d->last == 100);
    cr_assert_eq(den.d->committed, 100);
    /* It is member 7's, whom this database never heard of. */
    cr_assert(den_has(&den, "member-unknown", FINDING_WARN));
}

CASE(read, logs_that_do_not_fit)
{
    static const struct {
        struct den_log log;
        enum datadir_verdict want;
        const char *code;
    } cases[] = {
        { { .first = APPLIED + 2, .last = 100, .term = TERM }, DATADIR_GAP, "wal-gap" },
        { { .first = 50, .last = APPLIED - 1, .term = TERM },
          DATADIR_BEHIND,
          "wal-behind" },
        { { .first = 50, .last = 100, .term = TERM - 1 },
          DATADIR_FOREIGN,
          "wal-foreign" },
        { { .first = APPLIED + 2, .last = 100, .term = TERM, .mark = APPLIED + 1 },
          DATADIR_GAP,
          "snap-db-missing" },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        DEN den;

        with_log(&den, cases[i].log);
        cr_assert_eq(den.d->verdict, cases[i].want, "%zu: %s", i,
                     datadir_verdict_name(den.d->verdict));
        cr_assert(den_has(&den, cases[i].code, FINDING_ERROR), "%s", cases[i].code);
        cr_assert(!den.d->ok && den.d->last < den.d->first);
    }
}

/* A leader's database that came and was not put in place: etcd would boot with it. */
CASE(read, a_received_database_goes_first)
{
    char name[64];
    DEN den;

    den_make(&den);
    den_golden_db(&den, "3.4", "db");
    snprintf(name, sizeof name, "%016x.snap.db", APPLIED);
    den_golden_db(&den, "3.5", name);
    den_log(&den, (struct den_log){
                      .first = APPLIED + 1, .last = 100, .term = TERM, .mark = APPLIED });
    OK(den_open(&den), &den.e);
    cr_assert(den.d->ok && den.d->received);
    cr_assert(den_has(&den, "db-received", FINDING_WARN));
    cr_assert(den_has(&den, "snap-missing", FINDING_WARN));
    cr_assert_eq(den.d->applied, APPLIED);
    cr_assert(den.d->first == APPLIED + 1 && den.d->last == 100);

    /* One that is for another snapshot is not looked at. */
    cr_assert_eq(
        rename(path_in(den.snap, name), path_in(den.snap, "0000000000000064.snap.db")),
        0);
    OK(den_open(&den), &den.e);
    cr_assert(!den.d->ok && !den.d->received);
    cr_assert_eq(den.d->applied, APPLIED_3_4);
    cr_assert(den_has(&den, "snap-db-missing", FINDING_ERROR));
}

CASE(read, parts_that_are_missing)
{
    DEN den;

    den_golden(&den, "3.6");
    cr_assert_eq(unlink(den.db), 0);
    OK(den_open(&den), &den.e);
    cr_assert(den.d->ok && den.d->db_missing, "the log begins with the cluster");
    cr_assert(den_has(&den, "db-missing", FINDING_WARN));
    cr_assert(den.d->first == 1 && den.d->last == 93);

    den_golden_db(&den, "3.6", "db");
    cr_assert_eq(unlink(den.segment), 0);
    OK(den_open(&den), &den.e);
    cr_assert(!den.d->ok);
    cr_assert_eq(den.d->verdict, DATADIR_NO_LOG);
    cr_assert(den_has(&den, "wal-missing", FINDING_ERROR));
    cr_assert_eq(den.d->facts.revision, DEN_REVISION);

    cr_assert_eq(unlink(den.db), 0);
    OK(den_open(&den), &den.e);
    cr_assert_eq(den.d->verdict, DATADIR_NO_DATA);
    cr_assert(den_has(&den, "db-missing", FINDING_ERROR));
    cr_assert_eq(rmdir(den.snap), 0);
    cr_assert_eq(rmdir(den.wal), 0);
    cr_assert_eq(rmdir(path_in(den.dir, "member")), 0);
    cr_assert_eq(den_open(&den), RC_NOTFOUND);
    cr_assert_not_null(strstr(den.e.why, "is no data directory"), "%s", den.e.why);
}

/* Somebody put an older database back: etcd does not start, but the log has the rest. */
CASE(read, an_older_database_put_back)
{
    DEN den;

    den_make(&den);
    den_golden_db(&den, "3.4", "db");
    den_log(&den, (struct den_log){ .first = 80, .last = 100, .term = TERM, .mark = 95 });
    OK(den_open(&den), &den.e);
    cr_assert(den.d->ok);
    cr_assert(den_has(&den, "snap-db-missing", FINDING_WARN));
    cr_assert(den.d->first == APPLIED_3_4 + 1 && den.d->last == 100);

    /* A leader's snapshot of another term: entry 95 was never committed. */
    den_log(&den,
            (struct den_log){
                .first = 80, .last = 100, .term = TERM, .mark = 95, .later = true });
    OK(den_open(&den), &den.e);
    cr_assert(!den.d->ok);
    cr_assert_eq(den.d->verdict, DATADIR_GAP);
    cr_assert(den_has(&den, "wal-overtaken", FINDING_ERROR));
}

/* Raft's own files are not needed for database and log. */
CASE(read, a_damaged_snapshot_file_blocks_nothing)
{
    DEN den;

    den_make(&den);
    den_golden_db(&den, "3.4", "db");
    den_log(&den, (struct den_log){ .first = 80, .last = 100, .term = TERM, .mark = 85 });
    golden_write(path_in(den.snap, "0000000000000002-0000000000000055.snap"), "no", 2);
    OK(den_open(&den), &den.e);
    cr_assert(den_has(&den, "snap-damaged", FINDING_ERROR));
    cr_assert(den.d->ok);
}

/* Killed in its first moments: the file is there, and nothing in it. */
CASE(read, a_database_with_nothing_in_it_yet)
{
    DEN den;

    den_golden(&den, "3.7");
    den_empty_db(&den);
    OK(den_open(&den), &den.e);
    cr_assert(den.d->ok && den.d->db == NULL);
    cr_assert(den_has(&den, "db-young", FINDING_WARN));
    cr_assert(!den_has(&den, "db-missing", FINDING_WARN));
    cr_assert(den.d->first == 1 && den.d->last == 93);

    den_log(&den, (struct den_log){ .first = 2, .last = 9, .term = 2 });
    cr_assert_eq(unlink(path_in(den.wal, FIRST_SEGMENT)), 0);
    OK(den_open(&den), &den.e);
    cr_assert(!den.d->ok && den.d->db != NULL, "without a complete log it counts");
    cr_assert_eq(den.d->verdict, DATADIR_GAP);
}

/* A restore's log begins with entry 1 too, and holds none of the keys. */
CASE(read, a_log_written_by_a_restore_is_no_cluster)
{
    AT_END(buf_clear)
    struct buf packed = golden_file(
        "tests/golden/etcd-3.5/restored/0000000000000000-0000000000000000.wal.zst");
    size_t n = (size_t)ZSTD_getFrameContentSize(packed.p, packed.n);
    AT_END(mem_end) uint8_t *log = mem_zero(n);
    DEN den;

    cr_assert_eq(ZSTD_decompress(log, n, packed.p, packed.n), n);
    den_make(&den);
    golden_write(den.segment, log, n);
    OK(den_open(&den), &den.e);
    cr_assert_eq(den.d->verdict, DATADIR_NO_DATA);
    cr_assert(!den.d->ok && den_has(&den, "db-missing", FINDING_ERROR));
}

CASE(read, the_member_directory_and_a_log_elsewhere)
{
    struct datadir_request q = { 0 };
    struct err e = { 0 };
    DEN den;

    den_golden(&den, "3.7");
    q.dir = path_in(den.dir, "member");
    OK(datadir_open(&q, &den.d, &e), &e);
    cr_assert(den.d->ok);
    den_clear(&den);

    cr_assert_eq(rename(den.wal, path_in(den.dir, "log")), 0);
    q.wal_dir = path_in(den.dir, "log");
    OK(datadir_open(&q, &den.d, &e), &e);
    cr_assert(den.d->ok);
    cr_assert_eq(den.d->last, 93);
}

CASE(read, damage_is_told_and_does_not_stop_it)
{
    DEN den;

    den_golden(&den, "3.5");
    OK(den_open(&den), &den.e);
    den_flip(den.db, bolt_file_meta(den.d->db)->root * 4096 + 8);
    OK(den_open(&den), &den.e);
    cr_assert(!den.d->ok && den.d->findings.errors > 0);
    cr_assert_eq(den.d->verdict, DATADIR_WHOLE);

    den_cut(den.db, 5000);
    OK(den_open(&den), &den.e);
    cr_assert(!den.d->ok && den.d->db == NULL && !den.d->db_missing);
    cr_assert(den_has(&den, "db-unreadable", FINDING_ERROR));
    den_clear(&den);

    den_golden(&den, "3.5");
    den_flip(den.segment, den_size(den.segment) / 2);
    OK(den_open(&den), &den.e);
    cr_assert(!den.d->ok);
    cr_assert_eq(den.d->verdict, DATADIR_DAMAGED);
    cr_assert_lt(den.d->last, den.d->first, "the damage lies before the database's end");
}

CASE(read, a_torn_end_is_normal)
{
    DEN den;

    den_golden(&den, "3.4");
    den_cut(den.segment, den_size(den.segment) - 4);
    OK(den_open(&den), &den.e);
    cr_assert(den.d->ok);
    cr_assert_eq(den.d->verdict, DATADIR_TORN);
}

/* ---- in use ------------------------------------------------------------------------ */

static bool lock_db(const char *path)
{
    int fd = open(path, O_RDWR);

    return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0;
}

static bool lock_segment(const char *path)
{
    struct flock all = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    int fd = open(path, O_RDWR);

    return fd >= 0 && fcntl(fd, F_OFD_SETLK, &all) == 0;
}

static bool only_open(const char *path)
{
    return open(path, O_RDWR) >= 0;
}

/* Another process that has done that to `path`, until *release is closed. */
static pid_t holding(const char *path, bool (*take)(const char *), int *release)
{
    int ready[2], done[2];
    char byte;
    pid_t pid;

    cr_assert(pipe(ready) == 0 && pipe(done) == 0);
    pid = fork();
    if (pid == 0) {
        close(done[1]);
        if (take(path) && write(ready[1], "", 1) == 1)
            (void)!read(done[0], &byte, 1);
        _exit(0);
    }
    close(ready[1]);
    close(done[0]);
    cr_assert_eq(read(ready[0], &byte, 1), 1, "the lock could be taken");
    close(ready[0]);
    *release = done[1];
    return pid;
}

static void let_go(pid_t pid, int release)
{
    close(release);
    cr_assert_eq(waitpid(pid, NULL, 0), pid);
}

static void refused(struct den *den, const char *path, bool (*take)(const char *))
{
    struct datadir_request q = { .dir = den->dir, .in_use_too = true };
    struct err e = { 0 };
    char pid_text[64];
    int release;
    pid_t pid;

    OK(den_open(den), &den->e);
    pid = holding(path, take, &release);
    cr_assert_eq(datadir_intact(den->d, &e), RC_LOCKED, "since it was opened");
    cr_assert_eq(den_open(den), RC_LOCKED);
    snprintf(pid_text, sizeof pid_text, "is in use by process %d (", (int)pid);
    cr_assert_not_null(strstr(den->e.why, pid_text), "%s", den->e.why);

    OK(datadir_open(&q, &den->d, &e), &e);
    cr_assert(den->d->in_use && !den->d->ok);
    cr_assert_eq(den->d->holder.pid, (uint64_t)pid);
    cr_assert(den_has(den, "in-use", FINDING_WARN));
    cr_assert_eq(den->d->facts.revision, DEN_REVISION);
    let_go(pid, release);
}

CASE(read, refused_while_somebody_holds_it)
{
    DEN den;
    pid_t pid;
    int release;

    den_golden(&den, "3.5");
    refused(&den, den.db, lock_db);
    refused(&den, den.segment, lock_segment);
    pid = holding(den.db, only_open, &release);
    OK(den_open(&den), &den.e); /* another reader */
    let_go(pid, release);
}

CASE(read, what_shrinks_meanwhile_is_not_believed)
{
    struct err e = { 0 };
    DEN den;

    den_golden(&den, "3.5");
    OK(den_open(&den), &den.e);
    OK(datadir_intact(den.d, &e), &e);
    den_cut(den.db, den_size(den.db) / 2);
    cr_assert_eq(datadir_intact(den.d, &e), RC_CORRUPT);
}

/* ---- failures ---------------------------------------------------------------------- */

/* Whatever fails, it never says that a directory is good which it could not read. */
static void sweep(enum fault_point point, enum rc want, unsigned least)
{
    unsigned runs = 0;
    DEN den;

    den_golden(&den, "3.4");
    FAULT_SWEEP(point, nth, EIO) {
        enum rc rc = den_open(&den);

        runs = nth;
        cr_assert(rc == RC_OK ? den.d->ok : rc == want, "call %u: %s", nth, den.e.why);
    }
    cr_assert_gt(runs, least);
}

CASE(read, any_failed_allocation)
{
    sweep(FAULT_ALLOC, RC_NOMEM, 50);
}

CASE(read, any_failed_open)
{
    sweep(FAULT_OPEN, RC_STORAGE, 5);
}

CASE(read, any_failed_read)
{
    sweep(FAULT_READ, RC_STORAGE, 2);
}
