/* The command `recover`: its three ways, and what they share. */
#ifndef CLI_RECOVERY_H
#define CLI_RECOVERY_H

#include "cli/assessment.h"
#include "cli/cluster.h"
#include "host/control.h"
#include "recover/apply.h"

struct recovery_args {
    struct assessment_args from;
    const char *plan, *apply, *rollback; /* exactly one is set */

    /* Of a plan. */
    const char *source, *export, *members, *first, *bump, *target;
    unsigned shape;
    bool mark_compacted;
    uint64_t high_water;

    /* Of a host. */
    const char *member, *data_dir, *layout, *stop_command, *start_command, *manifests;
    uint64_t wait_ms;
};

enum rc recovery_plan(struct cli *c, const struct recovery_args *a, struct err *e);
enum rc recovery_apply(struct cli *c, const struct recovery_args *a, struct err *e);
enum rc recovery_rollback(struct cli *c, const struct recovery_args *a, struct err *e);

/* ---- this host, as recover/apply.h wants it -----------------------------------------
 */

struct recovery_host {
    struct cli *cli;
    const struct recovery_args *args;
    const struct recover_plan *plan;
    struct host_member member; /* as found, or made up of what the options say */
    struct host_control control;
    struct cli_cluster any; /* connections to whoever answers */
};

/* *out must not move afterwards. RC_REFUSED for k3s and RKE2. */
enum rc recovery_host_open(struct cli *c, const struct recovery_args *a,
                           const struct recover_plan *p, struct recovery_host *out,
                           struct err *e);
void recovery_host_close(struct recovery_host *h);
struct recover_hands recovery_hands(struct recovery_host *h);

/* This host's member as a learner of the new cluster, started here and promoted. Whatever
 * of it an earlier run has done is not done again. */
enum rc recovery_join(struct recovery_host *h, struct err *e);

/* Who answers at the URLs of the old cluster's members. */
struct recover_scout recovery_scout(struct cli_cluster *any);

/* Discovery with --layout, --data-dir and the rest; *found false: nothing was. */
enum rc recovery_find(const struct recovery_args *a, const char *data_dir,
                      const char *name, struct host_list *list,
                      const struct host_member **out, struct err *e);

/* ---- words --------------------------------------------------------------------------
 */

/* A plan, for a person; `file` is its name. */
enum rc recovery_draw(const struct recover_plan *p, const char *file, struct result *r,
                      struct err *e);
/* What Kubernetes needs afterwards, as lines. */
void recovery_chores(const struct recover_plan *p, struct result *r);

#endif
