/* Which member a snapshot is taken from: a pure decision over what the members said of
 * themselves. A healthy, caught-up follower comes before the leader, so that the load of
 * reading the whole database falls where it hurts least; a learner comes last. */
#ifndef SNAPSHOT_CHOOSE_H
#define SNAPSHOT_CHOOSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

/* A member this many revisions behind the newest is lagging. */
enum { SNAP_LAG_MAX = 1000 };

struct snap_member {
    const char *endpoint;
    bool answered;
    bool leader, learner, knows_leader;
    bool corrupt_alarm; /* this member carries a CORRUPT alarm */
    uint64_t id;
    int64_t revision;
};

enum snap_from {
    SNAP_FROM_ANY,
    SNAP_FROM_LEADER,
    SNAP_FROM_FOLLOWER,
    SNAP_FROM_ENDPOINT
};

struct snap_candidate {
    size_t member;      /* index into the members */
    const char *reason; /* why it stands where it stands; static text */
};

/* Fills order[] (room for n) with the members to try, best first.
 * RC_NET when none answered, RC_NOTFOUND when the wish cannot be met (no leader, no
 * follower, endpoint not among them), RC_REFUSED when only lagging members are left:
 * such a copy would pass for current (an endpoint named by the user is taken as it is).
 */
enum rc snap_choose(const struct snap_member *members, size_t n, enum snap_from from,
                    const char *endpoint, struct snap_candidate *order, size_t *count,
                    struct err *e);

#endif
