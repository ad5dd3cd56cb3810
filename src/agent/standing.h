/* What the agent knows of its clusters: how its jobs went, and which backups there are.
 * It is kept in the state directory, so that an agent that is started anew neither
 * forgets what is due nor resets its counters. */
#ifndef AGENT_STANDING_H
#define AGENT_STANDING_H

#include "agent/config.h"
#include "catalog/record.h"
#include "sql/sql.h"

enum agent_outcome {
    AGENT_OK,
    AGENT_DEGRADED,  /* exit status 8: done, but look at it */
    AGENT_ELSEWHERE, /* another agent did it, or is at it: exit status 11, or skipped */
    AGENT_FAILED,
};
enum { AGENT_OUTCOMES = AGENT_FAILED + 1, AGENT_WHY_SIZE = 512 };
const char *agent_outcome_name(enum agent_outcome o);
enum agent_outcome agent_outcome_of(int status);

/* Times in seconds since 1970; 0: never. */
struct agent_run {
    struct schedule_past past;
    int64_t ended, succeeded; /* succeeded: also when degraded */
    int status;               /* exit status of the last run */
    uint64_t took_ms;
    uint64_t count[AGENT_OUTCOMES];
    char why[AGENT_WHY_SIZE]; /* the last failure's sentence; "" after a success */
    bool running;
};

struct agent_backup_fact {
    bool known;
    uint64_t sequence, size, stored_size;
    int64_t revision, time;
};

struct agent_drill_fact {
    bool known, passed;
    double recovery_s, data_age_s;
};

struct agent_standing {
    char cluster[RECORD_NAME_SIZE];
    struct agent_run runs[AGENT_KINDS];
    bool listed; /* the store answered when it was last asked; else the rest is older */
    uint64_t backups;
    struct agent_backup_fact newest, proved;
    struct agent_drill_fact drill;
};

/* DIR/agent.sqlite; the directory must exist. */
enum rc agent_memory_open(const char *dir, struct sql **out, struct err *e);

/* Fills s->runs and s->drill for s->cluster; what was never kept stays zero. With the
 * drill's run its outcome is kept: an alarm does not end because the agent is started
 * again. */
enum rc agent_memory_load(struct sql *db, struct agent_standing *s, struct err *e);
enum rc agent_memory_keep(struct sql *db, const struct agent_standing *s,
                          enum agent_kind k, struct err *e);

/* From what `list` and `drill` print with -w json. What is no such text leaves *s as it
 * was and is RC_CORRUPT. */
enum rc agent_standing_list(struct agent_standing *s, struct bytes json, struct err *e);
enum rc agent_standing_drill(struct agent_standing *s, struct bytes json, struct err *e);

/* Did `backup` say that there was nothing to do? */
bool agent_skipped(struct bytes json);

#endif
