/* One writer at a time in a cluster's part of a repository, however its holder ends.
 *
 * A directory: the kernel's lock on CLUSTER/lock; it goes with the process.
 *
 * A store that never takes a key twice: CLUSTER/locks/FENCE.json, created on condition
 * that it is not there, FENCE one more than the highest. The holder writes its beat into
 * it by and by; whoever finds a beat that did not change for a whole term on its own
 * monotonic clock takes the next number. Numbers are never used again. A holder that was
 * asleep finds the higher number in lock_check, which is asked right before anything
 * becomes visible.
 *
 * Any other store: a lease that the caller brings (etcd's). */
#ifndef CATALOG_LOCK_H
#define CATALOG_LOCK_H

#include "storage/store.h"

enum { LOCK_TERM_MS = 60000 };

/* Borrowed; `take` fails with RC_LOCKED when another one holds it. */
struct lock_lease {
    enum rc (*take)(void *arg, const char *name, const char *owner, struct err *e);
    enum rc (*check)(void *arg, struct err *e); /* RC_LOCKED: lost */
    void (*release)(void *arg);
    void *arg;
};

struct lock_options {
    const char *cluster;
    const char *owner;     /* host and process, for the one who is kept waiting */
    const char *directory; /* of a repository in a directory; else NULL */
    struct store *store;   /* borrowed; used by lock_check, in the caller's thread */
    bool exclusive;        /* store_traits.exclusive */
    const struct lock_lease *lease; /* for the rest; NULL: RC_REFUSED */
    uint64_t
        wait_ms; /* for a lock that is held; a dead holder's is broken after a term */
    uint64_t term_ms; /* 0: LOCK_TERM_MS */
};

struct lock;

/* RC_LOCKED names the holder, and since when its beat stands still. */
enum rc lock_take(const struct lock_options *o, struct lock **out, struct err *e);

/* Still ours? Renews the beat when a third of the term is over, so long work calls it
 * every few seconds, in progress callbacks for example. RC_LOCKED when it was lost. */
enum rc lock_check(struct lock *l, struct err *e);
/* The same, and looks at the store in any case: before anything becomes visible. Fits
 * log_fence.check. */
enum rc lock_fence(void *lock, struct err *e);

/* Lets go; NULL is fine. */
void lock_free(struct lock *l);
OWN_DEFINE(lock)

/* For `unlock`: takes the lock away from whoever holds it. *held tells whether anybody
 * did, `owner` who. A kernel's lock cannot be taken away: RC_REFUSED. */
enum rc lock_break(const struct lock_options *o, bool *held, char owner[static 128],
                   struct err *e);

#endif
