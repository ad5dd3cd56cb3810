#include "storage/temp.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "tests/lib/case.h"
#include "tests/lib/tmpdir.h"
#include "util/os.h"

static struct os_calls kernel;
static unsigned failures; /* that many calls fail, later ones work */

static int directory(const char **path)
{
    int fd;

    *path = tmpdir_new();
    fd = open(*path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cr_assert_geq(fd, 0);
    kernel = os;
    return fd;
}

/* A sweep that comes between our open and our lock: it holds the lock, and the name is
 * gone before we look. */
static int swept_flock(int fd, int operation)
{
    if (failures == 0)
        return kernel.flock(fd, operation);
    failures--;
    errno = EWOULDBLOCK;
    return -1;
}

static ssize_t fixed_getrandom(void *p, size_t n, unsigned flags)
{
    if (failures == 0)
        return kernel.getrandom(p, n, flags);
    failures--;
    memset(p, 0xab, n);
    return (ssize_t)n;
}

static int no_flock(int fd, int operation)
{
    (void)fd;
    (void)operation;
    errno = ENOLCK;
    return -1;
}

CASE(temp, a_name_lost_to_a_sweep_is_replaced_by_another)
{
    const char *path;
    OWNED_FD int dir = directory(&path);
    struct err e = { 0 };
    struct temp t;

    os.flock = swept_flock;
    failures = 3;
    OK(temp_open(&t, dir, "x", true, &e), &e);
    cr_assert_eq(failures, 0);
    cr_assert_neq(t.part[0], '\0');
    temp_close(&t);
    failures = 100;
    cr_assert_eq(temp_open(&t, dir, "x", true, &e), RC_STORAGE);
    cr_assert_str_eq(e.why, "no temporary name beside 'x' could be had");
    temp_close(&t);
}

CASE(temp, a_name_in_use_is_replaced_by_another)
{
    const char *path;
    OWNED_FD int dir = directory(&path);
    struct err e = { 0 };
    struct temp a, b;

    os.getrandom = fixed_getrandom;
    failures = 2;
    OK(temp_open(&a, dir, "x", true, &e), &e);
    cr_assert_str_eq(a.part, ".x.holdfast-abababab.part");
    OK(temp_open(&b, dir, "x", true, &e), &e);
    cr_assert_str_neq(b.part, a.part);
    temp_close(&a);
    temp_close(&b);
    cr_assert_str_eq(dir_listing(path), "");
}

CASE(temp, a_planted_temporary_name_is_neither_used_nor_followed)
{
    for (int link = 0; link < 2; link++) {
        const char *path;
        OWNED_FD int dir = directory(&path);
        struct err e = { 0 };
        struct temp t;
        struct stat st;

        close(openat(dir, "victim", O_CREAT | O_WRONLY, 0644));
        if (link == 1)
            cr_assert_eq(symlinkat("victim", dir, ".x.holdfast-abababab.part"), 0);
        else
            cr_assert_eq(linkat(dir, "victim", dir, ".x.holdfast-abababab.part", 0), 0);
        os.getrandom = fixed_getrandom;
        failures = 1;
        OK(temp_open(&t, dir, "x", true, &e), &e);
        cr_assert_str_neq(t.part, ".x.holdfast-abababab.part");
        temp_close(&t);
        cr_assert_str_eq(dir_listing(path), ".x.holdfast-abababab.part victim");
        cr_assert_eq(fstatat(dir, "victim", &st, 0), 0);
        cr_assert_eq(st.st_mode & 0777, 0644, "the victim was not touched");
        os = kernel;
    }
}

CASE(temp, without_locks_it_works_and_nothing_is_swept)
{
    const char *path;
    OWNED_FD int dir = directory(&path);
    struct err e = { 0 };
    struct temp t;

    os.flock = no_flock;
    OK(temp_open(&t, dir, "x", true, &e), &e);
    OK(temp_sweep(dir, "x", &e), &e);
    OK(temp_publish(&t, &e), &e);
    temp_close(&t);
    cr_assert_str_eq(dir_listing(path), "x");
}

CASE(temp, takes_back_its_own_name_and_no_other)
{
    for (int named = 0; named < 2; named++) {
        const char *path;
        OWNED_FD int dir = directory(&path);
        struct err e = { 0 };
        struct temp t;

        OK(temp_open(&t, dir, "x", named == 1, &e), &e);
        OK(temp_publish(&t, &e), &e);
        temp_unpublish(&t);
        cr_assert_str_eq(dir_listing(path), "");
        close(openat(dir, "x", O_CREAT | O_WRONLY, 0600));
        temp_unpublish(&t);
        cr_assert_str_eq(dir_listing(path), "x", "this x is somebody else's");
        temp_close(&t);
        cr_assert_str_eq(dir_listing(path), "x");
    }
}
