/* space: where the bytes are, and which lever moves them. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "care/space.h"
#include "cli/cluster.h"
#include "cli/commands.h"
#include "cli/rows.h"
#include "cli/state.h"
#include "snapshot/look.h"
#include "snapshot/usage.h"
#include "util/mem.h"

enum { TOP_PREFIXES = 10, PREFIX_DEPTH = 2 };

struct space_args {
    const char *snapshot;
};

/* clang-format off */
static const struct opt space_opts[] = {
    OPT(STR, "snapshot", space_args, snapshot, .arg = "FILE",
        .help = "also the largest prefixes of this plain snapshot, database or data "
                "directory"),
    OPT_DONE,
};
/* clang-format on */

static void show_percent(struct result *r, const char *label, const char *key, bool known,
                         unsigned percent)
{
    char text[16];

    snprintf(text, sizeof text, "%u%%", percent);
    result_str(r, label, NULL, known ? text : "-");
    if (known)
        result_u64(r, NULL, key, percent);
    else
        result_str(r, NULL, key, NULL);
}

static void show_history(struct result *r, int64_t history)
{
    char text[24];

    snprintf(text, sizeof text, "%" PRId64, history);
    result_str(r, "History", NULL, history < 0 ? "-" : text);
    if (history < 0)
        result_str(r, NULL, "history_revisions", NULL);
    else
        result_i64(r, NULL, "history_revisions", history);
}

static void show_quota(struct result *r, uint64_t quota)
{
    char text[32];

    str_size(text, sizeof text, quota);
    result_str(r, "Quota", NULL, quota == 0 ? "-" : text);
    if (quota == 0)
        result_str(r, NULL, "quota", NULL);
    else
        result_u64(r, NULL, "quota", quota);
}

static void member_row(struct result *r, const struct care_view *v,
                       const struct care_member *m)
{
    struct care_space s = care_space_of(v, m);
    char name[80];

    result_next(r);
    result_str(r, "Member", "name", care_called(m, name));
    result_id(r, NULL, "memberID", "memberID_hex", m->id);
    result_size(r, "Size", "size", s.size);
    result_size(r, "In use", "in_use", s.in_use);
    result_size(r, "Free", "free", s.free);
    show_percent(r, "Free%", "free_percent", true, s.free_percent);
    show_quota(r, s.quota);
    show_percent(r, "Used", "quota_percent", s.quota != 0, s.quota_percent);
    show_history(r, s.history);
    result_bool(r, NULL, "alarm", s.alarm);
    result_str(r, "Lever", "lever", care_lever_name(s.lever));
}

static struct result *members(const struct care_view *v)
{
    struct result *r = result_new_list();

    for (size_t i = 0; i < v->count; i++)
        if (v->items[i].answered)
            member_row(r, v, &v->items[i]);
    return r;
}

static struct result *prefixes(const struct snap_usage *u)
{
    struct result *r = result_new_list();

    for (size_t i = 0; i < u->count && i < TOP_PREFIXES; i++) {
        result_next(r);
        result_u64(r, "Keys", "keys", u->rows[i].keys);
        result_size(r, "Live", "live_bytes", u->rows[i].live_bytes);
        result_u64(r, "Old records", "history", u->rows[i].history);
        result_size(r, "Old", "history_bytes", u->rows[i].history_bytes);
        result_name(r, "Prefix", "prefix", u->rows[i].prefix);
    }
    return r;
}

static enum rc add_prefixes(const char *file, struct result *r, struct err *e)
{
    AT_END(snap_look_clear) struct snap_look look = { 0 };
    AT_END(snap_usage_clear) struct snap_usage usage = { 0 };
    const struct snap_look_options o = { 0 };

    if (snap_look_open(file, &o, &look, e) != RC_OK)
        return err_wrap(e, "looking into '%s'", file);
    TRY(snap_usage_make(&look.index, PREFIX_DEPTH, &usage, e));
    result_nest(r, "Largest prefixes", "prefixes", prefixes(&usage));
    return snap_look_intact(&look, e);
}

static enum rc verdict(const struct care_view *v, struct err *e)
{
    for (size_t i = 0; i < v->count; i++) {
        char name[80];

        if (v->items[i].answered && care_space_of(v, &v->items[i]).alarm)
            return err_set(e, RC_DEGRADED,
                           "the alarm NOSPACE is raised for %s" HINT
                           "'holdfast space fix' is the way out",
                           care_called(&v->items[i], name));
    }
    return RC_OK;
}

static enum rc space(struct cli *c, const void *args, struct err *e)
{
    const struct space_args *a = args;
    AT_END(cli_cluster_clear) struct cli_cluster k = { 0 };
    AT_END(care_view_clear) struct care_view v = { 0 };
    OWNED(care_store) store = NULL;
    OWNED(result) r = result_new();
    char sentence[300];

    TRY(cli_cluster_init(&k, c, e));
    TRY(care_look(&k.access, CARE_ASK_METRICS, &v, e));
    if (v.cluster_id == 0)
        return care_view_verdict(&v, e);
    cli_state_try(c, &store);
    cli_state_sample(store, &v);
    care_space_sentence(&v, sentence, sizeof sentence);
    result_id(r, "Cluster", "cluster_id", "cluster_id_hex", v.cluster_id);
    result_str(r, "Advice", "advice", sentence);
    result_nest(r, "Members", "members", members(&v));
    if (a->snapshot != NULL)
        TRY(add_prefixes(a->snapshot, r, e));
    TRY(cli_show(c, r, e));
    return verdict(&v, e);
}

const struct command cmd_space = {
    .name = "space show",
    .alias = "space",
    .summary = "where the bytes are, and what would free them",
    .description =
        "Of each member: the size of its file, what of it is in use, and the free pages "
        "that a defragmentation would give back; the quota, and how much of it the file "
        "fills; and how many revisions were not compacted yet. LEVER is what helps: "
        "'defrag', 'compact' (and a defragmentation afterwards), 'keys' when what fills "
        "the quota is live, or 'none'.\n\n"
        "With --snapshot also the ten prefixes with the most bytes, live and superseded; "
        "`holdfast snapshot ls --du` shows them all. Exit status 8 when the alarm "
        "NOSPACE "
        "is raised; `holdfast space fix` is the way out.",
    .examples = "holdfast space --endpoints 10.0.0.1:2379\n"
                "# and which resource it is\n"
                "holdfast space --snapshot etcd.db --endpoints 10.0.0.1:2379\n",
    .opts = space_opts,
    .uses = CLI_CONNECTION | CLI_OUTPUT | CLI_STATE,
    .args_size = sizeof(struct space_args),
    .run = space,
};
