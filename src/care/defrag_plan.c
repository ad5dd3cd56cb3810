#include "care/defrag_plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    FIRST_BYTES_PER_S = 100000000, /* a fifth of a good disk's pace */
    OVERHEAD_MS = 100,
    LEARN_BYTES_MIN = 16 << 20, /* smaller ones measure the overhead only */
};

const char *care_defrag_mark_name(enum care_defrag_mark m)
{
    static const char *const names[] = {
        [CARE_DEFRAG_DUE] = "due",         [CARE_DEFRAG_DONE] = "done",
        [CARE_DEFRAG_SKIPPED] = "skipped", [CARE_DEFRAG_LEFT_OUT] = "left-out",
        [CARE_DEFRAG_FAILED] = "failed",
    };

    return names[m];
}

struct care_defrag_item *care_defrag_item_of(struct care_defrag *d, uint64_t id)
{
    for (size_t i = 0; i < d->count; i++)
        if (d->items[i].id == id)
            return &d->items[i];
    return NULL;
}

uint64_t care_defrag_estimate(const struct care_defrag *d, uint64_t in_use)
{
    return OVERHEAD_MS + (uint64_t)((double)in_use * 1000 / (double)d->bytes_per_s);
}

void care_defrag_learn(struct care_defrag *d, const struct care_defrag_item *item)
{
    uint64_t ms = item->took_ms > OVERHEAD_MS ? item->took_ms - OVERHEAD_MS : 1;

    if (item->in_use_before >= LEARN_BYTES_MIN)
        d->bytes_per_s = (uint64_t)((double)item->in_use_before * 1000 / (double)ms) + 1;
}

/* ---- who is wanted --------------------------------------------------------------------
 */

/* "http://10.0.0.1:2379/" and "10.0.0.1:2379" are the same. */
static bool same_endpoint(const char *a, const char *b)
{
    const char *as = strstr(a, "://"), *bs = strstr(b, "://");
    size_t n;

    a = as == NULL ? a : as + 3;
    b = bs == NULL ? b : bs + 3;
    n = strcspn(a, "/");
    return n == strcspn(b, "/") && strncmp(a, b, n) == 0;
}

static bool is_wanted(const struct care_defrag_wish *w, const struct care_member *m)
{
    if (w->endpoints == NULL)
        return m->listed || m->answered;
    for (size_t i = 0; i < w->endpoints->count; i++)
        if (m->endpoint != NULL && same_endpoint(w->endpoints->items[i], m->endpoint))
            return true;
    return false;
}

static struct care_rule_facts facts_of(const struct care_member *m)
{
    return (struct care_rule_facts){
        .size = m->status.db_size,
        .in_use = m->status.db_size_in_use,
        .quota = m->quota_from == CARE_UNKNOWN ? 0 : m->quota,
    };
}

static enum rc judge(const struct care_defrag_wish *w, const struct care_member *m,
                     struct care_defrag_item *item, struct err *e)
{
    struct care_rule_facts facts = facts_of(m);

    if (m->learner) {
        item->mark = CARE_DEFRAG_SKIPPED;
        snprintf(item->why, sizeof item->why, "it is a learner, which does not take it");
        return RC_OK;
    }
    if (w->rule == NULL || !m->answered)
        return RC_OK; /* the gate has a word about one that does not answer */
    if (w->rule->needs_quota && facts.quota == 0)
        return err_set(e, RC_REFUSED,
                       "the rule needs the quota of %s, which does not tell it" HINT
                       "etcd 3.6 tells it, older ones in their /metrics; write the "
                       "number of bytes into the rule",
                       item->called);
    if (!care_rule_holds(w->rule, &facts)) {
        item->mark = CARE_DEFRAG_SKIPPED;
        snprintf(item->why, sizeof item->why, "the rule does not hold for it");
    }
    return RC_OK;
}

static enum rc add(const struct care_member *m, struct care_defrag *d, struct err *e)
{
    struct care_defrag_item *item = &d->items[d->count];

    if (d->count == CARE_DEFRAG_MEMBERS_MAX)
        return err_set(e, RC_REFUSED, "more than %d members", CARE_DEFRAG_MEMBERS_MAX);
    *item = (struct care_defrag_item){
        .id = m->id,
        .size_before = m->status.db_size,
        .in_use_before = m->status.db_size_in_use,
        .estimate_ms = care_defrag_estimate(d, m->status.db_size_in_use),
    };
    care_called(m, item->called);
    d->count++;
    return judge(&d->wish, m, item, e);
}

enum rc care_defrag_begin(const struct care_view *v, const struct care_defrag_wish *w,
                          struct care_defrag *out, struct err *e)
{
    *out = (struct care_defrag){ .wish = *w, .bytes_per_s = FIRST_BYTES_PER_S };
    for (size_t i = 0; i < v->count; i++)
        if (is_wanted(w, &v->items[i]))
            TRY(add(&v->items[i], out, e));
    if (out->count == 0)
        return err_set(e, RC_NOTFOUND,
                       "no member of the cluster answers at the given endpoints" HINT
                       "--cluster means all members, wherever they are");
    return RC_OK;
}

/* ---- the gate -------------------------------------------------------------------------
 */

static enum rc judge_presence(const struct care_member *m, struct err *e)
{
    char name[80];

    if (m->answered && (m->state == CARE_UP || m->state == CARE_FROZEN))
        return RC_OK;
    return err_set(e, RC_REFUSED,
                   "%s is %s, and no other member may pause: %.300s" HINT
                   "bring it back first; 'holdfast doctor' says more",
                   care_called(m, name), care_state_name(m->state), m->failure.why);
}

static enum rc judge_health(const struct care_view *v, const struct care_member *m,
                            struct err *e)
{
    uint64_t lag = care_lag(v, m);
    char name[80];

    care_called(m, name);
    if (m->state == CARE_FROZEN || (!m->learner && (!m->read_tried || m->read != RC_OK)))
        return err_set(e, RC_REFUSED,
                       "%s answers, but does not finish a linearizable read" HINT
                       "'holdfast doctor' says more",
                       name);
    if (lag > CARE_DEFRAG_LAG_MAX)
        return err_set(e, RC_REFUSED,
                       "%s has yet to apply %" PRIu64 " entries of the log" HINT
                       "wait until it has caught up; 'holdfast status' shows its lag",
                       name, lag);
    if (m->metrics_known && m->metrics.defrags > 0)
        return err_set(e, RC_REFUSED,
                       "%s is being defragmented already, by somebody else" HINT
                       "wait until that is done",
                       name);
    return RC_OK;
}

static enum rc judge_alarms(unsigned alarms, const char *whose, struct err *e)
{
    char names[40];

    alarms &= ~(1U << WIRE_ALARM_NOSPACE);
    if (alarms == 0)
        return RC_OK;
    care_alarm_names(alarms, names, sizeof names);
    return err_set(e, RC_REFUSED,
                   "the alarm %s is raised for %s" HINT
                   "'holdfast hash' tells whether the members' data differ",
                   names, whose);
}

/* Causes before effects: when the leader is gone, the reads of all others hang. */
enum rc care_defrag_gate(const struct care_view *v, struct err *e)
{
    char name[80];

    for (size_t i = 0; i < v->count; i++)
        TRY(judge_presence(&v->items[i], e));
    for (size_t i = 0; i < v->count; i++)
        TRY(judge_alarms(v->items[i].alarms, care_called(&v->items[i], name), e));
    TRY(judge_alarms(v->foreign_alarms, "a member that is gone", e));
    if (v->count == 0 || care_leader(v) == NULL)
        return err_set(e, RC_REFUSED,
                       "the cluster has no leader" HINT "'holdfast doctor' says more");
    for (size_t i = 0; i < v->count; i++)
        TRY(judge_health(v, &v->items[i], e));
    return RC_OK;
}

/* ---- order ----------------------------------------------------------------------------
 */

static bool can_lead(const struct care_view *v, const struct care_member *m)
{
    return care_is_voter(m) && !m->learner && m->answered && m->state == CARE_UP &&
           m->read_tried && m->read == RC_OK && care_lag(v, m) <= CARE_DEFRAG_LAG_MAX &&
           m->id != v->leader;
}

static bool has_failed(const struct care_defrag *d, uint64_t id)
{
    for (size_t i = 0; i < d->count; i++)
        if (d->items[i].id == id)
            return d->items[i].mark == CARE_DEFRAG_FAILED;
    return false;
}

uint64_t care_defrag_heir(const struct care_view *v, const struct care_defrag *d)
{
    const struct care_member *best = NULL;

    for (size_t i = 0; i < v->count; i++) {
        const struct care_member *m = &v->items[i];

        if (can_lead(v, m) && !has_failed(d, m->id) &&
            (best == NULL || care_lag(v, m) < care_lag(v, best)))
            best = m;
    }
    return best == NULL ? 0 : best->id;
}

static size_t count_voters(const struct care_view *v)
{
    size_t n = 0;

    for (size_t i = 0; i < v->count; i++)
        n += care_is_voter(&v->items[i]);
    return n;
}

static void leave_out_the_slow(struct care_defrag *d)
{
    for (size_t i = 0; i < d->count; i++) {
        struct care_defrag_item *item = &d->items[i];
        char text[24];

        if (item->mark != CARE_DEFRAG_DUE)
            continue;
        item->estimate_ms = care_defrag_estimate(d, item->in_use_before);
        if (d->wish.max_stall_ms == 0 || item->estimate_ms <= d->wish.max_stall_ms)
            continue;
        item->mark = CARE_DEFRAG_LEFT_OUT;
        str_seconds(text, sizeof text, item->estimate_ms);
        snprintf(item->why, sizeof item->why,
                 "it would answer nothing for about %s, longer than --max-stall", text);
    }
}

/* The leader, when nobody else is due. */
static const struct care_defrag_item *choose(const struct care_view *v,
                                             const struct care_defrag *d)
{
    const struct care_defrag_item *leader = NULL;

    for (size_t i = 0; i < d->count; i++) {
        if (d->items[i].mark != CARE_DEFRAG_DUE)
            continue;
        if (d->items[i].id != v->leader)
            return &d->items[i];
        leader = &d->items[i];
    }
    return leader;
}

static enum rc hand_on(const struct care_view *v, const struct care_defrag *d,
                       struct care_defrag_step *out, struct err *e)
{
    out->kind = CARE_DEFRAG_MOVE;
    out->estimate_ms = 0; /* an election that is arranged */
    out->to = care_defrag_heir(v, d);
    if (out->to == 0)
        return err_set(e, RC_REFUSED,
                       "there is no voter that is well and has caught up, to lead while "
                       "the leader pauses" HINT
                       "without --move-leader the leader pauses as it is");
    if (d->moves >= CARE_DEFRAG_MOVES_MAX)
        return err_set(e, RC_REFUSED,
                       "leadership came back to the last member %u times" HINT
                       "look for what ails the others: 'holdfast doctor'",
                       d->moves);
    return RC_OK;
}

static enum rc take_out(const struct care_view *v, struct care_defrag *d,
                        struct care_defrag_step *out, struct err *e)
{
    const struct care_defrag_item *item;

    *out = (struct care_defrag_step){ .kind = CARE_DEFRAG_END };
    leave_out_the_slow(d);
    item = choose(v, d);
    if (item == NULL)
        return RC_OK;
    *out = (struct care_defrag_step){ .kind = CARE_DEFRAG_REWRITE,
                                      .id = item->id,
                                      .estimate_ms = item->estimate_ms };
    if (care_member_of(v, item->id) == NULL)
        return err_set(e, RC_REFUSED, "%s is no longer in the cluster", item->called);
    if (item->id == v->leader && d->wish.move_leader && count_voters(v) > 1)
        return hand_on(v, d, out, e);
    return RC_OK;
}

enum rc care_defrag_next(const struct care_view *v, struct care_defrag *d,
                         struct care_defrag_step *out, struct err *e)
{
    TRY(care_defrag_gate(v, e));
    return take_out(v, d, out, e);
}

enum rc care_defrag_foresee(const struct care_view *v, const struct care_defrag *d,
                            struct care_defrag_steps *out, struct err *e)
{
    struct care_view later = *v; /* the members are only read */
    struct care_defrag state = *d;

    out->count = 0;
    for (;;) {
        struct care_defrag_step *step = &out->items[out->count];

        TRY(care_defrag_next(&later, &state, step, e));
        if (step->kind == CARE_DEFRAG_END)
            return RC_OK;
        if (step->kind == CARE_DEFRAG_MOVE) {
            later.leader = step->to;
            state.moves++;
        } else {
            care_defrag_item_of(&state, step->id)->mark = CARE_DEFRAG_DONE;
        }
        out->count++;
    }
}

enum rc care_defrag_result(const struct care_defrag *d, struct err *e)
{
    const struct care_defrag_item *first = NULL;
    size_t bad = 0;

    for (size_t i = 0; i < d->count; i++) {
        if (d->items[i].mark != CARE_DEFRAG_FAILED &&
            d->items[i].mark != CARE_DEFRAG_LEFT_OUT)
            continue;
        first = first == NULL ? &d->items[i] : first;
        bad++;
    }
    if (first == NULL)
        return RC_OK;
    return err_set(e, RC_DEGRADED, "%zu of %zu members %s not defragmented; %s: %s", bad,
                   d->count, bad == 1 ? "was" : "were", first->called, first->why);
}
