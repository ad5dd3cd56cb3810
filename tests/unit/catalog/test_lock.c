#include "catalog/lock.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/case.h"
#include "tests/lib/tmpdir.h"
#include "trouble.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/os.h"

enum { TERM_MS = 80 };

static struct lock_options in_directory(const char *dir, const char *owner)
{
    return (struct lock_options){ .cluster = "prod", .owner = owner, .directory = dir };
}

static struct lock_options in_store(struct store *s, const char *owner)
{
    return (struct lock_options){ .cluster = "prod",
                                  .owner = owner,
                                  .store = s,
                                  .exclusive = true,
                                  .term_ms = TERM_MS };
}

static struct lock *taken(struct lock_options o)
{
    struct lock *l = NULL;
    struct err e = { 0 };

    OK(lock_take(&o, &l, &e), &e);
    return l;
}

static void assert_held(struct lock *l)
{
    struct err e = { 0 };

    OK(lock_fence(l, &e), &e);
}

static void assert_locked(struct lock_options o, const char *why)
{
    OWNED(lock) l = NULL;
    struct err e = { 0 };

    cr_assert_eq(lock_take(&o, &l, &e), RC_LOCKED);
    cr_assert_not_null(strstr(e.why, why), "%s", e.why);
}

/* ---- a directory ----------------------------------------------------------------------
 */

CASE(catalog_lock, a_directory_has_one_holder_at_a_time)
{
    const char *dir = tmpdir_new();
    OWNED(lock) a = taken(in_directory(dir, "host-a 17"));
    struct lock_options other = in_directory(dir, "host-b");
    struct err e = { 0 };

    assert_locked(in_directory(dir, "host-b"),
                  "host-a 17 works on 'prod' in this repository");
    OK(lock_check(a, &e), &e);
    OK(lock_fence(a, &e), &e);
    other.cluster = "test";
    OWNED(lock) b = taken(other);

    assert_held(b);
    lock_free(a);
    a = taken(in_directory(dir, "host-b"));
}

CASE(catalog_lock, a_killed_holder_leaves_a_directory_free)
{
    const char *dir = tmpdir_new();
    struct lock_options o = in_directory(dir, "next");
    int ready[2];
    char byte;
    pid_t child;

    cr_assert_eq(pipe(ready), 0);
    child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        taken(in_directory(dir, "victim"));
        if (write(ready[1], "x", 1) == 1)
            pause();
        _exit(1);
    }
    cr_assert_eq(read(ready[0], &byte, 1), 1);
    assert_locked(o, "victim works on 'prod'");
    kill(child, SIGKILL);
    o.wait_ms = 60000;
    OWNED(lock) l = taken(o);

    assert_held(l);
    waitpid(child, NULL, 0);
    close(ready[0]);
    close(ready[1]);
}

CASE(catalog_lock, a_lock_file_that_was_removed_is_a_lost_lock)
{
    const char *dir = tmpdir_new();
    OWNED(lock) l = taken(in_directory(dir, "a"));
    struct err e = { 0 };

    cr_assert_eq(unlink(path_in(dir, "prod/lock")), 0);
    cr_assert_eq(lock_fence(l, &e), RC_LOCKED);
    cr_assert_str_eq(e.why, "somebody removed the lock file of 'prod'");
}

CASE(catalog_lock, a_link_in_the_place_of_the_lock_is_not_followed)
{
    const char *dir = tmpdir_new();
    struct lock_options o = in_directory(dir, "a");
    OWNED(lock) l = NULL;
    struct err e = { 0 };

    cr_assert_eq(os.mkdirat(AT_FDCWD, path_in(dir, "prod"), 0700), 0);
    cr_assert_eq(symlink("/etc/passwd", path_in(dir, "prod/lock")), 0);
    cr_assert_eq(lock_take(&o, &l, &e), RC_REFUSED);
}

CASE(catalog_lock, a_kernel_lock_is_not_taken_away)
{
    const char *dir = tmpdir_new();
    struct lock_options o = in_directory(dir, "b");
    char owner[128];
    struct err e = { 0 };
    bool held = true;

    OK(lock_break(&o, &held, owner, &e), &e);
    cr_assert_not(held);
    OWNED(lock) l = taken(in_directory(dir, "a"));

    cr_assert_eq(lock_break(&o, &held, owner, &e), RC_REFUSED);
    cr_assert(held);
    cr_assert_str_eq(owner, "a");
    assert_held(l);
}

/* ---- a store --------------------------------------------------------------------------
 */

CASE(catalog_lock, a_store_has_one_holder_at_a_time)
{
    OWNED(store) s = memory_store();
    OWNED(lock) a = taken(in_store(s, "host-a 17"));
    struct err e = { 0 };

    assert_locked(in_store(s, "host-b"), "host-a 17 works on 'prod' in this repository");
    OK(lock_check(a, &e), &e);
    OK(lock_fence(a, &e), &e);
    lock_free(a);
    a = taken(in_store(s, "host-b"));
    cr_assert_str_eq(store_listing(s, ""), "prod/locks/000000000002.json");
}

/* The sleeper's number is passed over, and when it wakes up it finds that out. */
CASE(catalog_lock, a_sleeper_loses_its_lock_and_is_told)
{
    OWNED(store) s = memory_store();
    OWNED(lock) sleeper = taken(in_store(s, "sleeper"));
    struct lock_options o = in_store(s, "next");
    struct err e = { 0 };

    o.wait_ms = 60000;
    OWNED(lock) next = taken(o);

    cr_assert_eq(lock_fence(sleeper, &e), RC_LOCKED);
    cr_assert_str_eq(e.why, "the lock of 'prod' was lost to next: this process gave no "
                            "sign of life for too long, or somebody took the lock away");
    OK(lock_fence(next, &e), &e);
}

static void beat(void *arg)
{
    struct err e = { 0 };

    OK(lock_fence(arg, &e), &e);
}

/* Whoever waits looks often; each time the holder has just beaten again. */
CASE(catalog_lock, a_beating_holder_keeps_its_lock)
{
    OWNED(store) inner = memory_store();
    OWNED(lock) holder = taken(in_store(inner, "holder"));
    struct trouble t = { .glance = beat, .arg = holder };
    OWNED(store) s = trouble_store(inner, &t);
    struct lock_options o = in_store(s, "next");
    struct err e = { 0 };

    o.wait_ms = TERM_MS * 4;
    assert_locked(o, "holder works on 'prod'");
    OK(lock_fence(holder, &e), &e);
}

CASE(catalog_lock, a_holder_with_a_longer_term_is_given_it)
{
    OWNED(store) s = memory_store();
    struct lock_options slow = in_store(s, "slow"), hasty = in_store(s, "hasty");

    slow.term_ms = 60000;
    OWNED(lock) l = taken(slow);

    hasty.wait_ms = TERM_MS * 3;
    assert_locked(hasty, "slow works on 'prod'");
    assert_held(l);
}

struct rival {
    struct store *s;
    struct lock *lock;
};

static void rival_takes(void *arg, const char *key)
{
    struct rival *r = arg;

    (void)key;
    if (r->lock == NULL)
        r->lock = taken(in_store(r->s, "rival"));
}

CASE(catalog_lock, of_two_that_take_the_same_number_one_gets_it)
{
    OWNED(store) inner = memory_store();
    struct rival rival = { inner, NULL };
    struct trouble t = { .meanwhile = rival_takes, .arg = &rival };
    OWNED(store) s = trouble_store(inner, &t);
    struct err e = { 0 };

    assert_locked(in_store(s, "late"), "somebody else took the lock of 'prod' just now");
    OK(lock_fence(rival.lock, &e), &e);
    lock_free(rival.lock);
}

/* Its put went over the rival's: the rival is told, and there is one holder. */
CASE(catalog_lock, on_a_store_that_lies_the_overwritten_one_is_told)
{
    OWNED(store) inner = memory_store();
    struct rival rival = { inner, NULL };
    struct trouble t = { .meanwhile = rival_takes, .arg = &rival, .careless = true };
    OWNED(store) s = trouble_store(inner, &t);
    OWNED(lock) late = taken(in_store(s, "late"));
    struct err e = { 0 };

    cr_assert_eq(lock_fence(rival.lock, &e), RC_LOCKED);
    OK(lock_fence(late, &e), &e);
    lock_free(rival.lock);
}

/* Killed, or cut off, at any change: after a term at most the next one has it. */
CASE(catalog_lock, whatever_the_holders_end_the_next_one_gets_it)
{
    static const enum trouble_kind kinds[] = { TROUBLE_DEAD, TROUBLE_BEFORE,
                                               TROUBLE_AFTER };

    for (size_t i = 0; i < 3; i++)
        for (unsigned nth = 1; nth <= 5; nth++) {
            OWNED(store) inner = memory_store();
            struct trouble t = { .kind = kinds[i], .nth = nth };
            OWNED(store) s = trouble_store(inner, &t);
            struct lock_options o = in_store(inner, "next"), first = in_store(s, "first");
            struct lock *l = NULL;
            struct err e = { 0 };

            if (lock_take(&first, &l, &e) == RC_OK && lock_fence(l, &e) == RC_OK)
                cr_assert_gt(nth, 3);
            lock_free(l);
            o.wait_ms = 60000;
            OWNED(lock) next = taken(o);

            OK(lock_fence(next, &e), &e);
        }
}

static void count_warnings(enum log_level level, const char *line, void *arg)
{
    if (level == LOG_WARN_LEVEL && strstr(line, "could not be renewed") != NULL)
        ++*(int *)arg;
}

CASE(catalog_lock, a_store_out_of_reach_for_a_moment_does_not_end_the_work)
{
    OWNED(store) inner = memory_store();
    struct trouble t = { .kind = TROUBLE_NONE };
    OWNED(store) s = trouble_store(inner, &t);
    struct lock_options o = in_store(s, "a");
    uint64_t start = clock_ms();
    int tolerated = 0;
    struct err e = { 0 };
    enum rc rc = RC_OK;

    o.term_ms = 1800;
    OWNED(lock) l = taken(o);

    t = (struct trouble){ .kind = TROUBLE_DEAD };
    cr_assert_eq(lock_fence(l, &e), RC_NET, "before anything becomes visible it counts");
    log_to(count_warnings, &tolerated);
    while ((rc = lock_check(l, &e)) == RC_OK)
        clock_sleep_ms(10);
    log_to(NULL, NULL);
    cr_assert_eq(rc, RC_NET);
    cr_assert_geq(clock_ms() - start, 1200);
    cr_assert_gt(tolerated, 0);
}

CASE(catalog_lock, unlock_takes_it_away_at_once)
{
    OWNED(store) s = memory_store();
    struct lock_options o = in_store(s, "operator");
    char owner[128];
    struct err e = { 0 };
    bool held = true;

    OK(lock_break(&o, &held, owner, &e), &e);
    cr_assert_not(held);
    OWNED(lock) l = taken(in_store(s, "gone"));

    OK(lock_break(&o, &held, owner, &e), &e);
    cr_assert(held);
    cr_assert_str_eq(owner, "gone");
    OWNED(lock) next = taken(in_store(s, "next"));

    cr_assert_eq(lock_fence(l, &e), RC_LOCKED);
    OK(lock_fence(next, &e), &e);
}

CASE(catalog_lock, junk_in_the_place_is_somebody_who_never_beats)
{
    OWNED(store) s = memory_store();
    struct lock_options o = in_store(s, "a");
    struct err e = { 0 };

    OK(store_put_bytes(s, "prod/locks/readme", NULL, bytes_str("?"), &e), &e);
    OK(store_put_bytes(s, "prod/locks/7.json", NULL, bytes_str("?"), &e), &e);
    OK(store_put_bytes(s, "prod/locks/000000000041.json", NULL, bytes_str("{\"owner\":"),
                       &e),
       &e);
    assert_locked(o, "somebody works on 'prod'");
    o.wait_ms = 60000;
    OWNED(lock) l = taken(o);

    assert_held(l);
    cr_assert_not_null(strstr(store_listing(s, ""), "prod/locks/000000000042.json"));
}

CASE(catalog_lock, an_owners_name_cannot_talk_to_the_terminal)
{
    OWNED(store) s = memory_store();
    OWNED(lock) l = taken(in_store(s, "\x1b[2Jevil"));

    assert_locked(in_store(s, "b"), "\\x1b[2Jevil works on");
    assert_held(l);
}

/* ---- a lease --------------------------------------------------------------------------
 */

struct lease_world {
    int taken, released;
    bool lost;
};

static enum rc lease_take(void *arg, const char *name, const char *owner, struct err *e)
{
    struct lease_world *w = arg;

    cr_assert_str_eq(name, "prod");
    cr_assert_str_eq(owner, "a");
    return w->taken++ == 0 ? err_set(e, RC_LOCKED, "busy") : RC_OK;
}

static enum rc lease_check(void *arg, struct err *e)
{
    return ((struct lease_world *)arg)->lost ? err_set(e, RC_LOCKED, "lost") : RC_OK;
}

static void lease_release(void *arg)
{
    ((struct lease_world *)arg)->released++;
}

CASE(catalog_lock, where_a_store_cannot_lock_a_lease_does)
{
    struct lease_world w = { 0 };
    struct lock_lease lease = { lease_take, lease_check, lease_release, &w };
    OWNED(store) s = memory_store();
    struct lock_options o = in_store(s, "a");
    char owner[128];
    struct err e = { 0 };
    bool held;

    o.exclusive = false;
    o.lease = &lease;
    o.wait_ms = 60000;
    struct lock *l = taken(o);

    OK(lock_fence(l, &e), &e);
    w.lost = true;
    cr_assert_eq(lock_fence(l, &e), RC_LOCKED);
    lock_free(l);
    cr_assert(w.taken == 2 && w.released == 1);
    cr_assert_eq(lock_break(&o, &held, owner, &e), RC_REFUSED);
}

CASE(catalog_lock, without_any_lock_nothing_is_done)
{
    OWNED(store) s = memory_store();
    struct lock_options o = in_store(s, "a");
    OWNED(lock) l = NULL;
    struct err e = { 0 };

    o.exclusive = false;
    cr_assert_eq(lock_take(&o, &l, &e), RC_REFUSED);
    cr_assert_str_eq(e.why, "'memory:' may take a key twice, and there is no other lock");
    o.cluster = "../x";
    o.exclusive = true;
    cr_assert_eq(lock_take(&o, &l, &e), RC_USAGE);
}
