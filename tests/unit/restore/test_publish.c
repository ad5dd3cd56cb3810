/* The last steps of a restore when they fail: a data directory never stands without its
 * log, and a log in use is never taken for a leftover. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "restore/place.h"
#include "tests/lib/case.h"
#include "tests/lib/tmpdir.h"
#include "util/os.h"

static struct os_calls real;
static unsigned renames, syncs, bad_rename_from, bad_sync;

/* From the n-th rename on: no. */
static int bad_renameat2(int dir, const char *from, int to_dir, const char *to,
                         unsigned flags)
{
    if (++renames >= bad_rename_from) {
        errno = EIO;
        return -1;
    }
    return real.renameat2(dir, from, to_dir, to, flags);
}

static int bad_fsync(int fd)
{
    if (++syncs == bad_sync) {
        errno = EIO;
        return -1;
    }
    return real.fsync(fd);
}

/* As NFS has it. */
static int plain_renameat2(int dir, const char *from, int to_dir, const char *to,
                           unsigned flags)
{
    if (flags != 0) {
        errno = EINVAL;
        return -1;
    }
    return real.renameat2(dir, from, to_dir, to, 0);
}

static void set_up(void)
{
    real = os;
    renames = syncs = 0;
}

#define PUBLISH(name) CASE(restore_publish, name, .init = set_up)

static void put_file(const char *path)
{
    OWNED_FD int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    cr_assert_geq(fd, 0, "%s", path);
}

static enum rc build(const char *dir, bool wal_apart, struct err *e)
{
    OWNED(restore_place) p = NULL;
    char path[600];
    enum rc rc;

    TRY(restore_place_open(path_in(dir, "data"), wal_apart ? path_in(dir, "wal") : NULL,
                           &p, e));
    snprintf(path, sizeof path, "%s/db", restore_place_snap_dir(p));
    put_file(path);
    snprintf(path, sizeof path, "%s/0.wal", restore_place_wal_dir(p));
    put_file(path);
    rc = restore_place_publish(p, e);
    os = real;
    return rc;
}

PUBLISH(a_name_that_is_not_durable_is_taken_back)
{
    for (int apart = 0; apart < 2; apart++) {
        const char *dir = tmpdir_new();
        struct err e = { 0 };
        unsigned all;

        syncs = bad_sync = 0;
        os.fsync = bad_fsync;
        OK(build(dir, apart, &e), &e);
        all = syncs;
        for (unsigned n = 1; n <= all; n++) {
            dir = tmpdir_new();
            syncs = 0;
            bad_sync = n;
            os.fsync = bad_fsync;
            /* The last one with a log apart is that of the mark, which does no harm. */
            if (apart && n == all) {
                OK(build(dir, apart, &e), &e);
                cr_assert_str_eq(dir_listing(dir), "data wal");
                continue;
            }
            cr_assert_eq(build(dir, apart, &e), RC_STORAGE, "sync %u of %u", n, all);
            cr_assert_str_eq(dir_listing(dir), "", "sync %u of %u", n, all);
        }
    }
}

/* The third rename is the one that takes the data's name back. */
PUBLISH(data_that_cannot_be_taken_back_keep_their_log)
{
    const char *dir = tmpdir_new();
    struct err e = { 0 };
    unsigned all;

    os.fsync = bad_fsync;
    OK(build(dir, true, &e), &e);
    all = syncs;
    dir = tmpdir_new();
    syncs = 0;
    bad_sync = all - 1;
    bad_rename_from = 3;
    os.fsync = bad_fsync;
    os.renameat2 = bad_renameat2;
    cr_assert_eq(build(dir, true, &e), RC_STORAGE);
    cr_assert_str_eq(dir_listing(dir), "data wal");
    cr_assert_str_eq(dir_listing(path_in(dir, "wal")), ".holdfast-unfinished 0.wal");
}

/* Killed after the data got their name, before the mark was gone: etcd runs on that. */
PUBLISH(a_marked_log_beside_data_is_not_swept)
{
    const char *dir = tmpdir_new();
    struct err e = { 0 };

    OK(build(dir, true, &e), &e);
    put_file(path_in(dir, "wal/.holdfast-unfinished"));
    cr_assert_eq(build(dir, true, &e), RC_REFUSED);
    cr_assert_not_null(strstr(e.why, "is not empty"), "%s", e.why);
    cr_assert_str_eq(dir_listing(path_in(dir, "wal")), ".holdfast-unfinished 0.wal");
    cr_assert_str_eq(dir_listing(dir), "data wal");

    OK(os_remove_tree(AT_FDCWD, path_in(dir, "data"), &e), &e);
    OK(build(dir, true, &e), &e);
    cr_assert_str_eq(dir_listing(path_in(dir, "wal")), "0.wal");
}

PUBLISH(a_file_system_without_noreplace_will_do)
{
    for (int apart = 0; apart < 2; apart++) {
        const char *dir = tmpdir_new();
        struct err e = { 0 };

        os.renameat2 = plain_renameat2;
        OK(build(dir, apart, &e), &e);
        cr_assert_str_eq(dir_listing(dir), apart ? "data wal" : "data");
    }
}

static char theirs[512];

/* Somebody makes the directory in the last moment, and puts something in. */
static int late_renameat2(int dir, const char *from, int to_dir, const char *to,
                          unsigned flags)
{
    if (mkdirat(to_dir, to, 0700) == 0)
        put_file(theirs);
    return plain_renameat2(dir, from, to_dir, to, flags);
}

PUBLISH(nothing_is_replaced_without_noreplace_either)
{
    const char *dir = tmpdir_new();
    struct err e = { 0 };

    snprintf(theirs, sizeof theirs, "%s/data/precious", dir);
    os.renameat2 = late_renameat2;
    cr_assert_eq(build(dir, false, &e), RC_REFUSED);
    cr_assert_not_null(strstr(e.why, "appeared while the restore was at work"), "%s",
                       e.why);
    cr_assert_str_eq(dir_listing(path_in(dir, "data")), "precious");
    cr_assert_str_eq(dir_listing(dir), "data");
}
