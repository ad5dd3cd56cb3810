/* recover --apply and --rollback: one host's part of a plan. */
#include <stdio.h>
#include <string.h>

#include "care/doctor.h"
#include "cli/confirm.h"
#include "cli/recovery.h"
#include "recover/planfile.h"
#include "util/log.h"
#include "util/mem.h"

struct asking {
    const struct recovery_host *h;
    const char *what;
};

static enum rc ask(void *arg, struct err *e)
{
    const struct asking *a = arg;
    const struct recover_plan *p = a->h->plan;
    char text[200];

    snprintf(text, sizeof text, "%s on the host of %s", a->what, a->h->args->member);
    log_info("the plan %s, for '%s'", p->id, a->h->member.data_dir);
    return cli_confirm(a->h->cli, p->old_cluster != 0 ? p->old_cluster : p->cluster_id,
                       text, e);
}

/* The host whose turn it is next. */
static const char *next_host(const struct recover_plan *p, const char *member)
{
    for (size_t i = 0; i + 1 < p->members.count; i++)
        if (strcmp(p->members.items[p->order[i]].name, member) == 0)
            return p->members.items[p->order[i + 1]].name;
    return NULL;
}

static const char *state_name(const struct recover_outcome *o)
{
    if (o->by_hand)
        return "to-be-started";
    switch (o->health) {
    case RECOVER_HEALTH_WAITS:
        return "waits-for-others";
    case RECOVER_HEALTH_SERVES:
        return "serves";
    case RECOVER_HEALTH_COMPLETE:
        break;
    }
    return "complete";
}

static void show_next(struct result *r, const struct recovery_host *h,
                      const struct recover_outcome *o)
{
    const char *next = next_host(h->plan, h->args->member);
    char text[1200], plan[700], member[300];

    care_shell_word(plan, sizeof plan, h->args->apply);
    care_shell_word(member, sizeof member, next == NULL ? "" : next);
    if (o->by_hand)
        snprintf(text, sizeof text,
                 "start etcd here as it was started before, then run the same command "
                 "again");
    else if (o->health == RECOVER_HEALTH_COMPLETE)
        snprintf(text, sizeof text, "holdfast doctor");
    else if (next != NULL)
        snprintf(text, sizeof text,
                 "on the host of %s: holdfast recover --apply %s --member %s", next, plan,
                 member);
    else
        snprintf(text, sizeof text,
                 "holdfast recover --apply %s on the hosts where it was not done", plan);
    result_str(r, "Next", "next", text);
}

static struct json *steps_json(unsigned taken)
{
    struct json *a = json_new_array();

    for (unsigned k = 0; k < RECOVER_STEP_KINDS; k++)
        if ((taken & 1U << k) != 0)
            json_add_str(a, recover_step_name((enum recover_step_kind)k));
    return a;
}

static struct result *common(const struct recovery_host *h,
                             const struct recover_outcome *o)
{
    struct result *r = result_new();

    result_str(r, "Plan", "plan_id", h->plan->id);
    result_str(r, "Member", "member", h->args->member);
    result_str(r, "Data dir", "data_dir", h->member.data_dir);
    result_str(r, "Moved aside", "aside", o->aside);
    result_str(r, "Journal in", "work", o->work);
    return r;
}

static enum rc show(const struct recovery_host *h, const struct recover_outcome *o,
                    struct err *e)
{
    bool complete = !o->by_hand && o->health == RECOVER_HEALTH_COMPLETE;
    OWNED(result) r = common(h, o);
    OWNED(result) chores = result_new();

    result_id(r, "Cluster", "cluster_id", "cluster_id_hex", h->plan->cluster_id);
    result_str(r, "State", "state", state_name(o));
    result_bool(r, NULL, "resumed", o->resumed);
    result_json(r, "taken", steps_json(o->taken));
    if (o->revision > 0)
        result_i64(r, "Revision", "revision", o->revision);
    show_next(r, h, o);
    TRY(cli_show(h->cli, r, e));
    if (!complete || !h->plan->source.kubernetes || h->cli->format != RENDER_SIMPLE)
        return RC_OK;
    recovery_chores(h->plan, chores);
    return cli_show(h->cli, chores, e);
}

static enum rc show_back(const struct recovery_host *h, const struct recover_outcome *o,
                         struct err *e)
{
    OWNED(result) r = common(h, o);

    result_str(r, "State", "state", "rolled-back");
    result_str(r, "Next", "next",
               o->by_hand ? "start etcd here, if it shall run on the old state"
                          : "holdfast assess");
    return cli_show(h->cli, r, e);
}

/* Unless the options say: beside the plan, where it was brought together with it; else as
 * the plan names it. What it is, its digest tells. */
static enum rc find_source(const struct recovery_args *a, const char *plan,
                           const struct recover_plan *p, char **out, struct err *e)
{
    const char *slash = strrchr(plan, '/'), *file = p->source.file;
    const char *base = strrchr(file, '/');
    AT_END(mem_end) char *beside = NULL;

    if (a->source != NULL)
        return str_format(out, e, "%s", a->source);
    TRY(str_format(&beside, e, "%.*s%s", slash == NULL ? 0 : (int)(slash + 1 - plan),
                   plan, base == NULL ? file : base + 1));
    return str_format(out, e, "%s", recover_exists(beside) ? beside : file);
}

/* One of the two ways. */
struct way {
    const char *file, *what;
    enum rc (*take)(const struct recover_job *job, struct recover_outcome *out,
                    struct err *e);
    enum rc (*show)(const struct recovery_host *h, const struct recover_outcome *o,
                    struct err *e);
};

/* What the plan says, once more. */
static enum rc only_show(struct cli *c, const struct recover_plan *p, const char *file,
                         struct err *e)
{
    OWNED(result) r = result_new();

    result_str(r, "Plan", "plan_id", p->id);
    TRY(recovery_draw(p, file, r, e));
    return cli_show(c, r, e);
}

static enum rc go(struct cli *c, const struct recovery_args *a, const struct way *way,
                  struct err *e)
{
    AT_END(recover_plan_clear) struct recover_plan p = { 0 };
    AT_END(recover_outcome_clear) struct recover_outcome o = { 0 };
    AT_END(recovery_host_close) struct recovery_host h = { 0 };
    struct asking asking = { &h, way->what };
    AT_END(mem_end) char *source = NULL;
    OWNED(age_identities) ids = NULL;
    struct recover_job job = {
        .plan = &p, .member = a->member, .confirm = ask, .confirm_arg = &asking
    };

    TRY(recover_planfile_load(way->file, &p, e));
    for (size_t i = 0; i < a->from.assumed.count; i++)
        TRY(str_list_add(&p.assumed, a->from.assumed.items[i], e));
    if (c->dry_run)
        return only_show(c, &p, way->file, e);
    TRY(cli_identities(&a->from.open, &ids, e));
    TRY(recovery_host_open(c, a, &p, &h, e));
    TRY(find_source(a, way->file, &p, &source, e));
    job.source = source;
    job.data_dir = h.member.data_dir;
    job.wal_dir = h.member.wal_dir;
    job.ids = ids;
    job.hands = recovery_hands(&h);
    TRY(way->take(&job, &o, e));
    return way->show(&h, &o, e);
}

enum rc recovery_apply(struct cli *c, const struct recovery_args *a, struct err *e)
{
    return go(c, a, &(struct way){ a->apply, "recover the member", recover_apply, show },
              e);
}

enum rc recovery_rollback(struct cli *c, const struct recovery_args *a, struct err *e)
{
    return go(c, a,
              &(struct way){ a->rollback, "put the old state back", recover_rollback,
                             show_back },
              e);
}
