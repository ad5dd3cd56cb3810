/* What etcd's own /metrics tell about its disk and its elections. */
#ifndef CARE_METRICS_H
#define CARE_METRICS_H

#include <stdbool.h>
#include <stdint.h>

#include "util/bytes.h"

struct care_latency {
    double count;  /* 0: not known */
    double p99_ms; /* upper bound of the bucket that holds it; HUGE_VAL beyond the last */
};

/* Since the server started; a negative number was not told. */
struct care_metrics {
    double quota;          /* bytes */
    double leader_changes; /* seen by this member */
    double started;        /* Unix time in seconds */
    double defrags;        /* running now; since 3.5 */
    double compacted;      /* the compact revision */
    double slow_watchers;  /* watchers that have not seen all events yet */
    struct care_latency wal_fsync, backend_commit;
};

/* Reads the text format of Prometheus; lines that are something else are passed over. */
void care_metrics_read(struct bytes text, struct care_metrics *out);

#endif
