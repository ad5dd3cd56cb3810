/* When a job is due, as crontab(5) writes it: minute, hour, day of the month, month, day
 * of the week; lists, ranges and steps; names of months and days; @hourly, @daily,
 * @weekly, @monthly, @yearly. When both days are restricted, either will do, as cron has
 * it. Times are local ones of the process; see zone.h. */
#ifndef AGENT_CRON_H
#define AGENT_CRON_H

#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"

struct cron {
    uint64_t minutes; /* bit i: minute i */
    uint32_t hours, days, months;
    uint32_t weekdays;         /* bit 0: Sunday */
    bool any_day, any_weekday; /* the field begins with '*' */
};

/* RC_USAGE names the field. A date that never comes, such as 31 February, is refused. */
enum rc cron_parse(const char *text, struct cron *out, struct err *e);

/* The first such time after `after`, both in seconds since 1970. A time that the clock
 * skips in spring comes once nevertheless; an hour that it repeats in autumn counts twice
 * only for a job of every hour. */
int64_t cron_next(const struct cron *c, int64_t after);

#endif
