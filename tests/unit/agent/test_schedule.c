#include "agent/schedule.h"

#include <stdlib.h>

#include "agent/zone.h"
#include "tests/lib/case.h"

enum { HOUR = 3600, DAY = 24 * HOUR, STEP = 150 };
static const int64_t start = 1700000000;

static struct schedule parsed(const char *text)
{
    struct schedule s;
    struct err e = { 0 };

    OK(zone_use("UTC", &e), &e);
    OK(schedule_parse(text, &s, &e), &e);
    return s;
}

CASE(schedule, intervals_and_cron)
{
    struct schedule s = parsed("every 6h");
    struct schedule_past past = { 0 };

    cr_assert_eq(schedule_due(&s, &past, start), start);
    past.last = start;
    cr_assert_eq(schedule_due(&s, &past, start + 5), start + 6 * HOUR);

    s = parsed("0 * * * *");
    past = (struct schedule_past){ 0 };
    const int64_t first = schedule_due(&s, &past, start);
    cr_assert(first > start && first <= start + HOUR);
    cr_assert_eq(schedule_due(&s, &past, start + 10), first);
    cr_assert_eq(schedule_due(&s, &past, first + 300), first, "missed, so due at once");
}

CASE(schedule, jitter_stays_and_differs)
{
    struct schedule a = parsed("1h"), b = a;
    struct schedule_past past = { .last = start };

    a.jitter_s = b.jitter_s = 600;
    b.seed = 1;
    const int64_t due = schedule_due(&a, &past, start + 1);
    cr_assert(due >= start + HOUR && due <= start + HOUR + 600);
    cr_assert_eq(schedule_due(&a, &past, start + 900), due);
    cr_assert_neq(schedule_due(&b, &past, start + 900), due);
}

CASE(schedule, what_was_missed_is_done_once)
{
    struct schedule s = parsed("*/10 * * * *");
    struct schedule_past past = { .last = start };
    const int64_t now = start + 30 * DAY;

    cr_assert(schedule_due(&s, &past, now) <= now);
    past.last = now;
    cr_assert(schedule_due(&s, &past, now) > now);
}

CASE(schedule, what_failed_is_tried_again)
{
    static const int64_t waits[] = { 60, 120, 240, 480, 960, 1920, 3600, 3600 };
    struct schedule s = parsed("@daily");
    struct schedule_past past = { .last = start };

    for (size_t i = 0; i < sizeof waits / sizeof waits[0]; i++) {
        schedule_ended(&past, start, false);
        cr_assert_eq(schedule_due(&s, &past, start), start + waits[i], "%zu", i);
    }
    schedule_ended(&past, start, true);
    cr_assert(schedule_due(&s, &past, start) > start + HOUR);
    schedule_ended(&past, start + DAY, false);
    cr_assert(schedule_due(&s, &past, start) <= start + 60, "the clock was set back");
}

CASE(schedule, what_was_cut_off_is_due_at_once)
{
    struct schedule s = parsed("@daily");
    struct schedule_past past = { .last = start };

    schedule_cut_off(&past);
    cr_assert(schedule_due(&s, &past, start + 5) <= start + 5);
}

/* A year in which the clock jumps by up to ten years, the agent sleeps and is started
 * anew. In time that really passes, a job never rests for longer than twice its period
 * beyond what kept the agent away, and never runs twice within a minute of its slots. */
static void live_a_year(const char *text, int64_t period, unsigned seed)
{
    struct schedule s = parsed(text);
    struct schedule_past past = { 0 };
    int64_t wall = start, rested = 0;
    unsigned runs = 0, jumps = 0;

    s.jitter_s = 60;
    srandom(seed);
    for (int64_t real = 0; real < 365 * DAY; real += STEP) {
        if (random() % 4000 == 0) {
            wall += (random() % (20 * 365 * DAY)) - 10 * 365 * DAY;
            jumps++;
        }
        if (random() % 4000 == 0)
            past.since = 0;
        if (schedule_due(&s, &past, wall) <= wall) {
            past.last = wall;
            runs++;
            rested = 0;
        }
        cr_assert(rested <= 2 * period + 60 + STEP, "%s, seed %u: nothing for %ld s",
                  text, seed, (long)rested);
        wall += STEP;
        rested += STEP;
    }
    cr_assert(runs <= 365 * DAY / period + jumps + 2, "%s, seed %u: %u runs", text, seed,
              runs);
}

CASE(schedule, a_year_with_jumping_clocks)
{
    for (unsigned seed = 1; seed <= 2; seed++) {
        live_a_year("every 6h", 6 * HOUR, seed);
        live_a_year("15 */6 * * *", 6 * HOUR, seed);
    }
}

CASE(schedule, refuses)
{
    static const char *const texts[] = { "", "0", "10s", "every", "every 5", "-1h" };

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct schedule s;
        struct err e = { 0 };

        cr_assert_eq(schedule_parse(texts[i], &s, &e), RC_USAGE, "%s", texts[i]);
    }
}
