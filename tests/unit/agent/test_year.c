/* A year of two agents that share a repository, in virtual time: their schedules, the
 * lock, what one leaves to the other, retention. Their clocks jump, hosts are down, the
 * store is away, jobs fail, holders fall asleep, and for weeks nothing can be pruned. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/schedule.h"
#include "agent/zone.h"
#include "catalog/lock.h"
#include "catalog/retain.h"
#include "tests/lib/case.h"
#include "util/clock.h"
#include "util/mem.h"

enum {
    MINUTE = 60,
    HOUR = 3600,
    DAY = 24 * HOUR,
    STEP = 10 * MINUTE,
    AGENTS = 2,
    PROTECT = 3,
    CAP = 30,
    TERM_MS = 8, /* of the lock, which lives in true time */
    PERIOD = 6 * HOUR,
    /* A clock set back begins a period again; then a try fails, and pauses. */
    REST_MOST = 2 * PERIOD + HOUR + 2 * STEP,
    USUALLY = 100,    /* backups that are there when all is well */
    PILED_MOST = 400, /* and after weeks without a prune */
    MADE_MOST = 3000,
};
#define BEGIN INT64_C(1800000000) /* 2027-01-15 08:00 */

struct host {
    struct schedule backup, prune;
    struct schedule_past backed_up, pruned;
    int64_t off, right_again, up_again, last_look;
};

struct year {
    uint64_t rng;
    int64_t now, away_until, no_prune_until;
    struct host hosts[AGENTS];
    struct store *store; /* for the locks alone */
    struct retain_policy policy;
    struct retain_item items[MADE_MOST];
    size_t count, most;
    uint64_t made;
    int64_t rested; /* since the newest backup, while one could have been made */
    size_t failed, slept, frozen, removed, left_to_other;
};

static uint64_t dice(struct year *y, uint64_t sides)
{
    y->rng ^= y->rng << 13;
    y->rng ^= y->rng >> 7;
    y->rng ^= y->rng << 17;
    return y->rng % sides;
}

static struct schedule parsed(const char *text, uint64_t seed)
{
    struct schedule s;
    struct err e = { 0 };

    OK(schedule_parse(text, &s, &e), &e);
    s.jitter_s = 5 * MINUTE;
    s.seed = seed;
    return s;
}

static void year_begin(struct year *y, uint64_t seed)
{
    struct err e = { 0 };

    *y = (struct year){ .rng = (seed + 1) * UINT64_C(0x9e3779b97f4a7c15), .now = BEGIN };
    y->policy = retain_policy_default();
    y->policy.last = 4;
    y->policy.daily = 14;
    y->policy.weekly = 8;
    y->policy.monthly = 13;
    OK(zone_use("UTC", &e), &e);
    OK(store_open(&(struct store_options){ .url = "memory:" }, &y->store, &e), &e);
    for (uint64_t i = 0; i < AGENTS; i++) {
        y->hosts[i].backup = parsed("6h", i);
        y->hosts[i].prune = parsed("30 4 * * *", i);
    }
}

static void year_end(struct year *y)
{
    store_free(y->store);
}

static int64_t time_of(const struct year *y, const struct host *h)
{
    return y->now + h->off;
}

static bool is_up(const struct year *y, const struct host *h)
{
    return y->now >= h->up_again;
}

static bool store_is_there(const struct year *y)
{
    return y->now >= y->away_until;
}

/* ---- what goes wrong ------------------------------------------------------------------
 */

static void disturb_clock(struct year *y, struct host *h)
{
    static const int64_t jumps[] = { HOUR,     -HOUR,     DAY,        -DAY,
                                     40 * DAY, -40 * DAY, 3650 * DAY, -3650 * DAY };

    if (h->right_again != 0 && y->now >= h->right_again) {
        h->off = (int64_t)dice(y, 240) - 120;
        h->right_again = 0;
    } else if (dice(y, 6000) == 0) {
        h->off = jumps[dice(y, sizeof jumps / sizeof *jumps)];
        h->right_again = y->now + HOUR * (1 + (int64_t)dice(y, 48));
    }
}

/* Started again it knows what it did, and not since when it has waited. */
static void disturb(struct year *y)
{
    for (int i = 0; i < AGENTS; i++) {
        struct host *h = &y->hosts[i];

        disturb_clock(y, h);
        if (dice(y, 4000) == 0) {
            h->up_again = y->now + HOUR * (int64_t)dice(y, 72);
            h->backed_up.since = h->pruned.since = 0;
        }
    }
    if (dice(y, 5000) == 0)
        y->away_until = y->now + HOUR * (int64_t)dice(y, 24);
    if (dice(y, 20000) == 0)
        y->no_prune_until = y->now + DAY * (14 + (int64_t)dice(y, 14));
}

/* ---- one at a time --------------------------------------------------------------------
 */

static struct lock *lock_of(struct year *y, const char *owner, uint64_t wait_ms)
{
    const struct lock_options o = { .cluster = "prod",
                                    .owner = owner,
                                    .store = y->store,
                                    .exclusive = true,
                                    .wait_ms = wait_ms,
                                    .term_ms = TERM_MS };
    struct lock *l = NULL;
    struct err e = { 0 };

    OK(lock_take(&o, &l, &e), &e);
    return l;
}

/* The holder falls asleep, another one works meanwhile: who wakes up may not go on. */
static bool fell_asleep(struct year *y, struct lock *held)
{
    struct err e = { 0 };

    if (dice(y, 60) != 0)
        return false;
    OWNED(lock) next = lock_of(y, "the other", 10000);

    cr_assert_eq(lock_fence(held, &e), RC_LOCKED, "two at once");
    OK(lock_fence(next, &e), &e);
    y->slept++;
    return true;
}

/* ---- jobs -----------------------------------------------------------------------------
 */

static const struct retain_item *newest_proved(const struct year *y)
{
    for (size_t i = y->count; i-- > 0;)
        if (y->items[i].proved)
            return &y->items[i];
    return NULL;
}

/* As `backup --unless-within` decides it. */
static bool done_elsewhere(struct year *y, const struct host *h, int64_t late)
{
    const struct retain_item *last = newest_proved(y);
    int64_t now = time_of(y, h);
    bool done =
        last != NULL &&
        retain_made_since(last->created, now - schedule_elsewhere(&h->backup, late), now);

    y->left_to_other += done;
    return done;
}

static void store_backup(struct year *y, const struct host *h)
{
    int64_t created = time_of(y, h);

    cr_assert_lt(y->count, MADE_MOST);
    y->items[y->count++] = (struct retain_item){ .sequence = ++y->made,
                                                 .created = created < 0 ? 0 : created,
                                                 .proved = dice(y, 20) != 0 };
    y->rested = 0;
}

static bool back_up(struct year *y, const struct host *h, int64_t late)
{
    OWNED(lock) l = NULL;

    if (!store_is_there(y) || dice(y, 30) == 0)
        return false;
    l = lock_of(y, "holder", 10000);
    if (done_elsewhere(y, h, late))
        return true;
    if (fell_asleep(y, l))
        return false;
    store_backup(y, h);
    return true;
}

static size_t proved_of(const struct year *y, bool kept)
{
    size_t n = 0;

    for (size_t i = 0; i < y->count; i++)
        n += y->items[i].proved && (!kept || y->items[i].keep);
    return n;
}

static void assert_safe(const struct year *y, const struct retain_plan *plan)
{
    size_t cap = y->count * CAP / 100, proved = proved_of(y, false), seen = 0;

    cr_assert_leq(plan->remove, cap > 1 ? cap : 1);
    cr_assert(!plan->frozen || plan->remove == 0);
    cr_assert_geq(proved_of(y, true), proved < PROTECT ? proved : PROTECT);
    for (size_t i = y->count; i-- > 0 && seen < PROTECT; seen += y->items[i].proved)
        cr_assert(!y->items[i].proved || y->items[i].keep, "%d goes",
                  (int)y->items[i].sequence);
}

static void remove_all(struct year *y)
{
    size_t kept = 0;

    for (size_t i = 0; i < y->count; i++)
        if (y->items[i].keep)
            y->items[kept++] = y->items[i];
    y->removed += y->count - kept;
    y->count = kept;
}

static bool prune(struct year *y, struct host *h)
{
    const struct retain_clock clock = { .now = time_of(y, h),
                                        .last_seen = h->last_look,
                                        .store_now = y->now };
    struct retain_plan plan;
    struct err e = { 0 };
    OWNED(lock) l = NULL;

    h->last_look = clock.now;
    if (!store_is_there(y) || y->now < y->no_prune_until)
        return false;
    l = lock_of(y, "holder", 10000);
    OK(retain_judge(&y->policy, &clock, y->items, y->count, &plan, &e), &e);
    assert_safe(y, &plan);
    y->frozen += plan.frozen;
    if (plan.frozen || fell_asleep(y, l))
        return false;
    remove_all(y);
    return true;
}

/* ---- a year ---------------------------------------------------------------------------
 */

static void work(struct year *y, struct host *h)
{
    int64_t now = time_of(y, h), due = schedule_due(&h->backup, &h->backed_up, now);
    bool well;

    if (due <= now) {
        h->backed_up.last = now;
        well = back_up(y, h, now - due);
        y->failed += !well;
        schedule_ended(&h->backed_up, now, well);
    }
    if (schedule_due(&h->prune, &h->pruned, now) <= now) {
        h->pruned.last = now;
        schedule_ended(&h->pruned, now, prune(y, h));
    }
}

static void assert_goes_on(struct year *y, uint64_t seed)
{
    bool able = false;

    for (int i = 0; i < AGENTS; i++)
        able |= is_up(y, &y->hosts[i]);
    y->rested += able && store_is_there(y) ? STEP : 0;
    cr_assert_leq(y->rested, REST_MOST, "seed %d: no backup for %d minutes, day %d",
                  (int)seed, (int)(y->rested / MINUTE), (int)((y->now - BEGIN) / DAY));
    if (y->count > y->most)
        y->most = y->count;
}

static void live(struct year *y, uint64_t seed)
{
    for (; y->now < BEGIN + 365 * (int64_t)DAY; y->now += STEP) {
        disturb(y);
        for (int i = 0; i < AGENTS; i++)
            if (is_up(y, &y->hosts[i]))
                work(y, &y->hosts[i]);
        assert_goes_on(y, seed);
    }
}

static uint64_t seeds(void)
{
    return getenv("HOLDFAST_LONG") != NULL ? 100 : 2;
}

CASE(year, two_agents_keep_it_right_whatever_goes_wrong)
{
    static struct year y;
    size_t frozen = 0, slept = 0, left = 0, piled = 0;

    for (uint64_t seed = 0; seed < seeds(); seed++) {
        year_begin(&y, seed);
        live(&y, seed);
        cr_log_info("seed %d: %d made, %d most, %d left, %d failed, %d frozen, %d slept, "
                    "%d elsewhere",
                    (int)seed, (int)y.made, (int)y.most, (int)y.count, (int)y.failed,
                    (int)y.frozen, (int)y.slept, (int)y.left_to_other);
        cr_assert_leq(y.most, PILED_MOST, "seed %d", (int)seed);
        piled += y.most > USUALLY;
        frozen += y.frozen;
        slept += y.slept;
        left += y.left_to_other;
        year_end(&y);
    }
    cr_assert(frozen > 0 && slept > 0 && left > 0 && piled > 0, "%zu %zu %zu %zu", frozen,
              slept, left, piled);
}
