#include "cli/compact_online.h"

#include <inttypes.h>
#include <stdio.h>

#include "care/compact_plan.h"
#include "care/hold.h"
#include "care/journal.h"
#include "care/samples.h"
#include "cli/cluster.h"
#include "cli/confirm.h"
#include "cli/state.h"
#include "util/clock.h"
#include "util/log.h"
#include "wire/kv.h"

enum { PROTECT_MAX = 64 };

struct job {
    struct cli *cli;
    const struct compact_online_args *args;
    struct cli_cluster cluster;
    struct care_view view;
    int64_t protect[PROTECT_MAX + 1];
    int64_t held; /* by a snapshot that is being taken; -1: none */
    struct care_compact_plan plan;
    uint64_t gain;
    bool gain_known;
};

static void job_clear(struct job *j)
{
    care_view_clear(&j->view);
    cli_cluster_clear(&j->cluster);
}

static enum rc parse_protect(struct job *j, struct care_compact_wish *w, struct err *e)
{
    const struct str_list *given = &j->args->protect;

    if (given->count > PROTECT_MAX)
        return err_set(e, RC_USAGE, "more than %d revisions to protect", PROTECT_MAX);
    for (size_t i = 0; i < given->count; i++)
        if (!str_to_i64(given->items[i], &j->protect[i]) || j->protect[i] < 1)
            return err_set(e, RC_USAGE, "--protect '%s' is no revision", given->items[i]);
    w->protect = j->protect;
    w->protect_count = given->count;
    return RC_OK;
}

/* What a snapshot needs that is being taken at this moment, by us and on this host. */
static enum rc protect_held(struct job *j, const struct care_store *store,
                            struct care_compact_wish *w, struct err *e)
{
    TRY(care_held(store, j->view.cluster_id, &j->held, e));
    if (j->held < 0)
        return RC_OK;
    log_info("a snapshot is being taken: revision %" PRId64 " stays", j->held);
    j->protect[w->protect_count++] = j->held;
    return RC_OK;
}

/* What was the newest revision back then? */
static enum rc revision_of_time(struct job *j, struct care_store *store,
                                struct care_compact_wish *w, struct err *e)
{
    int64_t now = clock_unix_ms() / 1000, seen;

    if (store == NULL)
        return err_set(e, RC_USAGE,
                       "--keep needs the state directory, which knows what the revision "
                       "was then" HINT "say --keep-revisions instead");
    if (j->args->keep_ms / 1000 > (uint64_t)now)
        return err_set(e, RC_USAGE, "--keep is longer than the world is old");
    TRY(care_samples_revision(store, j->view.cluster_id,
                              now - (int64_t)(j->args->keep_ms / 1000), &w->number, &seen,
                              e));
    log_info("revision %" PRId64 " was the newest %" PRId64 " minutes ago", w->number,
             (now - seen) / 60);
    return RC_OK;
}

/* The highest that any member tells; 0 when none does. */
static int64_t compacted(const struct care_view *v)
{
    int64_t highest = 0;

    for (size_t i = 0; i < v->count; i++) {
        const struct care_member *m = &v->items[i];

        if (m->answered && m->metrics_known && m->metrics.compacted > (double)highest)
            highest = (int64_t)m->metrics.compacted;
    }
    return highest;
}

static void estimate(struct job *j, struct wire_client *w)
{
    AT_END(wire_kvs_clear) struct wire_kvs kvs = { 0 };
    const struct wire_range all = { .key = { (const uint8_t *)"\0", 1 },
                                    .end = { (const uint8_t *)"\0", 1 },
                                    .serializable = true,
                                    .count_only = true };
    const struct care_member *leader = care_leader(&j->view);
    struct err ignored = { 0 };

    if (leader == NULL || !leader->answered ||
        wire_range_get(w, &all, &kvs, &ignored) != RC_OK)
        return;
    j->gain_known = kvs.total >= 0;
    if (!j->gain_known)
        return;
    j->gain =
        care_compact_gain(&j->plan, (uint64_t)kvs.total, leader->status.db_size_in_use);
}

static struct result *describe(const struct job *j, bool done)
{
    struct result *r = result_new();

    result_id(r, "Cluster", "cluster_id", "cluster_id_hex", j->view.cluster_id);
    result_i64(r, "Newest revision", "revision", j->plan.newest);
    result_i64(r, "Compacted before", "compacted_before", j->plan.compacted);
    result_i64(r, "Compact up to", "compact_revision", j->plan.target);
    result_i64(r, "Revisions kept", "kept", j->plan.newest - j->plan.target);
    result_bool(r, "Lowered to protect", "protected", j->plan.protected);
    if (j->held >= 0)
        result_i64(r, "A snapshot needs", "held", j->held);
    else
        result_str(r, NULL, "held", NULL);
    if (j->gain_known)
        result_size(r, "Frees at most about", "gain_estimate", j->gain);
    else
        result_str(r, NULL, "gain_estimate", NULL);
    result_bool(r, "Done", "done", done);
    return r;
}

/* A compaction changes every member, so all that matters is that the cluster is the one
 * that was looked at, has a leader, and still has what was planned with. */
static enum rc check_again(struct job *j, const struct care_store *store, struct err *e)
{
    AT_END(care_view_clear) struct care_view now = { 0 };
    int64_t held;

    TRY(care_look(&j->cluster.access, 0, &now, e));
    TRY(care_held(store, j->view.cluster_id, &held, e));
    if (held >= 0 && held < j->plan.target)
        return err_set(e, RC_LOCKED,
                       "a snapshot that needs revision %" PRId64
                       " has begun meanwhile" HINT
                       "run this again; it will go no further than that",
                       held);
    if (now.cluster_id == j->view.cluster_id && now.leader != 0 &&
        now.revision >= j->plan.newest)
        return RC_OK;
    return err_set(e, RC_REFUSED,
                   "the cluster is not as it was when this was planned" HINT
                   "'holdfast status' shows how it is; then run this again");
}

static enum rc run(struct job *j, struct wire_client *w, struct care_store *store,
                   struct err *e)
{
    struct care_journal journal = { 0 };
    char what[100];
    int64_t step;
    enum rc rc;

    snprintf(what, sizeof what, "compact up to revision %" PRId64, j->plan.target);
    TRY(cli_confirm(j->cli, j->view.cluster_id, what, e));
    TRY(check_again(j, store, e));
    TRY(care_journal_begin(&journal, store, j->view.cluster_id, "compact", what, e));
    TRY(care_journal_step(&journal, what, &step, e));
    rc = wire_compact(w, j->plan.target, j->args->physical, e);
    if (rc != RC_OK && wire_last(w)->detail == WIRE_COMPACTED) {
        log_info("somebody else has compacted further meanwhile");
        rc = RC_OK;
    }
    care_journal_settle_step(&journal, step, what, rc, e);
    care_journal_settle(&journal, rc, e);
    return rc;
}

static enum rc plan(struct job *j, struct care_store *store, int64_t revision,
                    int64_t keep_revisions, struct err *e)
{
    struct care_compact_wish w = { .keeps = keep_revisions >= 0,
                                   .number =
                                       keep_revisions >= 0 ? keep_revisions : revision,
                                   .allow_newest = j->args->allow_newest };

    TRY(parse_protect(j, &w, e));
    TRY(protect_held(j, store, &w, e));
    if (j->args->keep_ms > 0)
        TRY(revision_of_time(j, store, &w, e));
    return care_compact_plan(j->view.revision, compacted(&j->view), &w, &j->plan, e);
}

enum rc compact_online(struct cli *c, const struct compact_online_args *a,
                       int64_t revision, int64_t keep_revisions, struct err *e)
{
    AT_END(job_clear) struct job j = { .cli = c, .args = a };
    AT_END(cli_login_clear) struct cli_login login = { 0 };
    OWNED(care_store) store = NULL;
    OWNED(wire_client) w = NULL;
    OWNED(result) r = NULL;
    bool acts;

    TRY(cli_cluster_init(&j.cluster, c, e));
    TRY(care_look(&j.cluster.access, CARE_ASK_METRICS, &j.view, e));
    if (j.view.cluster_id == 0)
        return care_view_verdict(&j.view, e);
    if (j.view.leader == 0)
        return err_set(e, RC_REFUSED,
                       "the members that answer know no leader: nothing can be "
                       "compacted" HINT "'holdfast doctor' says what to do");
    j.cluster.cluster_id = j.view.cluster_id;
    cli_state_try(c, &store);
    TRY(plan(&j, store, revision, keep_revisions, e));
    TRY(cli_connect(c, &login, &w, e));
    estimate(&j, w);
    acts = !c->dry_run && !j.plan.nothing;
    if (j.plan.nothing)
        log_info("that much has been compacted already; there is nothing to do");
    if (acts) {
        log_info("history up to revision %" PRId64 " goes, %" PRId64 " revisions stay",
                 j.plan.target, j.plan.newest - j.plan.target);
        TRY(run(&j, w, store, e));
    }
    r = describe(&j, acts);
    return cli_show(c, r, e);
}
