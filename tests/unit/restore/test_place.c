#include "restore/place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/case.h"
#include "tests/lib/fault.h"
#include "tests/lib/tmpdir.h"
#include "util/os.h"

static void put_file(const char *dir, const char *name)
{
    int fd = open(path_in(dir, name), O_WRONLY | O_CREAT | O_EXCL, 0600);

    cr_assert(fd >= 0 && write(fd, "x", 1) == 1);
    close(fd);
}

/* What a restore does between open and publish, in small. */
static enum rc build(const char *data_dir, const char *wal_dir, struct err *e)
{
    OWNED(restore_place) p = NULL;
    OWNED_FD int db = -1, wal = -1;
    char path[600];

    TRY(restore_place_open(data_dir, wal_dir, &p, e));
    snprintf(path, sizeof path, "%s/db", restore_place_snap_dir(p));
    TRY(os_open(AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL, 0600, &db, e));
    snprintf(path, sizeof path, "%s/0.wal", restore_place_wal_dir(p));
    TRY(os_open(AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL, 0600, &wal, e));
    return restore_place_publish(p, e);
}

static void assert_whole(const char *dir)
{
    struct stat st;
    char path[600];

    snprintf(path, sizeof path, "%s/member/snap", dir);
    cr_assert_str_eq(dir_listing(path), "db");
    cr_assert(stat(path, &st) == 0 && (st.st_mode & 07777) == 0700);
}

CASE(restore_place, an_absent_directory_appears_whole)
{
    const char *dir = tmpdir_new();
    struct err e = { 0 };

    umask(0);
    OK(build(path_in(dir, "data"), NULL, &e), &e);
    cr_assert_str_eq(dir_listing(dir), "data");
    assert_whole(path_in(dir, "data"));
    cr_assert_str_eq(dir_listing(path_in(dir, "data/member")), "snap wal");
}

CASE(restore_place, an_empty_directory_is_filled_by_one_rename)
{
    const char *dir = tmpdir_new();
    struct err e = { 0 };

    mkdir(path_in(dir, "data"), 0750);
    OK(build(path_in(dir, "data/"), NULL, &e), &e);
    cr_assert_str_eq(dir_listing(path_in(dir, "data")), "member");
    assert_whole(path_in(dir, "data"));
}

CASE(restore_place, what_is_there_is_never_touched)
{
    const char *dir = tmpdir_new();
    struct err e = { 0 };

    mkdir(path_in(dir, "data"), 0700);
    put_file(dir, "data/precious");
    cr_assert_eq(build(path_in(dir, "data"), NULL, &e), RC_REFUSED);
    cr_assert_not_null(strstr(e.why, "is not empty"), "%s", e.why);
    cr_assert_str_eq(dir_listing(path_in(dir, "data")), "precious");
    put_file(dir, "file");
    cr_assert_eq(build(path_in(dir, "file"), NULL, &e), RC_REFUSED);
    cr_assert_eq(build(path_in(dir, "no/such/parent"), NULL, &e), RC_NOTFOUND);
    mkdir(path_in(dir, "wal"), 0700);
    put_file(dir, "wal/0.wal");
    cr_assert_eq(build(path_in(dir, "new"), path_in(dir, "wal"), &e), RC_REFUSED);
    cr_assert_str_eq(dir_listing(dir), "data file wal");
}

CASE(restore_place, a_wal_directory_of_its_own)
{
    const char *dir = tmpdir_new();
    struct err e = { 0 };

    OK(build(path_in(dir, "data"), path_in(dir, "wal"), &e), &e);
    cr_assert_str_eq(dir_listing(dir), "data wal");
    cr_assert_str_eq(dir_listing(path_in(dir, "wal")), "0.wal");
    cr_assert_str_eq(dir_listing(path_in(dir, "data/member")), "snap");
    mkdir(path_in(dir, "empty"), 0700);
    OK(build(path_in(dir, "data2"), path_in(dir, "empty"), &e), &e);
    cr_assert_str_eq(dir_listing(path_in(dir, "empty")), "0.wal");
}

CASE(restore_place, leftovers_are_swept_unless_their_job_lives)
{
    const char *dir = tmpdir_new();
    struct err e = { 0 };
    int fd;

    mkdir(path_in(dir, ".data.holdfast-0123abcd"), 0700);
    mkdir(path_in(dir, ".data.holdfast-0123abcd/member"), 0700);
    mkdir(path_in(dir, ".data.holdfast-mine"), 0700);
    mkdir(path_in(dir, ".other.holdfast-0123abcd"), 0700);
    OK(build(path_in(dir, "data"), NULL, &e), &e);
    cr_assert_str_eq(dir_listing(dir),
                     ".data.holdfast-mine .other.holdfast-0123abcd data");
    fd = open(path_in(dir, ".other.holdfast-0123abcd"), O_RDONLY | O_DIRECTORY);
    cr_assert(flock(fd, LOCK_EX) == 0);
    cr_assert_eq(build(path_in(dir, "other"), NULL, &e), RC_LOCKED);
    close(fd);
    OK(build(path_in(dir, "other"), NULL, &e), &e);
}

CASE(restore_place, an_unfinished_wal_directory_is_swept)
{
    const char *dir = tmpdir_new();
    struct err e = { 0 };

    mkdir(path_in(dir, "wal"), 0700);
    put_file(dir, "wal/0.wal");
    put_file(dir, "wal/.holdfast-unfinished");
    OK(build(path_in(dir, "data"), path_in(dir, "wal"), &e), &e);
    cr_assert_str_eq(dir_listing(path_in(dir, "wal")), "0.wal");
}

/* Whatever call fails: all or nothing, and no leftovers. */
static unsigned sweep_faults(enum fault_point point, bool with_wal)
{
    unsigned runs = 0;

    FAULT_SWEEP(point, nth, EIO) {
        const char *dir = tmpdir_new();
        char data[600], wal[600];
        struct err e = { 0 };

        snprintf(data, sizeof data, "%s/data", dir);
        snprintf(wal, sizeof wal, "%s/wal", dir);
        enum rc rc = build(data, with_wal ? wal : NULL, &e);
        char left[256];

        runs = nth;
        snprintf(left, sizeof left, "%s", dir_listing(dir));
        if (strstr(left, "data") != NULL)
            assert_whole(data);
        if (rc == RC_OK)
            cr_assert_str_eq(left, with_wal ? "data wal" : "data");
        cr_assert(strstr(left, "holdfast") == NULL, "call %u left %s", nth, left);
    }
    return runs;
}

CASE(restore_place, any_failed_call_leaves_all_or_nothing)
{
    cr_assert_eq(sweep_faults(FAULT_FSYNC, false), 6, "5 directories");
    cr_assert_eq(sweep_faults(FAULT_RENAME, false), 2);
    cr_assert_eq(sweep_faults(FAULT_MKDIR, false), 5);
    cr_assert_eq(sweep_faults(FAULT_RENAME, true), 3);
    cr_assert_geq(sweep_faults(FAULT_FSYNC, true), 8);
    cr_assert_geq(sweep_faults(FAULT_ALLOC, true), 12);
}

/* Somebody else's directory has the name already. */
static int mkdir_of_another(int dir, const char *path, mode_t mode)
{
    if (mkdirat(dir, path, mode) == 0)
        errno = EEXIST;
    return -1;
}

static int no_unlink(int dir, const char *path, int flags)
{
    (void)dir, (void)flags;
    cr_assert_fail("removes %s", path);
    return -1;
}

CASE(restore_place, what_it_did_not_make_is_not_removed)
{
    const struct os_calls real = os;
    OWNED(restore_place) p = NULL;
    struct err e = { 0 };

    os.mkdirat = mkdir_of_another;
    os.unlinkat = no_unlink;
    cr_assert_neq(restore_place_open(path_in(tmpdir_new(), "data"), NULL, &p, &e), RC_OK);
    os = real;
}

/* /proc is one everywhere; nothing is looked for in it. */
CASE(restore_place, a_mount_point_cannot_become_the_wal_directory)
{
    OWNED(restore_place) p = NULL;
    const char *data = path_in(tmpdir_new(), "data");
    struct err e = { 0 };

    cr_assert_eq(restore_place_open(data, "/proc", &p, &e), RC_REFUSED);
    cr_assert_str_eq(e.why, "the WAL directory '/proc' is a mount point, and it must get "
                            "its name by a rename");
    cr_assert_eq(access(data, F_OK), -1, "refused before anything was made");
}
