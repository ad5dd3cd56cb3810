/* The agent: begins each job when it is due, one at a time per cluster, and tells the
 * world how it goes. The jobs are commands (order.h) in processes of their own, with the
 * least priority, so that neither memory nor a fault of one hurts the agent or its host.
 *
 *     config.h    what is to be done        standing.h  how it went
 *     schedule.h  when                      metrics.h, serve.h, textfile.h, notify.h
 *     work.h      one run of one job                    who is told
 */
#ifndef AGENT_AGENT_H
#define AGENT_AGENT_H

#include <stdbool.h>

#include "util/err.h"

struct agent_options {
    const char *config;  /* the file; read again on SIGHUP, the old one stays on error */
    const char *program; /* our own executable, for the jobs */
    const char *version; /* for the metrics */
    const char *state_dir; /* when the configuration names none */
    bool once; /* each job once, whatever its schedule says: for timers and CronJobs */
};

/* Runs until a stop is wanted, and then waits for what it began, which is told to stop
 * as well. With `once` RC_DEGRADED when a job failed. */
enum rc agent_run(const struct agent_options *o, struct err *e);

#endif
