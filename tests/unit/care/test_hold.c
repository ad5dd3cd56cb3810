#include "care/hold.h"

#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include "care/lock.h"
#include "tests/lib/case.h"
#include "tests/lib/tmpdir.h"

static struct care_store *opened(const char *dir)
{
    struct care_store *s = NULL;
    struct err e = { 0 };

    OK(care_store_open(dir, &s, &e), &e);
    return s;
}

static int64_t lowest(const struct care_store *s, uint64_t cluster)
{
    struct err e = { 0 };
    int64_t revision = 0;

    OK(care_held(s, cluster, &revision, &e), &e);
    return revision;
}

CASE(care_hold, the_lowest_of_all_that_are_held)
{
    static const int64_t held[] = { 700, 30, 9000000000, 31, 30, 1, INT64_MAX - 1 };
    enum { COUNT = sizeof held / sizeof *held };
    OWNED(care_store) s = opened(tmpdir_new());
    int fds[COUNT];
    struct err e = { 0 };

    cr_assert_eq(lowest(s, 7), -1);
    for (size_t i = 0; i < COUNT; i++) {
        int64_t least = held[0];

        OK(care_hold(s, 7, held[i], &fds[i], &e), &e);
        for (size_t k = 0; k <= i; k++)
            least = held[k] < least ? held[k] : least;
        cr_assert_eq(lowest(s, 7), least);
    }
    cr_assert_eq(lowest(s, 8), -1, "another cluster's");
    close(fds[5]);
    cr_assert_eq(lowest(s, 7), 30);
    close(fds[1]);
    cr_assert_eq(lowest(s, 7), 30, "it is held twice");
    close(fds[4]);
    cr_assert_eq(lowest(s, 7), 31);
    for (size_t i = 0; i < COUNT; i++)
        if (i != 5 && i != 1 && i != 4)
            close(fds[i]);
    cr_assert_eq(lowest(s, 7), -1);
}

CASE(care_hold, nothing_outlives_its_process)
{
    OWNED(care_store) s = opened(tmpdir_new());
    int ready[2], status;
    char byte;
    pid_t child;

    cr_assert_eq(pipe(ready), 0);
    child = fork();
    if (child == 0) {
        struct err e = { 0 };
        int fd;

        if (care_hold(s, 7, 5, &fd, &e) == RC_OK && write(ready[1], "x", 1) == 1)
            pause();
        _exit(1);
    }
    cr_assert_eq(read(ready[0], &byte, 1), 1);
    cr_assert_eq(lowest(s, 7), 5);
    kill(child, SIGKILL);
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(lowest(s, 7), -1);
    close(ready[0]);
    close(ready[1]);
}

CASE(care_hold, without_a_state_directory_nothing_is_held)
{
    struct err e = { 0 };
    int64_t revision = 0;
    int fd = 0;

    OK(care_hold(NULL, 7, 5, &fd, &e), &e);
    cr_assert_eq(fd, -1);
    OK(care_held(NULL, 7, &revision, &e), &e);
    cr_assert_eq(revision, -1);
    OWNED(care_store) s = opened(tmpdir_new());

    cr_assert_eq(care_hold(s, 7, -1, &fd, &e), RC_STORAGE);
    cr_assert_eq(fd, -1);
}

/* Streams bear each other; a change bears nobody. */
CASE(care_lock, streams_share_and_changes_do_not)
{
    OWNED(care_store) s = opened(tmpdir_new());
    OWNED_FD int one = -1, two = -1, change = -1, none = -1;
    struct err e = { 0 };

    OK(care_lock_take(s, 7, CARE_LOCK_STREAM, &one, &e), &e);
    OK(care_lock_take(s, 7, CARE_LOCK_STREAM, &two, &e), &e);
    cr_assert_eq(care_lock_take(s, 7, CARE_LOCK_CHANGE, &change, &e), RC_LOCKED);
    close(os_fd_give(&one));
    cr_assert_eq(care_lock_take(s, 7, CARE_LOCK_CHANGE, &change, &e), RC_LOCKED);
    close(os_fd_give(&two));
    OK(care_lock_take(s, 7, CARE_LOCK_CHANGE, &change, &e), &e);
    cr_assert_eq(care_lock_take(s, 7, CARE_LOCK_CHANGE, &none, &e), RC_LOCKED);
    cr_assert_eq(care_lock_take(s, 7, CARE_LOCK_STREAM, &none, &e), RC_LOCKED);
    cr_assert_eq(none, -1);
    OK(care_lock_take(s, 8, CARE_LOCK_STREAM, &none, &e), &e);
}
