#include "recover/apply.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "datadir/save.h"
#include "recover/scene.h"
#include "recover/survey.h"
#include "restore/restore.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/stop.h"

void recover_outcome_clear(struct recover_outcome *o)
{
    mem_free(o->aside);
    mem_free(o->work);
    *o = (struct recover_outcome){ 0 };
}

/* One call, while it is at work. */
struct run {
    const struct recover_job *job;
    const struct recover_plan *plan;
    struct recover_site site;
    struct recover_journal journal;
    struct recover_outcome *out;
};

static void run_end(struct run *r)
{
    recover_journal_close(&r->journal);
    recover_site_clear(&r->site);
}

static bool done(const struct run *r, enum recover_step_kind k)
{
    return r->journal.done[k];
}

/* ---- is it still true? --------------------------------------------------------------
 */

/* From here on this host's member may run in the new cluster. */
static bool is_out(const struct run *r)
{
    return r->journal.begun[RECOVER_STEP_PUBLISH] || r->journal.begun[RECOVER_STEP_JOIN];
}

/* A member that votes already, built once more elsewhere, would have forgotten what it
 * said. */
static enum rc runs_elsewhere(const struct run *r, const struct recover_sightings *s,
                              struct err *e)
{
    for (size_t i = 0; i < s->count && !is_out(r); i++)
        if (s->items[i].answer == RECOVER_KNOWN &&
            s->items[i].cluster_id == r->plan->cluster_id &&
            strcmp(s->items[i].name, r->job->member) == 0)
            return err_set(e, RC_REFUSED,
                           "%s of the new cluster runs already, at %s, and not from "
                           "'%s'" HINT "is this the right host, and the right "
                           "--data-dir?",
                           r->job->member, s->items[i].url, r->site.data_dir);
    return RC_OK;
}

/* Nor one that has voted and is stopped, though what it had may be lost. */
static enum rc has_run(const struct run *r, const struct recover_sightings *s,
                       struct err *e)
{
    for (size_t i = 0; i < s->count && !is_out(r); i++)
        if (s->items[i].has_run && s->items[i].cluster_id == r->plan->cluster_id)
            return err_set(
                e, RC_REFUSED,
                "%s has run in the new cluster already, as %s tells, and the journal of "
                "that is not beside '%s'" HINT
                "start etcd on the directory that it ran with, or give that as "
                "--data-dir; if it is lost: `holdfast member replace %s`",
                r->job->member, s->items[i].url, r->site.data_dir, r->job->member);
    return RC_OK;
}

/* Nobody of the old cluster runs but, perhaps, this host's member. */
static enum rc look_around(const struct run *r, struct err *e)
{
    const struct recover_expected x = { .old_cluster = r->plan->old_cluster,
                                        .new_cluster = r->plan->cluster_id,
                                        .self = r->job->member,
                                        .assumed = &r->plan->assumed };
    AT_END(recover_sightings_clear) struct recover_sightings s = { 0 };

    TRY(r->job->hands.look(r->job->hands.arg, false, &s, e));
    TRY(recover_sightings_judge(&s, &x, e));
    TRY(runs_elsewhere(r, &s, e));
    return has_run(r, &s, e);
}

static enum rc check_scene(const struct run *r, bool stopped, struct err *e)
{
    if (!recover_exists(r->site.data.at))
        return RC_OK;
    return recover_check_directory(r->plan, r->job->member, r->site.data_dir,
                                   r->site.wal_dir, stopped, e);
}

/* ---- the steps ----------------------------------------------------------------------
 */

static enum rc stop(struct run *r, struct err *e)
{
    if (!r->journal.begun[RECOVER_STEP_STOP])
        TRY(r->job->hands.running(r->job->hands.arg, &r->journal.was_running, e));
    TRY(recover_journal_begin(&r->journal, RECOVER_STEP_STOP, e));
    return r->job->hands.stop(r->job->hands.arg, e);
}

static enum rc export(struct run *r, struct err *e)
{
    const struct datadir_save_options o = {
        .from = { .dir = r->site.data_dir, .wal_dir = r->site.wal_dir },
        .store = { .file = r->site.export, .allow_same_filesystem = true },
    };
    AT_END(datadir_saved_clear) struct datadir_saved saved = { 0 };

    TRY(os_remove_tree(AT_FDCWD, r->site.export, e));
    return datadir_save(&o, &saved, e);
}

/* The ids that the plan told must come out. */
static enum rc check_ids(const struct run *r, const struct restore_plan *p, struct err *e)
{
    if (p->cluster_id == r->plan->cluster_id &&
        p->member_id == recover_plan_member(r->plan, r->job->member)->id)
        return RC_OK;
    return err_set(e, RC_INTERNAL,
                   "the new directory would have other ids than the plan");
}

static enum rc make_restore(const struct run *r, struct restore_plan *out, struct err *e)
{
    const struct recover_plan *p = r->plan;
    const char *alone = p->shape == RECOVER_RE_BOOTSTRAP ? r->job->member : NULL;
    AT_END(mem_end) char *initial = NULL;

    TRY(recover_plan_initial(p, alone, &initial, e));
    TRY(restore_plan_make(
        &(struct restore_request){ .name = r->job->member,
                                   .data_dir = r->site.build,
                                   .wal_dir = r->site.build_wal,
                                   .initial_cluster = initial,
                                   .token = p->token,
                                   .bump = RESTORE_BUMP_BY,
                                   .bump_by = p->bump.by,
                                   .mark_compacted = p->bump.mark_compacted,
                                   .skip_hash_check = p->source.skip_hash_check,
                                   .target_minor = p->target_minor },
        out, e));
    out->pinned = !p->source.live;
    memcpy(out->database_sha256, p->source.database, SHA256_SIZE);
    return check_ids(r, out, e);
}

/* A step that broke off may have left a whole one; what it holds is not known any more.
 */
static enum rc clear_ground(const struct run *r, struct err *e)
{
    TRY(os_remove_tree(AT_FDCWD, r->site.build, e));
    return r->site.build_wal == NULL ? RC_OK
                                     : os_remove_tree(AT_FDCWD, r->site.build_wal, e);
}

static enum rc build(struct run *r, struct err *e)
{
    AT_END(restore_plan_clear) struct restore_plan p = { 0 };
    struct restore_done told;
    const char *file = r->plan->source.live     ? r->site.export
                       : r->job->source != NULL ? r->job->source
                                                : r->plan->source.file;

    TRY(make_restore(r, &p, e));
    TRY(clear_ground(r, e));
    TRY(restore_run(&p, file, r->job->ids, &told, e));
    TRY(recover_site_own(&r->site, e));
    r->journal.revision = told.bump.revision;
    r->journal.compared_at = told.snapshot_revision;
    r->journal.hashkv = told.hashkv;
    r->journal.compacted = told.compact_revision;
    return RC_OK;
}

static enum rc still_stopped(const struct run *r, struct err *e)
{
    bool running = false;

    TRY(r->job->hands.running(r->job->hands.arg, &running, e));
    if (!running)
        return RC_OK;
    return err_set(e, RC_REFUSED,
                   "etcd was started on '%s' again" HINT
                   "find out what starts it, stop that, and run the same command again",
                   r->site.data_dir);
}

static enum rc aside(struct run *r, struct err *e)
{
    TRY(still_stopped(r, e));
    return recover_site_put_aside(&r->site, e);
}

static enum rc publish(struct run *r, struct err *e)
{
    TRY(recover_site_publish(&r->site, e));
    return recover_exists(r->site.data.at)
               ? RC_OK
               : err_set(e, RC_NOTFOUND,
                         "what was built in '%s' is gone" HINT
                         "roll this plan back, and make another",
                         r->site.build);
}

static enum rc start(struct run *r, struct err *e)
{
    return r->job->hands.start(r->job->hands.arg, &r->out->by_hand, e);
}

static enum rc join(struct run *r, struct err *e)
{
    return r->job->hands.join(r->job->hands.arg, &r->out->by_hand, e);
}

static enum rc check(struct run *r, struct err *e)
{
    return r->job->hands.check(r->job->hands.arg, &r->journal, &r->out->health, e);
}

/* ---- their order --------------------------------------------------------------------
 */

struct stage {
    enum recover_step_kind kind;
    enum rc (*take)(struct run *r, struct err *e);
};

static const struct stage builder[] = {
    { RECOVER_STEP_STOP, stop },       { RECOVER_STEP_EXPORT, export },
    { RECOVER_STEP_BUILD, build },     { RECOVER_STEP_ASIDE, aside },
    { RECOVER_STEP_PUBLISH, publish }, { RECOVER_STEP_START, start },
    { RECOVER_STEP_CHECK, check },
};

static const struct stage joiner[] = {
    { RECOVER_STEP_STOP, stop },
    { RECOVER_STEP_ASIDE, aside },
    { RECOVER_STEP_JOIN, join },
    { RECOVER_STEP_CHECK, check },
};

/* Stopped is not for ever, and a check is of its moment. */
static bool is_lasting(enum recover_step_kind k)
{
    return k != RECOVER_STEP_STOP && k != RECOVER_STEP_CHECK && k != RECOVER_STEP_START;
}

static bool is_needless(const struct run *r, enum recover_step_kind k)
{
    bool over = done(r, RECOVER_STEP_PUBLISH) || done(r, RECOVER_STEP_JOIN);

    if (k == RECOVER_STEP_EXPORT)
        return !r->plan->source.live || done(r, RECOVER_STEP_BUILD);
    if (k == RECOVER_STEP_STOP)
        return over || done(r, RECOVER_STEP_ASIDE);
    return is_lasting(k) && done(r, k);
}

static enum rc take(struct run *r, const struct stage *s, struct err *e)
{
    if (s->kind != RECOVER_STEP_STOP)
        TRY(recover_journal_begin(&r->journal, s->kind, e));
    TRY(s->take(r, e));
    r->out->taken |= 1U << s->kind;
    if (r->out->by_hand)
        return RC_OK;
    TRY(recover_journal_done(&r->journal, s->kind, e));
    if (s->kind == RECOVER_STEP_STOP)
        return check_scene(r, true, e);
    return RC_OK;
}

static enum rc take_all(struct run *r, const struct stage *stages, size_t count,
                        struct err *e)
{
    for (size_t i = 0; i < count; i++) {
        if (is_needless(r, stages[i].kind))
            continue;
        TRY(stop_check(e));
        if (take(r, &stages[i], e) != RC_OK)
            return err_wrap(e, "step %s of plan %s on the host of %s",
                            recover_step_name(stages[i].kind), r->plan->id,
                            r->job->member);
        if (r->out->by_hand)
            return RC_OK;
    }
    return RC_OK;
}

/* ---- the whole ----------------------------------------------------------------------
 */

static enum rc check_member(const struct recover_job *job, struct err *e)
{
    AT_END(mem_end) char *known = NULL;

    if (recover_plan_member(job->plan, job->member) != NULL)
        return RC_OK;
    TRY(recover_plan_initial(job->plan, NULL, &known, e));
    return err_set(e, RC_USAGE, "the plan has no member '%s'" HINT "its members are: %s",
                   job->member, known);
}

static enum rc open_run(const struct recover_job *job, struct recover_outcome *out,
                        struct run *r, struct err *e)
{
    bool is_new;

    TRY(check_member(job, e));
    TRY(recover_site_name(job->data_dir, job->wal_dir, job->plan->id, &r->site, e));
    TRY(recover_site_lock(&r->site, e));
    if (recover_exists(r->site.journal)) {
        TRY(recover_site_begin(&r->site, &is_new, e));
        TRY(recover_journal_open(r->site.journal, job->plan->id, job->member, &r->journal,
                                 e));
        out->resumed = r->journal.begun[RECOVER_STEP_STOP];
    }
    r->job = job;
    r->plan = job->plan;
    r->out = out;
    return str_format(&out->work, e, "%s", r->site.work);
}

/* Before the first thing is changed, and the first name made. */
static enum rc begin(struct run *r, struct err *e)
{
    bool is_new;

    if (r->job->confirm != NULL && !r->out->resumed)
        TRY(r->job->confirm(r->job->confirm_arg, e));
    TRY(recover_site_begin(&r->site, &is_new, e));
    if (r->journal.fd < 0)
        TRY(recover_journal_open(r->site.journal, r->plan->id, r->job->member,
                                 &r->journal, e));
    return RC_OK;
}

static enum rc check_before(const struct run *r, struct err *e)
{
    if (r->journal.back_begun)
        return err_set(e, RC_REFUSED,
                       "this plan was rolled back here" HINT
                       "make another plan: `holdfast recover --plan FILE`");
    if (done(r, RECOVER_STEP_PUBLISH) || done(r, RECOVER_STEP_JOIN))
        return RC_OK;
    TRY(look_around(r, e));
    return done(r, RECOVER_STEP_ASIDE) ? RC_OK : check_scene(r, false, e);
}

static enum rc conclude(const struct run *r, struct err *e)
{
    r->out->revision = r->journal.revision;
    if (!recover_exists(r->site.data.old))
        return RC_OK;
    return str_format(&r->out->aside, e, "%s", r->site.data.old);
}

enum rc recover_apply(const struct recover_job *job, struct recover_outcome *out,
                      struct err *e)
{
    AT_END(run_end) struct run r = { .site.lock = -1, .journal.fd = -1 };
    AT_END(recover_outcome_clear) struct recover_outcome o = { 0 };

    TRY(open_run(job, &o, &r, e));
    TRY(check_before(&r, e));
    TRY(begin(&r, e));
    if (recover_plan_builds(job->plan, job->member))
        TRY(take_all(&r, builder, sizeof builder / sizeof *builder, e));
    else
        TRY(take_all(&r, joiner, sizeof joiner / sizeof *joiner, e));
    TRY(conclude(&r, e));
    *out = o;
    o = (struct recover_outcome){ 0 };
    return RC_OK;
}

/* ---- back ---------------------------------------------------------------------------
 */

static enum rc was_written(const char *where, int64_t now, int64_t begin, struct err *e)
{
    return err_set(e, RC_REFUSED,
                   "the new cluster has been written to: %s is at revision %" PRId64
                   ", and began with %" PRId64 HINT
                   "the old state would lack that; go on with the new cluster",
                   where, now, begin);
}

/* What the members of the new cluster say that answer. */
static enum rc check_answers(const struct run *r, struct err *e)
{
    AT_END(recover_sightings_clear) struct recover_sightings s = { 0 };
    int64_t now;

    TRY(r->job->hands.look(r->job->hands.arg, true, &s, e));
    now = recover_sightings_revision(&s, r->plan->cluster_id);
    return now > r->journal.revision
               ? was_written("a member that answers", now, r->journal.revision, e)
               : RC_OK;
}

/* What this host's copy says, now that nobody writes to it. */
static enum rc check_written(const struct run *r, struct err *e)
{
    AT_END(recover_copies_clear) struct recover_copies l = { 0 };
    const struct recover_copy *c;

    TRY(recover_survey_directory(&l, r->site.data_dir, r->site.wal_dir, e));
    c = &l.items[0];
    if (!c->readable || c->cluster_id != r->plan->cluster_id)
        return err_set(
            e, RC_REFUSED,
            "'%s' does not tell whether the new cluster was written to%s%s" HINT
            "look at it first: `holdfast assess %s`",
            r->site.data_dir, c->note_count == 0 ? "" : ": ",
            c->note_count == 0 ? "" : c->notes[0].message, r->site.data_dir);
    return recover_revision(c) > r->journal.revision
               ? was_written(r->site.data_dir, recover_revision(c), r->journal.revision,
                             e)
               : RC_OK;
}

/* Is the new directory under etcd's name? */
static bool published(const struct run *r)
{
    return r->journal.begun[RECOVER_STEP_PUBLISH] && recover_slot_is_new(&r->site.data);
}

/* Nothing of it came between the question and the stop, or the new cluster goes on. */
static enum rc stop_unwritten(struct run *r, struct err *e)
{
    struct err ignored = { 0 };

    TRY(check_answers(r, e));
    TRY(r->job->hands.stop(r->job->hands.arg, e));
    if (check_written(r, e) == RC_OK)
        return RC_OK;
    if (start(r, &ignored) != RC_OK)
        log_warn("etcd was stopped and could not be started again: %s", ignored.why);
    return e->code;
}

static enum rc check_back(const struct run *r, struct err *e)
{
    if (!r->journal.begun[RECOVER_STEP_STOP])
        return err_set(e, RC_REFUSED, "nothing of this plan was done on '%s'",
                       r->site.data_dir);
    if (r->journal.begun[RECOVER_STEP_JOIN])
        return err_set(e, RC_REFUSED,
                       "this host has joined the new cluster, or was about to" HINT
                       "take it out with `holdfast member remove %s`, and the old "
                       "directory is '%s'",
                       r->job->member, r->site.data.old);
    return RC_OK;
}

/* As long as it may be refused, nothing is written down: the plan can go on then. */
static enum rc go_back(struct run *r, struct err *e)
{
    if (published(r))
        TRY(stop_unwritten(r, e));
    else
        TRY(r->job->hands.stop(r->job->hands.arg, e));
    TRY(recover_journal_back(&r->journal, false, e));
    if (r->journal.begun[RECOVER_STEP_ASIDE])
        TRY(recover_site_put_back(&r->site, r->journal.begun[RECOVER_STEP_PUBLISH], e));
    TRY(recover_journal_back(&r->journal, true, e));
    return r->journal.was_running ? start(r, e) : RC_OK;
}

enum rc recover_rollback(const struct recover_job *job, struct recover_outcome *out,
                         struct err *e)
{
    AT_END(run_end) struct run r = { .site.lock = -1, .journal.fd = -1 };
    AT_END(recover_outcome_clear) struct recover_outcome o = { 0 };

    TRY(open_run(job, &o, &r, e));
    TRY(check_back(&r, e));
    if (!r.journal.back_done) {
        if (published(&r))
            TRY(check_answers(&r, e));
        if (job->confirm != NULL && !r.journal.back_begun)
            TRY(job->confirm(job->confirm_arg, e));
        TRY(go_back(&r, e));
    }
    if (recover_exists(r.site.data.kept))
        TRY(str_format(&o.aside, e, "%s", r.site.data.kept));
    *out = o;
    o = (struct recover_outcome){ 0 };
    return RC_OK;
}
