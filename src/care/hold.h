/* Revisions that jobs of this host still need, so that a compaction of ours stops before
 * them. Byte locks in a file of the state directory, at the revision's own number: they
 * are gone with the process, and nothing is left to clean up when a job is killed. */
#ifndef CARE_HOLD_H
#define CARE_HOLD_H

#include "care/store.h"
#include "util/os.h"

/* Holds the revision, which must not be negative, until *out is closed; a variable that
 * is OWNED_FD. -1 when `s` is NULL. */
enum rc care_hold(const struct care_store *s, uint64_t cluster, int64_t revision,
                  int *out, struct err *e);

/* The lowest revision that is held at this moment, by this process or another; -1: none,
 * or `s` is NULL. */
enum rc care_held(const struct care_store *s, uint64_t cluster, int64_t *lowest,
                  struct err *e);

#endif
