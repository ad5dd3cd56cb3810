/* A year of backups every hour by two agents that prune every day, on a virtual clock:
 * clocks that jump, backups that fail, hosts that are down, prunes that are killed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/retain.h"
#include "tests/lib/case.h"
#include "util/mem.h"

enum { HOUR = 3600, DAY = 86400, YEAR_H = 365 * 24, AGENTS = 2, PROTECT = 3, CAP = 30 };
#define BEGIN INT64_C(1800000000) /* 2027-01-15 08:00 */

struct year {
    uint64_t rng;
    bool jumps;
    bool rarely_proved; /* one backup in ten, else nine of them */
    int64_t now;        /* the true time, which is the store's */
    int64_t off[AGENTS], last_seen[AGENTS];
    int64_t right_again[AGENTS], up_again;
    struct retain_item *items; /* what is there */
    size_t count;
    struct retain_item *ever; /* what was made, in the order of sequences */
    size_t made;
    size_t prunes, frozen, removed, killed;
    struct retain_policy policy;
};

static uint64_t dice(struct year *y, uint64_t sides)
{
    y->rng ^= y->rng << 13;
    y->rng ^= y->rng >> 7;
    y->rng ^= y->rng << 17;
    return y->rng % sides;
}

static void year_begin(struct year *y, uint64_t seed, bool jumps)
{
    *y = (struct year){ .rng = seed * 0x9e3779b97f4a7c15 + 1,
                        .jumps = jumps,
                        .now = BEGIN,
                        .policy = retain_policy_default() };
    y->policy.last = 2;
    y->policy.hourly = 24;
    y->policy.daily = 7;
    y->policy.weekly = 5;
    y->policy.monthly = 13;
    y->policy.within_s = 2 * DAY;
    y->items = mem_zero(YEAR_H * sizeof *y->items);
    y->ever = mem_zero(YEAR_H * sizeof *y->ever);
    cr_assert(y->items != NULL && y->ever != NULL);
}

static void year_end(struct year *y)
{
    mem_free(y->items);
    mem_free(y->ever);
}

/* About eight jumps a year and host, each set right after up to three days. */
static void disturb(struct year *y, int agent)
{
    static const int64_t jumps[] = { HOUR,       -HOUR,       DAY,
                                     -DAY,       40 * DAY,    -40 * DAY,
                                     3650 * DAY, -3650 * DAY, -INT64_C(2000000000) };

    if (y->right_again[agent] != 0 && y->now >= y->right_again[agent]) {
        y->off[agent] = (int64_t)dice(y, 240) - 120;
        y->right_again[agent] = 0;
    } else if (y->jumps && dice(y, 1000) == 0) {
        y->off[agent] = jumps[dice(y, sizeof jumps / sizeof *jumps)];
        y->right_again[agent] = y->now + HOUR * (1 + (int64_t)dice(y, 72));
    }
    if (dice(y, 2000) == 0)
        y->up_again = y->now + HOUR * (int64_t)dice(y, 100);
}

static void back_up(struct year *y, int agent)
{
    struct retain_item i = { .sequence = y->made + 1,
                             .created = y->now + y->off[agent],
                             .proved = (dice(y, 10) == 0) == y->rarely_proved };

    if (dice(y, 50) == 0) /* failed */
        return;
    if (i.created < 0)
        i.created = 0;
    if (dice(y, 10) == 0)
        i.locked_until = y->now + 7 * DAY;
    y->ever[y->made++] = i;
    y->items[y->count++] = i;
}

/* ---- what must hold after every judgement ---------------------------------------------
 */

static void assert_last_proved(const struct year *y)
{
    size_t seen = 0;

    for (size_t i = y->count; i-- > 0 && seen < PROTECT;)
        if (y->items[i].proved) {
            cr_assert(y->items[i].keep, "the proved backup %d goes",
                      (int)y->items[i].sequence);
            seen++;
        }
}

static void assert_safe(const struct year *y, const struct retain_plan *plan)
{
    size_t cap = y->count * CAP / 100;
    bool capped = false;

    cr_assert_leq(plan->remove, cap > 1 ? cap : 1);
    cr_assert(!plan->frozen || plan->remove == 0);
    cr_assert(y->count == 0 || y->items[y->count - 1].keep, "the newest one goes");
    assert_last_proved(y);
    for (size_t i = 0; i < y->count; i++) {
        cr_assert(y->items[i].keep || y->items[i].locked_until <= y->now, "locked");
        cr_assert(y->items[i].why[0] != '\0', "no reason");
        capped |= strstr(y->items[i].why, "one run takes") != NULL;
        cr_assert(y->items[i].keep || !capped, "a newer one went first");
    }
}

static void judge(const struct year *y, int agent, struct retain_plan *plan)
{
    struct retain_clock clock = { .now = y->now + y->off[agent],
                                  .last_seen = y->last_seen[agent],
                                  .store_now = y->now };
    struct err e = { 0 };

    OK(retain_judge(&y->policy, &clock, y->items, y->count, plan, &e), &e);
}

/* Killed in the middle, now and then: the rest goes in the next run. */
static void take_away(struct year *y, size_t remove)
{
    size_t kept = 0, left = remove;

    if (remove > 0 && dice(y, 10) == 0) {
        left = dice(y, remove);
        y->killed++;
    }
    for (size_t i = 0; i < y->count; i++) {
        if (!y->items[i].keep && left > 0) {
            left--;
            y->removed++;
            continue;
        }
        y->items[kept++] = y->items[i];
    }
    y->count = kept;
}

static void prune(struct year *y, int agent)
{
    struct retain_plan plan, again;

    judge(y, agent, &plan);
    assert_safe(y, &plan);
    judge(y, agent, &again);
    cr_assert(plan.remove == again.remove && plan.frozen == again.frozen, "not pure");
    y->last_seen[agent] = y->now + y->off[agent];
    y->prunes++;
    y->frozen += plan.frozen;
    take_away(y, plan.remove);
}

static void live(struct year *y)
{
    for (int hour = 0; hour < YEAR_H; hour++, y->now += HOUR) {
        int agent = (int)dice(y, AGENTS); /* who got the lock */

        for (int a = 0; a < AGENTS; a++)
            disturb(y, a);
        if (y->now < y->up_again)
            continue;
        back_up(y, agent);
        if (hour % 24 == 5)
            prune(y, agent);
    }
}

static int seeds(void)
{
    return getenv("HOLDFAST_LONG") != NULL ? 60 : 2;
}

/* ---- a year in which all clocks are right ---------------------------------------------
 */

static bool is_there(const struct year *y, uint64_t sequence)
{
    for (size_t i = 0; i < y->count; i++)
        if (y->items[i].sequence == sequence)
            return true;
    return false;
}

/* Had nothing ever been pruned, the rules would want the same. */
static void assert_nothing_wanted_is_gone(struct year *y)
{
    struct retain_clock clock = { .now = y->now, .accepted = true };
    struct retain_plan plan;
    struct err e = { 0 };

    y->policy.cap_percent = 100;
    OK(retain_judge(&y->policy, &clock, y->ever, y->made, &plan, &e), &e);
    cr_assert_gt(plan.keep, 40);
    for (size_t i = 0; i < y->made; i++)
        if (y->ever[i].keep)
            cr_assert(is_there(y, y->ever[i].sequence), "%d: %s",
                      (int)y->ever[i].sequence, y->ever[i].why);
}

CASE(catalog_year, with_right_clocks_nothing_that_a_rule_wants_goes)
{
    for (int seed = 0; seed < seeds(); seed++) {
        AT_END(year_end) struct year y;

        year_begin(&y, (uint64_t)seed, false);
        live(&y);
        cr_assert_lt(y.count, 200, "seed %d: %zu are left", seed, y.count);
        cr_assert(y.frozen == 0 && y.removed > 7000 && y.killed > 10, "seed %d", seed);
        assert_nothing_wanted_is_gone(&y);
    }
}

/* ---- a year of jumps ------------------------------------------------------------------
 */

/* True months of which something is left. */
static int months_left(const struct year *y)
{
    bool month[16] = { false };
    int n = 0;

    for (size_t i = 0; i < y->count; i++) {
        size_t hour = y->items[i].sequence - 1; /* one an hour, about */
        size_t m = hour / (30 * 24);

        n += !month[m];
        month[m] = true;
    }
    return n;
}

CASE(catalog_year, jumping_clocks_take_no_history_and_let_nothing_pile_up)
{
    for (int seed = 0; seed < seeds(); seed++) {
        AT_END(year_end) struct year y;

        year_begin(&y, (uint64_t)seed + 100, true);
        live(&y);
        cr_assert_gt(y.frozen, 0, "seed %d: no jump was ever seen", seed);
        cr_assert_lt(y.frozen, y.prunes / 2, "seed %d: frozen for ever", seed);
        cr_assert_lt(y.count, 1200, "seed %d: %zu of %zu are left", seed, y.count,
                     y.made);
        cr_assert_geq(months_left(&y), 10, "seed %d: of %d months something is left",
                      seed, months_left(&y));
    }
}

/* A policy that leaves nearly nothing: what stands above the rules holds alone. */
CASE(catalog_year, rare_proofs_outlast_a_policy_that_wants_nothing)
{
    for (int seed = 0; seed < seeds(); seed++) {
        AT_END(year_end) struct year y;

        year_begin(&y, (uint64_t)seed + 200, true);
        y.rarely_proved = true;
        y.policy = retain_policy_default();
        y.policy.last = 1;
        live(&y);
        cr_assert_gt(y.removed, 5000, "seed %d", seed);
    }
}
