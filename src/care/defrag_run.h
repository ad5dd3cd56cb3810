/* Takes the steps of defrag_plan.h: before each one the cluster is looked at again and
 * the gate must be open, after each one it must open again before the next. */
#ifndef CARE_DEFRAG_RUN_H
#define CARE_DEFRAG_RUN_H

#include "care/defrag_plan.h"
#include "care/journal.h"
#include "care/look.h"

struct care_defrag_job {
    const struct care_access *access;
    struct care_journal
        *journal; /* begun; each step is written down before it is taken */
    uint64_t wait_between_ms;
    uint64_t settle_ms;  /* how long the cluster may take to be well again */
    uint64_t timeout_ms; /* for one member; 0: by the size of its database */
    bool continue_on_error;
};

/* `d` is begun, and tells afterwards what became of each member, also when it fails. A
 * wish to stop waits for the end of a member's turn: RC_INTERRUPTED then. A member that
 * fails ends it, or with continue_on_error is left for the result to tell. */
enum rc care_defrag_run(const struct care_defrag_job *job, struct care_defrag *d,
                        struct err *e);

/* Room beside the databases of those that are due, where it can be known. */
enum rc care_defrag_room(const struct care_view *v, const struct care_defrag *d,
                         struct err *e);

/* How long one member's turn may last before we stop waiting for it. */
uint64_t care_defrag_patience(const struct care_defrag_job *job, uint64_t size);

#endif
