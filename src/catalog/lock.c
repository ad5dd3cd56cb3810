#include "catalog/lock.h"

#include <string.h>

#include "catalog/lock_inside.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/stop.h"

enum { LONGEST_PAUSE_MS = 1000 };

static enum rc lock_new(const struct lock_options *o, struct lock **out, struct err *e)
{
    OWNED(lock) l = NULL;

    if (!record_name_valid(o->cluster))
        return err_set(e, RC_USAGE, "'%s' is no name for a cluster in a repository",
                       o->cluster);
    TRY(mem_new(&l, sizeof *l, "a lock", e));
    l->fd = -1;
    l->store = o->store;
    l->term_ms = o->term_ms > 0 ? o->term_ms : LOCK_TERM_MS;
    snprintf(l->cluster, sizeof l->cluster, "%s", o->cluster);
    str_printable(l->owner, sizeof l->owner, bytes_str(o->owner));
    *out = GIVE(l);
    return RC_OK;
}

/* One way to lock: a try that may be repeated, and what goes with it. */
struct way {
    enum rc (*try)(struct lock *l, const struct lock_options *o, struct err *e);
    enum rc (*look)(struct lock *l, struct err *e);
    void (*release)(struct lock *l);
};

static enum rc lease_try(struct lock *l, const struct lock_options *o, struct err *e)
{
    TRY(o->lease->take(o->lease->arg, l->cluster, l->owner, e));
    l->lease = o->lease;
    return RC_OK;
}

static enum rc lease_look(struct lock *l, struct err *e)
{
    return l->lease->check(l->lease->arg, e);
}

static void lease_release(struct lock *l)
{
    l->lease->release(l->lease->arg);
}

static const struct way kernel = { lock_kernel_try, lock_kernel_look,
                                   lock_kernel_release };
static const struct way fence = { lock_fence_try, lock_fence_look, lock_fence_release };
static const struct way lease = { lease_try, lease_look, lease_release };

static enum rc choose(const struct lock_options *o, const struct way **out, struct err *e)
{
    *out = o->directory != NULL ? &kernel : o->exclusive ? &fence : &lease;
    if (*out != &lease || o->lease != NULL)
        return RC_OK;
    return err_set(
        e, RC_REFUSED,
        "'%s' may take a key twice, and there is no other lock" HINT
        "give the cluster's endpoints, so that a lease of etcd can be the lock",
        store_name(o->store));
}

/* Pauses grow with the term, so that a test with a short one is short. */
static uint64_t pause_of(const struct lock *l, uint64_t left)
{
    uint64_t ms = l->term_ms / 8 + 1;

    if (ms > LONGEST_PAUSE_MS)
        ms = LONGEST_PAUSE_MS;
    return ms < left ? ms : left;
}

enum rc lock_take(const struct lock_options *o, struct lock **out, struct err *e)
{
    OWNED(lock) l = NULL;
    const struct way *way = NULL;
    uint64_t start = clock_ms(), spent = 0;
    enum rc rc;

    TRY(choose(o, &way, e));
    TRY(lock_new(o, &l, e));
    while ((rc = way->try(l, o, e)) == RC_LOCKED && spent < o->wait_ms) {
        clock_sleep_ms(pause_of(l, o->wait_ms - spent));
        TRY(stop_check(e));
        spent = clock_ms() - start;
    }
    TRY(rc);
    l->way = way;
    l->renewed = clock_ms();
    *out = GIVE(l);
    return RC_OK;
}

static enum rc look_now(struct lock *l, struct err *e)
{
    uint64_t at = clock_ms();

    TRY(l->way->look(l, e));
    l->renewed = at;
    return RC_OK;
}

/* A store that is out of reach for a moment does not end long work, as long as nobody can
 * have taken the lock away meanwhile. */
enum rc lock_check(struct lock *l, struct err *e)
{
    uint64_t since = clock_ms() - l->renewed;
    struct err why = { 0 };
    enum rc rc;

    if (since < l->term_ms / 3)
        return RC_OK;
    rc = look_now(l, &why);
    if (rc == RC_NET && since < l->term_ms * 2 / 3) {
        log_warn("the lock of '%s' could not be renewed: %s", l->cluster, why.why);
        return RC_OK;
    }
    if (rc != RC_OK)
        *e = why;
    return rc;
}

enum rc lock_fence(void *held, struct err *e)
{
    return look_now(held, e);
}

void lock_free(struct lock *l)
{
    if (l == NULL)
        return;
    if (l->way != NULL)
        l->way->release(l);
    os_fd_end(&l->fd);
    buf_clear(&l->seen);
    mem_free(l);
}

enum rc lock_break(const struct lock_options *o, bool *held, char owner[static 128],
                   struct err *e)
{
    OWNED(lock) l = NULL;

    *held = false;
    owner[0] = '\0';
    TRY(lock_new(o, &l, e));
    if (o->directory != NULL)
        return lock_kernel_break(l, o, held, owner, e);
    if (o->exclusive)
        return lock_fence_break(l, held, owner, e);
    return err_set(e, RC_REFUSED,
                   "the lock of '%s' is a lease in etcd, which ends by itself" HINT
                   "wait for a minute",
                   l->cluster);
}
