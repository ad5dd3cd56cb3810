#include "member/change.h"

#include <stdio.h>
#include <string.h>

#include "tests/lib/case.h"

/* A cluster spelled out: V a voter that takes part, L the same and leads, v a voter that
 * is down, s one that takes part and lags, N a learner in sync, n one that is not, u a
 * voter that never started. Ids from 1. */
static struct member_table table(const char *spelled)
{
    static char names[MEMBER_SEATS_MAX][8];
    struct member_table t = { 0 };

    for (; *spelled != 0; spelled++) {
        struct member_seat *s = &t.seats[t.count];
        char c = *spelled;

        snprintf(names[t.count], sizeof names[0], "m%zu", t.count + 1);
        *s = (struct member_seat){ .id = t.count + 1,
                                   .name = names[t.count],
                                   .learner = c == 'N' || c == 'n',
                                   .started = c != 'u',
                                   .alive = strchr("VLsNn", c) != NULL,
                                   .in_sync = strchr("VLN", c) != NULL,
                                   .leader = c == 'L' };
        t.count++;
    }
    return t;
}

static enum rc judge(const struct member_table *t, enum member_step_kind kind,
                     uint64_t id)
{
    struct member_step s = { .kind = kind, .id = id };
    struct err e = { 0 };

    return member_step_judge(t, &s, &e);
}

/* In the middle of an upgrade only what is no voter goes, and leadership moves. */
CASE(change, not_while_voters_of_two_versions_run)
{
    static const struct {
        enum member_step_kind kind;
        uint64_t id;
        enum rc mixed;
    } steps[] = {
        { MEMBER_ADD_LEARNER, 0, RC_REFUSED }, { MEMBER_ADD_VOTER, 0, RC_REFUSED },
        { MEMBER_PROMOTE, 4, RC_REFUSED },     { MEMBER_UPDATE, 3, RC_REFUSED },
        { MEMBER_REMOVE, 3, RC_REFUSED },      { MEMBER_REMOVE, 4, RC_OK },
        { MEMBER_BACKUP, 0, RC_OK },           { MEMBER_COMPARE, 0, RC_OK }
    };
    struct member_table same = table("LVVN"), mixed;

    for (size_t i = 0; i < 3; i++)
        same.seats[i].minor = 5;
    same.seats[3].minor = 6; /* counts for nothing yet */
    mixed = same;
    mixed.seats[1].minor = 6;
    mixed.seats[2].minor = 0; /* it does not answer, or does not say */
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        cr_assert_eq(judge(&same, steps[i].kind, steps[i].id), RC_OK, "step %zu", i);
        cr_assert_eq(judge(&mixed, steps[i].kind, steps[i].id), steps[i].mixed,
                     "step %zu", i);
    }
}

/* The rule, counted out on bits instead of through the planner: voters and who of them is
 * alive, before and after. */
static bool majority(unsigned voters, unsigned alive)
{
    return 2 * __builtin_popcount(voters & alive) > __builtin_popcount(voters);
}

static struct member_table from_bits(unsigned seats, unsigned voters, unsigned alive)
{
    struct member_table t = { .count = seats };

    for (unsigned i = 0; i < seats; i++)
        t.seats[i] = (struct member_seat){ .id = i + 1,
                                           .name = "m",
                                           .learner = (voters >> i & 1) == 0,
                                           .started = true,
                                           .alive = (alive >> i & 1) != 0,
                                           .in_sync = (alive >> i & 1) != 0 };
    return t;
}

static void check_each(unsigned seats, unsigned voters, unsigned alive)
{
    struct member_table t = from_bits(seats, voters, alive);
    bool now = majority(voters, alive);
    unsigned added = voters | 1u << seats;

    cr_assert_eq(judge(&t, MEMBER_ADD_LEARNER, 0) == RC_OK, now);
    cr_assert_eq(judge(&t, MEMBER_ADD_VOTER, 0) == RC_OK, now && majority(added, alive));
    for (unsigned i = 0; i < seats; i++) {
        unsigned bit = 1u << i, without = voters & ~bit, with = voters | bit;
        bool promotable = (voters & bit) == 0 && (alive & bit) != 0;

        cr_assert_eq(judge(&t, MEMBER_REMOVE, i + 1) == RC_OK,
                     now && majority(without, alive & ~bit),
                     "remove %u of voters %x alive %x", i, voters, alive);
        cr_assert_eq(judge(&t, MEMBER_PROMOTE, i + 1) == RC_OK,
                     now && promotable && majority(with, alive),
                     "promote %u of voters %x alive %x", i, voters, alive);
    }
}

/* All clusters of up to 7 voters and 2 learners, all subsets down, all single changes. */
CASE(member_change, allows_exactly_what_keeps_a_majority)
{
    for (unsigned seats = 1; seats <= 9; seats++)
        for (unsigned voters = 0; voters < 1u << seats; voters++) {
            int n = __builtin_popcount(voters);

            if (n == 0 || n > 7 || (int)seats - n > 2)
                continue;
            for (unsigned alive = 0; alive < 1u << seats; alive++)
                check_each(seats, voters, alive);
        }
}

static void spell(const struct member_plan *p, char *out, size_t n)
{
    size_t at = 0;

    *out = 0;
    for (size_t i = 0; i < p->count && at < n; i++)
        at += (size_t)snprintf(out + at, n - at, "%s%s", i == 0 ? "" : " ",
                               member_step_name(p->items[i].kind));
}

struct row {
    const char *cluster;
    uint64_t id;
    enum rc rc;
    const char *says; /* the steps, or part of the refusal */
};

#define EACH(rows, row) \
    for (const struct row *row = rows; row < rows + sizeof rows / sizeof *rows; row++)

static void expect(const struct row *row, enum rc rc, const struct member_plan *p,
                   const struct err *e)
{
    char text[2048] = "";

    cr_assert_eq(rc, row->rc, "%s: %s", row->cluster, e->why);
    if (rc == RC_OK)
        spell(p, text, sizeof text);
    else
        snprintf(text, sizeof text, "%s; %s", e->why, e->hint);
    cr_assert(rc == RC_OK ? strcmp(text, row->says) == 0
                          : strstr(text, row->says) != NULL,
              "%s: %s", row->cluster, text);
}

CASE(member_change, removes_after_moving_leadership)
{
    static const struct row rows[] = {
        { "LVV", 2, RC_OK, "remove" },
        { "LVV", 1, RC_OK, "move-leader remove" },
        { "LsV", 1, RC_OK, "move-leader remove" }, /* to the third */
        { "Lss", 1, RC_REFUSED, "no other voter has caught up" },
        { "LVv", 3, RC_OK, "remove" },
        { "LVv", 2, RC_REFUSED, "'m3' is down: bring it back" },
        { "LVv", 1, RC_REFUSED, "would lose quorum" },
        { "Lv", 2, RC_REFUSED, "quorum is lost: 1 of 2" },
        { "LV", 2, RC_OK, "remove" },
        { "L", 1, RC_REFUSED, "a cluster needs a voter" },
        { "LN", 2, RC_OK, "remove" },
        { "LVV", 9, RC_NOTFOUND, "no member 9" },
    };

    EACH(rows, row)
    {
        struct member_table t = table(row->cluster);
        struct member_plan p = { 0 };
        struct err e = { 0 };

        expect(row, member_plan_remove(&t, row->id, &p, &e), &p, &e);
    }
}

CASE(member_change, replaces_without_losing_quorum)
{
    static const struct row rows[] = {
        { "LVv", 3, RC_OK, "backup remove add-learner await promote compare" },
        { "LVV", 3, RC_OK, "backup remove add-learner await promote compare" },
        { "LVV", 1, RC_OK,
          "backup move-leader remove add-learner await promote compare" },
        { "L", 1, RC_OK, "backup add-learner await promote move-leader remove compare" },
        { "LVN", 3, RC_OK, "backup remove add-learner compare" },
        { "LVvv", 3, RC_REFUSED, "quorum is lost: 2 of 4" },
        { "LVVvv", 4, RC_OK, "backup remove add-learner await promote compare" },
        { "LVVvv", 2, RC_OK, "backup add-learner await promote remove compare" },
        { "Lv", 2, RC_REFUSED, "holdfast assess" },
        { "LVu", 3, RC_OK, "backup remove add-learner await promote compare" },
        { "LVV", 7, RC_NOTFOUND, "no member 7" },
    };

    EACH(rows, row)
    {
        struct member_table t = table(row->cluster);
        struct member_plan p = { 0 };
        struct err e = { 0 };

        expect(row, member_plan_replace(&t, row->id, &p, &e), &p, &e);
    }
}

/* id: the member that comes; `old`: the one that goes. 0: not there. */
CASE(member_change, goes_on_where_a_replacement_broke_off)
{
    static const struct {
        struct row row;
        uint64_t old;
        bool learner;
    } rows[] = {
        { { "LV", 0, RC_OK, "backup add-learner await promote compare" }, 0, false },
        { { "LV", 0, RC_OK, "backup add-learner compare" }, 0, true },
        { { "LVn", 3, RC_OK, "backup await promote compare" }, 0, false },
        { { "LVn", 3, RC_OK, "backup compare" }, 0, true },
        { { "LVV", 3, RC_OK, "backup compare" }, 0, false },
        { { "LN", 2, RC_OK, "backup await promote move-leader remove compare" },
          1,
          false },
        { { "LVV", 3, RC_OK, "backup move-leader remove compare" }, 1, false },
        { { "Lvn", 3, RC_REFUSED, "quorum is lost: 1 of 2" }, 0, false },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct row *row = &rows[i].row;
        struct member_table t = table(row->cluster);
        struct member_plan p = { 0 };
        struct err e = { 0 };

        expect(
            row,
            member_plan_replace_rest(&t, rows[i].old, row->id, rows[i].learner, &p, &e),
            &p, &e);
    }
}

CASE(member_change, goes_on_where_an_addition_broke_off)
{
    static const struct row rows[] = {
        { "LVn", 3, RC_OK, "await promote" },
        { "Lvn", 3, RC_REFUSED, "quorum is lost: 1 of 2" },
    };

    EACH(rows, row)
    {
        struct member_table t = table(row->cluster);
        struct member_plan p = { 0 };
        struct err e = { 0 };

        expect(row, member_plan_add_rest(&t, row->id, &p, &e), &p, &e);
    }
}

/* id: the learner that came already. */
CASE(member_change, goes_on_where_a_growth_broke_off)
{
    static const struct row rows[] = {
        { "LV", 0, RC_OK, "backup add-learner await promote compare" },
        { "LVn", 3, RC_OK, "backup await promote compare" },
        { "Ln", 2, RC_OK, "backup await promote add-learner await promote compare" },
        { "LVV", 0, RC_OK, "compare" },
        { "Lvn", 3, RC_REFUSED, "'m2' is down" },
    };

    EACH(rows, row)
    {
        struct member_table t = table(row->cluster);
        struct member_plan p = { 0 };
        struct err e = { 0 };

        expect(row, member_plan_grow_rest(&t, 3, row->id, &p, &e), &p, &e);
    }
}

CASE(member_change, grows_one_at_a_time)
{
    static const struct row rows[] = {
        { "L", 3, RC_OK,
          "backup add-learner await promote add-learner await promote compare" },
        { "LV", 3, RC_OK, "backup add-learner await promote compare" },
        { "LVV", 5, RC_OK,
          "backup add-learner await promote add-learner await promote compare" },
        { "LVV", 3, RC_REFUSED, "3 voters already" },
        { "LVV", 4, RC_USAGE, "3 bear one failure" },
        { "LVv", 5, RC_REFUSED, "'m3' is down" },
        { "Lu", 3, RC_REFUSED, "is down" },
    };

    EACH(rows, row)
    {
        struct member_table t = table(row->cluster);
        struct member_plan p = { 0 };
        struct err e = { 0 };

        expect(row, member_plan_grow(&t, row->id, &p, &e), &p, &e);
    }
}

CASE(member_change, one_that_never_started_is_named_before_another_is_added)
{
    static const struct row rows[] = {
        { "LVu", 0, RC_REFUSED, "`holdfast member remove 3`" },
        { "LVV", 0, RC_OK, "add-learner await promote" },
        { "LVv", 0, RC_OK, "add-learner await promote" },
        { "LVvv", 0, RC_REFUSED, "quorum is lost" },
    };

    EACH(rows, row)
    {
        struct member_table t = table(row->cluster);
        struct member_plan p = { 0 };
        struct err e = { 0 };

        expect(row, member_plan_add(&t, false, &p, &e), &p, &e);
    }
}

CASE(member_change, promotes_only_what_helps)
{
    static const struct row rows[] = {
        { "LVN", 3, RC_OK, "promote" },
        { "LVn", 3, RC_REFUSED, "has not caught up" },
        { "LVV", 3, RC_REFUSED, "is no learner" },
        { "LVv", 9, RC_NOTFOUND, "no member 9" },
    };

    EACH(rows, row)
    {
        struct member_table t = table(row->cluster);
        struct member_plan p = { 0 };
        struct err e = { 0 };

        expect(row, member_plan_promote(&t, row->id, &p, &e), &p, &e);
    }
}

/* No replacement, in any cluster of up to 7 voters with any of them down, passes through
 * a table without quorum, and none ends with fewer voters that take part. */
CASE(member_change, no_plan_passes_through_a_loss)
{
    for (unsigned voters = 1; voters <= 7; voters++)
        for (unsigned alive = 0; alive < 1u << voters; alive++)
            for (uint64_t id = 1; id <= voters; id++) {
                struct member_table t = from_bits(voters, (1u << voters) - 1, alive);
                struct member_plan p = { 0 };
                struct err e = { 0 };

                if (member_plan_replace(&t, id, &p, &e) != RC_OK)
                    continue;
                for (size_t i = 0; i < p.count; i++)
                    cr_assert(p.items[i].after.has && p.items[i].before.has);
                cr_assert_eq(p.items[p.count - 1].after.voters, voters);
                cr_assert_geq(p.items[p.count - 1].after.up, p.items[0].before.up);
            }
}
