#include "lab/table.h"

#include <signal.h>

#include "util/clock.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/stop.h"
#include "util/task.h"

enum { SETTLE_MS = 20000, PAUSE_MS = 30 };

struct play {
    const struct lab_table_options *o;
    lab_row_fn *fn;
    void *arg;
    struct lab *lab;
    bool up[LAB_MEMBERS_MAX]; /* those that have not failed */
    uint64_t began;           /* of this row */
};

/* ---- how members fail ----------------------------------------------------------------
 */

static enum rc fail_one(struct play *p, size_t i, enum lab_failure how, struct err *e)
{
    bool group[LAB_MEMBERS_MAX] = { 0 };

    p->up[i] = false;
    group[i] = true;
    switch (how) {
    case LAB_CUT_OFF:
        return lab_partition(p->lab, group, LAB_BOTH, e);
    case LAB_PAUSED:
        return lab_child_signal(&p->lab->members[i].child, SIGSTOP, e);
    case LAB_KILLED:
    case LAB_RECOVERED:
        break;
    }
    return lab_kill(p->lab, i, SIGKILL, e);
}

/* The leader first, since that is the hardest; then anybody. */
static enum rc fail_next(struct play *p, enum lab_failure how, struct err *e)
{
    size_t i;

    TRY(lab_probe_leader(p->lab, p->up, &i, e));
    for (size_t k = 0; k < p->lab->count && i == LAB_NOBODY; k++)
        if (p->up[k])
            i = k;
    return fail_one(p, i, how, e);
}

static enum rc all_well(struct play *p, struct err *e)
{
    bool started[LAB_MEMBERS_MAX];

    TRY(lab_heal(p->lab, NULL, e));
    TRY(lab_start(p->lab, NULL, started, e));
    for (size_t i = 0; i < p->lab->count; i++)
        p->up[i] = true;
    return lab_wait(p->lab, NULL, true, e);
}

/* ---- one row -------------------------------------------------------------------------
 */

/* An election takes its time, and so does a leader to see that it has lost its quorum. */
static enum rc settle(const struct play *p, bool wants_leader, struct err *e)
{
    uint64_t end = clock_ms() + SETTLE_MS;
    size_t leader;

    for (;;) {
        TRY(stop_check(e));
        TRY(lab_probe_leader(p->lab, p->up, &leader, e));
        if ((leader != LAB_NOBODY) == wants_leader || clock_ms() > end)
            return RC_OK;
        clock_sleep_ms(PAUSE_MS);
    }
}

/* Each member that is cut off is alone with its clients: alone it may decide nothing. */
struct lost {
    const struct play *play;
    struct lab_probe seen;
    struct task task;
};

static enum rc probe_lost(void *arg, struct err *e)
{
    struct lost *x = arg;
    bool which[LAB_MEMBERS_MAX];

    for (size_t i = 0; i < x->play->lab->count; i++)
        which[i] = !x->play->up[i];
    return lab_probe(x->play->lab, which, x->play->o->patience_ms, &x->seen, e);
}

/* Both sides at the same time. */
static enum rc probe_all(const struct play *p, struct lab_row *row, struct err *e)
{
    struct lost lost = { .play = p };
    enum rc rc = RC_OK;

    if (row->played.how == LAB_CUT_OFF && row->played.failed > 0)
        TRY(task_start(&lost.task, probe_lost, &lost, e));
    rc = lab_probe(p->lab, p->up, p->o->patience_ms, &row->seen, e);
    if (task_join(&lost.task, e) != RC_OK)
        rc = e->code;
    row->split = lost.seen.can_write || lost.seen.can_read_linearizable;
    return rc;
}

static bool agrees(const struct lab_row *row)
{
    const struct lab_expected *x = &row->expected;
    const struct lab_probe *s = &row->seen;

    return s->can_write == x->can_write &&
           s->can_read_linearizable == x->can_read_linearizable &&
           s->can_read_serializable == x->can_read_serializable &&
           (s->leader != LAB_NOBODY) == x->has_leader && !row->split;
}

static enum rc observe(struct play *p, struct lab_case c, struct err *e)
{
    struct lab_row row = { .played = c, .expected = lab_theory(c), .leader = "" };

    if (row.expected.up > 0)
        TRY(settle(p, row.expected.has_leader, e));
    TRY(probe_all(p, &row, e));
    if (row.seen.leader != LAB_NOBODY)
        row.leader = p->lab->members[row.seen.leader].name;
    row.as_expected = agrees(&row);
    row.took_ms = clock_ms() - p->began;
    p->began = clock_ms();
    return p->fn(p->arg, &row, e);
}

/* ---- all rows ------------------------------------------------------------------------
 */

/* One member after the other, up to `most`. */
static enum rc play_way(struct play *p, enum lab_failure how, size_t most, struct err *e)
{
    for (size_t failed = 0; failed <= most; failed++) {
        if (failed > 0)
            TRY(fail_next(p, how, e));
        TRY(observe(p, (struct lab_case){ p->lab->count, failed, how }, e));
    }
    return RC_OK;
}

/* Two members, one lost: the way out is a cluster of one, made by force. */
static enum rc play_recovery(struct play *p, struct err *e)
{
    TRY(all_well(p, e));
    TRY(fail_next(p, LAB_KILLED, e));
    for (size_t i = 0; i < p->lab->count; i++)
        if (p->up[i]) {
            TRY(lab_kill(p->lab, i, SIGKILL, e));
            TRY(lab_start_alone(p->lab, i, e));
        }
    return observe(p, (struct lab_case){ p->lab->count, 1, LAB_RECOVERED }, e);
}

/* A partition leaves all running, so it comes first. Cutting off the last one as well
 * changes nothing: it was alone already. */
static enum rc play_lab(struct play *p, struct err *e)
{
    enum lab_failure apart = p->lab->kind == LAB_STORE ? LAB_CUT_OFF : LAB_PAUSED;

    p->began = clock_ms();
    for (size_t i = 0; i < p->lab->count; i++)
        p->up[i] = true;
    if (p->lab->count > 1) {
        TRY(play_way(p, apart, p->lab->count - 1, e));
        TRY(all_well(p, e));
    }
    TRY(play_way(p, LAB_KILLED, p->lab->count, e));
    return p->lab->count == 2 ? play_recovery(p, e) : RC_OK;
}

static enum rc play_size(struct play *p, size_t members, struct err *e)
{
    AT_END(mem_end) char *dir = NULL;
    OWNED(lab) l = NULL;
    struct err ignored = { 0 };
    bool left = false;
    enum rc rc;

    TRY(str_format(&dir, e, "%s/lab", p->o->scratch));
    const struct lab_options o = { .dir = dir,
                                   .members = members,
                                   .kind = p->o->kind,
                                   .server = p->o->server,
                                   .minor = 6,
                                   .heartbeat_ms = p->o->heartbeat_ms,
                                   .election_ms = 10 * p->o->heartbeat_ms,
                                   .tied = true };

    TRY(lab_up(&o, &l, e));
    p->lab = l;
    rc = play_lab(p, e);
    if (lab_down(l, &left, rc == RC_OK ? e : &ignored) != RC_OK && rc == RC_OK)
        rc = e->code;
    return rc;
}

enum rc lab_table_play(const struct lab_table_options *o, lab_row_fn *fn, void *arg,
                       struct err *e)
{
    struct play p = { .o = o, .fn = fn, .arg = arg };

    for (size_t n = o->first; n <= o->last; n++) {
        log_info("playing a cluster of %zu", n);
        if (play_size(&p, n, e) != RC_OK)
            return err_wrap(e, "playing a cluster of %zu", n);
    }
    return RC_OK;
}
