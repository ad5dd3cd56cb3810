#include "agent/schedule.h"

#include <string.h>

#include "util/str.h"

enum {
    MINUTE_MS = 60 * 1000,
    RETRY_S = 60,
    RETRY_MOST_S = 3600,
    RETRY_DOUBLINGS = 7,
};

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

int64_t schedule_elsewhere(const struct schedule *s, int64_t late_s)
{
    return s->is_cron ? late_s + s->jitter_s + 1 : s->every_s / 2;
}

void schedule_ended(struct schedule_past *past, int64_t now, bool well)
{
    past->failures = well ? 0 : past->failures + 1;
    past->failed = well ? 0 : now;
}

void schedule_cut_off(struct schedule_past *past)
{
    past->failures = 1;
    past->failed = past->last - RETRY_S;
}

static int64_t retry(const struct schedule_past *past)
{
    const unsigned doublings =
        past->failures < RETRY_DOUBLINGS ? past->failures - 1 : RETRY_DOUBLINGS;
    const int64_t wait = (int64_t)RETRY_S << doublings;

    return past->failed + (wait < RETRY_MOST_S ? wait : RETRY_MOST_S);
}

static void come_back(int64_t *t, int64_t now)
{
    if (*t > now)
        *t = now;
}

static int64_t next_slot(const struct schedule *s, struct schedule_past *past,
                         int64_t now)
{
    come_back(&past->last, now);
    come_back(&past->since, now);
    come_back(&past->failed, now);
    if (past->since == 0)
        past->since = now;
    if (past->last == 0 && !s->is_cron)
        return past->since + jitter(s, past->since);

    const int64_t from = past->last != 0 ? past->last : past->since;
    const int64_t slot = s->is_cron ? cron_next(&s->cron, from) : from + s->every_s;

    return slot + jitter(s, slot);
}

int64_t schedule_due(const struct schedule *s, struct schedule_past *past, int64_t now)
{
    const int64_t slot = next_slot(s, past, now);

    if (past->failures == 0)
        return slot;
    return slot < retry(past) ? slot : retry(past);
}
