/* Jobs of this host that must not meet on one cluster: a snapshot that streams pins the
 * member's database, and a defragmentation beside it freezes the member until the stream
 * ends. Files in the state directory, locked for as long as they are open; nothing is
 * left to clean up when a job is killed. */
#ifndef CARE_LOCK_H
#define CARE_LOCK_H

#include "care/store.h"
#include "util/os.h"

enum care_lock_kind {
    CARE_LOCK_STREAM, /* any number at a time */
    CARE_LOCK_CHANGE, /* alone */
};

/* *out is a descriptor to close, in a variable that is OWNED_FD; -1 when `s` is NULL.
 * RC_LOCKED when another job is in the way. */
enum rc care_lock_take(const struct care_store *s, uint64_t cluster,
                       enum care_lock_kind kind, int *out, struct err *e);

#endif
