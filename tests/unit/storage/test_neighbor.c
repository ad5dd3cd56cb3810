#include "storage/neighbor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "storage/store.h"
#include "tests/lib/case.h"
#include "tests/lib/fault.h"
#include "tests/lib/proc.h"
#include "tests/lib/tmpdir.h"
#include "tests/unit/storage/squatter.h"
#include "util/os.h"

/* Other etcds may run on this host, so the answer counts only when it is about ours. */
static bool finds(const char *target, pid_t pid, const char *dir)
{
    struct neighbor n = { 0 };
    struct err e = { 0 };
    bool found = false;

    OK(neighbor_find(target, &n, &found, &e), &e);
    return found && n.pid == (uint64_t)pid && strcmp(n.data_dir, dir) == 0;
}

static struct os_calls kernel;
static char only_pid[16];

/* Shows the code under test a /proc with one process in it. */
static int openat_one_process(int dir, const char *path, int flags, mode_t mode)
{
    const char *digits = path + strlen("/proc/");
    size_t n = strlen(only_pid);

    if (strncmp(path, "/proc/", 6) == 0 && strncmp(path, "/proc/self", 10) != 0 &&
        (strncmp(digits, only_pid, n) != 0 || digits[n] != '/')) {
        errno = ENOENT;
        return -1;
    }
    return kernel.openat(dir, path, flags, mode);
}

static void show_only(pid_t pid)
{
    if (kernel.openat == NULL)
        kernel = os;
    snprintf(only_pid, sizeof only_pid, "%d", (int)pid);
    os.openat = openat_one_process;
}

CASE(neighbor, finds_a_process_with_the_database_open_on_the_same_disk)
{
    const char *base = tmpdir_new(), *dir = squatter_data_dir(base);
    char db[600], target[600];
    pid_t child;

    snprintf(db, sizeof db, "%s/member/snap/db", dir);
    snprintf(target, sizeof target, "%s/backup.db", base);
    child = squatter_start(db);
    show_only(child);
    cr_assert(finds(target, child, dir));
    cr_assert(!finds("/proc/backup.db", child, dir), "another file system");
    squatter_stop(child);
    cr_assert(!finds(target, child, dir), "it ended");
}

CASE(neighbor, other_files_and_our_own_are_no_neighbours)
{
    const char *base = tmpdir_new(), *dir = squatter_data_dir(base);
    char db[600], other[600], target[600];
    OWNED_FD int own = -1;
    pid_t child;

    snprintf(db, sizeof db, "%s/member/snap/db", dir);
    snprintf(other, sizeof other, "%s/member/snap/dbx", dir);
    snprintf(target, sizeof target, "%s/backup.db", base);
    close(open(other, O_CREAT | O_RDWR, 0600));
    child = squatter_start(other);
    show_only(child);
    cr_assert(!finds(target, child, dir));
    squatter_stop(child);
    own = open(db, O_RDWR | O_CLOEXEC);
    show_only(getpid());
    cr_assert(!finds(target, getpid(), dir));
}

CASE(neighbor, a_drill_is_none)
{
    const char *base = path_in(tmpdir_new(), NEIGHBOR_DRILL "0123456789abcdef"), *dir;
    char db[600], target[600];
    pid_t child;

    cr_assert(mkdir(base, 0700) == 0);
    dir = squatter_data_dir(base);
    snprintf(db, sizeof db, "%s/member/snap/db", dir);
    snprintf(target, sizeof target, "%s/backup.db", base);
    child = squatter_start(db);
    show_only(child);
    cr_assert(!finds(target, child, dir));
    squatter_stop(child);
}

/* ---- processes of other users: only their command line can be seen
 * --------------------------- */

static int openat_no_fds(int dir, const char *path, int flags, mode_t mode)
{
    size_t n = strlen(path);

    if (n > 3 && strcmp(path + n - 3, "/fd") == 0) {
        errno = EACCES;
        return -1;
    }
    return openat_one_process(dir, path, flags, mode);
}

/* Returns when the child has become the program: its copy of a close-on-exec pipe is
 * gone then. */
static pid_t start_program(const char *log, const char *const argv[])
{
    int gone[2];
    char byte;
    pid_t child;

    cr_assert_eq(pipe2(gone, O_CLOEXEC), 0);
    child = proc_start(log, argv);
    close(gone[1]);
    cr_assert_eq(read(gone[0], &byte, 1), 0);
    close(gone[0]);
    return child;
}

static bool judged_by(const char *base, const char *const argv[])
{
    char dir[600], target[600], log[600];
    pid_t child;
    bool found;

    snprintf(dir, sizeof dir, "%s/data", base);
    snprintf(target, sizeof target, "%s/backup.db", base);
    snprintf(log, sizeof log, "%s/log", base);
    child = start_program(log, argv);
    show_only(child);
    os.openat = openat_no_fds;
    found = finds(target, child, dir);
    os = kernel;
    proc_stop(child, SIGKILL);
    return found;
}

/* A program called etcd that only waits, whatever its flags say. */
static void make_program(const char *path)
{
    char command[1200];

    snprintf(command, sizeof command,
             "printf 'int pause(void); int main(void) { for (;;) pause(); }' | "
             "cc -x c -o '%s' -",
             path);
    cr_assert_eq(system(command), 0);
}

CASE(neighbor, a_hidden_process_is_judged_by_its_command_line)
{
    const char *base = tmpdir_new(), *dir = squatter_data_dir(base);
    char etcd[600], other[600], joined[600];

    kernel = os;
    snprintf(etcd, sizeof etcd, "%s/etcd", base);
    snprintf(other, sizeof other, "%s/etcdx", base);
    snprintf(joined, sizeof joined, "--data-dir=%s", dir);
    make_program(etcd);
    make_program(other);
    cr_assert(judged_by(base, (const char *const[]){ etcd, "--name=a", joined, NULL }));
    cr_assert(judged_by(base, (const char *const[]){ etcd, "-data-dir", dir, NULL }));
    cr_assert(!judged_by(base, (const char *const[]){ other, joined, NULL }));
    cr_assert(!judged_by(base, (const char *const[]){ etcd, "--data-dir", NULL }));
    cr_assert(!judged_by(base, (const char *const[]){ etcd, "--data-dir=data", NULL }));
    cr_assert(
        !judged_by(base, (const char *const[]){ etcd, "--data-directory", dir, NULL }));
}

CASE(neighbor, a_missing_directory_is_an_error)
{
    struct neighbor n = { .pid = 7 };
    struct err e = { 0 };
    bool found = true;

    cr_assert_eq(neighbor_find("/no/such/place/x", &n, &found, &e), RC_NOTFOUND);
    cr_assert(found && n.pid == 7, "outputs are not touched");
}

CASE(neighbor, no_memory_is_an_error_or_nothing_found)
{
    FAULT_SWEEP(FAULT_ALLOC, nth, 0) {
        struct neighbor n;
        struct err e = { 0 };
        bool found = false;
        enum rc rc = neighbor_find("/tmp/x", &n, &found, &e);

        cr_assert(rc == RC_OK || rc == RC_NOMEM, "allocation %u: %s", nth, e.why);
    }
}

/* ---- a store's own look ------------------------------------------------------------ */

static enum rc a_stopped_one(const char *path, struct neighbor *out, bool *found,
                             struct err *e)
{
    (void)path;
    (void)e;
    *out = (struct neighbor){ .data_dir = "/var/lib/etcd" };
    *found = true;
    return RC_OK;
}

CASE(neighbor, a_store_asks_who_knows_more)
{
    struct store_options o = { .url = tmpdir_new(), .neighbor = a_stopped_one };
    OWNED(store) s = NULL;
    OWNED(store) allowed = NULL;
    struct err e = { 0 };

    OK(store_open(&o, &s, &e), &e);
    cr_assert_eq(store_put_bytes(s, "a/b", NULL, bytes_str("x"), &e), RC_REFUSED);
    cr_assert_not_null(strstr(e.why, "of an etcd of this host ('/var/lib/etcd')"), "%s",
                       e.why);
    o.allow_same_filesystem = true;
    OK(store_open(&o, &allowed, &e), &e);
    OK(store_put_bytes(allowed, "a/b", NULL, bytes_str("x"), &e), &e);
}
