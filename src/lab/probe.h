/* What a cluster, or a part of it, is good for: tried, not concluded. */
#ifndef LAB_PROBE_H
#define LAB_PROBE_H

#include "lab/lab.h"

struct lab_probe {
    bool can_write;             /* a delete of a key that nobody has: it goes through the
                                   log like any write, and changes nothing */
    bool can_read_linearizable; /* both through any of the members within the patience */
    bool can_read_serializable; /* from each of the members, which may be stale */
    size_t leader;              /* whom most of them follow; LAB_NOBODY */
};

#define LAB_NOBODY SIZE_MAX

/* Asks the members in `which`; with none of them nothing is possible. RC_OK unless a stop
 * is wanted or memory runs out. */
enum rc lab_probe(const struct lab *l, const bool *which, uint64_t patience_ms,
                  struct lab_probe *out, struct err *e);

/* The leader among those in `which`, as they say; LAB_NOBODY when none of them leads. */
enum rc lab_probe_leader(const struct lab *l, const bool *which, size_t *out,
                         struct err *e);

#endif
