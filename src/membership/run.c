#include "membership/run.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "care/vote.h"
#include "membership/knock.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/stop.h"

enum {
    POLL_MS = 300,
    SETTLE_MS = 20000, /* etcd wants members connected for 5 s, elections take a few */
    AGREE_TRIES = 8,   /* 3.4 answers who belongs from one member's own knowledge */
};

void membership_run_clear(struct membership_run *r)
{
    str_list_clear(&r->known);
    snap_saved_clear(&r->saved);
}

/* ---- looking again ------------------------------------------------------- */

/* Where to ask next time: not a member that has left, nor one that does not answer. */
static enum rc remember(struct membership_run *r, const struct membership_look *l,
                        uint64_t but, struct err *e)
{
    AT_END(str_list_clear) struct str_list seen = { 0 };

    for (size_t i = 0; i < l->view.count; i++) {
        const struct care_member *m = &l->view.items[i];

        if (m->answered && !m->learner && m->id != but)
            TRY(str_list_add(&seen, m->endpoint, e));
    }
    if (seen.count == 0)
        return RC_OK;
    str_list_clear(&r->known);
    r->known = seen;
    seen = (struct str_list){ 0 };
    return RC_OK;
}

static void expect(struct membership_run *r, const struct membership_look *l)
{
    r->cluster_id = l->view.cluster_id;
    r->member_count = l->table.count;
    for (size_t i = 0; i < l->table.count; i++)
        r->members[i] = l->table.seats[i].id;
}

static void expect_one_more(struct membership_run *r, uint64_t id)
{
    if (r->member_count < MEMBER_SEATS_MAX)
        r->members[r->member_count++] = id;
}

static void expect_one_less(struct membership_run *r, uint64_t id)
{
    for (size_t i = 0; i < r->member_count; i++)
        if (r->members[i] == id)
            r->members[i] = r->members[--r->member_count];
}

static enum rc as_expected(const struct membership_run *r,
                           const struct membership_look *l, struct err *e)
{
    if (l->view.cluster_id != r->cluster_id)
        return err_set(e, RC_REFUSED,
                       "another cluster answers: %" PRIx64 ", not %" PRIx64,
                       l->view.cluster_id, r->cluster_id);
    for (size_t i = 0; i < r->member_count; i++)
        if (membership_of(l, r->members[i]) == NULL)
            return err_set(e, RC_REFUSED,
                           "member %" PRIx64
                           " was removed meanwhile by somebody else" HINT
                           "look at `holdfast member list`, and begin anew",
                           r->members[i]);
    if (l->table.count != r->member_count)
        return err_set(e, RC_REFUSED,
                       "a member was added meanwhile by somebody else" HINT
                       "look at `holdfast member list`, and begin anew");
    return RC_OK;
}

static enum rc look(struct membership_run *r, struct membership_look *l, struct err *e)
{
    struct care_access a = *r->access;

    a.endpoints = &r->known;
    membership_look_clear(l);
    TRY(membership_look_settled(&a, l, e));
    return remember(r, l, 0, e);
}

static enum rc look_again(struct membership_run *r, struct membership_look *l,
                          struct err *e)
{
    enum rc rc = RC_OK;

    for (unsigned i = 0; i < AGREE_TRIES; i++) {
        TRY(look(r, l, e));
        rc = as_expected(r, l, e);
        if (rc == RC_OK)
            return RC_OK;
        TRY(stop_check(e));
        clock_sleep_ms(POLL_MS);
    }
    return rc;
}

/* ---- one change ---------------------------------------------------------- */

static const struct membership_new *newcomer(const struct membership_run *r)
{
    return r->added_count < r->fresh_count ? &r->fresh[r->added_count] : NULL;
}

/* Whom a step of the plan means that names nobody. */
static const struct membership_new *meant(const struct membership_run *r,
                                          enum member_step_kind kind)
{
    if (kind == MEMBER_ADD_LEARNER || kind == MEMBER_ADD_VOTER)
        return newcomer(r);
    return r->added_count > 0 ? &r->fresh[r->added_count - 1] : NULL;
}

static enum rc call(struct membership_run *r, struct wire_client *c,
                    const struct member_step *s, struct err *e)
{
    if (s->kind == MEMBER_REMOVE)
        return wire_member_remove(c, s->id, e);
    if (s->kind == MEMBER_PROMOTE)
        return wire_member_promote(c, s->id, e);
    if (s->kind == MEMBER_UPDATE)
        return wire_member_update(c, s->id, r->peer_urls, e);
    return wire_member_add(c, &newcomer(r)->peer_urls, s->kind == MEMBER_ADD_LEARNER,
                           &r->added, e);
}

/* The answer was lost: does the cluster say that it was done? */
static bool came_true(struct membership_run *r, const struct member_step *s)
{
    AT_END(membership_look_clear) struct membership_look l = { 0 };
    const struct wire_member *m;
    struct err ignored = { 0 };

    if (look(r, &l, &ignored) != RC_OK)
        return false;
    m = membership_of(&l, s->id);
    if (s->kind == MEMBER_REMOVE)
        return m == NULL;
    if (s->kind == MEMBER_PROMOTE)
        return m != NULL && !m->is_learner;
    if (s->kind == MEMBER_UPDATE)
        return m != NULL && str_list_has(&m->peer_urls, r->peer_urls->items[0]);
    m = membership_at(&l, &newcomer(r)->peer_urls);
    r->added = m == NULL ? 0 : m->id;
    return m != NULL;
}

/* Refused for now, and certainly not done. */
static bool passes(const struct wire_client *c)
{
    const struct wire_outcome *o = wire_last(c);

    if (o->unknown)
        return false;
    return o->detail == WIRE_UNHEALTHY || o->detail == WIRE_NO_LEADER ||
           o->detail == WIRE_UNAVAILABLE || o->detail == WIRE_BUSY ||
           strstr(o->message, "in sync with leader") != NULL;
}

static enum rc change(struct membership_run *r, const struct membership_look *l,
                      const struct member_step *s, struct err *e)
{
    OWNED(wire_client) c = NULL;
    uint64_t until = clock_ms() + SETTLE_MS;
    struct err why = { 0 };
    enum rc rc;

    if (s->kind == MEMBER_PROMOTE && r->wait_ms > SETTLE_MS)
        until = clock_ms() + r->wait_ms;
    TRY(membership_connect(r->access, l, s->id, &c, e));
    for (;;) {
        rc = call(r, c, s, &why);
        if (rc == RC_OK || !passes(c) || clock_ms() >= until)
            break;
        TRY(stop_check(e));
        clock_sleep_ms(POLL_MS);
    }
    if (rc != RC_OK && wire_last(c)->unknown && came_true(r, s))
        return RC_OK;
    if (rc != RC_OK)
        *e = why;
    return rc;
}

/* ---- steps --------------------------------------------------------------- */

static enum rc back_up(struct membership_run *r, const struct membership_look *l,
                       struct err *e)
{
    OWNED(wire_client) c = NULL;

    TRY(membership_connect(r->access, l, 0, &c, e));
    TRY(r->back_up(r->arg, c, &r->saved, e));
    log_info("the backup is taken: revision %" PRId64, r->saved.facts.revision);
    return RC_OK;
}

static enum rc until_led_by_another(struct membership_run *r, struct membership_look *l,
                                    uint64_t than, struct err *e)
{
    uint64_t until = clock_ms() + SETTLE_MS;

    do {
        TRY(look_again(r, l, e));
        if (l->view.leader != 0 && l->view.leader != than)
            return RC_OK;
        TRY(stop_check(e));
        clock_sleep_ms(POLL_MS);
    } while (clock_ms() < until);
    return err_set(e, RC_NET, "leadership did not move within %d s", SETTLE_MS / 1000);
}

static enum rc move_leader(struct membership_run *r, struct membership_look *l,
                           uint64_t from, uint64_t to, struct err *e)
{
    OWNED(wire_client) c = NULL;
    const struct care_member *leader = care_leader(&l->view);
    struct err why = { 0 };

    if (leader == NULL || leader->id != from)
        return RC_OK; /* it leads no more */
    TRY(r->access->connect(r->access->arg, leader->endpoint, &c, e));
    if (wire_leader_move(c, 0, to, &why) != RC_OK && !wire_last(c)->unknown &&
        wire_last(c)->detail != WIRE_NOT_LEADER) {
        *e = why;
        return why.code;
    }
    return until_led_by_another(r, l, from, e);
}

static enum rc add(struct membership_run *r, struct membership_look *l,
                   const struct member_step *s, struct err *e)
{
    const struct membership_new *who = newcomer(r);

    if (who == NULL)
        return err_set(e, RC_INTERNAL, "the plan adds more members than were named");
    TRY(membership_may_add(l, 0, e));
    TRY(change(r, l, s, e));
    expect_one_more(r, r->added);
    r->added_count++;
    r->undone = false;
    if (r->announce == NULL)
        return RC_OK;
    TRY(look_again(r, l, e));
    return r->announce(r->arg, l, who, r->added, e);
}

enum { STAGE_MAX = 400 };

static const char never_started[] = "it was never started";

/* How far it has come, in words; "" when it is there. */
static void stage_of(const struct membership_look *l, uint64_t id,
                     char out[static STAGE_MAX])
{
    const struct member_seat *s = member_seat_of(&l->table, id);
    const struct care_member *seen = care_member_of(&l->view, id);
    char at[200];

    out[0] = '\0';
    if (s == NULL || !s->started) {
        snprintf(out, STAGE_MAX, "%s", never_started);
    } else if (!s->alive) {
        str_printable(at, sizeof at, bytes_str(seen == NULL ? "" : seen->endpoint));
        snprintf(out, STAGE_MAX,
                 "it has joined, but does not answer at the client address that it "
                 "advertises, '%s'",
                 at);
    } else if (!s->in_sync) {
        snprintf(out, STAGE_MAX, "it runs, and has not caught up yet");
    }
}

/* What only the place itself tells, while the cluster hears nothing. */
static enum rc stage_there(struct membership_run *r, uint64_t id,
                           char out[static STAGE_MAX], struct err *e)
{
    const struct membership_new *who = meant(r, MEMBER_AWAIT);
    bool stranger;

    if (strcmp(out, never_started) != 0 || r->trust == NULL || who == NULL)
        return RC_OK;
    TRY(membership_knock(r->trust, &who->peer_urls, id, &stranger, e));
    if (stranger)
        snprintf(out, STAGE_MAX,
                 "a member of another cluster answers at its peer address: end that, "
                 "empty its data directory, and start it as shown");
    return RC_OK;
}

static enum rc see_stage(struct membership_run *r, struct membership_look *l, uint64_t id,
                         char out[static STAGE_MAX], struct err *e)
{
    struct err why = { 0 };
    enum rc rc = look_again(r, l, &why);

    if (rc == RC_NET) {
        snprintf(out, STAGE_MAX, "the cluster does not answer");
        return RC_OK;
    }
    if (rc != RC_OK) {
        *e = why;
        return rc;
    }
    stage_of(l, id, out);
    return stage_there(r, id, out, e);
}

/* Each stage is said once, but for the one that is always there at first. */
static enum rc await(struct membership_run *r, struct membership_look *l, uint64_t id,
                     struct err *e)
{
    uint64_t until = clock_ms() + r->wait_ms;
    char stage[STAGE_MAX] = "", last[STAGE_MAX] = "", wait[24];

    for (;;) {
        TRY(see_stage(r, l, id, stage, e));
        if (stage[0] == '\0')
            return RC_OK;
        if (strcmp(stage, last) != 0 && strcmp(stage, never_started) != 0)
            log_info("member %" PRIx64 ": %s", id, stage);
        memcpy(last, stage, sizeof last);
        TRY(stop_check(e));
        if (clock_ms() >= until)
            break;
        clock_sleep_ms(POLL_MS);
    }
    str_seconds(wait, sizeof wait, r->wait_ms);
    return err_set(e, RC_NET,
                   "member %" PRIx64 " was not ready within %s: %s" HINT
                   "start it as shown, with an empty data directory and its peer address "
                   "open to the others; --wait is how long it may take",
                   id, wait, stage);
}

/* Who runs the command again may have lost what the first run has shown. */
static enum rc announce_again(struct membership_run *r, const struct membership_look *l,
                              uint64_t id, struct err *e)
{
    const struct member_seat *s = member_seat_of(&l->table, id);

    if (id != r->adopted || s == NULL || s->started || r->announce == NULL)
        return RC_OK;
    return r->announce(r->arg, l, &r->fresh[0], id, e);
}

static enum rc compare(struct membership_run *r, struct membership_look *l, struct err *e)
{
    AT_END(care_vote_clear) struct care_vote vote = { 0 };
    struct care_access a = *r->access;
    struct err why = { 0 };
    enum rc rc;

    a.endpoints = &r->known;
    rc = care_vote_take(&a, &l->view, &vote, &why);
    if (rc == RC_OK)
        rc = care_vote_result(&vote, &why);
    if (rc == RC_OK) {
        r->compared = vote.revision;
        return RC_OK;
    }
    if (rc == RC_INTERRUPTED || rc == RC_NOMEM) {
        *e = why;
        return rc;
    }
    return err_set(e, RC_DEGRADED,
                   "the members are as planned, but the voters were not found equal: "
                   "%.400s" HINT "`holdfast hash` asks again",
                   why.why);
}

static enum rc remove_member(struct membership_run *r, struct membership_look *l,
                             const struct member_step *s, struct err *e)
{
    TRY(remember(r, l, s->id, e));
    TRY(change(r, l, s, e));
    expect_one_less(r, s->id);
    return RC_OK;
}

static enum rc take(struct membership_run *r, struct membership_look *l,
                    const struct member_step *s, struct err *e)
{
    switch (s->kind) {
    case MEMBER_BACKUP:
        return back_up(r, l, e);
    case MEMBER_MOVE_LEADER:
        return move_leader(r, l, s->id, s->to, e);
    case MEMBER_REMOVE:
        return remove_member(r, l, s, e);
    case MEMBER_ADD_VOTER:
    case MEMBER_ADD_LEARNER:
        return add(r, l, s, e);
    case MEMBER_AWAIT:
        TRY(announce_again(r, l, s->id, e));
        return await(r, l, s->id, e);
    case MEMBER_PROMOTE:
    case MEMBER_UPDATE:
        return change(r, l, s, e);
    case MEMBER_COMPARE:
        return compare(r, l, e);
    }
    return err_set(e, RC_INTERNAL, "no such step");
}

/* ---- the whole plan ------------------------------------------------------ */

/* An election may have made the member that is to go the leader. */
static enum rc step_down(struct membership_run *r, struct membership_look *l,
                         const struct member_step *s, struct err *e)
{
    for (size_t i = 0; i < l->table.count; i++) {
        const struct member_seat *seat = &l->table.seats[i];

        if (s->kind == MEMBER_REMOVE && l->view.leader == s->id && seat->id != s->id &&
            !seat->learner && seat->alive && seat->in_sync)
            return move_leader(r, l, s->id, seat->id, e);
    }
    return RC_OK;
}

static enum rc step(struct membership_run *r, struct membership_look *l,
                    const struct member_step *planned, struct err *e)
{
    struct member_step s = *planned;
    struct err unwritten = { 0 };
    char text[300];
    int64_t noted;
    enum rc rc;

    if (s.id == 0 && (s.kind == MEMBER_AWAIT || s.kind == MEMBER_PROMOTE))
        s.id = r->added;
    TRY(look_again(r, l, e));
    TRY(step_down(r, l, &s, e));
    TRY(member_step_judge(&l->table, &s, e));
    membership_describe(l, planned, meant(r, s.kind), text, sizeof text);
    log_info("%s", text);
    if (care_journal_step(r->journal, text, &noted, &unwritten) != RC_OK)
        log_warn("the journal was not written: %s", unwritten.why);
    rc = take(r, l, &s, e);
    if (rc != RC_OK)
        rc = err_wrap(e, "%s", text);
    care_journal_settle_step(r->journal, noted, text, rc, e);
    return rc;
}

/* Takes the learner out again that did not come to life; it never voted. */
static void undo(struct membership_run *r, struct membership_look *l, struct err *e)
{
    struct member_step s = { .kind = MEMBER_REMOVE, .id = r->added };
    struct err why = { 0 };
    enum rc rc = look(r, l, &why);
    const struct wire_member *m = rc == RC_OK ? membership_of(l, r->added) : NULL;

    if (rc == RC_OK && (m == NULL || !m->is_learner))
        return;
    if (rc == RC_OK)
        rc = change(r, l, &s, &why);
    r->undone = rc == RC_OK;
    if (rc == RC_OK)
        expect_one_less(r, s.id);
    if (rc == RC_OK)
        log_info("member %" PRIx64 " was taken out again", s.id);
    else
        err_hint(e,
                 "the learner %" PRIx64 " is still there: `holdfast member remove "
                 "%" PRIx64 "` takes it out",
                 s.id, s.id);
}

static void after_failure(struct membership_run *r, struct membership_look *l,
                          enum member_step_kind kind, struct err *e)
{
    if (r->added == 0 || (kind != MEMBER_AWAIT && kind != MEMBER_PROMOTE))
        return;
    if (e->code == RC_INTERRUPTED)
        err_hint(e,
                 "the learner %" PRIx64 " is still there: `holdfast member remove "
                 "%" PRIx64 "` takes it out; once it runs, `holdfast member promote "
                 "%" PRIx64 "` makes it a voter",
                 r->added, r->added, r->added);
    else
        undo(r, l, e);
}

enum rc membership_run(struct membership_run *r, struct membership_look *look,
                       const struct member_plan *plan, struct err *e)
{
    enum rc rc = remember(r, look, 0, e);

    expect(r, look);
    r->added = r->adopted;
    r->added_count = r->adopted != 0;
    for (size_t i = 0; i < plan->count && rc == RC_OK; i++) {
        rc = step(r, look, &plan->items[i], e);
        if (rc == RC_OK)
            r->done++;
        else
            after_failure(r, look, plan->items[i].kind, e);
    }
    care_journal_settle(r->journal, rc, e);
    return rc;
}
