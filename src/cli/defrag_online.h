/* `holdfast defrag` on a living cluster, and the part of `space fix` that is the same. */
#ifndef CLI_DEFRAG_ONLINE_H
#define CLI_DEFRAG_ONLINE_H

#include "care/defrag_run.h"
#include "cli/cli.h"

struct defrag_online_args {
    const char *rule;
    bool cluster, move_leader, continue_on_error;
    uint64_t max_stall_ms, wait_between_ms, timeout_ms;
};

enum rc defrag_online(struct cli *c, const struct defrag_online_args *a, struct err *e);

/* "m1: 52.4 MB, of which 41.9 MB are free; about 0.2 s", a line for each step of the
 * plan. */
void defrag_say_steps(const struct care_view *v, const struct care_defrag_steps *s);

/* What is to be done, and what became of each member. */
struct result *defrag_show_steps(const struct care_view *v,
                                 const struct care_defrag_steps *s);
struct result *defrag_show_members(const struct care_defrag *d);

enum { DEFRAG_SETTLE_MS = 60000 };

#endif
