/* The command line that does a job: what the agent runs is what a person would type.
 * Pure. Nothing secret is in it; secrets are in the files that it names. */
#ifndef AGENT_ORDER_H
#define AGENT_ORDER_H

#include "agent/config.h"
#include "util/str.h"

/* "holdfast" first. `within_s`: a backup that another agent made within that time is
 * enough; 0: it is not. */
enum rc agent_order(const struct agent_config *f, const struct agent_cluster *c,
                    enum agent_kind k, int64_t within_s, struct str_list *out,
                    struct err *e);

/* The one that asks which backups there are; the newest AGENT_LIST_MAX. */
enum { AGENT_LIST_MAX = 1000 };
enum rc agent_order_list(const struct agent_config *f, const struct agent_cluster *c,
                         struct str_list *out, struct err *e);

#endif
