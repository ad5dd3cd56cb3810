#include "catalog/retain.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "catalog/retain_inside.h"
#include "util/mem.h"

enum { CLOCK_SLACK_S = 600, STORE_SLACK_S = 3600 };
#define DAY_S INT64_C(86400)

struct retain_policy retain_policy_default(void)
{
    return (struct retain_policy){ .protect = RETAIN_PROTECT,
                                   .cap_percent = RETAIN_CAP_PERCENT };
}

void retain_policy_clear(struct retain_policy *p)
{
    str_list_clear(&p->tags);
}

bool retain_span(const char *text, uint64_t *seconds)
{
    static const struct {
        char unit;
        int64_t seconds;
    } units[] = {
        { 'y', 365 * DAY_S }, { 'm', 30 * DAY_S }, { 'd', DAY_S }, { 'h', 3600 }
    };
    size_t next = 0;
    uint64_t sum = 0;

    if (*text == '\0')
        return false;
    while (*text != '\0') {
        size_t digits = strspn(text, "0123456789");
        char number[8];
        uint64_t n;

        if (digits == 0 || digits >= sizeof number)
            return false;
        snprintf(number, sizeof number, "%.*s", (int)digits, text);
        if (!str_to_u64(number, &n))
            return false;
        while (next < 4 && units[next].unit != text[digits])
            next++;
        if (next == 4)
            return false;
        sum += n * (uint64_t)units[next++].seconds;
        text += digits + 1;
    }
    *seconds = sum;
    return true;
}

static size_t write_time(const struct tm *tm, enum retain_unit unit,
                         char out[static RETAIN_TIME_SIZE])
{
    switch (unit) {
    case RETAIN_HOUR:
        return strftime(out, RETAIN_TIME_SIZE, "%Y-%m-%dT%H", tm);
    case RETAIN_DAY:
        return strftime(out, RETAIN_TIME_SIZE, "%Y-%m-%d", tm);
    case RETAIN_WEEK:
        return strftime(out, RETAIN_TIME_SIZE, "%G-W%V", tm);
    case RETAIN_MONTH:
        return strftime(out, RETAIN_TIME_SIZE, "%Y-%m", tm);
    case RETAIN_YEAR:
        return strftime(out, RETAIN_TIME_SIZE, "%Y", tm);
    case RETAIN_MINUTE:
        return strftime(out, RETAIN_TIME_SIZE, "%Y-%m-%d %H:%M", tm);
    }
    return 0;
}

void retain_time(int64_t at, enum retain_unit unit, char out[static RETAIN_TIME_SIZE])
{
    struct tm tm;
    time_t t = (time_t)at;

    if (gmtime_r(&t, &tm) == NULL || write_time(&tm, unit, out) == 0)
        snprintf(out, RETAIN_TIME_SIZE, "%" PRId64, at);
}

/* ---- reasons --------------------------------------------------------------------------
 */

/* One reason more; what has no room any more was not the first one. */
static void say(struct retain_item *i, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void say(struct retain_item *i, const char *fmt, ...)
{
    size_t n = strlen(i->why);
    va_list args;

    if (n > 0 && n + 3 < sizeof i->why)
        n += (size_t)snprintf(i->why + n, sizeof i->why - n, ", ");
    va_start(args, fmt);
    vsnprintf(i->why + n, sizeof i->why - n, fmt, args);
    va_end(args);
}

static void want(struct retain_item *i, const char *why)
{
    i->keep = true;
    say(i, "%s", why);
}

/* Nobody wants it, but it stays. */
static void hold(struct retain_item *i, const char *why)
{
    i->keep = i->held = true;
    i->why[0] = '\0';
    say(i, "%s", why);
}

/* ---- the rules ------------------------------------------------------------------------
 */

/* The newest of each hour, day, ... of which there are as many as the rule says. */
static void by_calendar(struct retain_item *items, size_t count, uint64_t wanted,
                        const char *name, enum retain_unit unit)
{
    char last[RETAIN_TIME_SIZE] = "", bucket[RETAIN_TIME_SIZE];
    char why[RETAIN_TIME_SIZE + 16];

    for (size_t i = count; i-- > 0 && wanted > 0;) {
        if (items[i].doubtful)
            continue;
        retain_time(items[i].created, unit, bucket);
        if (strcmp(bucket, last) == 0)
            continue;
        memcpy(last, bucket, sizeof last);
        snprintf(why, sizeof why, "%s %s", name, bucket);
        want(&items[i], why);
        if (wanted != RETAIN_ALL)
            wanted--;
    }
}

static void by_number(struct retain_item *items, size_t count, uint64_t wanted)
{
    char why[32];
    uint64_t n = 0;

    for (size_t i = count; i-- > 0 && n < wanted;) {
        if (items[i].doubtful)
            continue;
        snprintf(why, sizeof why, "last %" PRIu64, ++n);
        want(&items[i], why);
    }
}

static void by_age(struct retain_item *items, size_t count, uint64_t within_s)
{
    int64_t newest = 0;
    bool any = false;

    for (size_t i = count; i-- > 0 && within_s > 0;) {
        if (items[i].doubtful)
            continue;
        if (!any)
            newest = items[i].created;
        any = true;
        if ((uint64_t)(newest - items[i].created) <= within_s)
            want(&items[i], "within");
    }
}

static void by_tag(struct retain_item *items, size_t count, const struct str_list *tags)
{
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; items[i].tags != NULL && k < tags->count; k++)
            if (str_list_has(items[i].tags, tags->items[k])) {
                items[i].keep = true;
                say(&items[i], "tag %s", tags->items[k]);
            }
}

static void apply_rules(const struct retain_policy *p, struct retain_item *items,
                        size_t count)
{
    by_number(items, count, p->last);
    by_calendar(items, count, p->hourly, "hourly", RETAIN_HOUR);
    by_calendar(items, count, p->daily, "daily", RETAIN_DAY);
    by_calendar(items, count, p->weekly, "weekly", RETAIN_WEEK);
    by_calendar(items, count, p->monthly, "monthly", RETAIN_MONTH);
    by_calendar(items, count, p->yearly, "yearly", RETAIN_YEAR);
    by_age(items, count, p->within_s);
    by_tag(items, count, &p->tags);
}

/* ---- above the rules ------------------------------------------------------------------
 */

/* From the newest down; `after` is when time was believed again. */
static void keep_doubtful(struct retain_item *items, size_t count, int64_t now)
{
    char until[RETAIN_TIME_SIZE], why[128];
    int64_t after = INT64_MAX;

    for (size_t i = count; i-- > 0;) {
        if (!items[i].doubtful) {
            after = items[i].created;
            continue;
        }
        if (items[i].keep)
            continue;
        if (after == INT64_MAX) {
            hold(&items[i], "its time is not believed, and no later one is");
        } else if (after + RETAIN_DOUBT_S > now) {
            retain_time(after + RETAIN_DOUBT_S, RETAIN_DAY, until);
            snprintf(why, sizeof why, "its time is not believed: it stays until %s",
                     until);
            hold(&items[i], why);
        }
    }
}

/* Of all proved ones, and of those whose time is believed. */
static void keep_proved(struct retain_item *items, size_t count, uint64_t protect)
{
    char why[64];
    uint64_t all = 0, believed = 0;

    snprintf(why, sizeof why, "one of the newest %" PRIu64 " that are proved", protect);
    for (size_t i = count; i-- > 0 && believed < protect;) {
        if (!items[i].proved)
            continue;
        if (!items[i].keep && (!items[i].doubtful || all < protect))
            hold(&items[i], why);
        all++;
        believed += !items[i].doubtful;
    }
}

static void keep_locked(struct retain_item *items, size_t count, int64_t now)
{
    char until[RETAIN_TIME_SIZE], why[64];

    for (size_t i = 0; i < count; i++)
        if (!items[i].keep && items[i].locked_until > now) {
            retain_time(items[i].locked_until, RETAIN_MINUTE, until);
            snprintf(why, sizeof why, "the store has it locked until %s", until);
            hold(&items[i], why);
        }
}

static void keep_all(struct retain_item *items, size_t count, const char *why)
{
    for (size_t i = 0; i < count; i++)
        if (!items[i].keep)
            hold(&items[i], why);
}

/* The oldest ones go first. */
static void keep_beyond_cap(struct retain_item *items, size_t count, unsigned percent)
{
    size_t most = count / 100 * percent + count % 100 * percent / 100;
    char why[64];

    snprintf(why, sizeof why, "one run takes at most %u %%", percent);
    if (most == 0)
        most = 1;
    for (size_t i = 0; i < count; i++) {
        if (items[i].keep)
            continue;
        if (most == 0)
            hold(&items[i], why);
        else
            most--;
    }
}

/* ---- may the clock be believed? -------------------------------------------------------
 */

static void freeze(struct retain_plan *out, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void freeze(struct retain_plan *out, const char *fmt, ...)
{
    va_list args;

    if (out->frozen)
        return;
    out->frozen = true;
    va_start(args, fmt);
    vsnprintf(out->why_frozen, sizeof out->why_frozen, fmt, args);
    va_end(args);
}

static void check_clocks(const struct retain_clock *c, struct retain_plan *out)
{
    int64_t apart = c->now - c->store_now;

    if (c->last_seen > 0 && c->now < c->last_seen - CLOCK_SLACK_S)
        freeze(out,
               "this host's clock is %" PRId64 " s behind what it was at its last look",
               c->last_seen - c->now);
    if (c->store_now > 0 && (apart > STORE_SLACK_S || apart < -STORE_SLACK_S))
        freeze(out, "the clocks of this host and of the store are %" PRId64 " s apart",
               apart < 0 ? -apart : apart);
}

static void check_newest(const struct retain_item *items, size_t count, int64_t now,
                         struct retain_plan *out)
{
    char when[RETAIN_TIME_SIZE];

    if (count == 0 || items[count - 1].created <= now + CLOCK_SLACK_S)
        return;
    retain_time(items[count - 1].created, RETAIN_MINUTE, when);
    freeze(out, "backup %" PRIu64 ", the newest one, is of %s, which is yet to come",
           items[count - 1].sequence, when);
}

bool retain_made_since(int64_t created, int64_t since, int64_t now)
{
    return created >= since && created <= now + CLOCK_SLACK_S;
}

/* A leap in the times of the newest ones, out of all proportion to those before: the
 * clock may have jumped ahead. When as many as are protected came after it, it is
 * believed. */
static void check_leap(const struct retain_item *items, size_t count, uint64_t protect,
                       struct retain_plan *out)
{
    const struct retain_item *before = NULL, *from = NULL, *to = NULL;
    int64_t longest = 0;
    uint64_t seen = 0, since = 0;

    for (size_t i = 0; i < count; before = items[i].doubtful ? before : &items[i], i++) {
        int64_t gap = before == NULL ? 0 : items[i].created - before->created;

        if (items[i].doubtful)
            continue;
        seen++;
        since++;
        if (seen > 3 && gap > 31 * DAY_S && gap > 5 * longest) {
            from = before;
            to = &items[i];
            since = 1;
        }
        if (gap > longest)
            longest = gap;
    }
    if (to != NULL && since <= protect)
        freeze(out,
               "between the backups %" PRIu64 " and %" PRIu64 " lie %" PRId64
               " days: did a clock jump?",
               from->sequence, to->sequence, (to->created - from->created) / DAY_S);
}

static void check_time(const struct retain_policy *p, const struct retain_clock *c,
                       const struct retain_item *items, size_t count,
                       struct retain_plan *out)
{
    if (c->accepted)
        return;
    check_clocks(c, out);
    check_newest(items, count, c->now, out);
    check_leap(items, count, p->protect, out);
}

/* ---- all of it ------------------------------------------------------------------------
 */

static enum rc check_policy(const struct retain_policy *p, struct err *e)
{
    if (p->last == 0 && p->hourly == 0 && p->daily == 0 && p->weekly == 0 &&
        p->monthly == 0 && p->yearly == 0 && p->within_s == 0 && p->tags.count == 0)
        return err_set(e, RC_USAGE,
                       "no rule says what to keep" HINT
                       "give at least one, such as --keep-daily 7");
    if (p->cap_percent < 1 || p->cap_percent > 100)
        return err_set(e, RC_USAGE, "%u is no share in percent: 1 to 100",
                       p->cap_percent);
    return RC_OK;
}

static enum rc check_items(struct retain_item *items, size_t count, struct err *e)
{
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && items[i].sequence <= items[i - 1].sequence)
            return err_set(e, RC_INTERNAL, "backups out of order");
        items[i].keep = items[i].held = items[i].doubtful = false;
        items[i].why[0] = '\0';
    }
    return RC_OK;
}

static void count_up(struct retain_item *items, size_t count, struct retain_plan *out)
{
    for (size_t i = 0; i < count; i++) {
        if (!items[i].keep)
            say(&items[i], "no rule wants it");
        out->keep += items[i].keep;
        out->held += items[i].held;
        out->remove += !items[i].keep;
    }
}

enum rc retain_judge(const struct retain_policy *p, const struct retain_clock *clock,
                     struct retain_item *items, size_t count, struct retain_plan *out,
                     struct err *e)
{
    int64_t store_now = clock->store_now > 0 ? clock->store_now : clock->now;
    struct retain_plan plan = { 0 };

    TRY(check_policy(p, e));
    TRY(check_items(items, count, e));
    TRY(retain_doubt(items, count, clock->now + CLOCK_SLACK_S, e));
    apply_rules(p, items, count);
    keep_doubtful(items, count, clock->now);
    keep_proved(items, count, p->protect);
    keep_locked(items, count, store_now);
    check_time(p, clock, items, count, &plan);
    if (plan.frozen)
        keep_all(items, count, "nothing goes while the clock is not to be trusted");
    keep_beyond_cap(items, count, p->cap_percent);
    count_up(items, count, &plan);
    *out = plan;
    return RC_OK;
}

enum rc retain_items(const struct chain *c, struct retain_item **items, size_t *count,
                     struct err *e)
{
    struct retain_item *all = NULL;
    size_t n = 0;

    if (c->findings.errors > 0)
        return err_set(e, RC_REFUSED,
                       "the log of '%s' does not hang together, and nothing is removed "
                       "from it" HINT "see 'holdfast audit'",
                       c->cluster);
    TRY(mem_new(&all, (c->count + 1) * sizeof *all, "backups", e));
    for (size_t i = 0; i < c->count; i++)
        if (chain_is_backup(&c->items[i]))
            all[n++] = (struct retain_item){
                .sequence = c->items[i].at.sequence,
                .created = c->items[i].record->created,
                .proved = c->items[i].record->backup->proved,
                .tags = &c->items[i].tags,
            };
    *items = all;
    *count = n;
    return RC_OK;
}
