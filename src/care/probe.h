/* How long a cluster keeps its clients waiting: reads one key again and again on a thread
 * of its own, and remembers the longest time without an answer. Writes nothing. */
#ifndef CARE_PROBE_H
#define CARE_PROBE_H

#include <stdatomic.h>

#include "care/look.h"
#include "util/task.h"

struct care_probe {
    const struct care_access *access;
    char *endpoint;
    bool alone; /* what the member itself knows; else a read that asks the quorum */
    atomic_bool over;
    struct task task;
    uint64_t longest_ms;
    uint64_t answers;
};

/* `p` must not move. RC_OK also when the endpoint cannot be reached: then there are no
 * answers. */
enum rc care_probe_start(struct care_probe *p, const struct care_access *a,
                         const char *endpoint, bool alone, struct err *e);

/* Waits for one more answer, so that a stall that lasts to the end is measured whole. */
enum rc care_probe_end(struct care_probe *p, struct err *e);

#endif
