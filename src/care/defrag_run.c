#include "care/defrag_run.h"

#include <stdio.h>
#include <string.h>

#include "care/probe.h"
#include "care/room.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/stop.h"

enum {
    POLL_MS = 500,
    PATIENCE_MS = 60000,
    SLOWEST_BYTES_PER_MS = 5000, /* a disk that does 5 MB/s in all */
};

uint64_t care_defrag_patience(const struct care_defrag_job *job, uint64_t size)
{
    if (job->timeout_ms != 0)
        return job->timeout_ms;
    return PATIENCE_MS + size / SLOWEST_BYTES_PER_MS;
}

/* ---- the state of the cluster ---------------------------------------------------------
 */

static bool any_done(const struct care_defrag *d)
{
    for (size_t i = 0; i < d->count; i++)
        if (d->items[i].mark == CARE_DEFRAG_DONE ||
            d->items[i].mark == CARE_DEFRAG_FAILED)
            return true;
    return d->moves > 0;
}

/* Before the first step a closed gate is an answer; later the cluster may need a moment,
 * to elect or to catch up. */
static enum rc look_until_well(const struct care_defrag_job *job,
                               const struct care_defrag *d, struct care_view *v,
                               struct err *e)
{
    uint64_t until = clock_ms() + (any_done(d) ? job->settle_ms : 0);

    for (;;) {
        enum rc rc;

        care_view_clear(v);
        *v = (struct care_view){ 0 };
        TRY(care_look(job->access, CARE_ASK_METRICS | CARE_ASK_READ, v, e));
        rc = care_defrag_gate(v, e);
        if (rc == RC_OK || clock_ms() >= until)
            return rc;
        clock_sleep_ms(POLL_MS);
        TRY(stop_check(e));
    }
}

static enum rc check_room(const struct care_member *m, struct err *e)
{
    struct care_room room;
    char name[80];
    bool found;

    TRY(care_room_find(m->endpoint, &room, &found, e));
    if (!found)
        return RC_OK;
    return care_room_check(&room, m->status.db_size_in_use, care_called(m, name), e);
}

enum rc care_defrag_room(const struct care_view *v, const struct care_defrag *d,
                         struct err *e)
{
    for (size_t i = 0; i < d->count; i++) {
        const struct care_member *m = care_member_of(v, d->items[i].id);

        if (m != NULL && d->items[i].mark == CARE_DEFRAG_DUE)
            TRY(check_room(m, e));
    }
    return RC_OK;
}

/* ---- one member -----------------------------------------------------------------------
 */

/* Who else could be asked while `m` pauses: a voter, for a read through the quorum. */
static const struct care_member *witness(const struct care_view *v,
                                         const struct care_member *m)
{
    for (size_t i = 0; i < v->count; i++)
        if (&v->items[i] != m && care_is_voter(&v->items[i]) && v->items[i].answered)
            return &v->items[i];
    return NULL;
}

static enum rc call(const struct care_defrag_job *job, const struct care_member *m,
                    uint64_t *took_ms, struct err *e)
{
    OWNED(wire_client) c = NULL;
    uint64_t begun = clock_ms();
    enum rc rc;

    TRY(job->access->connect(job->access->arg, m->endpoint, &c, e));
    rc = wire_defragment(c, 0, care_defrag_patience(job, m->status.db_size), e);
    *took_ms = clock_ms() - begun;
    return rc;
}

/* The measurement is a help; not having it is no failure. */
static enum rc call_and_probe(const struct care_defrag_job *job,
                              const struct care_view *v, const struct care_member *m,
                              struct care_defrag_item *item, struct err *e)
{
    const struct care_member *other = witness(v, m);
    struct care_probe own, others;
    struct err ignored = { 0 };
    bool watching, both;
    enum rc rc;

    watching = care_probe_start(&own, job->access, m->endpoint, true, &ignored) == RC_OK;
    both = other != NULL && care_probe_start(&others, job->access, other->endpoint, false,
                                             &ignored) == RC_OK;
    rc = call(job, m, &item->took_ms, e);
    if (watching && care_probe_end(&own, &ignored) == RC_OK)
        item->stall_ms = own.longest_ms;
    if (both && care_probe_end(&others, &ignored) == RC_OK)
        item->other_stall_ms = others.longest_ms;
    return rc;
}

static enum rc see_sizes(const struct care_defrag_job *job, struct care_member *m,
                         struct care_defrag_item *item, struct err *e)
{
    TRY(care_look_at(job->access, 0, m, e));
    if (!m->answered) {
        *e = m->failure;
        return err_wrap(e, "looking at %s after its defragmentation", item->called);
    }
    item->size_after = m->status.db_size;
    item->in_use_after = m->status.db_size_in_use;
    return RC_OK;
}

static void say_done(const struct care_defrag_item *item)
{
    char before[32], after[32], stall[32];

    str_size(before, sizeof before, item->size_before);
    str_size(after, sizeof after, item->size_after);
    str_seconds(stall, sizeof stall, item->stall_ms);
    log_info("%s: %s became %s; it answered nothing for up to %s", item->called, before,
             after, stall);
}

static struct care_member *member_at(struct care_view *v, uint64_t id)
{
    for (size_t i = 0; i < v->count; i++)
        if (v->items[i].id == id)
            return &v->items[i];
    return NULL;
}

static enum rc rewrite(const struct care_defrag_job *job, struct care_view *v,
                       struct care_defrag *d, const struct care_defrag_step *step,
                       struct err *e)
{
    struct care_defrag_item *item = care_defrag_item_of(d, step->id);
    struct care_member *m = member_at(v, step->id);
    enum rc rc;

    if (item == NULL || m == NULL)
        return err_set(e, RC_INTERNAL, "a step about a member that nobody knows");
    item->size_before = m->status.db_size;
    item->in_use_before = m->status.db_size_in_use;
    rc = check_room(m, e);
    if (rc == RC_OK)
        rc = call_and_probe(job, v, m, item, e);
    if (rc == RC_OK)
        rc = see_sizes(job, m, item, e);
    item->mark = rc == RC_OK ? CARE_DEFRAG_DONE : CARE_DEFRAG_FAILED;
    if (rc != RC_OK) {
        snprintf(item->why, sizeof item->why, "%.290s", e->why);
        return err_wrap(e, "defragmenting %s", item->called);
    }
    care_defrag_learn(d, item);
    say_done(item);
    return RC_OK;
}

static enum rc move(const struct care_defrag_job *job, const struct care_view *v,
                    struct care_defrag *d, const struct care_defrag_step *step,
                    struct err *e)
{
    const struct care_member *from = care_member_of(v, step->id);
    const struct care_member *to = care_member_of(v, step->to);
    OWNED(wire_client) c = NULL;
    char one[80], other[80];

    d->moves++;
    TRY(job->access->connect(job->access->arg, from->endpoint, &c, e));
    if (wire_leader_move(c, 0, step->to, e) != RC_OK)
        return err_wrap(e, "moving leadership from %s to %s", care_called(from, one),
                        care_called(to, other));
    log_info("%s leads now, in place of %s", care_called(to, other),
             care_called(from, one));
    return RC_OK;
}

/* ---- the run --------------------------------------------------------------------------
 */

static void describe(const struct care_view *v, const struct care_defrag_step *step,
                     char *out, size_t n)
{
    char one[80], other[80];

    care_called(care_member_of(v, step->id), one);
    if (step->kind == CARE_DEFRAG_REWRITE)
        snprintf(out, n, "defragment %s", one);
    else
        snprintf(out, n, "move leadership from %s to %s", one,
                 care_called(care_member_of(v, step->to), other));
}

/* Held, so that a signal does not leave a member in the middle of it. */
static enum rc take(const struct care_defrag_job *job, struct care_view *v,
                    struct care_defrag *d, const struct care_defrag_step *step,
                    struct err *e)
{
    char what[200];
    int64_t row;
    enum rc rc;

    describe(v, step, what, sizeof what);
    TRY(care_journal_step(job->journal, what, &row, e));
    stop_hold(true);
    rc = step->kind == CARE_DEFRAG_MOVE ? move(job, v, d, step, e)
                                        : rewrite(job, v, d, step, e);
    stop_hold(false);
    care_journal_settle_step(job->journal, row, what, rc, e);
    return rc;
}

static size_t count_due(const struct care_defrag *d)
{
    size_t n = 0;

    for (size_t i = 0; i < d->count; i++)
        n += d->items[i].mark == CARE_DEFRAG_DUE;
    return n;
}

/* What is over the budget is known only when it is over: then no other member follows. */
static void heed_budget(struct care_defrag *d, const struct care_defrag_item *item)
{
    if (d->wish.max_stall_ms == 0 || item->stall_ms <= d->wish.max_stall_ms)
        return;
    for (size_t i = 0; i < d->count; i++) {
        if (d->items[i].mark != CARE_DEFRAG_DUE)
            continue;
        d->items[i].mark = CARE_DEFRAG_LEFT_OUT;
        snprintf(d->items[i].why, sizeof d->items[i].why,
                 "%.80s answered nothing for longer than --max-stall", item->called);
    }
}

static enum rc one_step(const struct care_defrag_job *job, struct care_defrag *d,
                        bool *ended, struct err *e)
{
    AT_END(care_view_clear) struct care_view v = { 0 };
    struct care_defrag_step step;
    enum rc rc;

    TRY(stop_check(e));
    TRY(look_until_well(job, d, &v, e));
    TRY(care_defrag_next(&v, d, &step, e));
    *ended = step.kind == CARE_DEFRAG_END;
    if (*ended)
        return RC_OK;
    rc = take(job, &v, d, &step, e);
    if (step.kind == CARE_DEFRAG_MOVE)
        return rc;
    heed_budget(d, care_defrag_item_of(d, step.id));
    if (rc != RC_OK && (!job->continue_on_error || rc == RC_NOMEM || rc == RC_AUTH))
        return rc;
    if (rc != RC_OK)
        log_warn("going on without %s: %s", care_defrag_item_of(d, step.id)->called,
                 e->why);
    if (count_due(d) > 0)
        clock_sleep_ms(job->wait_between_ms);
    return RC_OK;
}

enum rc care_defrag_run(const struct care_defrag_job *job, struct care_defrag *d,
                        struct err *e)
{
    bool ended = false;
    enum rc rc = RC_OK;

    while (rc == RC_OK && !ended)
        rc = one_step(job, d, &ended, e);
    if (rc == RC_INTERRUPTED)
        return err_set(e, RC_INTERRUPTED,
                       "stopped by a signal between two members; %zu %s still to come",
                       count_due(d), count_due(d) == 1 ? "is" : "are");
    return rc;
}
