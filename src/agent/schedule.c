#include "agent/schedule.h"

#include <string.h>

#include "util/str.h"

enum { MINUTE_MS = 60 * 1000 };

enum rc schedule_parse(const char *text, struct schedule *out, struct err *e)
{
    const char *length = strncmp(text, "every ", 6) == 0 ? text + 6 : text;
    uint64_t ms;

    *out = (struct schedule){ .is_cron = false };
    if (!str_to_duration(length, &ms)) {
        out->is_cron = true;
        return cron_parse(text, &out->cron, e);
    }
    if (ms < MINUTE_MS || ms > INT64_MAX / 2)
        return err_set(e, RC_USAGE,
                       "'%.40s' is no time between two runs" HINT "the least is a minute",
                       text);
    out->every_s = (int64_t)(ms / 1000);
    return RC_OK;
}

/* The same for the same slot, so that asking twice changes nothing. */
static int64_t jitter(const struct schedule *s, int64_t slot)
{
    uint64_t x = s->seed ^ (uint64_t)slot * UINT64_C(0x9e3779b97f4a7c15);

    if (s->jitter_s <= 0)
        return 0;
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return (int64_t)((x ^ x >> 31) % (uint64_t)(s->jitter_s + 1));
}

int64_t schedule_due(const struct schedule *s, struct schedule_past *past, int64_t now)
{
    if (past->since == 0 || past->since > now)
        past->since = now;
    if (past->last > now)
        past->last = now;
    if (past->last == 0 && !s->is_cron)
        return past->since + jitter(s, past->since);

    const int64_t from = past->last != 0 ? past->last : past->since;
    const int64_t slot = s->is_cron ? cron_next(&s->cron, from) : from + s->every_s;

    return slot + jitter(s, slot);
}
