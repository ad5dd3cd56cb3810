#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "care/doctor.h"
#include "cli/cluster.h"
#include "cli/commands.h"
#include "cli/members.h"
#include "cli/repos.h"
#include "cli/state.h"
#include "util/clock.h"
#include "util/mem.h"

enum { TREND_S = 7 * 24 * 3600 };

struct doctor_args {
    struct repo_args repo;
    uint64_t age_ms;
};

/* clang-format off */
static const struct opt doctor_opts[] = {
    REPO_OPTS(doctor_args, repo, false),
    OPT(DURATION, "backup-age", doctor_args, age_ms, .arg = "DURATION", .fallback = "26h",
        .help = "with --repo: an older newest backup is a finding"),
    OPT_DONE,
};
/* clang-format on */

/* All that was asked; the exam borrows from it. */
struct visit {
    struct care_view view;
    struct care_vote vote;
    struct err vote_failure;
    struct care_certs certs;
    struct care_trend *trends;
    struct care_unfinished unfinished;
    struct care_backups backups;
    struct err repo_failure;
    char repo_options[800];
    struct buf endpoints;
    struct care_exam exam;
    struct care_diagnosis diagnosis;
};

static void visit_clear(struct visit *v)
{
    care_diagnosis_clear(&v->diagnosis);
    care_vote_clear(&v->vote);
    care_certs_clear(&v->certs);
    care_view_clear(&v->view);
    mem_free(v->trends);
    buf_clear(&v->endpoints);
}

/* "10.0.0.1:2379,10.0.0.2:2379", for a shell. */
static enum rc quote_endpoints(struct cli *c, struct buf *out, struct err *e)
{
    const struct str_list *given = &c->connection.endpoints;

    for (size_t i = 0; i < given->count; i++) {
        char word[300];

        care_shell_word(word, sizeof word, given->items[i]);
        if (i > 0)
            TRY(buf_add(out, ",", 1, e));
        TRY(buf_add(out, word, strlen(word), e));
    }
    return buf_add(out, "", 1, e);
}

static enum rc read_trends(struct care_store *store, struct visit *v, struct err *e)
{
    TRY(mem_new(&v->trends, (v->view.count + 1) * sizeof *v->trends, "trends", e));
    for (size_t i = 0; i < v->view.count; i++) {
        const struct care_member *m = &v->view.items[i];
        AT_END(care_samples_clear) struct care_samples s = { 0 };

        if (m->id == 0)
            continue;
        TRY(care_samples_get(store, v->view.cluster_id, m->id, v->exam.now - TREND_S, &s,
                             e));
        v->trends[i].forecast = care_forecast(s.items, s.count, m->quota);
        v->trends[i].habit = care_compaction_habit(s.items, s.count);
    }
    v->exam.trends = v->trends;
    return RC_OK;
}

/* What is remembered helps, and is not needed. */
static enum rc remember(struct cli *c, struct visit *v, struct err *e)
{
    OWNED(care_store) store = NULL;
    bool found = false;

    cli_state_try(c, &store);
    cli_state_sample(store, &v->view);
    if (store == NULL || v->view.cluster_id == 0)
        return RC_OK;
    TRY(read_trends(store, v, e));
    TRY(care_journal_unfinished(store, v->view.cluster_id, v->exam.now, &v->unfinished,
                                &found, e));
    if (found)
        v->exam.unfinished = &v->unfinished;
    return RC_OK;
}

static enum rc read_backups(struct cli *c, const struct repo_args *a,
                            struct care_backups *out, struct err *e)
{
    AT_END(cli_repo_clear) struct cli_repo k = { 0 };
    const struct chain_item *newest;
    OWNED(chain) log = NULL;

    TRY(cli_repo_open(c, a, &k, e));
    TRY(repo_log(k.repo, &log, e));
    TRY(repo_log_check(log, e));
    newest = chain_newest(log, true);
    if (newest != NULL) {
        out->newest = newest->record->created;
        out->sequence = newest->at.sequence;
    }
    return RC_OK;
}

static void name_repository(const struct repo_args *a, char *out, size_t n)
{
    char repo[500], cluster[100];

    care_shell_word(repo, sizeof repo, a->repo);
    care_shell_word(cluster, sizeof cluster, a->cluster == NULL ? "NAME" : a->cluster);
    snprintf(out, n, "--repo %s --cluster %s", repo, cluster);
}

static void look_at_backups(struct cli *c, const struct doctor_args *a, struct visit *v)
{
    if (a->repo.repo == NULL)
        return;
    name_repository(&a->repo, v->repo_options, sizeof v->repo_options);
    v->backups.options = v->repo_options;
    v->backups.age_max = (int64_t)(a->age_ms / 1000);
    if (read_backups(c, &a->repo, &v->backups, &v->repo_failure) != RC_OK)
        v->backups.failure = v->repo_failure.why;
    v->exam.backups = &v->backups;
}

static enum rc examine(struct cli *c, struct cli_cluster *k, struct visit *v,
                       struct err *e)
{
    v->exam.now = clock_unix_ms() / 1000;
    v->exam.view = &v->view;
    v->exam.certs = &v->certs;
    TRY(care_look_settled(&k->access, CARE_ASK_METRICS | CARE_ASK_READ, &v->view, e));
    k->cluster_id = v->view.cluster_id;
    if (v->view.cluster_id != 0 &&
        care_vote_take(&k->access, &v->view, &v->vote, &v->vote_failure) == RC_OK)
        v->exam.vote = &v->vote;
    else if (v->view.cluster_id != 0)
        v->exam.vote_failure = v->vote_failure.why;
    TRY(care_certs_look(&k->access, &v->view, c->connection.cert, c->connection.cacert,
                        &v->certs, e));
    TRY(remember(c, v, e));
    TRY(quote_endpoints(c, &v->endpoints, e));
    v->exam.endpoints = (const char *)v->endpoints.p;
    return care_diagnose(&v->exam, &v->diagnosis, e);
}

/* ---- showing ------------------------------------------------------------------------
 */

static struct result *findings(const struct visit *v)
{
    struct result *r = result_new_list();

    for (size_t i = 0; i < v->diagnosis.count; i++) {
        const struct care_finding *f = &v->diagnosis.items[i];
        const struct care_member *m = care_member_of(&v->view, f->member);

        result_next(r);
        result_str(r, "Severity", "severity", care_severity_name(f->severity));
        result_str(r, "Code", "code", f->code);
        result_str(r, "Message", "message", f->message);
        result_str(r, NULL, "member", m == NULL ? NULL : m->name);
    }
    return r;
}

static struct result *quorum(const struct quorum *q)
{
    struct result *r = result_new();

    result_u64(r, "Voters", "voters", q->voters);
    result_u64(r, "Needed", "needed", q->needed);
    result_u64(r, "Up", "up", q->up);
    result_u64(r, "Tolerates", "tolerates", q->tolerates);
    return r;
}

static struct result *certificates(const struct visit *v)
{
    struct result *r = result_new_list();

    for (size_t i = 0; i < v->certs.count; i++) {
        const struct care_cert *at = &v->certs.items[i];

        result_next(r);
        result_str(r, "Certificate", "certificate", at->what);
        result_str(r, NULL, "at", at->at);
        result_i64(r, NULL, "not_after", at->not_after);
        result_i64(r, "Days left", "days_left", (at->not_after - v->exam.now) / 86400);
    }
    return r;
}

static void draw_head(struct printer *p, const struct visit *v)
{
    const struct care_member *leader = care_leader(&v->view);
    const struct quorum *q = &v->diagnosis.quorum;
    char name[80];

    printer_printf(p, "Verdict:  %s\n", care_health_name(v->diagnosis.health));
    if (v->view.cluster_id == 0)
        return;
    printer_printf(p, "Cluster:  %" PRIx64 ", revision %" PRId64 "\n", v->view.cluster_id,
                   v->view.revision);
    printer_printf(p, "Leader:   %s\n",
                   leader == NULL ? "none" : care_called(leader, name));
    printer_printf(p, "Quorum:   %zu of %zu voters work, %zu needed, ", q->up, q->voters,
                   q->needed);
    printer_printf(p, "%zu more may fail\n", q->tolerates);
    printer_printf(p, "Data:     %s\n",
                   v->exam.vote == NULL || v->vote.verdict == CARE_VOTE_UNKNOWN
                       ? "not known to be equal"
                   : v->vote.verdict == CARE_VOTE_EQUAL ? "equal on all voters"
                                                        : "divergent");
}

static void draw_certs(struct printer *p, const struct visit *v)
{
    int64_t soonest = INT64_MAX;

    for (size_t i = 0; i < v->certs.count; i++)
        if (v->certs.items[i].not_after < soonest)
            soonest = v->certs.items[i].not_after;
    if (v->certs.count > 0)
        printer_printf(
            p, "TLS:      %zu certificates, the first expires in %" PRId64 " days\n",
            v->certs.count, (soonest - v->exam.now) / 86400);
}

static void draw_findings(struct printer *p, const struct visit *v)
{
    static const char *const marks[] = { "note", "warn", "CRIT" };

    printer_put(p, "\n");
    for (size_t i = 0; i < v->diagnosis.count; i++) {
        const struct care_finding *f = &v->diagnosis.items[i];

        printer_printf(p, "%s  ", marks[f->severity]);
        printer_wrap(p, 6, 6, f->message);
    }
    if (v->diagnosis.count == 0)
        printer_put(p, "nothing to complain about\n");
    printer_printf(p, "\nNext:  %s\n", v->diagnosis.next);
}

/* The screen, drawn into memory and handed over line by line. */
static enum rc draw(const struct visit *v, struct result *r, struct err *e)
{
    AT_END(printer_clear) struct printer p = { .fd = -1, .name = "memory" };
    OWNED(result) brief = members_brief(&v->view);

    draw_head(&p, v);
    draw_certs(&p, v);
    printer_put(&p, "\n");
    TRY(render(&p, RENDER_SIMPLE, brief, e));
    draw_findings(&p, v);
    return result_drawn(r, &p, e);
}

static enum rc show(struct cli *c, const struct visit *v, struct err *e)
{
    const struct care_member *leader = care_leader(&v->view);
    bool plain = c->format == RENDER_SIMPLE;
    OWNED(result) r = result_new();

    result_str(r, "Verdict", "verdict", care_health_name(v->diagnosis.health));
    result_id(r, "Cluster", "cluster_id", "cluster_id_hex", v->view.cluster_id);
    result_i64(r, "Revision", "revision", v->view.revision);
    result_str(r, "Leader", "leader", leader == NULL ? NULL : leader->name);
    result_str(
        r, "Data", "data",
        care_vote_name(v->exam.vote == NULL ? CARE_VOTE_UNKNOWN : v->vote.verdict));
    result_nest(r, plain ? NULL : "Members", "members", members_list(&v->view));
    result_nest(r, plain ? NULL : "Quorum", "quorum", quorum(&v->diagnosis.quorum));
    result_nest(r, plain ? NULL : "Certificates", "certificates", certificates(v));
    result_nest(r, plain ? NULL : "Findings", "findings", findings(v));
    if (v->exam.backups != NULL && v->backups.newest > 0)
        result_i64(r, plain ? NULL : "Backup age", "backup_age_seconds",
                   v->exam.now - v->backups.newest);
    else
        result_str(r, NULL, "backup_age_seconds", NULL);
    result_str(r, "Next", "next", v->diagnosis.next);
    if (plain)
        TRY(draw(v, r, e));
    return cli_show(c, r, e);
}

static enum rc doctor(struct cli *c, const void *args, struct err *e)
{
    AT_END(visit_clear) struct visit v = { .view = { 0 } };
    AT_END(cli_cluster_clear) struct cli_cluster k = { 0 };

    TRY(cli_cluster_init(&k, c, e));
    look_at_backups(c, args, &v);
    TRY(examine(c, &k, &v, e));
    TRY(show(c, &v, e));
    return care_diagnosis_result(&v.diagnosis, e);
}

const struct command cmd_doctor = {
    .name = "doctor",
    .summary = "what ails the cluster, and what to do next",
    .description =
        "Asks every member how it is, tries a linearizable read at each, compares the "
        "voters' HashKV, reads /metrics where they can be had, and looks at the "
        "certificates on both sides. Then it says who leads, how many voters work and "
        "how many more may fail, and what is wrong: members that are down, frozen (they "
        "say how they are, but finish no linearizable read) or lagging, divergent data, "
        "alarms, size against quota with the day it will be reached, fragmentation, "
        "certificates about to expire, clocks apart, slow disks, restless leaders. It "
        "ends with one command to run next.\n\n"
        "It changes nothing. HashKV makes each voter read its whole database once. "
        "Forecasts need samples of an hour at least, which status and doctor leave in "
        "the state directory whenever they run. With --repo and --cluster it tells how "
        "old the newest proved backup is.\n\n"
        "Exit status 0: healthy. 8: something needs care. 4: no member was reached.",
    .examples = "holdfast doctor --endpoints 10.0.0.1:2379\n"
                "# for a monitoring system\n"
                "holdfast doctor -w json | jq -r '.verdict, .findings[].code'\n",
    .opts = doctor_opts,
    .uses = CLI_CONNECTION | CLI_OUTPUT | CLI_STATE,
    .args_size = sizeof(struct doctor_args),
    .run = doctor,
};
