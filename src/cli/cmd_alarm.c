#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "care/journal.h"
#include "care/vote.h"
#include "cli/cluster.h"
#include "cli/commands.h"
#include "cli/confirm.h"
#include "cli/state.h"
#include "util/log.h"
#include "util/mem.h"

struct alarm_args {
    const char *type, *member;
    bool allow_full, allow_unproved;
};

static const char *type_name(enum wire_alarm_type t)
{
    switch (t) {
    case WIRE_ALARM_NOSPACE:
        return "NOSPACE";
    case WIRE_ALARM_CORRUPT:
        return "CORRUPT";
    case WIRE_ALARM_NONE:
        break;
    }
    return "?";
}

static struct result *describe(const struct care_view *v, const struct wire_alarms *all)
{
    struct result *r = result_new_list();

    for (size_t i = 0; i < all->count; i++) {
        const struct care_member *m = care_member_of(v, all->items[i].member_id);

        result_next(r);
        result_id(r, "Member", "memberID", "memberID_hex", all->items[i].member_id);
        result_str(r, "Name", "name", m == NULL || m->name == NULL ? "" : m->name);
        result_u64(r, NULL, "alarm", all->items[i].type);
        result_str(r, "Alarm", "alarm_name", type_name(all->items[i].type));
    }
    return r;
}

static enum rc look(struct cli_cluster *k, struct cli *c, struct care_view *v,
                    struct err *e)
{
    TRY(cli_cluster_init(k, c, e));
    TRY(care_look(&k->access, 0, v, e));
    k->cluster_id = v->cluster_id;
    return RC_OK;
}

/* The list needs a quorum; without one, every member still tells what it knows. */
static enum rc from_view(const struct care_view *v, struct wire_alarms *out,
                         struct err *e)
{
    TRY(mem_new(&out->items, (2 * v->count + 1) * sizeof *out->items, "alarms", e));
    for (size_t i = 0; i < v->count; i++)
        for (enum wire_alarm_type t = WIRE_ALARM_NOSPACE; t <= WIRE_ALARM_CORRUPT; t++)
            if ((v->items[i].alarms & 1U << t) != 0)
                out->items[out->count++] = (struct wire_alarm){ v->items[i].id, t };
    return RC_OK;
}

static enum rc get_alarms(struct wire_client *w, const struct care_view *v,
                          struct wire_alarms *out, struct err *e)
{
    struct err why = { 0 };

    if (wire_alarm_list(w, out, &why) == RC_OK)
        return RC_OK;
    if (v->cluster_id == 0 || why.code != RC_NET) {
        *e = why;
        return why.code;
    }
    log_warn("the cluster has no quorum to ask; this is what its members remember");
    return from_view(v, out, e);
}

static enum rc alarm_list(struct cli *c, const void *args, struct err *e)
{
    AT_END(cli_cluster_clear) struct cli_cluster k = { 0 };
    AT_END(care_view_clear) struct care_view v = { 0 };
    AT_END(wire_alarms_clear) struct wire_alarms all = { 0 };
    AT_END(cli_login_clear) struct cli_login login = { 0 };
    OWNED(wire_client) w = NULL;
    OWNED(result) r = NULL;

    (void)args;
    TRY(look(&k, c, &v, e));
    TRY(cli_connect(c, &login, &w, e));
    TRY(get_alarms(w, &v, &all, e));
    r = describe(&v, &all);
    TRY(cli_show(c, r, e));
    if (all.count == 0)
        return RC_OK;
    return err_set(e, RC_DEGRADED, "%zu alarm%s raised" HINT "'holdfast doctor' says why",
                   all.count, all.count == 1 ? " is" : "s are");
}

const struct command cmd_alarm_list = {
    .name = "alarm list",
    .summary = "the alarms that are raised",
    .description =
        "Lists what `etcdctl alarm list` does, with the members' names. When there is no "
        "quorum to ask, it tells what the members that answer remember. Exit status 8 "
        "when an alarm is raised.",
    .examples = "holdfast alarm list --endpoints 10.0.0.1:2379\n",
    .uses = CLI_CONNECTION | CLI_OUTPUT,
    .run = alarm_list,
};

/* ---- disarm -------------------------------------------------------------------------
 */

/* clang-format off */
static const struct opt disarm_opts[] = {
    OPT(STR, "type", alarm_args, type, .arg = "NOSPACE|CORRUPT",
        .help = "only alarms of this kind"),
    OPT(STR, "member", alarm_args, member, .arg = "NAME|ID",
        .help = "only alarms of this member"),
    OPT(FLAG, "allow-full", alarm_args, allow_full,
        .help = "disarm NOSPACE although a database is above 90 % of its quota"),
    OPT(FLAG, "allow-unproved", alarm_args, allow_unproved,
        .help = "disarm CORRUPT although the voters' hashes are not known to agree"),
    OPT_DONE,
};
/* clang-format on */

static bool concerns(const struct alarm_args *a, const struct care_view *v,
                     struct wire_alarm alarm)
{
    const struct care_member *m = care_member_of(v, alarm.member_id);
    char id[24];

    if (a->type != NULL && strcasecmp(a->type, type_name(alarm.type)) != 0)
        return false;
    if (a->member == NULL)
        return true;
    snprintf(id, sizeof id, "%" PRIx64, alarm.member_id);
    return strcmp(a->member, id) == 0 ||
           (m != NULL && m->name != NULL && strcmp(a->member, m->name) == 0);
}

/* Drops what was not meant. */
static void choose(const struct alarm_args *a, const struct care_view *v,
                   struct wire_alarms *all)
{
    size_t kept = 0;

    for (size_t i = 0; i < all->count; i++)
        if (concerns(a, v, all->items[i]))
            all->items[kept++] = all->items[i];
    all->count = kept;
}

static bool has(const struct wire_alarms *all, enum wire_alarm_type t)
{
    for (size_t i = 0; i < all->count; i++)
        if (all->items[i].type == t)
            return true;
    return false;
}

/* Disarmed too early it comes back with the next write. */
static enum rc check_space(const struct alarm_args *a, const struct care_view *v,
                           struct err *e)
{
    for (size_t i = 0; i < v->count && !a->allow_full; i++) {
        const struct care_member *m = &v->items[i];
        char name[80];

        care_called(m, name);
        if (!m->answered)
            return err_set(e, RC_REFUSED,
                           "%s does not answer, so whether it has space again is "
                           "unknown" HINT "start it, or give --allow-full",
                           name);
        if (m->quota_from != CARE_UNKNOWN && m->status.db_size / 9 >= m->quota / 10)
            return err_set(e, RC_REFUSED,
                           "the database of %s is still above 90 %% of its quota" HINT
                           "'holdfast compact' and then 'holdfast defrag' make room; "
                           "--allow-full disarms it all the same",
                           name);
    }
    return RC_OK;
}

static enum rc check_data(const struct alarm_args *a, struct cli_cluster *k,
                          const struct care_view *v, struct err *e)
{
    AT_END(care_vote_clear) struct care_vote vote = { 0 };
    struct err why = { 0 };

    if (a->allow_unproved)
        return RC_OK;
    if (care_vote_take(&k->access, v, &vote, &why) == RC_OK &&
        care_vote_result(&vote, &why) == RC_OK)
        return RC_OK;
    return err_set(e, RC_REFUSED,
                   "a CORRUPT alarm is disarmed only when all voters hold the same data: "
                   "%.400s" HINT "replace the odd member first; --allow-unproved disarms "
                   "it all the same",
                   why.why);
}

/* What is meant, at this moment, and whether its reason is gone. */
static enum rc examine(const struct alarm_args *a, struct cli_cluster *k,
                       struct wire_client *w, const struct care_view *v,
                       struct wire_alarms *out, struct err *e)
{
    TRY(wire_alarm_list(w, out, e));
    choose(a, v, out);
    if (has(out, WIRE_ALARM_NOSPACE))
        TRY(check_space(a, v, e));
    if (has(out, WIRE_ALARM_CORRUPT))
        TRY(check_data(a, k, v, e));
    return RC_OK;
}

static void say(const struct care_view *v, struct wire_alarm alarm, char *out, size_t n)
{
    const struct care_member *m = care_member_of(v, alarm.member_id);
    char name[80] = "a member that has left";

    if (m != NULL)
        care_called(m, name);
    snprintf(out, n, "disarm %s of %s", type_name(alarm.type), name);
}

static enum rc disarm_one(struct care_journal *j, struct wire_client *w,
                          const struct care_view *v, struct wire_alarm alarm,
                          struct err *e)
{
    char what[120];
    int64_t step;
    enum rc rc;

    say(v, alarm, what, sizeof what);
    TRY(care_journal_step(j, what, &step, e));
    rc = wire_alarm_disarm(w, alarm, e);
    care_journal_settle_step(j, step, what, rc, e);
    return rc;
}

static enum rc disarm_each(struct care_journal *j, struct wire_client *w,
                           const struct care_view *v, const struct wire_alarms *all,
                           struct err *e)
{
    for (size_t i = 0; i < all->count; i++)
        TRY(disarm_one(j, w, v, all->items[i], e));
    return RC_OK;
}

/* Says it, asks, looks at the cluster once more, and does it. */
static enum rc act(struct cli *c, const struct alarm_args *a, struct cli_cluster *k,
                   struct wire_client *w, const struct care_view *v,
                   const struct wire_alarms *all, struct err *e)
{
    AT_END(care_view_clear) struct care_view now = { 0 };
    AT_END(wire_alarms_clear) struct wire_alarms still = { 0 };
    OWNED(care_store) store = NULL;
    struct care_journal journal = { 0 };
    char what[120];
    enum rc rc;

    for (size_t i = 0; i < all->count; i++) {
        say(v, all->items[i], what, sizeof what);
        log_info("step %zu: %s", i + 1, what);
    }
    snprintf(what, sizeof what, "disarm %zu alarm%s", all->count,
             all->count == 1 ? "" : "s");
    TRY(cli_confirm(c, k->cluster_id, what, e));
    TRY(care_look(&k->access, 0, &now, e));
    TRY(examine(a, k, w, &now, &still, e));
    cli_state_try(c, &store);
    TRY(care_journal_begin(&journal, store, k->cluster_id, "alarm disarm", what, e));
    rc = disarm_each(&journal, w, &now, &still, e);
    care_journal_settle(&journal, rc, e);
    return rc;
}

static enum rc disarm(struct cli *c, const void *args, struct err *e)
{
    const struct alarm_args *a = args;
    AT_END(cli_cluster_clear) struct cli_cluster k = { 0 };
    AT_END(care_view_clear) struct care_view v = { 0 };
    AT_END(wire_alarms_clear) struct wire_alarms all = { 0 };
    AT_END(cli_login_clear) struct cli_login login = { 0 };
    OWNED(wire_client) w = NULL;
    OWNED(result) r = NULL;

    if (a->type != NULL && strcasecmp(a->type, "NOSPACE") != 0 &&
        strcasecmp(a->type, "CORRUPT") != 0)
        return err_set(e, RC_USAGE, "--type is NOSPACE or CORRUPT, not '%s'", a->type);
    TRY(look(&k, c, &v, e));
    TRY(cli_connect(c, &login, &w, e));
    TRY(examine(a, &k, w, &v, &all, e));
    if (all.count == 0)
        log_info("no such alarm is raised");
    else if (c->dry_run)
        log_info("these would be disarmed; nothing was done");
    else
        TRY(act(c, a, &k, w, &v, &all, e));
    r = describe(&v, &all);
    return cli_show(c, r, e);
}

const struct command cmd_alarm_disarm = {
    .name = "alarm disarm",
    .summary = "take back alarms whose reason is gone",
    .description =
        "Disarms the alarms that are raised, all or those named by --type and --member, "
        "and lists them. NOSPACE is disarmed only when every member answers and is below "
        "90 % of its quota, since it would come back with the next write. CORRUPT is "
        "disarmed only when `holdfast hash` finds all voters equal. Asks for the "
        "cluster's "
        "id to be typed, unless --yes is given, and looks again before it acts.",
    .examples = "# what would it do?\n"
                "holdfast alarm disarm --dry-run\n"
                "# after compact and defrag\n"
                "holdfast alarm disarm --type NOSPACE --yes\n",
    .opts = disarm_opts,
    .uses = CLI_CONNECTION | CLI_OUTPUT | CLI_DRY_RUN | CLI_YES | CLI_STATE,
    .args_size = sizeof(struct alarm_args),
    .run = disarm,
};
