#include "agent/cron.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum {
    MINUTE = 60,
    DAYS_AHEAD = 9 * 366, /* 29 February may be eight years away */
    ALL_HOURS = (1 << 24) - 1,
};

struct field {
    const char *name;
    unsigned min, max;
    const char *const *words; /* the first is for `min`; may be NULL */
};

static const char *const months[] = { "jan", "feb", "mar", "apr", "may", "jun", "jul",
                                      "aug", "sep", "oct", "nov", "dec", NULL };
static const char *const weekdays[] = { "sun", "mon", "tue", "wed",
                                        "thu", "fri", "sat", NULL };
static const struct field fields[] = {
    { "minute", 0, 59, NULL },
    { "hour", 0, 23, NULL },
    { "day of the month", 1, 31, NULL },
    { "month", 1, 12, months },
    { "day of the week", 0, 7, weekdays },
};
enum { FIELDS = sizeof fields / sizeof fields[0] };

static const char *const nicknames[][2] = {
    { "@hourly", "0 * * * *" },   { "@daily", "0 0 * * *" },
    { "@midnight", "0 0 * * *" }, { "@weekly", "0 0 * * 0" },
    { "@monthly", "0 0 1 * *" },  { "@yearly", "0 0 1 1 *" },
    { "@annually", "0 0 1 1 *" },
};

static enum rc bad(const struct field *f, const char *part, struct err *e)
{
    return err_set(e, RC_USAGE,
                   "'%.40s' is no %s" HINT
                   "it is a number from %u to %u, a range such as "
                   "1-5, a step such as */15, or a list of these",
                   part, f->name, f->min, f->max);
}

static bool word(const struct field *f, const char *text, size_t n, unsigned *out)
{
    for (unsigned i = 0; f->words != NULL && f->words[i] != NULL; i++)
        if (n == 3 && strncasecmp(f->words[i], text, 3) == 0) {
            *out = f->min + i;
            return true;
        }
    return false;
}

/* A number or a name at *at, which then stands behind it. */
static bool value(const struct field *f, const char **at, unsigned *out)
{
    size_t n = strspn(*at, "0123456789");
    bool ok = n > 0 && n <= 2;

    if (ok)
        *out = (unsigned)strtoul(*at, NULL, 10);
    else if (n == 0)
        ok = word(f, *at, n = strcspn(*at, "-/,"), out);
    *at += n;
    return ok && *out >= f->min && *out <= f->max;
}

/* "*", "7", "1-5", each perhaps with "/2". */
static bool range(const struct field *f, const char *part, uint64_t *bits)
{
    unsigned from = f->min, to = f->max, step = 1;
    const char *at = part;

    if (*at == '*') {
        at++;
        if (f->words == weekdays)
            to = 6;
    } else if (!value(f, &at, &from)) {
        return false;
    } else if (*at != '-') {
        to = *at == '/' ? to : from;
    } else {
        at++;
        if (!value(f, &at, &to) || to < from)
            return false;
    }
    if (*at == '/') {
        char *end;
        const unsigned long n = strtoul(at + 1, &end, 10);

        if (at[1] < '0' || at[1] > '9' || n == 0 || n > f->max)
            return false;
        step = (unsigned)n;
        at = end;
    }
    for (unsigned i = from; i <= to; i += step)
        *bits |= UINT64_C(1) << i;
    return *at == '\0';
}

static enum rc list(const struct field *f, char *text, uint64_t *bits, struct err *e)
{
    char *part;

    *bits = 0;
    while ((part = strsep(&text, ",")) != NULL)
        if (!range(f, part, bits))
            return bad(f, part, e);
    return RC_OK;
}

static const char *spelled_out(const char *text)
{
    for (size_t i = 0; i < sizeof nicknames / sizeof nicknames[0]; i++)
        if (strcasecmp(text, nicknames[i][0]) == 0)
            return nicknames[i][1];
    return text;
}

static enum rc take_fields(char *text, uint64_t bits[static FIELDS],
                           bool any[static FIELDS], struct err *e)
{
    unsigned n = 0;
    char *word_at;

    while ((word_at = strsep(&text, " \t")) != NULL) {
        if (*word_at == '\0')
            continue;
        if (n == FIELDS)
            break;
        any[n] = *word_at == '*';
        TRY(list(&fields[n], word_at, &bits[n], e));
        n++;
    }
    if (n == FIELDS && word_at == NULL)
        return RC_OK;
    return err_set(e, RC_USAGE,
                   "it does not have five fields" HINT "minute, hour, day of the month, "
                   "month, day of the week: '0 */6 * * *' is every six hours");
}

static bool ever_comes(const struct cron *c)
{
    static const uint8_t longest[] = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

    if (!c->any_weekday)
        return true;
    for (unsigned m = 1; m <= 12; m++)
        if ((c->months >> m & 1) != 0 &&
            (c->days & ((UINT64_C(2) << longest[m - 1]) - 1)) != 0)
            return true;
    return false;
}

static enum rc parse(const char *text, struct cron *out, struct err *e)
{
    uint64_t bits[FIELDS] = { 0 };
    bool any[FIELDS] = { false };
    char copy[256];

    text = spelled_out(text);
    if (snprintf(copy, sizeof copy, "%s", text) >= (int)sizeof copy)
        return err_set(e, RC_USAGE, "it is longer than %zu characters", sizeof copy - 1);
    TRY(take_fields(copy, bits, any, e));
    *out = (struct cron){
        .minutes = bits[0],
        .hours = (uint32_t)bits[1],
        .days = (uint32_t)bits[2],
        .months = (uint32_t)bits[3],
        .weekdays = (uint32_t)((bits[4] | bits[4] >> 7) & 0x7f),
        .any_day = any[2],
        .any_weekday = any[4],
    };
    if (!ever_comes(out))
        return err_set(e, RC_USAGE, "that day never comes");
    return RC_OK;
}

enum rc cron_parse(const char *text, struct cron *out, struct err *e)
{
    if (parse(text, out, e) != RC_OK)
        return err_wrap(e, "schedule '%.80s'", text);
    return RC_OK;
}

static bool on_day(const struct cron *c, const struct tm *day)
{
    const bool d = (c->days >> day->tm_mday & 1) != 0;
    const bool w = (c->weekdays >> day->tm_wday & 1) != 0;

    if ((c->months >> (day->tm_mon + 1) & 1) == 0)
        return false;
    return c->any_day || c->any_weekday ? d && w : d || w;
}

static void earlier(int64_t t, int64_t after, int64_t *best)
{
    if (t > after && (*best == 0 || t < *best))
        *best = t;
}

/* The instants that a local time stands for: one, or two where the clock is set back. */
static void consider(const struct cron *c, const struct tm *day, int64_t after,
                     int64_t *best)
{
    struct tm guess = *day;

    guess.tm_isdst = -1;
    earlier(mktime(&guess), after, best);
    for (int dst = 0; dst <= 1 && c->hours == ALL_HOURS; dst++) {
        struct tm exact = *day;

        exact.tm_isdst = dst;
        const int64_t t = mktime(&exact);

        if (exact.tm_hour == day->tm_hour && exact.tm_min == day->tm_min &&
            exact.tm_mday == day->tm_mday)
            earlier(t, after, best);
    }
}

static int64_t first_on(const struct cron *c, const struct tm *day, int64_t after)
{
    int64_t best = 0;

    for (int i = 0; i < 24 * MINUTE; i++) {
        struct tm t = { .tm_year = day->tm_year,
                        .tm_mon = day->tm_mon,
                        .tm_mday = day->tm_mday,
                        .tm_hour = i / MINUTE,
                        .tm_min = i % MINUTE };

        if ((c->hours >> t.tm_hour & 1) != 0 && (c->minutes >> t.tm_min & 1) != 0)
            consider(c, &t, after, &best);
    }
    return best;
}

int64_t cron_next(const struct cron *c, int64_t after)
{
    const time_t from = (time_t)after;
    struct tm day;

    localtime_r(&from, &day);
    for (int i = 0; i < DAYS_AHEAD; i++) {
        int64_t found = on_day(c, &day) ? first_on(c, &day, after) : 0;

        if (found != 0)
            return found;
        day = (struct tm){ .tm_year = day.tm_year,
                           .tm_mon = day.tm_mon,
                           .tm_mday = day.tm_mday + 1,
                           .tm_hour = 12,
                           .tm_isdst = -1 };
        (void)mktime(&day);
    }
    return INT64_MAX; /* not for what cron_parse let through */
}
