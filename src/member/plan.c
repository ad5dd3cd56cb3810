/* The larger changes, as sequences of single steps, each judged on the table that the
 * ones before it leave. */
#include "member/change.h"

#include <string.h>

struct draft {
    struct member_table t;
    struct member_plan plan;
};

static enum rc take(struct draft *d, enum member_step_kind kind, uint64_t id, uint64_t to,
                    struct err *e)
{
    struct member_step step = { .kind = kind, .id = id, .to = to };

    if (d->plan.count == MEMBER_STEPS_MAX)
        return err_set(e, RC_REFUSED, "the plan has too many steps");
    TRY(member_step_judge(&d->t, &step, e));
    member_step_apply(&d->t, &step);
    d->plan.items[d->plan.count++] = step;
    return RC_OK;
}

static enum rc backup(struct draft *d, struct err *e)
{
    return take(d, MEMBER_BACKUP, 0, 0, e);
}

/* The member that a plan adds has id 0 in it until a server has chosen one; before the
 * next is added it must have another, for plans only. */
static enum rc add(struct draft *d, bool stays_learner, struct err *e)
{
    TRY(take(d, MEMBER_ADD_LEARNER, 0, 0, e));
    if (stays_learner)
        return RC_OK;
    TRY(take(d, MEMBER_AWAIT, 0, 0, e));
    TRY(take(d, MEMBER_PROMOTE, 0, 0, e));
    d->t.seats[d->t.count - 1].id = UINT64_MAX - d->t.count;
    return RC_OK;
}

/* One that was added before, up to the voter it was to be. */
static enum rc finish(struct draft *d, uint64_t id, bool stays_learner, struct err *e)
{
    const struct member_seat *seat = member_seat_of(&d->t, id);

    if (seat != NULL && (!seat->learner || stays_learner))
        return RC_OK;
    TRY(take(d, MEMBER_AWAIT, id, 0, e));
    return take(d, MEMBER_PROMOTE, id, 0, e);
}

/* Another voter that can lead; 0 when there is none. */
static uint64_t successor(const struct member_table *t, uint64_t of)
{
    for (size_t i = 0; i < t->count; i++) {
        const struct member_seat *s = &t->seats[i];

        if (s->id != of && !s->learner && s->alive && s->in_sync)
            return s->id;
    }
    return 0;
}

static bool leads_one_of_more(const struct member_table *t, uint64_t id)
{
    const struct member_seat *s = member_seat_of(t, id);

    return s != NULL && s->leader && t->count > 1;
}

/* Would it keep quorum, were leadership out of the way? Asked first, because "would lose
 * quorum" is what matters then. */
static enum rc removable(const struct member_table *t, uint64_t id, struct err *e)
{
    struct member_table led = *t;
    struct member_step step = { .kind = MEMBER_REMOVE, .id = id };

    for (size_t i = 0; i < led.count; i++)
        led.seats[i].leader = false;
    return member_step_judge(&led, &step, e);
}

static enum rc removal(struct draft *d, uint64_t id, struct err *e)
{
    uint64_t next = successor(&d->t, id);

    TRY(removable(&d->t, id, e));
    if (leads_one_of_more(&d->t, id)) {
        if (next == 0)
            return err_set(e, RC_REFUSED,
                           "it leads, and no other voter has caught up to take over" HINT
                           "wait until another voter is in sync");
        TRY(take(d, MEMBER_MOVE_LEADER, id, next, e));
    }
    return take(d, MEMBER_REMOVE, id, 0, e);
}

/* Each public function: draft on a copy, and hand over what stands at the end. */
static enum rc hand_over(enum rc rc, const struct draft *d, struct member_plan *out)
{
    if (rc == RC_OK)
        *out = d->plan;
    return rc;
}

enum rc member_plan_add(const struct member_table *t, bool stays_learner,
                        struct member_plan *out, struct err *e)
{
    struct draft d = { .t = *t };

    return hand_over(add(&d, stays_learner, e), &d, out);
}

enum rc member_plan_add_rest(const struct member_table *t, uint64_t fresh,
                             struct member_plan *out, struct err *e)
{
    struct draft d = { .t = *t };

    return hand_over(finish(&d, fresh, false, e), &d, out);
}

enum rc member_plan_remove(const struct member_table *t, uint64_t id,
                           struct member_plan *out, struct err *e)
{
    struct draft d = { .t = *t };

    return hand_over(removal(&d, id, e), &d, out);
}

enum rc member_plan_promote(const struct member_table *t, uint64_t id,
                            struct member_plan *out, struct err *e)
{
    struct draft d = { .t = *t };

    return hand_over(take(&d, MEMBER_PROMOTE, id, 0, e), &d, out);
}

enum rc member_plan_update(const struct member_table *t, uint64_t id,
                           struct member_plan *out, struct err *e)
{
    struct draft d = { .t = *t };

    return hand_over(take(&d, MEMBER_UPDATE, id, 0, e), &d, out);
}

static enum rc replacement(struct draft *d, uint64_t id, struct err *e)
{
    const struct member_seat *seat = member_seat_of(&d->t, id);
    bool learner = seat != NULL && seat->learner;
    struct err first = { 0 };

    TRY(backup(d, e));
    if (seat == NULL || removable(&d->t, id, &first) == RC_OK) {
        TRY(removal(d, id, e));
        TRY(add(d, learner, e));
    } else {
        TRY(add(d, false, e));
        TRY(removal(d, id, e));
    }
    return take(d, MEMBER_COMPARE, 0, 0, e);
}

enum rc member_plan_replace(const struct member_table *t, uint64_t id,
                            struct member_plan *out, struct err *e)
{
    struct draft d = { .t = *t };

    return hand_over(replacement(&d, id, e), &d, out);
}

static enum rc replacement_rest(struct draft *d, uint64_t old, uint64_t fresh,
                                bool learner, struct err *e)
{
    TRY(backup(d, e));
    TRY(fresh == 0 ? add(d, learner, e) : finish(d, fresh, learner, e));
    if (old != 0)
        TRY(removal(d, old, e));
    return take(d, MEMBER_COMPARE, 0, 0, e);
}

enum rc member_plan_replace_rest(const struct member_table *t, uint64_t old,
                                 uint64_t fresh, bool learner, struct member_plan *out,
                                 struct err *e)
{
    struct draft d = { .t = *t };

    return hand_over(replacement_rest(&d, old, fresh, learner, e), &d, out);
}

static enum rc whole(const struct member_table *t, struct err *e)
{
    for (size_t i = 0; i < t->count; i++)
        if (!t->seats[i].learner && !t->seats[i].alive)
            return err_set(e, RC_REFUSED,
                           "'%s' is down, and growing needs every voter" HINT
                           "bring it back, or `holdfast member replace` it first",
                           t->seats[i].name);
    return RC_OK;
}

static enum rc enlarge(struct draft *d, size_t voters, uint64_t begun, struct err *e)
{
    size_t n = member_quorum(&d->t).voters;

    TRY(whole(&d->t, e));
    TRY(backup(d, e));
    if (begun != 0) {
        TRY(finish(d, begun, false, e));
        n++;
    }
    for (; n < voters; n++)
        TRY(add(d, false, e));
    return take(d, MEMBER_COMPARE, 0, 0, e);
}

static enum rc growth(struct draft *d, size_t voters, struct err *e)
{
    struct quorum q = member_quorum(&d->t);

    if (voters % 2 == 0 || voters > 9)
        return err_set(e, RC_USAGE,
                       "a cluster of %zu voters is not worth growing to" HINT
                       "3 bear one failure, 5 bear two",
                       voters);
    if (q.voters >= voters)
        return err_set(e, RC_REFUSED, "the cluster has %zu voters already", q.voters);
    return enlarge(d, voters, 0, e);
}

enum rc member_plan_grow(const struct member_table *t, size_t voters,
                         struct member_plan *out, struct err *e)
{
    struct draft d = { .t = *t };

    return hand_over(growth(&d, voters, e), &d, out);
}

enum rc member_plan_grow_rest(const struct member_table *t, size_t voters, uint64_t fresh,
                              struct member_plan *out, struct err *e)
{
    struct draft d = { .t = *t };

    if (member_quorum(t).voters >= voters)
        return hand_over(take(&d, MEMBER_COMPARE, 0, 0, e), &d, out);
    return hand_over(enlarge(&d, voters, fresh, e), &d, out);
}
