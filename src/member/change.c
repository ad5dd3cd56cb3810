#include "member/change.h"

#include <inttypes.h>
#include <string.h>

const char *member_step_name(enum member_step_kind kind)
{
    static const char *const names[] = {
        [MEMBER_BACKUP] = "backup",           [MEMBER_MOVE_LEADER] = "move-leader",
        [MEMBER_REMOVE] = "remove",           [MEMBER_ADD_VOTER] = "add",
        [MEMBER_ADD_LEARNER] = "add-learner", [MEMBER_AWAIT] = "await",
        [MEMBER_PROMOTE] = "promote",         [MEMBER_UPDATE] = "update",
        [MEMBER_COMPARE] = "compare",
    };

    return names[kind];
}

struct quorum member_quorum(const struct member_table *t)
{
    size_t voters = 0, alive = 0;

    for (size_t i = 0; i < t->count; i++) {
        if (t->seats[i].learner)
            continue;
        voters++;
        alive += t->seats[i].alive;
    }
    return quorum_of(voters, alive);
}

static size_t place_of(const struct member_table *t, uint64_t id)
{
    for (size_t i = 0; i < t->count; i++)
        if (t->seats[i].id == id)
            return i;
    return SIZE_MAX;
}

const struct member_seat *member_seat_of(const struct member_table *t, uint64_t id)
{
    size_t i = place_of(t, id);

    return i == SIZE_MAX ? NULL : &t->seats[i];
}

/* ---- one step
 * --------------------------------------------------------------------------- */

static enum rc find(const struct member_table *t, uint64_t id,
                    const struct member_seat **out, struct err *e)
{
    *out = member_seat_of(t, id);
    if (*out == NULL)
        return err_set(e, RC_NOTFOUND,
                       "the cluster has no member %" PRIx64 HINT
                       "`holdfast member list` shows who belongs",
                       id);
    return RC_OK;
}

static enum rc need_quorum(struct quorum q, struct err *e)
{
    if (q.has)
        return RC_OK;
    return err_set(e, RC_REFUSED,
                   "quorum is lost: %zu of %zu voters take part, a change needs %zu" HINT
                   "start the members that are stopped; when they cannot come back, "
                   "`holdfast assess` says what to go on from",
                   q.up, q.voters, q.needed);
}

/* A learner that is taken out again never counted. */
static bool changes_voters(const struct member_table *t, const struct member_step *s)
{
    const struct member_seat *seat = member_seat_of(t, s->id);

    switch (s->kind) {
    case MEMBER_ADD_VOTER:
    case MEMBER_ADD_LEARNER:
    case MEMBER_PROMOTE:
    case MEMBER_UPDATE:
        return true;
    case MEMBER_REMOVE:
        return seat != NULL && !seat->learner;
    case MEMBER_BACKUP:
    case MEMBER_MOVE_LEADER:
    case MEMBER_AWAIT:
    case MEMBER_COMPARE:
        return false;
    }
    return false;
}

static enum rc need_one_version(const struct member_table *t, struct err *e)
{
    const struct member_seat *first = NULL;

    for (size_t i = 0; i < t->count; i++) {
        const struct member_seat *s = &t->seats[i];

        if (s->learner || s->minor == 0)
            continue;
        if (first != NULL && s->minor != first->minor)
            return err_set(e, RC_REFUSED,
                           "'%s' runs etcd 3.%u and '%s' 3.%u: the cluster's version is "
                           "about to change, and its members do not change meanwhile" HINT
                           "finish the upgrade, or go back, and then try again; a "
                           "snapshot can be taken at any time",
                           first->name, first->minor, s->name, s->minor);
        first = s;
    }
    return RC_OK;
}

/* Somebody who is down and could be taken out of the way. */
static const struct member_seat *dead_voter(const struct member_table *t, uint64_t but)
{
    for (size_t i = 0; i < t->count; i++)
        if (!t->seats[i].learner && !t->seats[i].alive && t->seats[i].id != but)
            return &t->seats[i];
    return NULL;
}

static enum rc would_lose(const struct member_table *t, const struct member_step *s,
                          struct err *e)
{
    const struct member_seat *dead = dead_voter(t, s->id);
    struct quorum q = s->after;

    enum rc rc = err_set(e, RC_REFUSED,
                         "it would lose quorum: %zu of %zu voters would take part, and "
                         "%zu are needed",
                         q.up, q.voters, q.needed);

    if (q.voters == 0)
        err_hint(e, "a cluster needs a voter; to end it, stop its members");
    else if (dead != NULL)
        err_hint(e, "'%s' is down: bring it back, or replace or remove it first",
                 dead->name);
    else if (s->kind == MEMBER_ADD_VOTER)
        err_hint(e, "add it as a learner, and promote it when it has caught up");
    else
        err_hint(e,
                 "add another voter first: `holdfast member replace` does it in order");
    return rc;
}

static enum rc judge_add(const struct member_table *t, struct err *e)
{
    if (t->count == MEMBER_SEATS_MAX)
        return err_set(e, RC_REFUSED, "a cluster of %zu members is not one to add to",
                       t->count);
    for (size_t i = 0; i < t->count; i++)
        if (!t->seats[i].started)
            return err_set(e, RC_REFUSED,
                           "member %" PRIx64 " was added before and never started" HINT
                           "start it, or remove it: `holdfast member remove %" PRIx64 "`",
                           t->seats[i].id, t->seats[i].id);
    return RC_OK;
}

static enum rc judge_promote(const struct member_seat *seat, struct err *e)
{
    if (!seat->learner)
        return err_set(e, RC_REFUSED, "'%s' is no learner: it votes already", seat->name);
    if (!seat->alive || !seat->in_sync)
        return err_set(
            e, RC_REFUSED,
            "learner '%s' %s" HINT
            "as a voter it would count and not help; wait until it has caught up",
            seat->name, seat->alive ? "has not caught up" : "does not answer");
    return RC_OK;
}

static enum rc judge_move(const struct member_table *t, const struct member_step *s,
                          struct err *e)
{
    const struct member_seat *to;

    TRY(find(t, s->to, &to, e));
    if (to->learner || !to->alive || !to->in_sync)
        return err_set(e, RC_REFUSED, "'%s' cannot lead: it %s", to->name,
                       to->learner ? "is a learner"
                       : to->alive ? "has not caught up"
                                   : "does not take part");
    return RC_OK;
}

static enum rc judge_remove(const struct member_table *t, const struct member_seat *seat,
                            struct err *e)
{
    if (seat->leader && t->count > 1)
        return err_set(e, RC_REFUSED, "'%s' leads" HINT "move leadership first",
                       seat->name);
    return RC_OK;
}

static enum rc judge_kind(const struct member_table *t, const struct member_step *s,
                          struct err *e)
{
    const struct member_seat *seat;

    switch (s->kind) {
    case MEMBER_ADD_VOTER:
    case MEMBER_ADD_LEARNER:
        return judge_add(t, e);
    case MEMBER_MOVE_LEADER:
        return judge_move(t, s, e);
    case MEMBER_REMOVE:
        TRY(find(t, s->id, &seat, e));
        return judge_remove(t, seat, e);
    case MEMBER_PROMOTE:
        TRY(find(t, s->id, &seat, e));
        return judge_promote(seat, e);
    case MEMBER_UPDATE:
    case MEMBER_AWAIT:
        return find(t, s->id, &seat, e);
    case MEMBER_BACKUP:
    case MEMBER_COMPARE:
        return RC_OK;
    }
    return err_set(e, RC_INTERNAL, "no such step");
}

enum rc member_step_judge(const struct member_table *t, struct member_step *step,
                          struct err *e)
{
    struct member_table then = *t;

    step->before = step->after = member_quorum(t);
    TRY(need_quorum(step->before, e));
    if (changes_voters(t, step))
        TRY(need_one_version(t, e));
    TRY(judge_kind(t, step, e));
    member_step_apply(&then, step);
    step->after = member_quorum(&then);
    return step->after.has ? RC_OK : would_lose(t, step, e);
}

void member_step_apply(struct member_table *t, const struct member_step *step)
{
    size_t i = place_of(t, step->id);
    struct member_seat *seat = i == SIZE_MAX ? NULL : &t->seats[i];

    switch (step->kind) {
    case MEMBER_ADD_VOTER:
    case MEMBER_ADD_LEARNER:
        t->seats[t->count++] =
            (struct member_seat){ .name = "the new member",
                                  .learner = step->kind == MEMBER_ADD_LEARNER };
        return;
    case MEMBER_REMOVE:
        if (seat != NULL)
            memmove(seat, seat + 1, (--t->count - i) * sizeof *seat);
        return;
    case MEMBER_AWAIT:
        if (seat != NULL)
            seat->started = seat->alive = seat->in_sync = true;
        return;
    case MEMBER_PROMOTE:
        if (seat != NULL)
            seat->learner = false;
        return;
    case MEMBER_MOVE_LEADER:
        for (size_t j = 0; j < t->count; j++)
            t->seats[j].leader = t->seats[j].id == step->to;
        return;
    case MEMBER_UPDATE:
    case MEMBER_BACKUP:
    case MEMBER_COMPARE:
        return;
    }
}
