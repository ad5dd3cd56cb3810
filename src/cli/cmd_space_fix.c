/* space fix: out of NOSPACE in one command. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "care/lock.h"
#include "care/space_fix.h"
#include "cli/cluster.h"
#include "cli/commands.h"
#include "cli/confirm.h"
#include "cli/defrag_online.h"
#include "cli/state.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/os.h"

struct fix_args {
    const char *keep; /* text: 0 is not the same as not given */
    uint64_t protect;
    uint64_t timeout_ms;
    bool move_leader;
};

enum { KEEP_REVISIONS = 1000 };

/* clang-format off */
static const struct opt fix_opts[] = {
    OPT(STR, "keep-revisions", fix_args, keep, .arg = "N",
        .help = "keep exactly so many; else 1000, or fewer when that leaves no room"),
    OPT(U64, "protect", fix_args, protect, .arg = "REV",
        .help = "compact nothing of this revision or later; 0 is no limit"),
    OPT(FLAG, "move-leader", fix_args, move_leader,
        .help = "move leadership away before the leader's turn"),
    OPT(DURATION, "timeout", fix_args, timeout_ms, .arg = "DURATION",
        .help = "longest wait for one member's defragmentation"),
    OPT_DONE,
};
/* clang-format on */

struct visit {
    struct cli *cli;
    const struct fix_args *args;
    struct cli_cluster *cluster;
    struct care_view view;
    struct care_fix_wish wish;
    struct care_defrag_steps steps;
    struct care_fix fix;
    bool corrupt, nospace;
};

static void visit_clear(struct visit *x)
{
    care_view_clear(&x->view);
}

static enum rc parse(const struct fix_args *a, struct care_fix_wish *w, struct err *e)
{
    *w = (struct care_fix_wish){ .keep = KEEP_REVISIONS, .move_leader = a->move_leader };
    if (a->protect > INT64_MAX)
        return err_set(e, RC_USAGE, "--protect is no revision");
    w->protect = (int64_t)a->protect;
    if (a->keep == NULL)
        return RC_OK;
    w->keep_exactly = true;
    if (!str_to_i64(a->keep, &w->keep) || w->keep < 0)
        return err_set(e, RC_USAGE, "--keep-revisions '%s' is no number of revisions",
                       a->keep);
    return RC_OK;
}

/* ---- the plan -------------------------------------------------------------------------
 */

static enum rc foresee(struct visit *x, struct err *e)
{
    const struct care_defrag_wish wish = { .move_leader = x->wish.move_leader };
    struct care_defrag *d = &x->fix.defrag;

    x->steps.count = 0;
    TRY(care_defrag_begin(&x->view, &wish, d, e));
    if (x->corrupt)
        return RC_OK; /* reads are refused until that is settled */
    TRY(care_defrag_foresee(&x->view, d, &x->steps, e));
    return care_defrag_room(&x->view, d, e);
}

static enum rc plan(struct visit *x, struct err *e)
{
    TRY(care_look(&x->cluster->access, CARE_ASK_METRICS | CARE_ASK_READ, &x->view, e));
    if (x->view.cluster_id == 0)
        return care_view_verdict(&x->view, e);
    x->cluster->cluster_id = x->view.cluster_id;
    TRY(care_fix_gate(&x->view, &x->corrupt, e));
    for (size_t i = 0; i < x->view.count; i++)
        x->nospace |= (x->view.items[i].alarms & 1U << WIRE_ALARM_NOSPACE) != 0;
    return foresee(x, e);
}

static int64_t first_target(const struct visit *x)
{
    return care_space_target(&x->view, x->wish.keep);
}

static void add_step(struct result *r, unsigned *n, const char *action, const char *what)
{
    result_next(r);
    result_u64(r, "Step", "n", ++*n);
    result_str(r, "Action", "action", action);
    result_str(r, "What", "what", what);
}

static void describe_compaction(const struct visit *x, char *out, size_t n)
{
    int64_t target = first_target(x);

    if (target > 0)
        snprintf(out, n, "at revision %" PRId64 " of %" PRId64 "%s", target,
                 x->view.revision,
                 x->wish.keep_exactly ? "" : ", later if that leaves no room");
    else
        snprintf(out, n, "nothing yet, of %" PRId64 " revisions%s", x->view.revision,
                 x->wish.keep_exactly ? "" : "; later ones if there is no room");
}

static struct result *plan_steps(const struct visit *x)
{
    struct result *r = result_new_list();
    char what[200], name[80];
    unsigned n = 0;

    if (x->corrupt)
        add_step(r, &n, "disarm-corrupt", "only when all voters hold the same data");
    describe_compaction(x, what, sizeof what);
    add_step(r, &n, "compact", what);
    for (size_t i = 0; i < x->steps.count; i++) {
        const struct care_defrag_step *s = &x->steps.items[i];
        const struct care_member *m =
            care_member_of(&x->view, s->kind == CARE_DEFRAG_MOVE ? s->to : s->id);

        add_step(r, &n, s->kind == CARE_DEFRAG_MOVE ? "move-leader" : "defragment",
                 care_called(m, name));
    }
    add_step(r, &n, "disarm-nospace", "only when all are below 90 % of their quota");
    add_step(r, &n, "prove", "put a key, and delete it");
    return r;
}

static struct result *describe_plan(const struct visit *x)
{
    struct result *r = result_new();

    result_id(r, "Cluster", "cluster_id", "cluster_id_hex", x->view.cluster_id);
    result_bool(r, "Dry run", "dry_run", true);
    result_bool(r, "NOSPACE", "alarm", x->nospace);
    result_nest(r, "Steps", "steps", plan_steps(x));
    return r;
}

static void say_plan(const struct visit *x)
{
    char what[200];

    describe_compaction(x, what, sizeof what);
    log_info("first: compact, %s", what);
    log_info("then: defragment all members, one at a time, the leader last");
    log_info("then: disarm NOSPACE if all are below 90 %% of their quota, and prove it "
             "by a write");
}

/* ---- doing it -------------------------------------------------------------------------
 */

static struct result *describe(const struct visit *x)
{
    const struct care_fix *f = &x->fix;
    struct result *r = result_new();

    result_id(r, "Cluster", "cluster_id", "cluster_id_hex", x->view.cluster_id);
    result_bool(r, NULL, "dry_run", false);
    result_i64(r, "Compacted at", "compacted_at", f->compacted_at);
    result_i64(r, NULL, "kept_revisions", f->kept);
    result_u64(r, "Alarms disarmed", "disarmed", f->disarmed);
    result_bool(r, "Writes proved", "proved", f->proved_revision != 0);
    result_i64(r, NULL, "proved_revision", f->proved_revision);
    result_nest(r, "Members", "members", defrag_show_members(&f->defrag));
    return r;
}

static enum rc run(struct visit *x, struct care_journal *journal, struct err *e)
{
    AT_END(cli_login_clear) struct cli_login login = { 0 };
    OWNED(wire_client) writer = NULL;
    struct care_fix_job job = {
        .defrag = { .access = &x->cluster->access,
                    .journal = journal,
                    .settle_ms = DEFRAG_SETTLE_MS,
                    .timeout_ms = x->args->timeout_ms },
    };

    TRY(cli_connect(x->cli, &login, &writer, e));
    job.writer = writer;
    return care_fix_run(&job, &x->wish, &x->fix, e);
}

static enum rc run_in_journal(struct visit *x, struct care_store *store, struct err *e)
{
    struct care_journal journal;
    enum rc rc;

    TRY(care_journal_begin(&journal, store, x->view.cluster_id, "space fix",
                           "compact, defragment, disarm NOSPACE, prove", e));
    rc = run(x, &journal, e);
    care_journal_settle(&journal, rc, e);
    return rc;
}

static enum rc execute(struct visit *x, struct err *e)
{
    OWNED(care_store) store = NULL;
    OWNED(result) r = NULL;
    OWNED_FD int lock = -1;
    struct err second = { 0 };
    enum rc rc;

    cli_state_try(x->cli, &store);
    cli_state_sample(store, &x->view);
    TRY(care_lock_take(store, x->view.cluster_id, CARE_LOCK_CHANGE, &lock, e));
    say_plan(x);
    TRY(cli_confirm(x->cli, x->view.cluster_id, "do this", e));
    rc = run_in_journal(x, store, e);
    r = describe(x);
    if (rc == RC_OK)
        return cli_show(x->cli, r, e);
    if (cli_show(x->cli, r, &second) != RC_OK)
        log_warn("the result could not be shown: %s", second.why);
    return rc;
}

static enum rc fix(struct cli *c, const void *args, struct err *e)
{
    const struct fix_args *a = args;
    AT_END(cli_cluster_clear) struct cli_cluster k = { 0 };
    AT_END(visit_clear) struct visit x = { .cli = c, .args = a, .cluster = &k };

    TRY(parse(a, &x.wish, e));
    TRY(cli_cluster_init(&k, c, e));
    TRY(plan(&x, e));
    if (c->dry_run) {
        OWNED(result) r = describe_plan(&x);

        return cli_show(c, r, e);
    }
    return execute(&x, e);
}

const struct command cmd_space_fix = {
    .name = "space fix",
    .summary = "out of NOSPACE: compact, defragment, disarm, prove",
    .description =
        "Brings writes back to a cluster whose quota is exhausted. Old revisions are "
        "compacted, keeping the newest 1000; when that leaves no room and "
        "--keep-revisions was not given, 100, 10, and at last only what is live. All "
        "members are "
        "defragmented as `holdfast defrag --cluster` does it. NOSPACE is disarmed only "
        "when every member is below 90 % of its quota, since it would come back "
        "otherwise. At the end a key below holdfast/space-probe/ is put and deleted, to "
        "prove that writes are taken.\n\n"
        "Watchers and clients that ask for a revision that is gone are told so, and must "
        "list again; --protect REV keeps what a running backup or a slow watcher "
        "needs.\n\n"
        "While CORRUPT is raised, nothing is done unless all voters answer and hold the "
        "same data; then that alarm is disarmed first.",
    .examples = "# what would be done?\n"
                "holdfast space fix --dry-run --endpoints 10.0.0.1:2379\n"
                "holdfast space fix --yes --endpoints 10.0.0.1:2379\n",
    .opts = fix_opts,
    .uses = CLI_CONNECTION | CLI_OUTPUT | CLI_DRY_RUN | CLI_YES | CLI_STATE,
    .args_size = sizeof(struct fix_args),
    .run = fix,
};
