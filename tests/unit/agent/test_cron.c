#include "agent/cron.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "agent/zone.h"
#include "tests/lib/case.h"

static int64_t local(const char *text)
{
    struct tm t = { .tm_isdst = -1 };

    cr_assert_not_null(strptime(text, "%Y-%m-%d %H:%M", &t), "%s", text);
    return mktime(&t);
}

static const char *shown(int64_t at)
{
    static char text[32];
    const time_t t = (time_t)at;
    struct tm tm;

    localtime_r(&t, &tm);
    strftime(text, sizeof text, "%Y-%m-%d %H:%M", &tm);
    return text;
}

static void in(const char *zone)
{
    struct err e = { 0 };

    OK(zone_use(zone, &e), &e);
}

static struct cron parsed(const char *text)
{
    struct cron c;
    struct err e = { 0 };

    OK(cron_parse(text, &c, &e), &e);
    return c;
}

static void next_is(const char *text, const char *after, const char *expected)
{
    const struct cron c = parsed(text);

    cr_assert_str_eq(shown(cron_next(&c, local(after))), expected, "%s after %s", text,
                     after);
}

CASE(cron, next_times)
{
    in("UTC");
    next_is("*/15 * * * *", "2026-11-21 10:00", "2026-11-21 10:15");
    next_is("*/15 * * * *", "2026-11-21 23:45", "2026-11-22 00:00");
    next_is("0 */6 * * *", "2026-12-31 18:00", "2027-01-01 00:00");
    next_is("30 2 * * *", "2026-11-21 02:29", "2026-11-21 02:30");
    next_is("30 2 * * *", "2026-11-21 02:30", "2026-11-22 02:30");
    next_is("5,35 8-9 * * mon-fri", "2026-11-20 09:35", "2026-11-23 08:05");
    next_is("0 0 29 2 *", "2096-03-01 00:00", "2104-02-29 00:00");
    next_is("0 0 31 * *", "2026-03-31 00:00", "2026-05-31 00:00");
    next_is("0 0 * JAN,jul 7", "2026-11-21 00:00", "2027-01-03 00:00");
    next_is("@weekly", "2026-11-21 00:00", "2026-11-22 00:00");
    next_is("@yearly", "2026-01-01 00:00", "2027-01-01 00:00");
    next_is(" 0  0\t1 1 * ", "2026-01-01 00:00", "2027-01-01 00:00");
}

CASE(cron, either_day_will_do_when_both_are_given)
{
    in("UTC");
    next_is("0 0 13 * fri", "2026-11-21 00:00", "2026-11-27 00:00");
    next_is("0 0 13 * fri", "2026-12-11 00:00", "2026-12-13 00:00");
    next_is("0 0 */2 * fri", "2026-11-21 00:00", "2026-11-27 00:00");
}

CASE(cron, a_skipped_hour_counts_once)
{
    in("Europe/Berlin");
    const struct cron c = parsed("30 2 * * *");
    const int64_t before = local("2026-03-29 01:00");
    const int64_t once = cron_next(&c, before);

    cr_assert(once > before && once <= local("2026-03-29 04:00"), "%s", shown(once));
    cr_assert_str_eq(shown(cron_next(&c, once)), "2026-03-30 02:30");
}

CASE(cron, a_repeated_hour_counts_twice_only_for_every_hour)
{
    in("Europe/Berlin");
    const struct cron hourly = parsed("30 * * * *"), daily = parsed("30 2 * * *");
    const int64_t first = cron_next(&daily, local("2026-10-25 01:45"));
    int64_t t = local("2026-10-25 00:45");

    cr_assert_str_eq(shown(first), "2026-10-25 02:30");
    cr_assert_str_eq(shown(cron_next(&daily, first)), "2026-10-26 02:30");
    for (int i = 0; i < 5; i++) {
        const int64_t next = cron_next(&hourly, t);

        cr_assert(i == 0 || next - t == 3600, "%s", shown(next));
        t = next;
    }
}

/* Against a plain search through all minutes. */
CASE(cron, agrees_with_a_search)
{
    static const char *const texts[] = { "7 3 * * *", "*/7 */5 * * *", "0 12 1-7 * mon",
                                         "59 23 28-31 * *", "3-50/9 1,13 * 2-4 *" };

    in("UTC");
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const struct cron c = parsed(texts[i]);
        int64_t t = 1700000000 - 1700000000 % 60, found = cron_next(&c, t);

        for (int n = 0; n < 200000; n++) {
            struct tm tm;

            t += 60;
            gmtime_r(&(time_t){ (time_t)t }, &tm);
            const bool d = c.days >> tm.tm_mday & 1, w = c.weekdays >> tm.tm_wday & 1;
            const bool day = c.any_day || c.any_weekday ? d && w : d || w;
            const bool due = (c.minutes >> tm.tm_min & 1) != 0 && day &&
                             (c.hours >> tm.tm_hour & 1) != 0 &&
                             (c.months >> (tm.tm_mon + 1) & 1) != 0;

            cr_assert_eq(due, t == found, "%s at %s", texts[i], shown(t));
            if (due)
                found = cron_next(&c, t);
        }
    }
}

CASE(cron, refuses_what_it_does_not_know)
{
    static const char *const texts[] = {
        "",
        "*",
        "* * * *",
        "* * * * * *",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * 32 * *",
        "* * * 13 *",
        "* * * * 8",
        "*/0 * * * *",
        "*/x * * * *",
        "5-1 * * * *",
        "1- * * * *",
        "-1 * * * *",
        "1,,2 * * * *",
        "a * * * *",
        "* * * foo *",
        "0 0 31 2 *",
        "0 0 30 2 *",
        "0 0 31 4,6,9,11 *",
        "1e3 * * * *",
        "999999999999 * * * *",
        "*/-1 * * * *",
        "* * * * monday",
        "@reboot",
        "1.5 * * * *",
        "*5 * * * *",
    };
    char longer[400];
    struct cron c;

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct err e = { 0 };

        cr_assert_eq(cron_parse(texts[i], &c, &e), RC_USAGE, "%s", texts[i]);
    }
    memset(longer, '1', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    struct err e = { 0 };
    cr_assert_eq(cron_parse(longer, &c, &e), RC_USAGE);
}

CASE(cron, unknown_zones_are_not_taken_for_utc)
{
    static const char *const names[] = { "", "Europe/Berlinn", "/etc/passwd",
                                         "../zoneinfo/UTC" };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct err e = { 0 };

        cr_assert_eq(zone_use(names[i], &e), RC_USAGE, "%s", names[i]);
    }
    in(NULL);
}
