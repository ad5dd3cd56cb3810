/* What a job's options mean, before it is ever due: a word that its command would refuse
 * is refused when the configuration is read, since otherwise the job fails at night, and
 * a good configuration has been given up for a bad one. Pure: no file that is named is
 * opened, so that a disk that is not mounted yet keeps no agent from starting. */
#ifndef AGENT_MEANING_H
#define AGENT_MEANING_H

#include "agent/config.h"

/* RC_USAGE names the key. Without a text 0. */
enum rc meaning_duration(const char *key, const char *text, uint64_t *ms, struct err *e);
/* The same for what would mean nothing or everything when it were 0. */
enum rc meaning_limit(const char *key, const char *text, uint64_t *ms, struct err *e);

/* The options of one job, with those of its cluster that it needs. RC_USAGE. */
enum rc meaning_check(const struct agent_cluster *c, enum agent_kind k,
                      const struct agent_job *j, struct err *e);

#endif
