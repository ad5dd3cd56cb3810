/* Up to which revision a living cluster's history may be dropped. Pure. */
#ifndef CARE_COMPACT_PLAN_H
#define CARE_COMPACT_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

struct care_compact_wish {
    bool keeps; /* `number` revisions stay, the newest among them; else up to it */
    int64_t number;
    const int64_t *protect; /* revisions that must stay readable */
    size_t protect_count;
    bool allow_newest;
};

struct care_compact_plan {
    int64_t newest, compacted; /* compacted: 0 when never, or not known */
    int64_t target;
    bool nothing;   /* the target has been compacted away already */
    bool protected; /* it was lowered for a revision that must stay */
};

/* RC_REFUSED for the newest revision, unless allowed: every watch and every list that is
 * read in pages would lose its place. RC_USAGE for one that is not there yet. */
enum rc care_compact_plan(int64_t newest, int64_t compacted,
                          const struct care_compact_wish *wish,
                          struct care_compact_plan *out, struct err *e);

/* Bytes that become free pages at most: as if each of the `keys` live keys and each
 * revision that is kept were a record of the same size. */
uint64_t care_compact_gain(const struct care_compact_plan *p, uint64_t keys,
                           uint64_t in_use);

#endif
