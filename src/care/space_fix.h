/* The way out of a full database: compact, defragment, disarm, and prove it by a write.
 * Each step is taken only when the cluster is well enough for it, and written down in the
 * journal before it is taken. */
#ifndef CARE_SPACE_FIX_H
#define CARE_SPACE_FIX_H

#include "care/defrag_run.h"
#include "care/space.h"

struct care_fix_wish {
    int64_t keep;      /* revisions to keep */
    bool keep_exactly; /* else fewer are kept when these leave no room */
    int64_t protect;   /* nothing of this revision or later is compacted; 0: no limit */
    bool move_leader;
};

struct care_fix_job {
    struct care_defrag_job defrag;
    /* Writes need a client of the whole cluster: borrowed. */
    struct wire_client *writer;
};

struct care_fix {
    struct care_fix_wish wish;
    int64_t compacted_at; /* 0: there was nothing to compact */
    int64_t kept;
    struct care_defrag defrag;
    size_t disarmed;         /* alarms */
    int64_t proved_revision; /* of the probe's put; 0: not proved */
};

/* May it begin? The gate of a defragmentation; but when CORRUPT is raised and nothing
 * else is wrong, *corrupt is set and it is RC_OK. */
enum rc care_fix_gate(const struct care_view *v, bool *corrupt, struct err *e);

/* `out` tells how far it came, also when it fails. RC_REFUSED when the voters' data are
 * not known to be equal while CORRUPT is raised; RC_DEGRADED when a member stays above
 * 90 % of its quota, and then the alarm stays. */
enum rc care_fix_run(const struct care_fix_job *job, const struct care_fix_wish *w,
                     struct care_fix *out, struct err *e);

#endif
