#include "cli/defrag_online.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "care/lock.h"
#include "cli/cluster.h"
#include "cli/confirm.h"
#include "cli/state.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/os.h"

static const char *step_name(enum care_defrag_kind kind)
{
    return kind == CARE_DEFRAG_MOVE ? "move-leader" : "defragment";
}

static const char *member_name(const struct care_view *v, uint64_t id, char out[80])
{
    const struct care_member *m = care_member_of(v, id);

    out[0] = '\0';
    return m == NULL ? out : care_called(m, out);
}

static uint64_t free_bytes(const struct care_member *m)
{
    const struct wire_status *s = &m->status;

    return s->db_size > s->db_size_in_use ? s->db_size - s->db_size_in_use : 0;
}

void defrag_say_steps(const struct care_view *v, const struct care_defrag_steps *s)
{
    for (size_t i = 0; i < s->count; i++) {
        const struct care_defrag_step *step = &s->items[i];
        const struct care_member *m = care_member_of(v, step->id);
        char size[32], unused[32], time[24], one[80], other[80];

        if (step->kind == CARE_DEFRAG_MOVE) {
            log_info("step %zu: move leadership from %s to %s", i + 1,
                     member_name(v, step->id, one), member_name(v, step->to, other));
            continue;
        }
        str_size(size, sizeof size, m->status.db_size);
        str_size(unused, sizeof unused, free_bytes(m));
        str_seconds(time, sizeof time, step->estimate_ms);
        log_info("step %zu: defragment %s: %s, of which %s are free; it answers nothing "
                 "for about %s",
                 i + 1, care_called(m, one), size, unused, time);
    }
}

struct result *defrag_show_steps(const struct care_view *v,
                                 const struct care_defrag_steps *s)
{
    struct result *r = result_new_list();
    char name[80];

    for (size_t i = 0; i < s->count; i++) {
        const struct care_defrag_step *step = &s->items[i];

        result_next(r);
        result_u64(r, "Step", "n", i + 1);
        result_str(r, "Action", "action", step_name(step->kind));
        result_str(r, "Member", "member", member_name(v, step->id, name));
        result_str(r, "To", "to", member_name(v, step->to, name));
        result_took(r, "Stall", "estimate_seconds", step->estimate_ms);
    }
    return r;
}

struct result *defrag_show_members(const struct care_defrag *d)
{
    struct result *r = result_new_list();

    for (size_t i = 0; i < d->count; i++) {
        const struct care_defrag_item *item = &d->items[i];
        bool done = item->mark == CARE_DEFRAG_DONE;

        result_next(r);
        result_str(r, "Member", "name", item->called);
        result_id(r, NULL, "memberID", "memberID_hex", item->id);
        result_str(r, "State", "state", care_defrag_mark_name(item->mark));
        result_size(r, "Before", "size_before", item->size_before);
        result_u64(r, NULL, "in_use_before", item->in_use_before);
        result_size(r, "After", "size_after",
                    done ? item->size_after : item->size_before);
        result_u64(r, NULL, "in_use_after",
                   done ? item->in_use_after : item->in_use_before);
        result_took(r, "Took", "took_seconds", item->took_ms);
        result_took(r, "Stall", "stall_seconds", item->stall_ms);
        result_took(r, "Others", "other_stall_seconds", item->other_stall_ms);
        result_str(r, NULL, "why", item->why);
    }
    return r;
}

/* ---- a run ----------------------------------------------------------------------------
 */

struct visit {
    struct cli *cli;
    const struct defrag_online_args *args;
    struct cli_cluster *cluster;
    struct care_view view;
    struct care_rule rule;
    struct care_defrag defrag;
    struct care_defrag_steps steps;
};

static void visit_clear(struct visit *x)
{
    care_view_clear(&x->view);
}

static struct result *describe(const struct visit *x, bool done)
{
    struct result *r = result_new();

    result_id(r, "Cluster", "cluster_id", "cluster_id_hex", x->view.cluster_id);
    result_bool(r, "Dry run", "dry_run", !done);
    if (done)
        result_u64(r, NULL, "leader_moves", x->defrag.moves);
    else
        result_nest(r, "Steps", "steps", defrag_show_steps(&x->view, &x->steps));
    result_nest(r, "Members", "members", defrag_show_members(&x->defrag));
    for (size_t i = 0; i < x->defrag.count && !done; i++)
        if (x->defrag.items[i].why[0] != '\0')
            log_info("%s stays as it is: %s", x->defrag.items[i].called,
                     x->defrag.items[i].why);
    return r;
}

static enum rc parse(const struct defrag_online_args *a, struct visit *x, struct err *e)
{
    if (a->rule == NULL)
        return RC_OK;
    if (care_rule_parse(a->rule, &x->rule, e) != RC_OK)
        return err_wrap(e, "reading --rule '%s'", a->rule);
    return RC_OK;
}

static void warn_of_versions(const struct care_view *v)
{
    for (size_t i = 0; i < v->count; i++) {
        const char *version = v->items[i].status.version;
        char name[80];

        if (v->items[i].answered && strncmp(version, "3.5.", 4) == 0 &&
            version[4] >= '0' && version[4] <= '5' && version[5] == '\0')
            log_warn("%s runs etcd %s, which may lose data when it is killed in a "
                     "defragmentation; 3.5.6 does not",
                     care_called(&v->items[i], name), version);
    }
}

/* Looks, and plans as far as can be told now. */
static enum rc plan(struct visit *x, struct err *e)
{
    const struct defrag_online_args *a = x->args;
    const struct care_defrag_wish wish = {
        .endpoints = a->cluster ? NULL : &x->cli->connection.endpoints,
        .rule = a->rule == NULL ? NULL : &x->rule,
        .move_leader = a->move_leader,
        .max_stall_ms = a->max_stall_ms,
    };

    TRY(care_look(&x->cluster->access, CARE_ASK_METRICS | CARE_ASK_READ, &x->view, e));
    if (x->view.cluster_id == 0)
        return care_view_verdict(&x->view, e);
    x->cluster->cluster_id = x->view.cluster_id;
    TRY(care_defrag_gate(&x->view, e));
    TRY(care_defrag_begin(&x->view, &wish, &x->defrag, e));
    TRY(care_defrag_foresee(&x->view, &x->defrag, &x->steps, e));
    warn_of_versions(&x->view);
    return care_defrag_room(&x->view, &x->defrag, e);
}

static enum rc run_steps(struct visit *x, struct care_journal *journal, struct err *e)
{
    const struct care_defrag_job job = {
        .access = &x->cluster->access,
        .journal = journal,
        .wait_between_ms = x->args->wait_between_ms,
        .settle_ms = DEFRAG_SETTLE_MS,
        .timeout_ms = x->args->timeout_ms,
        .continue_on_error = x->args->continue_on_error,
    };
    enum rc rc = care_defrag_run(&job, &x->defrag, e);

    if (rc == RC_OK)
        rc = care_defrag_result(&x->defrag, e);
    care_journal_settle(journal, rc, e);
    return rc;
}

static size_t rewrites(const struct care_defrag_steps *s)
{
    size_t n = 0;

    for (size_t i = 0; i < s->count; i++)
        n += s->items[i].kind == CARE_DEFRAG_REWRITE;
    return n;
}

/* What was done is shown also when it ended badly. */
static enum rc execute(struct visit *x, struct care_store *store, struct err *e)
{
    struct care_journal journal;
    OWNED(result) r = NULL;
    size_t n = rewrites(&x->steps);
    char what[80];
    enum rc rc;

    snprintf(what, sizeof what, "defragment %zu member%s", n, n == 1 ? "" : "s");
    if (n > 0) {
        defrag_say_steps(&x->view, &x->steps);
        TRY(cli_confirm(x->cli, x->view.cluster_id, what, e));
    }
    TRY(care_journal_begin(&journal, store, x->view.cluster_id, "defrag", what, e));
    rc = run_steps(x, &journal, e);
    r = describe(x, true);
    if (rc == RC_OK)
        return cli_show(x->cli, r, e);

    struct err second = { 0 };

    if (cli_show(x->cli, r, &second) != RC_OK)
        log_warn("the result could not be shown: %s", second.why);
    return rc;
}

enum rc defrag_online(struct cli *c, const struct defrag_online_args *a, struct err *e)
{
    AT_END(cli_cluster_clear) struct cli_cluster k = { 0 };
    AT_END(visit_clear) struct visit x = { .cli = c, .args = a, .cluster = &k };
    OWNED(care_store) store = NULL;
    OWNED_FD int lock = -1;

    TRY(parse(a, &x, e));
    TRY(cli_cluster_init(&k, c, e));
    TRY(plan(&x, e));
    if (c->dry_run) {
        OWNED(result) r = describe(&x, false);

        return cli_show(c, r, e);
    }
    cli_state_try(c, &store);
    cli_state_sample(store, &x.view);
    TRY(care_lock_take(store, x.view.cluster_id, CARE_LOCK_CHANGE, &lock, e));
    return execute(&x, store, e);
}
