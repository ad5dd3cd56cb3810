/* What a directory promises beyond the contract of all stores. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/case.h"
#include "tests/lib/fault.h"
#include "tests/lib/tmpdir.h"
#include "tests/lib/tmpfs.h"
#include "tests/store/contract.h"
#include "tests/unit/storage/squatter.h"
#include "util/os.h"

enum { SIZE = (1 << 20) + 77 };

static struct store *open_beside(const char *dir, bool allow)
{
    const struct store_options o = { .url = dir, .allow_same_filesystem = allow };
    struct store *s = NULL;
    struct err e = { 0 };

    OK(store_open(&o, &s, &e), &e);
    return s;
}

static struct store *open_dir(const char *dir)
{
    return open_beside(dir, true);
}

static enum rc put(struct store *s, const char *key, struct err *e)
{
    return store_put_bytes(s, key, NULL, bytes_str(key), e);
}

CASE(directory, what_is_in_it_is_private)
{
    const char *dir = tmpdir_new();
    OWNED(store) s = open_dir(dir);
    struct err e = { 0 };
    struct stat st;

    OK(put(s, "a/b/c", &e), &e);
    cr_assert_eq(stat(path_in(dir, "a/b"), &st), 0);
    cr_assert_eq(st.st_mode & 07777, 0700);
    cr_assert_eq(stat(path_in(dir, "a/b/c"), &st), 0);
    cr_assert_eq(st.st_mode & 07777, 0600);
}

CASE(directory, names_that_are_no_objects_are_passed_over)
{
    const char *dir = tmpdir_new(), *elsewhere = tmpdir_new();
    OWNED(store) s = open_dir(dir);
    OWNED(sink) to = NULL;
    struct store_info info;
    struct err e = { 0 };

    OK(put(s, "a/x", &e), &e);
    OK(put(s, "z", &e), &e);
    close(open(path_in(dir, ".hidden"), O_CREAT | O_WRONLY, 0600));
    close(open(path_in(dir, "with blank"), O_CREAT | O_WRONLY, 0600));
    close(open(path_in(elsewhere, "x"), O_CREAT | O_WRONLY, 0600));
    cr_assert_eq(mkfifo(path_in(dir, "fifo"), 0600), 0);
    cr_assert_eq(symlink(path_in(dir, "z"), path_in(dir, "link")), 0);
    cr_assert_eq(symlink(elsewhere, path_in(dir, "linked")), 0);
    cr_assert_str_eq(store_listing(s, ""), "a/x z");
    cr_assert_eq(store_stat(s, "fifo", &info, &e), RC_NOTFOUND, "%s", e.why);
    cr_assert_eq(store_stat(s, "a", &info, &e), RC_NOTFOUND, "a directory");
    cr_assert_neq(store_stat(s, "linked/x", &info, &e), RC_OK);
    cr_assert_neq(store_put_new(s, "linked/y", NULL, &to, &e), RC_OK);
    cr_assert_neq(store_put_new(s, "link", NULL, &to, &e), RC_OK);
    cr_assert_str_eq(dir_listing(elsewhere), "x");
}

CASE(directory, one_that_anybody_may_write_to_is_refused)
{
    const char *dir = tmpdir_new();
    OWNED(store) s = open_dir(dir);
    OWNED(sink) to = NULL;
    struct err e = { 0 };

    OK(put(s, "a/b/x", &e), &e);
    cr_assert_eq(chmod(path_in(dir, "a"), 0777), 0);
    cr_assert_eq(store_put_new(s, "a/b/y", NULL, &to, &e), RC_REFUSED, "%s", e.why);
    cr_assert(strstr(e.why, "anybody may write to the directory of '") != NULL);
    cr_assert(store_holds(s, "a/b/x", "a/b/x"));
}

CASE(directory, a_missing_one_is_not_made)
{
    const char *dir = tmpdir_new();
    OWNED(store) s = open_dir(path_in(dir, "not-mounted"));
    OWNED(sink) to = NULL;
    struct err e = { 0 };

    cr_assert_eq(store_put_new(s, "x", NULL, &to, &e), RC_NOTFOUND);
    cr_assert_str_eq(e.hint, "make the directory first, or mount what belongs there");
    cr_assert_str_eq(dir_listing(dir), "");
}

/* ---- several at once
 * --------------------------------------------------------------------------- */

enum { RACERS = 4, ROUNDS = 25 };

/* Counts in its exit status how many keys it won; 100: something else went wrong. */
static _Noreturn void race(const char *dir, char mark)
{
    OWNED(store) s = open_dir(dir);
    int won = 0;

    for (int i = 0; i < ROUNDS; i++) {
        struct err e = { 0 };
        char key[32], text[2] = { mark, '\0' };
        enum rc rc;

        snprintf(key, sizeof key, "round/%d", i);
        rc = store_put_bytes(s, key, NULL, bytes_str(text), &e);
        won += rc == RC_OK;
        if (rc != RC_OK && rc != RC_REFUSED)
            _exit(100);
    }
    _exit(won);
}

static int join(pid_t child)
{
    int status = 0;

    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status), "status %x", status);
    return WEXITSTATUS(status);
}

CASE(directory, of_processes_that_race_for_a_key_exactly_one_wins)
{
    const char *dir = tmpdir_new();
    OWNED(store) s = open_dir(dir);
    pid_t children[RACERS];
    int won = 0;

    for (int i = 0; i < RACERS; i++) {
        children[i] = fork();
        if (children[i] == 0)
            race(dir, (char)('a' + i));
    }
    for (int i = 0; i < RACERS; i++) {
        int status = join(children[i]);

        cr_assert_leq(status, ROUNDS, "racer %d met another failure", i);
        won += status;
    }
    cr_assert_eq(won, ROUNDS);
    for (int i = 0; i < ROUNDS; i++) {
        AT_END(buf_clear) struct buf got = { 0 };
        struct err e = { 0 };
        char key[32];

        snprintf(key, sizeof key, "round/%d", i);
        OK(store_get_bytes(s, key, 1, &got, &e), &e);
        cr_assert_eq(got.n, 1);
    }
}

/* Each makes and empties the directories that the other needs. */
static _Noreturn void put_and_remove(const char *dir, char mark)
{
    OWNED(store) s = open_dir(dir);

    for (int i = 0; i < 100; i++) {
        struct err e = { 0 };
        char key[32];

        snprintf(key, sizeof key, "deep/down/%c", mark);
        if (put(s, key, &e) != RC_OK || store_remove(s, key, &e) != RC_OK)
            _exit(100);
    }
    _exit(0);
}

CASE(directory, pruning_takes_no_directory_from_under_a_put)
{
    const char *dir = tmpdir_new();
    pid_t children[3];

    for (int i = 0; i < 3; i++) {
        children[i] = fork();
        if (children[i] == 0)
            put_and_remove(dir, (char)('a' + i));
    }
    for (int i = 0; i < 3; i++)
        cr_assert_eq(join(children[i]), 0, "child %d", i);
    cr_assert_str_eq(dir_listing(dir), "");
}

/* ---- crashes
 * ------------------------------------------------------------------------------ */

static struct os_calls kernel;

static int openat_without_tmpfile(int dir, const char *path, int flags, mode_t mode)
{
    if ((flags & O_TMPFILE) != O_TMPFILE)
        return kernel.openat(dir, path, flags, mode);
    errno = EOPNOTSUPP;
    return -1;
}

static void forget_unnamed_files(void)
{
    kernel = os;
    os.openat = openat_without_tmpfile;
}

static _Noreturn void crash_in_a_put(const char *dir)
{
    struct store *s = open_dir(dir);
    struct sink *to = NULL;
    struct err e = { 0 };

    if (store_put_new(s, "deep/down/x", NULL, &to, &e) == RC_OK &&
        sink_write(to, "half", 4, &e) == RC_OK)
        kill(getpid(), SIGKILL);
    _exit(1);
}

CASE(directory, what_a_crash_leaves_is_swept_and_work_under_way_is_not)
{
    const char *dir = tmpdir_new();
    OWNED(store) s = open_dir(dir);
    OWNED(sink) busy = NULL;
    struct err e = { 0 };
    uint64_t swept = 99;
    int status;
    pid_t child;

    forget_unnamed_files();
    child = fork();
    if (child == 0)
        crash_in_a_put(dir);
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFSIGNALED(status));
    cr_assert_eq(mkdir(path_in(dir, "empty"), 0700), 0);
    OK(store_put_new(s, "busy/y", NULL, &busy, &e), &e);
    cr_assert_str_eq(store_listing(s, ""), "");
    OK(store_sweep(s, "", &swept, &e), &e);
    cr_assert_eq(swept, 1);
    cr_assert_str_eq(dir_listing(dir), "busy");
    OK(sink_write(busy, "y", 1, &e), &e);
    OK(sink_finish(busy, &e), &e);
    cr_assert(store_holds(s, "busy/y", "y"));
}

/* ---- file servers
 * --------------------------------------------------------------------------- */

static int renameat2_plain(int dir, const char *from, int to_dir, const char *to,
                           unsigned flags)
{
    if (flags == 0)
        return kernel.renameat2(dir, from, to_dir, to, flags);
    errno = EINVAL;
    return -1;
}

/* As over NFS, when the answer to a link that was made got lost. */
static int linkat_answer_lost(int dir, const char *from, int to_dir, const char *to,
                              int flags)
{
    if (kernel.linkat(dir, from, to_dir, to, flags) < 0)
        return -1;
    errno = EEXIST;
    return -1;
}

CASE(directory, over_nfs_a_put_is_exclusive_and_lost_answers_are_understood)
{
    const char *dir = tmpdir_new();
    OWNED(store) s = open_dir(dir);
    struct err e = { 0 };

    forget_unnamed_files();
    os.renameat2 = renameat2_plain;
    contract_holds(s, "", true);
    os.linkat = linkat_answer_lost;
    OK(put(s, "a/x", &e), &e);
    cr_assert_eq(put(s, "a/x", &e), RC_REFUSED);
    cr_assert(store_holds(s, "a/x", "a/x"));
    cr_assert_str_eq(dir_listing(path_in(dir, "a")), "x", "one name is left");
}

static int rename_overwriting(int dir, const char *from, int to_dir, const char *to,
                              unsigned flags)
{
    (void)flags;
    return kernel.renameat2(dir, from, to_dir, to, 0);
}

static int openat_blind(int dir, const char *path, int flags, mode_t mode)
{
    if ((flags & O_PATH) != 0 && strncmp(path, "probe-", 6) == 0) {
        errno = ENOENT;
        return -1;
    }
    return openat_without_tmpfile(dir, path, flags, mode);
}

/* Neither seen before nor refused by the rename: what a weak file server does. */
CASE(directory, a_place_where_two_can_take_one_name_is_found_out)
{
    OWNED(store) s = open_dir(tmpdir_new());
    struct store_traits traits = { .exclusive = true };
    struct err e = { 0 };

    forget_unnamed_files();
    os.openat = openat_blind;
    os.renameat2 = rename_overwriting;
    OK(store_probe(s, "", &traits, &e), &e);
    cr_assert(!traits.exclusive);
    cr_assert_str_eq(store_listing(s, ""), "");
}

/* ---- every n-th call fails
 * ---------------------------------------------------------------- */

/* The processes of this host take a thousand calls to look at. */
static int openat_no_processes(int dir, const char *path, int flags, mode_t mode)
{
    return kernel.openat(dir, strcmp(path, "/proc") == 0 ? "/proc/self/ns" : path, flags,
                         mode);
}

CASE(directory, any_failed_call_leaves_the_whole_object_or_nothing)
{
    const struct {
        enum fault_point point;
        int error;
    } sweeps[] = { { FAULT_ALLOC, 0 },      { FAULT_OPEN, EIO },
                   { FAULT_OPEN, EMFILE },  { FAULT_WRITE, EIO },
                   { FAULT_WRITE, ENOSPC }, { FAULT_FSYNC, EIO },
                   { FAULT_RENAME, EIO },   { FAULT_RENAME, EEXIST },
                   { FAULT_MKDIR, ENOSPC } };
    const char *dir = tmpdir_new();

    kernel = os;
    os.openat = openat_no_processes;
    for (size_t i = 0; i < sizeof sweeps / sizeof sweeps[0]; i++) {
        unsigned runs = 0;

        FAULT_SWEEP(sweeps[i].point, nth, sweeps[i].error) {
            struct store_options o = { .url = dir, .allow_same_filesystem = true };
            OWNED(store) s = NULL;
            struct err e = { 0 };
            enum rc rc = store_open(&o, &s, &e);

            if (rc == RC_OK)
                rc = store_put_pattern(s, "a/b/x", NULL, SIZE, &e);
            (void)fault_disarm();
            runs = nth;
            store_free(GIVE(s));
            s = open_dir(dir);
            if (rc == RC_OK) {
                cr_assert(store_has_pattern(s, "a/b/x", SIZE));
                OK(store_remove(s, "a/b/x", &e), &e);
            }
            cr_assert_str_eq(dir_listing(dir), "", "sweep %zu, call %u: %d %s", i, nth,
                             rc, e.why);
        }
        cr_assert_gt(runs, 1, "sweep %zu", i);
    }
}

/* ---- room
 * ------------------------------------------------------------------------------ */

static void fill(const char *path, off_t size)
{
    int fd = open(path, O_CREAT | O_WRONLY, 0600);

    cr_assert(fd >= 0 && posix_fallocate(fd, 0, size) == 0);
    close(fd);
}

CASE(directory, a_disk_that_fills_is_told_before_or_while_it_happens)
{
    const struct store_put announced = { .expected_size = 32 << 20 };
    const char *dir = tmpdir_new();
    struct err e = { 0 };

    if (!tmpfs_mount(dir, "size=80m"))
        return;
    {
        OWNED(store) s = open_dir(dir);
        OWNED(sink) to = NULL;

        cr_assert_eq(store_put_new(s, "a/big", &announced, &to, &e), RC_STORAGE);
        cr_assert(strstr(e.why, "not enough room for '") != NULL, "%s", e.why);
        cr_assert_eq(store_put_pattern(s, "a/big", NULL, 32 << 20, &e), RC_STORAGE);
        cr_assert(strstr(e.why, "not enough room for '") != NULL, "%s", e.why);
        cr_assert_str_eq(dir_listing(dir), "");
        OK(store_put_pattern(s, "a/small", NULL, 1 << 20, &e), &e);
        fill(path_in(dir, "others"), 30 << 20);
        cr_assert_eq(store_put_pattern(s, "a/more", NULL, 1, &e), RC_STORAGE);
        OK(put(s, "a/record", &e), &e);
    }
    tmpfs_unmount(dir);
}

CASE(directory, beside_an_etcd_it_refuses_or_keeps_and_caps)
{
    const struct store_put announced = { .expected_size = 60 << 20 };
    const char *disk = tmpdir_new();
    struct err e = { 0 };

    if (!tmpfs_mount(disk, "size=110m"))
        return;
    pid_t etcd = squatter_start(path_in(squatter_data_dir(disk), "member/snap/db"));

    cr_assert_eq(mkdir(path_in(disk, "repo"), 0700), 0);
    {
        OWNED(store) refused = open_beside(path_in(disk, "repo"), false);
        OWNED(store) s = open_beside(path_in(disk, "repo"), true);
        OWNED(sink) to = NULL;

        cr_assert_eq(store_put_new(refused, "x", NULL, &to, &e), RC_REFUSED);
        cr_assert(strstr(e.why, "lies on the file system of a running etcd") != NULL);
        cr_assert_str_eq(store_listing(refused, ""), "", "looking is allowed");
        cr_assert_eq(store_put_new(s, "x", &announced, &to, &e), RC_STORAGE);
        cr_assert(strstr(e.why, "half of the room beside a running etcd") != NULL, "%s",
                  e.why);
        cr_assert_eq(store_put_pattern(s, "x", NULL, 60 << 20, &e), RC_STORAGE);
        cr_assert(strstr(e.why, "half of the room beside a running etcd") != NULL, "%s",
                  e.why);
        OK(store_put_pattern(s, "x", NULL, 20 << 20, &e), &e);
    }
    squatter_stop(etcd);
    tmpfs_unmount(disk);
}
