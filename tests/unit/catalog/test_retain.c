#include "catalog/retain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sample.h"
#include "tests/lib/case.h"
#include "tests/lib/fault.h"

enum { MAX = 128, HOUR = 3600, DAY = 86400 };
#define NOW (SAMPLE_EPOCH + 400 * (int64_t)DAY)

/* Backups in the order of their sequences, from 1. */
struct shelf {
    struct retain_item items[MAX];
    size_t count;
    struct retain_policy policy;
    struct retain_clock clock;
    struct retain_plan plan;
};

static struct shelf shelf_new(void)
{
    struct shelf s = { .policy = retain_policy_default(), .clock.now = NOW };

    s.policy.cap_percent = 100;
    s.policy.protect = 0;
    return s;
}

static struct retain_item *put(struct shelf *s, int64_t created)
{
    struct retain_item *i = &s->items[s->count++];

    cr_assert_leq(s->count, MAX);
    *i = (struct retain_item){ .sequence = s->count, .created = created, .proved = true };
    return i;
}

/* One a day, the newest one hour ago. */
static void put_days(struct shelf *s, int n)
{
    for (int i = n - 1; i >= 0; i--)
        put(s, NOW - HOUR - i * (int64_t)DAY);
}

/* "0110": what stays. */
static const char *judged(struct shelf *s)
{
    static char bits[MAX + 1];
    struct err e = { 0 };

    OK(retain_judge(&s->policy, &s->clock, s->items, s->count, &s->plan, &e), &e);
    for (size_t i = 0; i < s->count; i++)
        bits[i] = s->items[i].keep ? '1' : '0';
    bits[s->count] = '\0';
    cr_assert_eq(s->plan.keep + s->plan.remove, s->count);
    return bits;
}

/* ---- the rules are restic's -----------------------------------------------------------
 */

static void set_rule(struct retain_policy *p, const char *rule)
{
    const struct {
        const char *name;
        uint64_t *at;
    } rules[] = {
        { "last=", &p->last },     { "hourly=", &p->hourly },   { "daily=", &p->daily },
        { "weekly=", &p->weekly }, { "monthly=", &p->monthly }, { "yearly=", &p->yearly },
    };

    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (strncmp(rule, rules[i].name, strlen(rules[i].name)) == 0) {
            cr_assert(str_to_u64(rule + strlen(rules[i].name), rules[i].at));
            return;
        }
    cr_assert(strncmp(rule, "within=", 7) == 0 && retain_span(rule + 7, &p->within_s));
}

static void set_policy(struct retain_policy *p, const char *text)
{
    struct str_list rules = { 0 };
    struct err e = { 0 };

    OK(str_split(&rules, text, ' ', &e), &e);
    for (size_t i = 0; i < rules.count; i++)
        set_rule(p, rules.items[i]);
    str_list_clear(&rules);
}

static struct shelf golden_shelf(const char *times)
{
    struct shelf s = shelf_new();

    for (char *end; *times != '\0' && *times != '\n'; times = end)
        put(&s, strtoll(times, &end, 10));
    return s;
}

CASE(catalog_retain, keeps_what_restic_keeps)
{
    FILE *f = fopen("tests/golden/retain/cases.txt", "r");
    char times[4096], line[512];
    int cases = 0;

    cr_assert(f != NULL && fgets(times, sizeof times, f) != NULL);
    for (; fgets(line, sizeof line, f) != NULL; cases++) {
        struct shelf s = golden_shelf(times);
        char *bits = strstr(line, ": ");

        cr_assert_not_null(bits);
        *bits = '\0';
        bits[2 + s.count] = '\0';
        set_policy(&s.policy, line);
        cr_assert_str_eq(judged(&s), bits + 2, "%s", line);
    }
    fclose(f);
    cr_assert_eq(cases, 21);
}

CASE(catalog_retain, a_rule_without_end_keeps_one_of_each)
{
    struct shelf s = shelf_new();

    put_days(&s, 4);
    put(&s, NOW);
    s.policy.daily = RETAIN_ALL;
    cr_assert_str_eq(judged(&s), "11101");
}

CASE(catalog_retain, equal_times_are_told_apart_by_their_sequence)
{
    struct shelf s = shelf_new();

    for (int i = 0; i < 5; i++)
        put(&s, NOW - DAY);
    s.policy.daily = 3;
    cr_assert_str_eq(judged(&s), "00001");
    s.policy.last = 2;
    cr_assert_str_eq(judged(&s), "00011");
}

CASE(catalog_retain, every_line_has_its_reasons)
{
    struct shelf s = shelf_new();
    struct str_list tags = { 0 };
    struct err e = { 0 };

    OK(str_list_add(&tags, "before-upgrade", &e), &e);
    put_days(&s, 4);
    s.items[0].tags = &tags;
    s.policy.last = 1;
    s.policy.daily = 2;
    s.policy.monthly = 1;
    OK(str_list_add(&s.policy.tags, "before-upgrade", &e), &e);
    cr_assert_str_eq(judged(&s), "1011");
    cr_assert_str_eq(s.items[0].why, "tag before-upgrade");
    cr_assert_str_eq(s.items[1].why, "no rule wants it");
    cr_assert_str_eq(s.items[2].why, "daily 2028-02-18");
    cr_assert_str_eq(s.items[3].why, "last 1, daily 2028-02-19, monthly 2028-02");
    cr_assert(s.plan.remove == 1 && s.plan.held == 0);
    retain_policy_clear(&s.policy);
    str_list_clear(&tags);
}

CASE(catalog_retain, spans_are_written_as_restic_has_them)
{
    static const struct {
        const char *text;
        uint64_t seconds;
    } good[] = { { "7d", 7 * DAY },
                 { "36h", 36 * HOUR },
                 { "1y6m10d12h", (365 + 180 + 10) * (uint64_t)DAY + 12 * HOUR },
                 { "2m3h", 60 * (uint64_t)DAY + 3 * HOUR } };
    static const char *const bad[] = { "",     "7",    "d",  "7w",   "-1d",      "1d 2h",
                                       "1h2d", "1d1d", "7D", "1e9d", "99999999d" };
    uint64_t got;

    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        cr_assert(retain_span(good[i].text, &got) && got == good[i].seconds, "%s",
                  good[i].text);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_not(retain_span(bad[i], &got), "%s", bad[i]);
}

CASE(catalog_retain, a_policy_without_rules_is_refused)
{
    struct shelf s = shelf_new();
    struct err e = { 0 };

    put_days(&s, 3);
    cr_assert_eq(retain_judge(&s.policy, &s.clock, s.items, s.count, &s.plan, &e),
                 RC_USAGE);
    cr_assert_str_eq(e.why, "no rule says what to keep");
    s.policy.last = 1;
    s.policy.cap_percent = 0;
    cr_assert_eq(retain_judge(&s.policy, &s.clock, s.items, s.count, &s.plan, &e),
                 RC_USAGE);
    s.policy.cap_percent = 101;
    cr_assert_eq(retain_judge(&s.policy, &s.clock, s.items, s.count, &s.plan, &e),
                 RC_USAGE);
}

/* ---- above the rules ------------------------------------------------------------------
 */

CASE(catalog_retain, the_newest_proved_ones_stay)
{
    struct shelf s = shelf_new();

    put_days(&s, 8);
    s.items[7].proved = s.items[6].proved = s.items[4].proved = false;
    s.policy.last = 1;
    s.policy.protect = 3;
    cr_assert_str_eq(judged(&s), "00110101");
    cr_assert_str_eq(s.items[5].why, "one of the newest 3 that are proved");
    cr_assert(s.items[5].held && !s.items[7].held && s.plan.held == 3);
}

CASE(catalog_retain, what_the_store_has_locked_stays)
{
    struct shelf s = shelf_new();

    put_days(&s, 4);
    s.items[0].locked_until = NOW + 1;
    s.items[1].locked_until = NOW;
    s.policy.last = 1;
    cr_assert_str_eq(judged(&s), "1001");
    cr_assert_str_eq(s.items[0].why, "the store has it locked until 2028-02-19 08:00");
    s.clock.store_now = NOW + 2;
    cr_assert_str_eq(judged(&s), "0001");
}

CASE(catalog_retain, one_run_takes_a_share_and_the_oldest_first)
{
    struct shelf s = shelf_new();

    put_days(&s, 20);
    s.policy.last = 1;
    s.policy.cap_percent = 30;
    cr_assert_str_eq(judged(&s), "00000011111111111111");
    cr_assert_str_eq(s.items[6].why, "one run takes at most 30 %");
    cr_assert(s.items[6].held);
    s.count = 3;
    cr_assert_str_eq(judged(&s), "011"); /* at least one */
}

CASE(catalog_retain, nothing_goes_when_a_clock_went_back)
{
    struct shelf s = shelf_new();

    put_days(&s, 3);
    s.policy.last = 1;
    s.clock.last_seen = NOW + 601;
    cr_assert_str_eq(judged(&s), "111");
    cr_assert(s.plan.frozen && s.items[0].held);
    cr_assert_str_eq(s.plan.why_frozen,
                     "this host's clock is 601 s behind what it was at its last look");
    cr_assert_str_eq(s.items[0].why, "nothing goes while the clock is not to be trusted");
    s.clock.accepted = true;
    cr_assert_str_eq(judged(&s), "001");
    s.clock = (struct retain_clock){ .now = NOW, .last_seen = NOW + 600 };
    cr_assert_str_eq(judged(&s), "001");
}

CASE(catalog_retain, nothing_goes_when_the_store_has_another_time)
{
    struct shelf s = shelf_new();

    put_days(&s, 3);
    s.policy.last = 1;
    s.clock.store_now = NOW - 3601;
    cr_assert_str_eq(judged(&s), "111");
    s.clock.store_now = NOW + 3601;
    cr_assert_str_eq(judged(&s), "111");
    cr_assert_str_eq(s.plan.why_frozen,
                     "the clocks of this host and of the store are 3601 s apart");
    s.clock.store_now = NOW + 3600;
    cr_assert_str_eq(judged(&s), "001");
}

CASE(catalog_retain, nothing_goes_when_the_newest_is_of_the_future)
{
    struct shelf s = shelf_new();

    put_days(&s, 3);
    put(&s, NOW + 3650 * (int64_t)DAY);
    s.policy.last = 1;
    cr_assert_str_eq(judged(&s), "1111");
    cr_assert_str_eq(
        s.plan.why_frozen,
        "backup 4, the newest one, is of 2038-02-16 08:00, which is yet to come");
}

/* Ten years ahead, and `within` would let go of everything. */
CASE(catalog_retain, a_leap_ahead_freezes_until_it_is_confirmed)
{
    struct shelf s = shelf_new();

    put_days(&s, 10);
    s.clock.now += 3650 * (int64_t)DAY;
    s.policy.within_s = 30 * DAY;
    s.policy.protect = 3;
    for (int i = 1; i <= 3; i++) {
        put(&s, s.clock.now - (4 - i) * HOUR);
        judged(&s);
        cr_assert(s.plan.frozen && s.plan.remove == 0, "%d", i);
    }
    cr_assert_str_eq(s.plan.why_frozen,
                     "between the backups 10 and 11 lie 3649 days: did a clock jump?");
    put(&s, s.clock.now - HOUR / 2);
    judged(&s);
    cr_assert(!s.plan.frozen && s.plan.remove == 10);
}

/* ---- time that is not believed --------------------------------------------------------
 */

/* The clock was wrong for a while and is right again. */
static void put_wrong(struct shelf *s, int64_t wrong)
{
    put_days(s, 6);
    for (int i = 0; i < 4; i++)
        put(s, wrong + i * HOUR);
    for (int i = 0; i < 6; i++)
        put(s, NOW + i * 60);
    s->clock.now = NOW + HOUR;
}

CASE(catalog_retain, times_that_make_no_sense_take_nobodys_place)
{
    const int64_t wrong[] = { 0, 100 * DAY, NOW + 900 * (int64_t)DAY,
                              NOW - 300 * (int64_t)DAY };

    for (size_t k = 0; k < 4; k++) {
        struct shelf s = shelf_new();

        put_wrong(&s, wrong[k]);
        s.policy.last = 8;
        cr_assert_str_eq(judged(&s), "0000111111111111", "%zu", k);
        cr_assert(s.items[6].doubtful && s.items[9].doubtful && !s.items[5].doubtful);
        cr_assert_str_eq(s.items[6].why,
                         "its time is not believed: it stays until 2028-03-20");
        s.clock.now += RETAIN_DOUBT_S;
        cr_assert_str_eq(judged(&s), "0000110000111111", "%zu", k);
    }
}

/* A restic lesson: entries of the future must not push the real ones out. */
CASE(catalog_retain, many_future_entries_push_nothing_out)
{
    struct shelf s = shelf_new();

    put_days(&s, 5);
    for (int i = 0; i < 100; i++)
        put(&s, NOW + (i + 1) * (int64_t)DAY);
    s.policy.last = 5;
    s.policy.daily = 5;
    s.clock.accepted = true;
    judged(&s);
    for (size_t i = 0; i < 5; i++)
        cr_assert(s.items[i].keep && !s.items[i].held, "%zu", i);
    cr_assert_str_eq(s.items[5].why, "its time is not believed, and no later one is");
}

CASE(catalog_retain, a_proved_one_of_doubtful_time_is_protected_too)
{
    struct shelf s = shelf_new();

    put_wrong(&s, 0);
    for (size_t i = 10; i < s.count; i++)
        s.items[i].proved = false;
    s.policy.last = 1;
    s.policy.protect = 3;
    s.clock.now += RETAIN_DOUBT_S;
    cr_assert_str_eq(judged(&s), "0001110111000001");
}

CASE(catalog_retain, a_tag_speaks_for_doubtful_ones_too)
{
    struct shelf s = shelf_new();
    struct str_list tags = { 0 };
    struct err e = { 0 };

    OK(str_list_add(&tags, "keep", &e), &e);
    OK(str_list_add(&s.policy.tags, "keep", &e), &e);
    put_wrong(&s, 0);
    s.items[7].tags = &tags;
    s.clock.now += RETAIN_DOUBT_S;
    cr_assert_str_eq(judged(&s), "0000000100000000");
    retain_policy_clear(&s.policy);
    str_list_clear(&tags);
}

/* ---- from the chain -------------------------------------------------------------------
 */

CASE(catalog_retain, only_backups_on_the_chain_are_judged)
{
    SAMPLE_LOG(l);
    struct retain_item *items = NULL;
    size_t count = 0;
    struct err e = { 0 };
    struct record_link head;

    for (int i = 0; i < 3; i++)
        sample_log_backup(&l);
    sample_log_tag(&l, 2, "keep");
    sample_log_prune(&l, (const uint64_t[]){ 1, 0 });
    head = l.head;
    l.key = sample_other_key();
    sample_log_backup(&l); /* forged */
    l.head = head;
    OWNED(chain) c = sample_chain(&l, true, NULL, 0);

    OK(retain_items(c, &items, &count, &e), &e);
    cr_assert_eq(count, 2);
    cr_assert(items[0].sequence == 2 && items[1].sequence == 3);
    cr_assert(str_list_has(items[0].tags, "keep") && items[0].proved);
    mem_free(items);
}

CASE(catalog_retain, a_log_that_does_not_hang_together_is_not_pruned)
{
    SAMPLE_LOG(l);
    struct retain_item *items = NULL;
    size_t count = 0;
    struct err e = { 0 };

    for (int i = 0; i < 3; i++)
        sample_log_backup(&l);
    sample_log_lose(&l, 2);
    OWNED(chain) c = sample_chain(&l, true, NULL, 0);

    cr_assert_eq(retain_items(c, &items, &count, &e), RC_REFUSED);
    cr_assert_str_eq(e.hint, "see 'holdfast audit'");
}

CASE(catalog_retain, memory_that_runs_out_is_said)
{
    unsigned runs = 0;

    FAULT_SWEEP(FAULT_ALLOC, nth, 0) {
        struct shelf s = shelf_new();
        struct err e = { 0 };
        enum rc rc;

        put_days(&s, 5);
        s.policy.last = 1;
        rc = retain_judge(&s.policy, &s.clock, s.items, s.count, &s.plan, &e);
        cr_assert_eq(rc, nth <= 4 ? RC_NOMEM : RC_OK);
        runs = nth;
    }
    cr_assert_eq(runs, 5);
}
