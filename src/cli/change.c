#include "cli/change.h"

#include <inttypes.h>
#include <stdio.h>

#include "cli/beside.h"
#include "cli/confirm.h"
#include "cli/state.h"
#include "util/log.h"
#include "util/mem.h"

const char *const change_forms[] = {
    [MEMBERSHIP_FLAGS] = "flags",
    [MEMBERSHIP_ENV] = "env",
    [MEMBERSHIP_UNIT] = "systemd",
    [MEMBERSHIP_POD] = "static-pod",
    NULL,
};

enum rc change_begin(struct change *h, struct cli *c, struct err *e)
{
    h->cli = c;
    TRY(cli_cluster_init(&h->k, c, e));
    TRY(membership_look_settled(&h->k.access, &h->look, e));
    h->k.cluster_id = h->look.view.cluster_id;
    return RC_OK;
}

void change_clear(struct change *h)
{
    membership_look_clear(&h->look);
    care_store_free(h->store);
    if (h->cli != NULL)
        cli_cluster_clear(&h->k);
}

enum rc change_recall(struct change *h, const char *kind, const char *words,
                      struct err *e)
{
    if (h->store == NULL)
        cli_state_try(h->cli, &h->store);
    TRY(resume_recall(h->store, h->look.view.cluster_id, kind, words, &h->past, e));
    if (h->past.found)
        log_info("an earlier run of this broke off: it goes on from there");
    return RC_OK;
}

enum rc change_check_backup(struct change *h, const struct change_new_args *a,
                            struct err *e)
{
    bool taken = a->backup != NULL && resume_has_backup(&h->past, a->backup);
    size_t kept = 0;

    if (a->backup == NULL && !a->no_backup)
        return err_set(e, RC_USAGE,
                       "a snapshot is taken first, and no place for it is named" HINT
                       "--backup FILE names one, --no-backup does without");
    if (taken)
        log_info("the earlier run took the backup: '%s'", a->backup);
    for (size_t i = 0; i < h->plan.count; i++)
        if (!(a->no_backup || taken) || h->plan.items[i].kind != MEMBER_BACKUP)
            h->plan.items[kept++] = h->plan.items[i];
    h->plan.count = kept;
    return RC_OK;
}

/* ---- showing ------------------------------------------------------------- */

const char *change_advice(const struct member_plan *p, char *out, size_t n)
{
    size_t voters = p->count == 0 ? 0 : p->items[p->count - 1].after.voters;

    return quorum_trap(voters, out, n);
}

/* "3", or "3 -> 2" when it changes. */
static void show_move(struct result *r, const char *label, size_t before, size_t after)
{
    char text[48];

    if (before == after)
        snprintf(text, sizeof text, "%zu", after);
    else
        snprintf(text, sizeof text, "%zu -> %zu", before, after);
    result_str(r, label, NULL, text);
}

static struct json *quorum_json(struct quorum q)
{
    struct json *o = json_new_object();

    json_set_u64(o, "voters", q.voters);
    json_set_u64(o, "up", q.up);
    json_set_u64(o, "needed", q.needed);
    json_set_u64(o, "tolerance", q.tolerance);
    json_set_u64(o, "tolerates", q.tolerates);
    return o;
}

static void show_step(struct result *r, const struct change *h,
                      const struct member_step *s, const struct membership_new *who)
{
    char text[300];

    membership_describe(&h->look, s, who, text, sizeof text);
    result_next(r);
    result_str(r, "Step", "text", text);
    result_str(r, NULL, "step", member_step_name(s->kind));
    if (s->id != 0)
        result_id(r, NULL, "member_id", "member_id_hex", s->id);
    show_move(r, "Voters", s->before.voters, s->after.voters);
    show_move(r, "Up", s->before.up, s->after.up);
    show_move(r, "Needed", s->before.needed, s->after.needed);
    show_move(r, "May fail", s->before.tolerates, s->after.tolerates);
    result_json(r, "before", quorum_json(s->before));
    result_json(r, "after", quorum_json(s->after));
}

/* Does this step end what concerns one of the members that come, one that an earlier run
 * added included? The next step is then about the next of them. */
static bool has_come(const struct member_step *s, const struct change_job *job)
{
    return s->kind == MEMBER_PROMOTE &&
           (s->id == 0 || (job != NULL && s->id == job->adopted));
}

struct result *change_steps(const struct change *h, const struct change_job *job)
{
    struct result *r = result_new_list();
    size_t next = 0;

    for (size_t i = 0; i < h->plan.count; i++) {
        const struct member_step *s = &h->plan.items[i];
        const struct membership_new *who = NULL;

        if (job != NULL && next < job->fresh_count)
            who = &job->fresh[next];
        show_step(r, h, s, who);
        next += has_come(s, job);
    }
    return r;
}

void change_show_advice(struct result *r, const char *advice)
{
    result_str(r, advice == NULL ? NULL : "Advice", "advice", advice);
}

static struct result *describe(const struct change *h, const struct change_job *job,
                               const struct membership_run *run, struct result *steps)
{
    struct result *r = result_new();
    char advice[300];

    result_id(r, "Cluster", "cluster_id", "cluster_id_hex", h->look.view.cluster_id);
    result_str(r, NULL, "command", job->kind);
    result_bool(r, "Done", "done", run != NULL && run->done == h->plan.count);
    change_show_advice(r, change_advice(&h->plan, advice, sizeof advice));
    if (run != NULL && run->added != 0) {
        result_id(r, "Member added", "added_id", "added_id_hex", run->added);
        result_bool(r, NULL, "undone", run->undone);
    }
    if (run != NULL && run->saved.proved) {
        result_str(r, "Backup", "backup", job->with->backup);
        result_i64(r, "Backup revision", "backup_revision", run->saved.facts.revision);
    }
    if (run != NULL && run->compared != 0)
        result_i64(r, "Equal at revision", "equal_at_revision", run->compared);
    result_nest(r, "Plan", "plan", steps);
    return r;
}

/* Beside the result, for the person who is about to confirm or to act. */
static enum rc tell(struct cli *c, const struct result *r, struct err *e)
{
    TRY(render(c->console->to, RENDER_SIMPLE, r, e));
    console_flush(c->console);
    return RC_OK;
}

struct doing {
    const struct change *h;
    const struct change_job *job;
};

static enum rc announce(void *arg, const struct membership_look *l,
                        const struct membership_new *who, uint64_t id, struct err *e)
{
    const struct doing *d = arg;
    const struct change_job *job = d->job;
    AT_END(mem_end) char *text = NULL;
    const struct membership_place place = {
        .form = job->with->form,
        .data_dir = job->with->data_dir,
        .cert_dir = job->with->cert_dir,
    };
    struct console *to = d->h->cli->console;
    char *rest;

    TRY(membership_start_text(l, who, &place, &text, e));
    pthread_mutex_lock(&to->lock);
    console_erase(to);
    printer_printf(to->to,
                   "\nStart member %" PRIx64 " on its host now, with an empty "
                   "data directory:\n\n",
                   id);
    for (char *line = text; *line != '\0'; line = rest) {
        rest = str_line(line);
        printer_put_printable(to->to, line);
        printer_put(to->to, "\n");
    }
    printer_put(to->to, "\n");
    console_flush(to);
    pthread_mutex_unlock(&to->lock);
    return RC_OK;
}

/* ---- doing --------------------------------------------------------------- */

static enum rc confirm(struct change *h, const struct change_job *job, struct err *e)
{
    if (job->word == NULL)
        return cli_confirm(h->cli, h->look.view.cluster_id, job->what, e);
    return cli_confirm_word(h->cli, job->word, job->is, job->what, e);
}

static enum rc back_up(void *arg, struct wire_client *w, struct snap_saved *out,
                       struct err *e)
{
    const struct doing *d = arg;
    const struct change_new_args *with = d->job->with;
    AT_END(beside_end) struct beside beside = BESIDE(d->h->cli);
    OWNED(age_recipients) recipients = NULL;
    struct snap_save_options o = {
        .file = with->backup,
        .rate_auto = true,
        .begins = beside_begins,
        .begins_arg = &beside,
    };

    TRY(cli_recipients(&with->seal, &recipients, e));
    o.recipients = recipients;
    return snap_save(w, &o, out, e);
}

static enum rc run_it(struct change *h, const struct change_job *job,
                      struct membership_run *run, struct err *e)
{
    const struct cli_connection *o = &h->cli->connection;
    const struct http_options trust = {
        .cacert = o->cacert,
        .cert = o->cert,
        .key = o->key,
        .insecure_skip_verify = o->insecure_skip_tls_verify,
    };
    struct care_journal journal = { 0 };
    struct doing doing = { h, job };
    enum rc rc;

    if (h->store == NULL)
        cli_state_try(h->cli, &h->store);
    TRY(care_journal_begin(&journal, h->store, h->look.view.cluster_id, job->kind,
                           job->detail == NULL ? job->what : job->detail, e));
    run->access = &h->k.access;
    run->journal = &journal;
    run->fresh = job->fresh;
    run->fresh_count = job->fresh_count;
    run->adopted = job->adopted;
    run->peer_urls = job->peer_urls;
    run->trust = &trust;
    run->back_up = back_up;
    run->announce = announce;
    run->arg = &doing;
    if (job->with != NULL)
        run->wait_ms = job->with->wait_ms;
    rc = membership_run(run, &h->look, &h->plan, e);
    run->journal = NULL; /* what it borrowed ends here */
    run->trust = NULL;
    run->arg = NULL;
    return rc;
}

enum rc change_carry_out(struct change *h, const struct change_job *job, struct err *e)
{
    AT_END(membership_run_clear) struct membership_run run = { 0 };
    struct result *steps = change_steps(h, job);
    OWNED(result) r = NULL;
    enum rc rc;

    if (h->cli->dry_run) {
        r = describe(h, job, NULL, steps);
        return cli_show(h->cli, r, e);
    }
    rc = steps == NULL ? err_set(e, RC_NOMEM, "no memory for a plan")
                       : tell(h->cli, steps, e);
    if (rc == RC_OK)
        rc = confirm(h, job, e);
    if (rc != RC_OK) {
        result_free(steps);
        return rc;
    }
    rc = run_it(h, job, &run, e);
    r = describe(h, job, &run, steps);
    if (rc == RC_OK || rc == RC_DEGRADED)
        TRY(cli_show(h->cli, r, e));
    return rc;
}
