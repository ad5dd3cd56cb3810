/* Carries out the part of a recovery plan that is one host's, and takes it back.
 *
 * What a step does is done by this or by the hands it is given; which step comes next,
 * whether it may be taken, and that it was taken is decided here. Before anything is
 * moved the world is looked at again, and the old directory once more when etcd is
 * stopped: nothing of the plan may have become untrue. Each step is journalled before and
 * after, and can be taken twice: after a crash anywhere the same call goes on.
 *
 *     builds    stop  [export]  build  aside  publish  start  check
 *     joins     stop  aside  join  check                                             */
#ifndef RECOVER_APPLY_H
#define RECOVER_APPLY_H

#include "crypto/age.h"
#include "recover/journal.h"
#include "recover/probe.h"
#include "recover/site.h"

enum recover_health {
    RECOVER_HEALTH_WAITS,    /* this member runs; too few others do for a quorum */
    RECOVER_HEALTH_SERVES,   /* a linearizable read was had, and all that answer hold the
                                same */
    RECOVER_HEALTH_COMPLETE, /* and all members of the plan do */
};

/* What only a host and a network can do. */
struct recover_hands {
    enum rc (*running)(void *arg, bool *running, struct err *e);
    enum rc (*stop)(void *arg, struct err *e);
    /* *by_hand: it cannot, a person has to */
    enum rc (*start)(void *arg, bool *by_hand, struct err *e);
    /* Who answers, and whether this host's member has run; with `revisions` also how far
     * each one is. */
    enum rc (*look)(void *arg, bool revisions, struct recover_sightings *out,
                    struct err *e);
    /* A member that joins: added, started, promoted. */
    enum rc (*join)(void *arg, bool *by_hand, struct err *e);
    /* Waits until it serves or cannot, and compares; for a member that runs. */
    enum rc (*check)(void *arg, const struct recover_journal *facts,
                     enum recover_health *out, struct err *e);
    void *arg;
};

struct recover_job {
    const struct recover_plan *plan;
    const char *member;             /* who this host is */
    const char *data_dir, *wal_dir; /* of this host; wal_dir NULL */
    const char *source;             /* where the source file is here; NULL: as planned */
    const struct age_identities *ids;
    struct recover_hands hands;
    /* Asked before the first thing is changed; NULL: yes. */
    enum rc (*confirm)(void *arg, struct err *e);
    void *confirm_arg;
};

struct recover_outcome {
    bool by_hand; /* a person has to start etcd; after an apply then the same again */
    enum recover_health health; /* after an apply that was not ended by that */
    unsigned taken;             /* steps that this call took, as bits 1 << kind */
    bool resumed;               /* an earlier call had begun */
    char *aside,
        *work;        /* where the old directory is (NULL: there was none), the journal */
    int64_t revision; /* with which the new data directory begins; 0: not built here */
};
void recover_outcome_clear(struct recover_outcome *o);

/* RC_REFUSED when the plan does not fit the world any more, and for a plan that was
 * rolled back here; RC_USAGE for a member that is not in it; RC_LOCKED. */
enum rc recover_apply(const struct recover_job *job, struct recover_outcome *out,
                      struct err *e);

/* The old state again: the new etcd is stopped, the new directory kept aside, the old one
 * back under its name, and its etcd started if it ran before. Only as long as nothing was
 * written to the new cluster: RC_REFUSED when this host's copy, or a member that answers,
 * has a revision beyond the one that the new directory began with, be it a client's write
 * or a lease that ran out. */
enum rc recover_rollback(const struct recover_job *job, struct recover_outcome *out,
                         struct err *e);

#endif
