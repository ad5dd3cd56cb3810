/* One run of one job: the command, what it says, health checks and hooks around it. */
#ifndef AGENT_WORK_H
#define AGENT_WORK_H

#include "agent/standing.h"
#include "util/program.h"
#include "util/task.h"

/* All of it belongs to the work, so that the configuration may change meanwhile. */
struct agent_work {
    const char *program; /* our own, borrowed */
    char cluster[RECORD_NAME_SIZE];
    enum agent_kind kind;
    struct str_list order, list; /* agent_order, agent_order_list; no repository: empty */
    char *ping, *on_success, *on_failure;
    uint64_t timeout_ms;
    bool looks; /* no job: only `list` */
    struct task task;

    /* The result, once the task has been joined. */
    bool done; /* atomic: set last */
    int status;
    enum agent_outcome outcome;
    uint64_t took_ms;
    char why[AGENT_WHY_SIZE];
    struct agent_standing seen; /* `listed` with what is there, and the drill */
};

enum rc agent_work_new(const char *program, const struct agent_config *f,
                       const struct agent_cluster *c, enum agent_kind k, int64_t within_s,
                       struct agent_work **out, struct err *e);
void agent_work_free(struct agent_work *w); /* NULL is fine; joins what still runs */
OWN_DEFINE(agent_work)

/* Begins on a thread of its own; agent_work_done() tells when. */
enum rc agent_work_start(struct agent_work *w, struct err *e);
bool agent_work_done(const struct agent_work *w);

#endif
