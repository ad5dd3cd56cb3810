#include "runbook/look.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "care/space.h"
#include "care/vote.h"
#include "membership/run.h"
#include "recover/judge.h"
#include "runbook/roll.h"

struct visit {
    const struct care_access *access;
    const struct membership_look *look;
    struct runbook_facts *facts;
};

static enum rc say(struct visit *v, const char *text, struct err *e)
{
    return str_list_add(&v->facts->situation, text, e);
}

static bool is_ours(enum rc rc)
{
    return rc == RC_NOMEM || rc == RC_INTERRUPTED;
}

/* A refusal is what the situation is, too. */
static enum rc say_refusal(struct visit *v, const struct err *why, struct err *e)
{
    char text[sizeof why->why + sizeof why->hint + 8];

    if (is_ours(why->code)) {
        *e = *why;
        return e->code;
    }
    snprintf(text, sizeof text, "%s%s%s", why->why, why->hint[0] == '\0' ? "" : "; ",
             why->hint);
    return say(v, text, e);
}

static enum rc say_plan(struct visit *v, const struct member_plan *p, struct err *e)
{
    char step[300], text[400];

    for (size_t i = 0; i < p->count; i++) {
        membership_describe(v->look, &p->items[i], NULL, step, sizeof step);
        snprintf(text, sizeof text, "step %zu will be: %s", i + 1, step);
        TRY(say(v, text, e));
    }
    return RC_OK;
}

/* ---- every cluster ------------------------------------------------------- */

static enum rc append(struct buf *to, const char *text, struct err *e)
{
    return buf_add(to, text, strlen(text), e);
}

static enum rc know_endpoints(struct visit *v, struct err *e)
{
    AT_END(buf_clear) struct buf all = { .cap_max = 1 << 16 };
    const struct care_view *view = &v->look->view;

    for (size_t i = 0; i < view->count; i++) {
        if (!view->items[i].answered)
            continue;
        TRY(append(&all, all.n == 0 ? "" : ",", e));
        TRY(append(&all, view->items[i].endpoint, e));
    }
    TRY(buf_add(&all, "", 1, e));
    return runbook_know(v->facts, "endpoints", (const char *)all.p, e);
}

static enum rc know_members(struct visit *v, struct err *e)
{
    AT_END(roll_end) struct roll r = ROLL(v->facts);
    const struct wire_members *list = &v->look->list;

    for (size_t i = 0; i < list->count; i++)
        TRY(roll_add(&r, list->items[i].name, &list->items[i].peer_urls, e));
    return roll_close(&r, e);
}

static enum rc say_quorum(struct visit *v, struct err *e)
{
    struct quorum q = member_quorum(&v->look->table);
    char text[200];

    snprintf(text, sizeof text,
             "cluster %" PRIx64 ": %zu voters, %zu take part, %zu are needed",
             v->look->view.cluster_id, q.voters, q.up, q.needed);
    return say(v, text, e);
}

/* ---- each trouble -------------------------------------------------------- */

static enum rc know_lost(struct visit *v, uint64_t id, struct err *e)
{
    const struct wire_member *m = membership_of(v->look, id);
    char hex[24];

    snprintf(hex, sizeof hex, "%" PRIx64, id);
    return runbook_know(v->facts, "lost", m == NULL || m->name[0] == '\0' ? hex : m->name,
                        e);
}

static enum rc plan_without(struct visit *v, uint64_t id, struct err *e)
{
    struct member_plan plan = { 0 };
    struct err why = { 0 };

    TRY(know_lost(v, id, e));
    if (member_plan_replace(&v->look->table, id, &plan, &why) != RC_OK)
        return say_refusal(v, &why, e);
    return say_plan(v, &plan, e);
}

static enum rc see_lost_member(struct visit *v, struct err *e)
{
    const struct member_table *t = &v->look->table;

    for (size_t i = 0; i < t->count; i++)
        if (!t->seats[i].learner && !t->seats[i].alive)
            return plan_without(v, t->seats[i].id, e);
    return say(v, "every voter takes part: nobody needs to be replaced", e);
}

static enum rc see_nospace(struct visit *v, struct err *e)
{
    char text[400];

    care_space_sentence(&v->look->view, text, sizeof text);
    return say(v, text, e);
}

static enum rc see_corrupt(struct visit *v, struct err *e)
{
    AT_END(care_vote_clear) struct care_vote vote = { 0 };
    struct err why = { 0 };

    if (care_vote_take(v->access, &v->look->view, &vote, &why) != RC_OK)
        return say_refusal(v, &why, e);
    for (size_t i = 0; i < vote.count; i++)
        if (vote.items[i].word == CARE_BALLOT_ODD)
            return plan_without(v, vote.items[i].id, e);
    if (care_vote_result(&vote, &why) != RC_OK)
        return say_refusal(v, &why, e);
    return say(v, "all voters hold the same data", e);
}

static enum rc see_two(struct visit *v, struct err *e)
{
    struct member_plan plan = { 0 };
    struct err why = { 0 };

    if (member_plan_grow(&v->look->table, 3, &plan, &why) != RC_OK)
        return say_refusal(v, &why, e);
    return say_plan(v, &plan, e);
}

static enum rc see_quorum(struct visit *v, struct err *e)
{
    AT_END(recover_verdict_clear) struct recover_verdict verdict = { 0 };
    const struct recover_copies none = { 0 };
    const struct recover_scene scene = { .copies = &none, .view = &v->look->view };

    TRY(recover_judge(&scene, &verdict, e));
    return say(v, verdict.why, e);
}

static const struct {
    const char *runbook;
    enum rc (*see)(struct visit *v, struct err *e);
} sights[] = {
    { "lost-member", see_lost_member }, { "nospace", see_nospace },
    { "corrupt-member", see_corrupt },  { "two-members", see_two },
    { "lost-quorum", see_quorum },
};

static enum rc see(const struct runbook *b, struct visit *v, struct err *e)
{
    TRY(know_endpoints(v, e));
    TRY(know_members(v, e));
    TRY(say_quorum(v, e));
    for (size_t i = 0; i < sizeof sights / sizeof sights[0]; i++)
        if (strcmp(sights[i].runbook, b->name) == 0)
            return sights[i].see(v, e);
    return RC_OK;
}

enum rc runbook_look(const struct runbook *b, const struct care_access *a,
                     struct runbook_facts *f, struct err *e)
{
    struct membership_look look;
    struct visit v = { a, &look, f };
    struct err why = { 0 };
    enum rc rc;

    if (membership_look_settled(a, &look, &why) != RC_OK) {
        TRY(say(&v, "no member told who belongs, so the names are left blank", e));
        return say_refusal(&v, &why, e);
    }
    rc = see(b, &v, e);
    membership_look_clear(&look);
    return rc;
}
