/* Backups that may go, by rule. A signed record first says which are removed, then they
 * are: whatever ends the run between leaves removed ones that the next run deletes, and
 * never a backup that is half there. */
#ifndef REPO_PRUNE_H
#define REPO_PRUNE_H

#include "catalog/retain.h"
#include "repo/job.h"

struct repo_prune_options {
    struct repo_job_options job;
    const struct retain_policy *policy;
    bool carry_out;    /* else only judged: no lock, no key, nothing written */
    bool accept_clock; /* somebody has looked at the clock */
};

struct repo_pruned {
    struct chain *log;         /* as it was judged */
    struct retain_item *items; /* one a backup, by sequence, each with its reason */
    size_t count;
    struct retain_plan plan;
    uint64_t bytes; /* of the objects that go, or went */
    size_t locked;  /* removed, but the store keeps their objects until a lock ends */
};
void repo_pruned_clear(struct repo_pruned *p);

/* RC_USAGE for a policy without a rule, RC_CORRUPT for a log that does not hang
 * together, RC_REFUSED when the plan is frozen and was to be carried out. */
enum rc repo_prune(struct repo *r, const struct repo_prune_options *o,
                   struct repo_pruned *out, struct err *e);

#endif
