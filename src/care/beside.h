/* What keeps the other jobs of this host out of the way of a snapshot that streams: its
 * lock and the revision it needs, in the state directory, until it ends. */
#ifndef CARE_BESIDE_H
#define CARE_BESIDE_H

#include "care/store.h"

struct care_beside {
    int stream, revision; /* descriptors; -1: none */
};

#define CARE_BESIDE                  \
    {                                \
        .stream = -1, .revision = -1 \
    }

/* RC_LOCKED when a job is under way that must not meet a stream. No backup fails for want
 * of a place to announce it: anything else but RC_NOMEM is a warning. `s` may be NULL. */
enum rc care_beside_begin(struct care_beside *b, const struct care_store *s,
                          uint64_t cluster, int64_t revision, struct err *e);
void care_beside_end(struct care_beside *b);

/* RC_OK and a warning that other jobs do not see this one, but for RC_NOMEM and
 * RC_LOCKED.
 */
enum rc care_beside_unseen(enum rc rc, const struct err *why, struct err *e);

#endif
