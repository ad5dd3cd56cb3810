#include "care/defrag_plan.h"

#include <stdio.h>
#include <string.h>

#include "tests/lib/case.h"
#include "tests/unit/care/sample.h"

#define VIEW [[gnu::cleanup(care_view_clear)]] struct care_view

static struct care_defrag begun(const struct care_view *v, struct care_defrag_wish w)
{
    struct care_defrag d;
    struct err e = { 0 };

    OK(care_defrag_begin(v, &w, &d, &e), &e);
    return d;
}

/* "2 1>3 1": m2's id is rewritten, leadership goes from 1 to 3, 1 is rewritten. */
static const char *foreseen(const struct care_view *v, struct care_defrag_wish w)
{
    static char text[200];
    struct care_defrag d = begun(v, w);
    struct care_defrag_steps s;
    struct err e = { 0 };
    size_t n = 0;

    OK(care_defrag_foresee(v, &d, &s, &e), &e);
    text[0] = '\0';
    for (size_t i = 0; i < s.count; i++) {
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%d", i == 0 ? "" : " ",
                              (int)s.items[i].id);
        if (s.items[i].kind == CARE_DEFRAG_MOVE)
            n += (size_t)snprintf(text + n, sizeof text - n, ">%d", (int)s.items[i].to);
    }
    return text;
}

static void lead(struct care_view *v, uint64_t id)
{
    for (size_t i = 0; i < v->count; i++)
        v->items[i].status.leader = id;
    v->leader = id;
}

CASE(care_defrag_plan, followers_come_first)
{
    VIEW v = sample_view(3);

    cr_assert_str_eq(foreseen(&v, (struct care_defrag_wish){ 0 }), "2 3 1");
    lead(&v, 2);
    cr_assert_str_eq(foreseen(&v, (struct care_defrag_wish){ 0 }), "1 3 2");
    lead(&v, 3);
    cr_assert_str_eq(foreseen(&v, (struct care_defrag_wish){ 0 }), "1 2 3");
}

CASE(care_defrag_plan, leadership_goes_to_whom_lags_least)
{
    const struct care_defrag_wish w = { .move_leader = true };
    VIEW v = sample_view(3);
    VIEW alone = sample_view(1);

    cr_assert_str_eq(foreseen(&v, w), "2 3 1>2 1");
    v.items[1].status.raft_applied_index -= 5;
    cr_assert_str_eq(foreseen(&v, w), "2 3 1>3 1");
    v.items[2].learner = true;
    cr_assert_str_eq(foreseen(&v, w), "2 1>2 1");
    v.items[1].learner = true;
    cr_assert_str_eq(foreseen(&v, w), "1", "the only voter pauses as it is");
    cr_assert_str_eq(foreseen(&alone, w), "1");
}

CASE(care_defrag_plan, only_given_endpoints)
{
    char third[] = "10.0.0.3:2379", first[] = "https://10.0.0.1:2379/";
    char *items[] = { third, first };
    const struct str_list given = { .items = items, .count = 2 };
    char unknown[] = "10.0.0.30:2379", *other[] = { unknown };
    const struct str_list stranger = { .items = other, .count = 1 };
    struct care_defrag_wish w = { .endpoints = &given };
    struct care_defrag d;
    struct err e = { 0 };
    VIEW v = sample_view(3);

    cr_assert_str_eq(foreseen(&v, w), "3 1");
    w.endpoints = &stranger;
    cr_assert_eq(care_defrag_begin(&v, &w, &d, &e), RC_NOTFOUND);
}

CASE(care_defrag_plan, rules_leave_members_alone)
{
    struct care_rule rule;
    struct care_defrag_wish w = { .rule = &rule };
    struct care_defrag d;
    struct err e = { 0 };
    VIEW v = sample_view(3);

    OK(care_rule_parse("dbSizeFree > 50MiB", &rule, &e), &e);
    v.items[1].status.db_size_in_use = 40 << 20;
    cr_assert_str_eq(foreseen(&v, w), "2");
    d = begun(&v, w);
    cr_assert_eq(d.items[0].mark, CARE_DEFRAG_SKIPPED);
    cr_assert_str_eq(d.items[0].why, "the rule does not hold for it");
    OK(care_defrag_result(&d, &e), &e);
    OK(care_rule_parse("dbQuotaUsage < 0.5", &rule, &e), &e);
    cr_assert_str_eq(foreseen(&v, w), "2 3 1");
    v.items[2].quota_from = CARE_UNKNOWN;
    cr_assert_eq(care_defrag_begin(&v, &w, &d, &e), RC_REFUSED);
    cr_assert(strstr(e.why, "the quota of m2") != NULL, "%s", e.why);
}

/* 90 MiB at 100 MB/s are about a second; a member that took ten tells of a slower disk.
 */
CASE(care_defrag_plan, a_budget_leaves_out_the_slow)
{
    struct care_defrag_wish w = { .max_stall_ms = 5000 };
    struct care_defrag_step step;
    struct care_defrag d;
    struct err e = { 0 };
    VIEW v = sample_view(3);

    cr_assert_str_eq(foreseen(&v, w), "2 3 1");
    d = begun(&v, w);
    cr_assert_eq(d.items[1].estimate_ms, 1043);
    d.items[1].mark = CARE_DEFRAG_DONE;
    d.items[1].took_ms = 10100;
    care_defrag_learn(&d, &d.items[1]);
    cr_assert_eq(care_defrag_estimate(&d, 90 << 20), 10099);
    OK(care_defrag_next(&v, &d, &step, &e), &e);
    cr_assert_eq(step.kind, CARE_DEFRAG_END);
    cr_assert_eq(d.items[0].mark, CARE_DEFRAG_LEFT_OUT);
    cr_assert_eq(care_defrag_result(&d, &e), RC_DEGRADED);
    cr_assert_str_eq(e.why, "2 of 3 members were not defragmented; m0: it would answer "
                            "nothing for about 10.10s, longer than --max-stall");
    d.items[1].in_use_before = 1 << 20;
    d.items[1].took_ms = 100000;
    care_defrag_learn(&d, &d.items[1]);
    cr_assert_eq(care_defrag_estimate(&d, 90 << 20), 10099, "too small to learn from");
}

CASE(care_defrag_plan, leadership_that_comes_back_is_let_be)
{
    struct care_defrag_step step;
    struct err e = { 0 };
    VIEW v = sample_view(3);
    struct care_defrag d = begun(&v, (struct care_defrag_wish){ .move_leader = true });

    d.items[1].mark = d.items[2].mark = CARE_DEFRAG_DONE;
    d.moves = CARE_DEFRAG_MOVES_MAX - 1;
    OK(care_defrag_next(&v, &d, &step, &e), &e);
    cr_assert(step.kind == CARE_DEFRAG_MOVE && step.id == 1 && step.to == 2);
    d.moves++;
    cr_assert_eq(care_defrag_next(&v, &d, &step, &e), RC_REFUSED);
    d.moves = 0;
    d.items[1].mark = d.items[2].mark = CARE_DEFRAG_FAILED;
    cr_assert_eq(care_defrag_next(&v, &d, &step, &e), RC_REFUSED);
    cr_assert(strstr(e.why, "no voter that is well") != NULL, "%s", e.why);
}

/* What closes the gate, and with which words. */
CASE(care_defrag_plan, the_gate_says_why)
{
    struct err e = { 0 };
    VIEW v = sample_view(3);

    OK(care_defrag_gate(&v, &e), &e);
    v.items[0].alarms = 1U << WIRE_ALARM_NOSPACE;
    OK(care_defrag_gate(&v, &e), &e);
    v.items[0].alarms = 1U << WIRE_ALARM_NOSPACE | 1U << WIRE_ALARM_CORRUPT;
    cr_assert_eq(care_defrag_gate(&v, &e), RC_REFUSED);
    cr_assert_str_eq(e.why, "the alarm CORRUPT is raised for m0");
    v.items[0].alarms = 0;
    v.foreign_alarms = 1U << WIRE_ALARM_CORRUPT;
    cr_assert_eq(care_defrag_gate(&v, &e), RC_REFUSED);
    cr_assert_str_eq(e.why, "the alarm CORRUPT is raised for a member that is gone");
    v.foreign_alarms = 0;
    v.items[2].metrics_known = true;
    v.items[2].metrics.defrags = 1;
    cr_assert_eq(care_defrag_gate(&v, &e), RC_REFUSED);
    cr_assert(strstr(e.why, "m2 is being defragmented already") != NULL, "%s", e.why);
    v.items[2].metrics.defrags = -1;
    v.items[1].read = RC_NET;
    cr_assert_eq(care_defrag_gate(&v, &e), RC_REFUSED);
    cr_assert(strstr(e.why, "m1 answers, but does not finish") != NULL, "%s", e.why);
    v.items[1].read = RC_OK;
    v.items[1].status.raft_applied_index = 1;
    v.index = 2000;
    cr_assert_eq(care_defrag_gate(&v, &e), RC_REFUSED);
    v.index = 200;
    v.items[1].status.raft_applied_index = 200;
    lead(&v, 0);
    cr_assert_eq(care_defrag_gate(&v, &e), RC_REFUSED);
    cr_assert_str_eq(e.why, "the cluster has no leader");
    lead(&v, 1);
    sample_fail(&v, 2, CARE_SILENT, "no answer within 5 s");
    cr_assert_eq(care_defrag_gate(&v, &e), RC_REFUSED);
    cr_assert_str_eq(e.why, "m2 is silent, and no other member may pause: no answer "
                            "within 5 s");
}

/* ---- every cluster of up to seven
 * ------------------------------------------------------
 */

enum fate { WELL, LEARNER, DOWN, FROZEN, LAGGARD, FATES };

static void suffer(struct care_view *v, size_t i, enum fate fate)
{
    struct care_member *m = &v->items[i];

    m->state = fate == DOWN ? CARE_DOWN : fate == FROZEN ? CARE_FROZEN : CARE_UP;
    m->answered = fate != DOWN;
    m->learner = fate == LEARNER;
    m->read_tried = fate != DOWN && fate != LEARNER;
    m->read = fate == FROZEN ? RC_NET : RC_OK;
    m->status.raft_applied_index = fate == LAGGARD ? 100 : 5000;
}

struct tally {
    unsigned planned, refused, moves;
};

static bool all_well(const enum fate *fates, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (fates[i] != WELL && fates[i] != LEARNER)
            return false;
    return true;
}

/* Ids are 1 + the place. */
static bool is_well_voter(const enum fate *fates, uint64_t id)
{
    return id != 0 && fates[id - 1] == WELL;
}

/* One member at a time, each voter once, the leader last, no leadership to a learner; and
 * whoever falls ill between two steps closes the gate. */
static void judge_plan(struct care_view *v, const enum fate *fates, bool move,
                       const struct care_defrag_steps *s, struct tally *t)
{
    struct care_defrag d = begun(v, (struct care_defrag_wish){ .move_leader = move });
    uint64_t first = v->leader;
    unsigned seen = 0, voters = 0;

    for (size_t i = 0; i < v->count; i++)
        voters |= fates[i] == WELL ? 1U << i : 0;
    for (size_t i = 0; i < s->count; i++) {
        const struct care_defrag_step *step = &s->items[i];

        if (step->kind == CARE_DEFRAG_MOVE) {
            cr_assert_eq(step->id, v->leader);
            cr_assert(is_well_voter(fates, step->to) && step->to != v->leader);
            lead(v, step->to);
            t->moves++;
            continue;
        }
        cr_assert(is_well_voter(fates, step->id));
        cr_assert((seen & 1U << (step->id - 1)) == 0, "twice");
        cr_assert(!move || v->count == 1 || step->id != v->leader ||
                  (voters & (voters - 1)) == 0);
        cr_assert(step->id != first || i + 1 == s->count, "the leader is last");
        seen |= 1U << (step->id - 1);
        for (size_t ill = 0; ill < v->count; ill++) {
            struct care_defrag_step next;
            struct err e = { 0 };

            suffer(v, ill, DOWN);
            cr_assert_eq(care_defrag_next(v, &d, &next, &e), RC_REFUSED);
            suffer(v, ill, fates[ill]);
        }
        care_defrag_item_of(&d, step->id)->mark = CARE_DEFRAG_DONE;
    }
    cr_assert_eq(seen, voters, "all voters");
    lead(v, first);
}

static void try_cluster(struct care_view *v, const enum fate *fates, bool move,
                        struct tally *t)
{
    struct care_defrag d = begun(v, (struct care_defrag_wish){ .move_leader = move });
    struct care_defrag_steps s;
    struct err e = { 0 };
    uint64_t heir = care_defrag_heir(v, &d);
    enum rc rc = care_defrag_foresee(v, &d, &s, &e);

    cr_assert(heir == 0 || (is_well_voter(fates, heir) && heir != v->leader));
    if (!all_well(fates, v->count) || v->leader == 0) {
        cr_assert_eq(rc, RC_REFUSED);
        cr_assert_eq(s.count, 0);
        t->refused++;
        return;
    }
    cr_assert_eq(rc, RC_OK, "%s", e.why);
    judge_plan(v, fates, move, &s, t);
    t->planned++;
}

static bool next_fates(enum fate *fates, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (++fates[i] < FATES)
            return true;
        fates[i] = WELL;
    }
    return false;
}

static void try_size(size_t n, struct tally *t)
{
    enum fate fates[7] = { WELL };
    VIEW v = sample_view(n);

    v.index = 5000;
    do {
        for (size_t i = 0; i < n; i++)
            suffer(&v, i, fates[i]);
        for (uint64_t leader = 0; leader <= n; leader++) {
            if (leader != 0 && fates[leader - 1] == LEARNER)
                continue;
            lead(&v, leader);
            try_cluster(&v, fates, (leader & 1) == 0, t);
            if (all_well(fates, n))
                try_cluster(&v, fates, (leader & 1) != 0, t);
        }
    } while (next_fates(fates, n));
}

CASE(care_defrag_plan, brute_force_over_clusters_of_up_to_seven, .timeout = 240)
{
    struct tally t = { 0 };

    for (size_t n = 1; n <= 7; n++)
        try_size(n, &t);
    cr_assert_eq(t.planned, 2 * 769, "voters that lead, over all sets of learners");
    cr_assert(t.refused > 200000 && t.moves > 500, "%u %u", t.refused, t.moves);
}
