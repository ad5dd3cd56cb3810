#include <inttypes.h>

#include "cli/commands.h"
#include "cli/repos.h"
#include "repo/prune.h"
#include "util/clock.h"
#include "util/log.h"

struct prune_args {
    struct repo_args repo;
    struct repo_job_args job;
    struct retain_args {
        uint64_t last, hourly, daily, weekly, monthly, yearly;
        const char *within;
        struct str_list tags;
    } keep;
    uint64_t protect, cap_percent;
    bool accept_clock;
};

/* clang-format off */
static const struct opt prune_opts[] = {
    OPT(U64, "keep-last", prune_args, keep.last, .arg = "N", .help = "the newest N"),
    OPT(U64, "keep-hourly", prune_args, keep.hourly, .arg = "N",
        .help = "the newest of each of the last N hours that have one"),
    OPT(U64, "keep-daily", prune_args, keep.daily, .arg = "N", .help = "of N days"),
    OPT(U64, "keep-weekly", prune_args, keep.weekly, .arg = "N", .help = "of N weeks"),
    OPT(U64, "keep-monthly", prune_args, keep.monthly, .arg = "N", .help = "of N months"),
    OPT(U64, "keep-yearly", prune_args, keep.yearly, .arg = "N", .help = "of N years"),
    OPT(STR, "keep-within", prune_args, keep.within, .arg = "SPAN",
        .help = "all of this time before the newest: 1y6m10d12h"),
    OPT(LIST, "keep-tag", prune_args, keep.tags, .arg = "WORD",
        .help = "all with this tag"),
    OPT(U64, "protect", prune_args, protect, .arg = "N", .fallback = "3",
        .help = "the newest N proved ones stay, whatever the rules say; at least 1"),
    OPT(U64, "max-percent", prune_args, cap_percent, .arg = "N", .fallback = "30",
        .help = "remove at most this share of what is there in one run, the oldest first"),
    OPT(FLAG, "accept-clock", prune_args, accept_clock,
        .help = "the clock jumped, somebody looked at it, and it is right now"),
    REPO_OPTS(prune_args, repo, true),
    REPO_JOB_OPTS(prune_args, job),
    OPT_DONE,
};
/* clang-format on */

static enum rc make_policy(const struct prune_args *a, struct retain_policy *p,
                           struct err *e)
{
    if (a->protect == 0)
        return err_set(
            e, RC_USAGE,
            "--protect 0 would let every proved backup go" HINT
            "the least is 1; a repository that nobody needs any more is removed "
            "with the tools of its place");
    p->last = a->keep.last;
    p->hourly = a->keep.hourly;
    p->daily = a->keep.daily;
    p->weekly = a->keep.weekly;
    p->monthly = a->keep.monthly;
    p->yearly = a->keep.yearly;
    p->tags = a->keep.tags; /* borrowed */
    p->protect = a->protect;
    p->cap_percent = a->cap_percent > 100 ? 101 : (unsigned)a->cap_percent;
    if (a->keep.within != NULL && !retain_span(a->keep.within, &p->within_s))
        return err_set(e, RC_USAGE,
                       "--keep-within '%s' is no span of time" HINT
                       "write it as 1y6m10d12h: years, months, days, hours",
                       a->keep.within);
    return RC_OK;
}

static const char *fate(const struct retain_item *i, bool done)
{
    if (i->keep)
        return "keep";
    return done ? "removed" : "remove";
}

static void show_item(struct result *r, const struct retain_item *i,
                      const struct record *x, bool done)
{
    char time[21];

    clock_utc_at(i->created, time);
    result_next(r);
    result_u64(r, "Sequence", "sequence", i->sequence);
    result_str(r, "Time", "time", time);
    result_i64(r, "Revision", "revision", x->backup->revision);
    result_size(r, "Stored size", "stored_size", x->backup->object_size);
    result_bool(r, "Proved", "proved", i->proved);
    result_str(r, NULL, "fate", i->keep ? "keep" : "remove");
    result_str(r, "Fate", NULL, fate(i, done));
    result_str(r, "Why", "why", i->why);
}

static struct result *describe(const struct repo_pruned *p, bool done)
{
    struct result *r = result_new(), *list = result_new_list();

    for (size_t i = 0; i < p->count; i++)
        show_item(list, &p->items[i], chain_find(p->log, p->items[i].sequence)->record,
                  done);
    result_u64(r, "Stay", "keep", p->plan.keep);
    result_u64(r, done ? "Removed" : "To remove", "remove", p->plan.remove);
    result_size(r, "Their size", "bytes", p->bytes);
    result_bool(r, NULL, "done", done);
    result_str(r, NULL, "frozen", p->plan.frozen ? p->plan.why_frozen : NULL);
    result_nest(r, "Backups", "backups", list);
    return r;
}

static void tell(const struct repo_pruned *p, bool done)
{
    if (!done && p->plan.frozen)
        log_warn("nothing would be removed now: %s", p->plan.why_frozen);
    if (!done && !p->plan.frozen && p->plan.remove > 0)
        log_info("this was a look; --yes removes them");
    if (p->locked > 0)
        log_info("%zu removed backup(s) stay in the store until their lock ends",
                 p->locked);
}

static enum rc prune(struct cli *c, const void *args, struct err *e)
{
    const struct prune_args *a = args;
    AT_END(cli_repo_clear) struct cli_repo k = { 0 };
    AT_END(repo_pruned_clear) struct repo_pruned p = { 0 };
    struct retain_policy policy = retain_policy_default();
    bool carry_out = c->yes && !c->dry_run;
    AT_END(cli_job_clear) struct cli_job job = { 0 };
    struct repo_prune_options o = {
        .policy = &policy,
        .carry_out = carry_out,
        .accept_clock = a->accept_clock,
    };

    TRY(make_policy(a, &policy, e));
    TRY(cli_job_init(c, &a->job, &job, e));
    o.job = job.options;
    TRY(cli_repo_open(c, &a->repo, &k, e));
    TRY(repo_prune(k.repo, &o, &p, e));
    tell(&p, carry_out);

    OWNED(result) r = describe(&p, carry_out);

    return cli_show(c, r, e);
}

const struct command cmd_prune = {
    .name = "prune",
    .summary = "remove backups that no rule wants any more",
    .description =
        "Shows for each backup whether it stays and why; with --yes the others are "
        "removed. "
        "The rules are restic's: a backup stays when any of them wants it. Whatever they "
        "say, the newest proved backups stay, one run removes at most a share of what is "
        "there, what the store has locked stays, and nothing goes while the clock is not "
        "to "
        "be trusted or the log does not hang together.\n\n"
        "A signed record says first what is removed, so a run that is killed never "
        "leaves a "
        "backup that is half there; the next one finishes it.",
    .examples = "# a look\n"
                "holdfast prune --cluster prod --keep-hourly 24 --keep-daily 14\n"
                "# and do it\n"
                "holdfast prune --cluster prod --keep-daily 14 --yes\n",
    .opts = prune_opts,
    .uses = CLI_CONNECTION | CLI_OUTPUT | CLI_STATE | CLI_YES | CLI_DRY_RUN,
    .args_size = sizeof(struct prune_args),
    .run = prune,
};
