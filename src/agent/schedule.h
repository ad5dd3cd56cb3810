/* When is a job due next? Pure: what was, and what the clock says now.
 *
 * What was missed (the machine slept, the agent was down) is caught up once, not as often
 * as it was missed. What failed is tried again after a minute, two, four, up to an hour.
 * A clock that jumps never starts a storm and never silences a job: a past that lies in
 * the future is taken to be now. */
#ifndef AGENT_SCHEDULE_H
#define AGENT_SCHEDULE_H

#include "agent/cron.h"

struct schedule {
    bool is_cron;
    struct cron cron;
    int64_t every_s;  /* unless is_cron */
    int64_t jitter_s; /* a job starts up to this much later, always the same for a slot */
    uint64_t seed; /* differs between jobs and agents, so that they do not start as one */
};

/* "every 6h", "6h", or what cron_parse takes. RC_USAGE; less than a minute is refused. */
enum rc schedule_parse(const char *text, struct schedule *out, struct err *e);

struct schedule_past {
    int64_t last;      /* when it was last begun, seconds since 1970; 0: never */
    int64_t since;     /* when somebody first asked; set by schedule_due while it is 0 */
    int64_t failed;    /* when it last ended badly; 0: it did not */
    unsigned failures; /* in a row */
};

/* When to begin, in seconds since 1970; not after `now`: begin at once. A cron job that
 * never ran waits for its time, another one begins at once. To be asked again whenever
 * the wall clock may have jumped. */
int64_t schedule_due(const struct schedule *s, struct schedule_past *past, int64_t now);

/* It was begun, and never ended: it is due at once. */
void schedule_cut_off(struct schedule_past *past);

/* A job that is `late_s` late: how long ago may another agent have done it, so that it
 * need not be done again? Back to the slot, which each meets with its own jitter; or half
 * the time between two runs. */
int64_t schedule_elsewhere(const struct schedule *s, int64_t late_s);

/* It was begun, and ended at `now`. */
void schedule_ended(struct schedule_past *past, int64_t now, bool well);

#endif
