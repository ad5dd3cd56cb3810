/* Samples of a cluster over time: what tells a growth rate, and which revision was the
 * newest an hour ago. Every command that looks at a cluster adds one. */
#ifndef CARE_SAMPLES_H
#define CARE_SAMPLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "care/store.h"
#include "care/view.h"

enum {
    CARE_SAMPLE_EVERY_S = 60,            /* a newer one is not kept */
    CARE_SAMPLE_KEPT_S = 35 * 24 * 3600, /* an older one is dropped */
};

/* One row for each member that answered. `now` is Unix time in seconds. */
enum rc care_samples_add(struct care_store *s, const struct care_view *v, int64_t now,
                         struct err *e);

struct care_sample {
    int64_t time;
    int64_t revision;
    int64_t compacted; /* the compact revision; -1 when it was not known */
    uint64_t size, in_use;
};
struct care_samples {
    struct care_sample *items; /* of one member, the oldest first */
    size_t count;
};
enum rc care_samples_get(struct care_store *s, uint64_t cluster, uint64_t member,
                         int64_t since, struct care_samples *out, struct err *e);
void care_samples_clear(struct care_samples *s);

/* The newest revision that a sample saw at `time` or before, with the sample's own time:
 * everything that has happened since `time` is later than it. RC_NOTFOUND when no sample
 * is that old. */
enum rc care_samples_revision(struct care_store *s, uint64_t cluster, int64_t time,
                              int64_t *revision, int64_t *seen, struct err *e);

/* ---- what they mean: pure ------------------------------------------------------------
 */

struct care_forecast {
    bool known; /* samples enough: three at least, an hour apart */
    double bytes_per_day;
    int64_t full_at; /* when the bytes in use reach the quota; 0: not at this rate */
};

/* By the line that fits the bytes in use best. quota 0 is not known, and is never full.
 */
struct care_forecast care_forecast(const struct care_sample *items, size_t n,
                                   uint64_t quota);

enum care_compaction {
    CARE_COMPACTION_UNKNOWN,  /* too few samples, or nothing is written */
    CARE_COMPACTION_NONE,     /* revisions go on, and none was ever compacted away */
    CARE_COMPACTION_PERIODIC, /* the compact revision follows */
};
struct care_habit {
    enum care_compaction kind;
    int64_t every_s; /* PERIODIC: the usual time between two compactions; 0: not known */
    int64_t kept;    /* revisions that are kept, at the last sample */
};
struct care_habit care_compaction_habit(const struct care_sample *items, size_t n);

#endif
