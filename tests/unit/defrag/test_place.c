/* Who may be touched, and what is found beside. */
#include "defrag/place.h"

#include <errno.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>

#include "tests/unit/defrag/lair.h"

static enum rc open_place(const struct defrag_request *q, struct defrag_place **out,
                          struct err *e)
{
    return defrag_place_open(&q->place, out, e);
}

/* A process that does `act` on the file and then waits to be killed. */
struct other {
    pid_t pid;
};

static void other_end(struct other *o)
{
    if (o->pid > 0) {
        kill(o->pid, SIGKILL);
        waitpid(o->pid, NULL, 0);
    }
}

typedef bool act_fn(int fd);

static bool take_flock(int fd)
{
    return flock(fd, LOCK_EX | LOCK_NB) == 0;
}

static bool take_range(int fd)
{
    struct flock all = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

    return fcntl(fd, F_OFD_SETLK, &all) == 0;
}

static bool just_open(int fd)
{
    return fd >= 0;
}

static void other_start(struct other *o, const char *path, act_fn *act)
{
    int pipes[2];
    char ready = 0;

    cr_assert_eq(pipe2(pipes, O_CLOEXEC), 0);
    o->pid = fork();
    if (o->pid == 0) {
        if (act(open(path, O_RDWR | O_CLOEXEC)) && write(pipes[1], "+", 1) == 1)
            for (;;)
                pause();
        _exit(1);
    }
    close(pipes[1]);
    cr_assert_eq(read(pipes[0], &ready, 1), 1, "the other process could not do it");
    close(pipes[0]);
}

static void refused(const struct defrag_request *q, const char *path, act_fn *act,
                    const char *says)
{
    AT_END(other_end) struct other o = { 0 };
    OWNED(defrag_place) p = NULL;
    struct err e = { 0 };
    char pid[32];

    other_start(&o, path, act);
    cr_assert_eq(open_place(q, &p, &e), RC_LOCKED, "%s", says);
    snprintf(pid, sizeof pid, "process %d (", o.pid);
    cr_assert_not_null(strstr(e.why, pid), "%s: %s", pid, e.why);
    cr_assert_not_null(strstr(e.why, says), "%s: %s", says, e.why);
}

CASE(place, in_use_is_refused_with_the_process)
{
    LAIR l;
    OWNED(defrag_place) p = NULL;
    struct defrag_request q;
    struct err e = { 0 };

    lair_data_dir(&l);
    q = lair_defrag(&l);
    refused(&q, l.db, take_flock, "/member/snap/db' is in use by");
    refused(&q, l.segment, take_range, "0.wal' is in use by");
    refused(&q, l.db, just_open, "has '");
    q.place.look_only = true;
    refused(&q, l.db, take_flock, "/member/snap/db' is in use by");
    OK(open_place(&q, &p, &e), &e);
}

CASE(place, holds_the_locks_until_it_ends)
{
    LAIR l;
    OWNED(defrag_place) p = NULL;
    OWNED_FD int db = -1, segment = -1;
    struct flock all = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    struct defrag_request q;
    struct err e = { 0 };

    lair_data_dir(&l);
    q = lair_defrag(&l);
    OK(open_place(&q, &p, &e), &e);
    db = open(l.db, O_RDWR | O_CLOEXEC);
    segment = open(l.segment, O_RDWR | O_CLOEXEC);
    cr_assert(flock(db, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK);
    cr_assert(fcntl(segment, F_OFD_SETLK, &all) < 0 && errno == EAGAIN);
    defrag_place_free(p);
    p = NULL;
    cr_assert_eq(flock(db, LOCK_EX | LOCK_NB), 0);
    cr_assert_eq(fcntl(segment, F_OFD_SETLK, &all), 0);
}

CASE(place, a_snapshot_that_is_only_read_is_shared)
{
    LAIR l;
    OWNED(defrag_place) p = NULL;
    OWNED(defrag_place) again = NULL;
    struct defrag_request q;
    struct err e = { 0 };
    char out[400];

    lair_snapshot(&l, true);
    snprintf(out, sizeof out, "%s/new.db", l.dir);
    q = lair_defrag(&l);
    q.place.output = out;
    refused(&q, l.snapshot, take_flock, "is in use by");
    OK(open_place(&q, &p, &e), &e);
    OK(open_place(&q, &again, &e), &e);
    q.place.output = NULL;
    cr_assert_eq(open_place(&q, &again, &e), RC_LOCKED);
}

static void fails(const struct defrag_request *q, enum rc rc, const char *says)
{
    OWNED(defrag_place) p = NULL;
    struct err e = { 0 };

    cr_assert_eq(open_place(q, &p, &e), rc, "%s: %s", says, e.why);
    cr_assert_not_null(strstr(e.why, says), "%s: %s", says, e.why);
}

CASE(place, does_not_follow_replace_or_guess)
{
    LAIR l;
    struct defrag_request q = { 0 };
    char link[400], where[400];

    lair_snapshot(&l, true);
    snprintf(link, sizeof link, "%s/link.db", l.dir);
    cr_assert_eq(symlink(l.snapshot, link), 0);
    q.place.snapshot = link;
    fails(&q, RC_REFUSED, "cannot open 'link.db'");
    q.place.snapshot = l.dir;
    fails(&q, RC_USAGE, "is not a regular file");
    q.place.snapshot = "/nonexistent/x.db";
    fails(&q, RC_NOTFOUND, "/nonexistent");
    q.place.snapshot = "/nonexistent/member/snap/db";
    fails(&q, RC_USAGE, "is the database of a member");
    q = (struct defrag_request){ .place.data_dir = l.dir };
    fails(&q, RC_NOTFOUND, "member/snap");

    q = lair_defrag(&l);
    q.place.output = l.snapshot;
    fails(&q, RC_REFUSED, "exists already");
    q.place.output = link;
    fails(&q, RC_REFUSED, "exists already");
    q.place.output = "-";
    fails(&q, RC_USAGE, "standard output");
    q.place.output = "/tmp/..";
    fails(&q, RC_USAGE, "names no file");
    snprintf(where, sizeof where, "%s/open", l.dir);
    cr_assert(mkdir(where, 0777) == 0 && chmod(where, 0777) == 0);
    snprintf(where, sizeof where, "%s/open/x.db", l.dir);
    q.place.output = where;
    fails(&q, RC_REFUSED, "anybody may write");
}

CASE(place, another_database_beside_is_somebodys_last_copy)
{
    LAIR l;
    struct defrag_request q;
    char backup[400];

    lair_data_dir(&l);
    q = lair_defrag(&l);
    snprintf(backup, sizeof backup, "%s.bak", l.db);
    golden_write(backup, l.old.p, l.old.n);
    fails(&q, RC_REFUSED, "db.bak' exists: the database as it was before an earlier run");
    cr_assert(golden_same(backup, l.old));
}

CASE(place, sweeps_what_killed_runs_left)
{
    LAIR l;
    OWNED(defrag_place) p = NULL;
    struct defrag_request q;
    struct err e = { 0 };
    char backup[400], part[400];

    lair_data_dir(&l);
    q = lair_defrag(&l);
    snprintf(backup, sizeof backup, "%s.bak", l.db);
    snprintf(part, sizeof part, "%s/.db.holdfast-01234567.part", l.snap);
    cr_assert_eq(link(l.db, backup), 0);
    golden_write(part, "part", 4);
    q.place.look_only = true;
    OK(open_place(&q, &p, &e), &e);
    cr_assert_str_eq(dir_listing(l.snap), ".db.holdfast-01234567.part db db.bak",
                     "looking only changes nothing");
    defrag_place_free(p);
    p = NULL;
    q.place.look_only = false;
    OK(open_place(&q, &p, &e), &e);
    cr_assert_str_eq(dir_listing(l.snap), "db");
}

CASE(place, gives_a_lost_database_its_name_back)
{
    LAIR l;
    OWNED(defrag_place) p = NULL;
    struct defrag_request q;
    struct err e = { 0 };
    char backup[400];

    lair_data_dir(&l);
    q = lair_defrag(&l);
    snprintf(backup, sizeof backup, "%s.bak", l.db);
    cr_assert_eq(rename(l.db, backup), 0);
    q.place.look_only = true;
    fails(&q, RC_NOTFOUND, "is missing, but 'db.bak' is there");
    q.place.look_only = false;
    OK(open_place(&q, &p, &e), &e);
    cr_assert_str_eq(dir_listing(l.snap), "db");
    cr_assert(golden_same(l.db, l.old));
    cr_assert_not_null(strstr(lair_log, "has been recovered"), "%s", lair_log);
}

CASE(place, tells_of_what_etcd_left)
{
    LAIR l;
    OWNED(defrag_place) p = NULL;
    struct defrag_request q;
    struct err e = { 0 };
    char left[400];

    lair_data_dir(&l);
    q = lair_defrag(&l);
    snprintf(left, sizeof left, "%s/db.tmp.123456", l.snap);
    golden_write(left, "x", 1);
    OK(open_place(&q, &p, &e), &e);
    cr_assert_not_null(strstr(lair_log, "'db.tmp.123456' lies beside"), "%s", lair_log);
}

/* ---- somebody comes in the last moment -----------------------------------------------
 */

static struct {
    const char *path;
    struct other other;
    int (*rename)(int, const char *, int, const char *, unsigned);
} latecomer;

/* An etcd that was started a moment ago has opened the old one and waits for its lock. */
static int rename_too_late(int dir, const char *from, int to_dir, const char *to,
                           unsigned flags)
{
    if (latecomer.other.pid == 0)
        other_start(&latecomer.other, latecomer.path, just_open);
    return latecomer.rename(dir, from, to_dir, to, flags);
}

static enum rc publish(struct defrag_place *p, struct err *e)
{
    int fd;

    TRY(defrag_place_begin(p, &fd, e));
    TRY(os_write_full(fd, "new", 3, "the new one", e));
    return defrag_place_publish(p, e);
}

CASE(place, an_open_database_is_not_swapped)
{
    AT_END(other_end) struct other o = { 0 };
    LAIR l;
    OWNED(defrag_place) p = NULL;
    struct defrag_request q;
    struct err e = { 0 };

    lair_data_dir(&l);
    q = lair_defrag(&l);
    OK(open_place(&q, &p, &e), &e);
    other_start(&o, l.db, just_open);
    cr_assert_eq(publish(p, &e), RC_LOCKED, "%s", e.why);
    cr_assert(golden_same(l.db, l.old));
    cr_assert_str_eq(dir_listing(l.snap), "db");
}

CASE(place, one_that_is_opened_during_the_swap_is_put_back)
{
    LAIR l;
    OWNED(defrag_place) p = NULL;
    struct defrag_request q;
    struct stat before, after;
    struct err e = { 0 };

    lair_data_dir(&l);
    q = lair_defrag(&l);
    cr_assert_eq(stat(l.db, &before), 0);
    OK(open_place(&q, &p, &e), &e);
    latecomer.path = l.db;
    latecomer.rename = os.renameat2;
    os.renameat2 = rename_too_late;

    enum rc rc = publish(p, &e);

    os.renameat2 = latecomer.rename;
    other_end(&latecomer.other);
    cr_assert_eq(rc, RC_LOCKED, "%s", e.why);
    cr_assert_not_null(strstr(e.why, "/db' open"), "%s", e.why);
    cr_assert_eq(stat(l.db, &after), 0);
    cr_assert_eq(before.st_ino, after.st_ino, "the file that the other one has open");
    cr_assert(golden_same(l.db, l.old));
    cr_assert_str_eq(dir_listing(l.snap), "db");
}

static int no_unlink(int dir, const char *path, int flags)
{
    (void)dir;
    (void)path;
    (void)flags;
    errno = EPERM;
    return -1;
}

CASE(place, what_cannot_be_removed_is_said)
{
    LAIR l;
    OWNED(defrag_place) p = NULL;
    int (*real)(int, const char *, int) = os.unlinkat;
    struct defrag_request q;
    struct err e = { 0 };

    lair_data_dir(&l);
    q = lair_defrag(&l);
    OK(open_place(&q, &p, &e), &e);
    os.unlinkat = no_unlink;

    enum rc rc = publish(p, &e);

    os.unlinkat = real;
    OK(rc, &e);
    cr_assert_not_null(strstr(lair_log, "db.bak' could not be removed"), "%s", lair_log);
    cr_assert_str_eq(dir_listing(l.snap), "db db.bak");
}
