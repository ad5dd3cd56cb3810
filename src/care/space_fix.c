#include "care/space_fix.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "care/vote.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/os.h"
#include "util/stop.h"
#include "util/str.h"
#include "wire/kv.h"

enum {
    NUDGES = 4,
    NUDGE_MS = 150, /* etcd commits every 100 ms */
};

/* A key that nobody has: put and deleted again. */
#define PROBE "holdfast/space-probe/"

static bool has_corrupt(const struct care_view *v)
{
    unsigned alarms = v->foreign_alarms;

    for (size_t i = 0; i < v->count; i++)
        alarms |= v->items[i].alarms;
    return (alarms & 1U << WIRE_ALARM_CORRUPT) != 0;
}

enum rc care_fix_gate(const struct care_view *v, bool *corrupt, struct err *e)
{
    *corrupt = has_corrupt(v);
    if (!*corrupt)
        return care_defrag_gate(v, e);
    for (size_t i = 0; i < v->count; i++) {
        char name[80];

        if (v->items[i].state != CARE_UP)
            return err_set(e, RC_REFUSED,
                           "%s is %s, and the alarm CORRUPT is raised" HINT
                           "'holdfast doctor' says more",
                           care_called(&v->items[i], name),
                           care_state_name(v->items[i].state));
    }
    return RC_OK;
}

static enum rc look(const struct care_fix_job *job, struct care_view *v, struct err *e)
{
    care_view_clear(v);
    *v = (struct care_view){ 0 };
    return care_look(job->defrag.access, CARE_ASK_METRICS | CARE_ASK_READ, v, e);
}

/* ---- steps in the journal -------------------------------------------------------------
 */

typedef enum rc step_fn(const struct care_fix_job *job, struct care_fix *f,
                        struct err *e);

static enum rc take(const struct care_fix_job *job, const char *what, step_fn *fn,
                    struct care_fix *f, struct err *e)
{
    int64_t row;
    enum rc rc;

    TRY(stop_check(e));
    TRY(care_journal_step(job->defrag.journal, what, &row, e));
    rc = fn(job, f, e);
    care_journal_settle_step(job->defrag.journal, row, what, rc, e);
    return rc == RC_OK ? rc : err_wrap(e, "%s", what);
}

static enum rc disarm_all(const struct care_fix_job *job, enum wire_alarm_type type,
                          struct care_fix *f, struct err *e)
{
    AT_END(wire_alarms_clear) struct wire_alarms all = { 0 };

    TRY(wire_alarm_list(job->writer, &all, e));
    for (size_t i = 0; i < all.count; i++) {
        if (all.items[i].type != type)
            continue;
        TRY(wire_alarm_disarm(job->writer, all.items[i], e));
        f->disarmed++;
    }
    return RC_OK;
}

/* ---- CORRUPT --------------------------------------------------------------------------
 */

static enum rc clear_corrupt(const struct care_fix_job *job, struct care_fix *f,
                             struct err *e)
{
    AT_END(care_view_clear) struct care_view v = { 0 };
    AT_END(care_vote_clear) struct care_vote vote = { 0 };
    struct err why = { 0 };

    TRY(look(job, &v, e));
    if (care_vote_take(job->defrag.access, &v, &vote, &why) != RC_OK ||
        care_vote_result(&vote, &why) != RC_OK)
        return err_set(e, RC_REFUSED,
                       "the alarm CORRUPT is raised, and the voters are not known to "
                       "hold the same data: %.300s" HINT
                       "replace the odd member first; 'holdfast hash' names it",
                       why.why);
    TRY(disarm_all(job, WIRE_ALARM_CORRUPT, f, e));
    log_info("all voters hold the same data: the alarm CORRUPT is disarmed");
    return RC_OK;
}

/* ---- history --------------------------------------------------------------------------
 */

/* etcd counts pages as free only after the commits that follow a compaction. A deletion
 * of what is not there is an entry of the log, changes no revision, and is allowed while
 * the alarm is raised. */
static enum rc nudge(const struct care_fix_job *job, struct err *e)
{
    for (int i = 0; i < NUDGES; i++) {
        int64_t deleted;

        TRY(wire_delete(job->writer, bytes_str(PROBE "none"), (struct bytes){ 0 },
                        &deleted, NULL, e));
        clock_sleep_ms(NUDGE_MS);
    }
    return RC_OK;
}

static enum rc compact_at(const struct care_fix_job *job, int64_t revision, int64_t keep,
                          struct care_fix *f, struct err *e)
{
    if (wire_compact(job->writer, revision, true, e) != RC_OK) {
        if (wire_last(job->writer)->detail != WIRE_COMPACTED)
            return err_wrap(e, "compacting at revision %" PRId64, revision);
    }
    f->compacted_at = revision;
    f->kept = keep;
    log_info("compacted at revision %" PRId64 ": what was older is gone", revision);
    return nudge(job, e);
}

static int64_t guarded(const struct care_fix_wish *w, int64_t target)
{
    return w->protect > 0 && target >= w->protect ? w->protect - 1 : target;
}

/* Keeps fewer and fewer revisions, until what is left would fit. */
static enum rc drop_history(const struct care_fix_job *job, struct care_fix *f,
                            struct err *e)
{
    AT_END(care_view_clear) struct care_view v = { 0 };

    for (int64_t keep = f->wish.keep; keep >= 0; keep = care_space_keep_less(keep)) {
        int64_t target;

        TRY(stop_check(e));
        TRY(look(job, &v, e));
        if (keep != f->wish.keep && care_space_would_be_roomy(&v))
            return RC_OK;
        target = guarded(&f->wish, care_space_target(&v, keep));
        if (target > f->compacted_at)
            TRY(compact_at(job, target, keep, f, e));
        if (f->wish.keep_exactly)
            return RC_OK;
    }
    return RC_OK;
}

/* ---- pages, alarm, proof --------------------------------------------------------------
 */

static enum rc begin_defrag(const struct care_fix_job *job, struct care_fix *f,
                            struct err *e)
{
    AT_END(care_view_clear) struct care_view v = { 0 };
    const struct care_defrag_wish wish = { .move_leader = f->wish.move_leader };

    TRY(look(job, &v, e));
    TRY(care_defrag_gate(&v, e));
    return care_defrag_begin(&v, &wish, &f->defrag, e);
}

static enum rc give_back(const struct care_fix_job *job, struct care_fix *f,
                         struct err *e)
{
    TRY(begin_defrag(job, f, e));
    TRY(care_defrag_run(&job->defrag, &f->defrag, e));
    return care_defrag_result(&f->defrag, e);
}

/* A server may still be dropping what was compacted when its file is rewritten: then the
 * pages come free right afterwards, and a second time is what helps. */
static enum rc give_back_rest(const struct care_fix_job *job, struct care_fix *f,
                              struct err *e)
{
    AT_END(care_view_clear) struct care_view v = { 0 };
    struct err full = { 0 };

    TRY(nudge(job, e));
    TRY(look(job, &v, e));
    if (care_space_roomy(&v, &full) == RC_OK || !care_space_would_be_roomy(&v))
        return RC_OK;
    log_info("more came free meanwhile; once more");
    return give_back(job, f, e);
}

static enum rc disarm(const struct care_fix_job *job, struct care_fix *f, struct err *e)
{
    AT_END(care_view_clear) struct care_view v = { 0 };

    TRY(look(job, &v, e));
    TRY(care_space_roomy(&v, e));
    return disarm_all(job, WIRE_ALARM_NOSPACE, f, e);
}

static enum rc probe_key(char out[static 64], struct err *e)
{
    uint8_t noise[8];
    char hex[2 * sizeof noise + 1];

    TRY(os_random(noise, sizeof noise, e));
    str_hex(hex, noise, sizeof noise);
    snprintf(out, 64, "%s%s", PROBE, hex);
    return RC_OK;
}

static enum rc prove(const struct care_fix_job *job, struct care_fix *f, struct err *e)
{
    struct wire_header put = { 0 };
    int64_t deleted = 0;
    char key[64];

    TRY(probe_key(key, e));
    TRY(wire_put(job->writer, bytes_str(key), bytes_str("x"), 0, &put, e));
    TRY(wire_delete(job->writer, bytes_str(key), (struct bytes){ 0 }, &deleted, NULL, e));
    if (deleted != 1)
        return err_set(e, RC_DEGRADED, "the key '%s' was written and then not found",
                       key);
    f->proved_revision = put.revision;
    return RC_OK;
}

enum rc care_fix_run(const struct care_fix_job *job, const struct care_fix_wish *w,
                     struct care_fix *out, struct err *e)
{
    AT_END(care_view_clear) struct care_view v = { 0 };
    bool corrupt;

    *out = (struct care_fix){ .wish = *w };
    TRY(look(job, &v, e));
    TRY(care_fix_gate(&v, &corrupt, e));
    if (corrupt)
        TRY(take(job, "disarm CORRUPT", clear_corrupt, out, e));
    TRY(take(job, "compact", drop_history, out, e));
    TRY(give_back(job, out, e)); /* writes its own steps */
    TRY(give_back_rest(job, out, e));
    TRY(take(job, "disarm NOSPACE", disarm, out, e));
    return take(job, "prove it by a write", prove, out, e);
}
