#include <stdio.h>
#include <string.h>

#include "cli/cluster.h"
#include "cli/commands.h"
#include "cli/members.h"
#include "cli/state.h"
#include "util/clock.h"
#include "util/mem.h"
#include "util/stop.h"

struct status_args {
    bool watch;
    uint64_t interval_ms;
};

/* clang-format off */
static const struct opt status_opts[] = {
    OPT(FLAG, "watch", status_args, watch,
        .help = "look again and again until interrupted"),
    OPT(DURATION, "interval", status_args, interval_ms, .arg = "DURATION",
        .fallback = "2s", .help = "with --watch: the pause between two looks"),
    OPT_DONE,
};
/* clang-format on */

static enum rc show(struct cli *c, const struct care_view *v, struct err *e)
{
    bool plain = c->format == RENDER_SIMPLE;
    OWNED(result) r = plain ? members_brief(v) : members_list(v);

    if (plain)
        members_explain(v, r);
    return cli_show(c, r, e);
}

static enum rc look(struct cli *c, struct cli_cluster *k, struct care_store *store,
                    struct err *verdict, struct err *e)
{
    AT_END(care_view_clear) struct care_view v = { 0 };
    enum rc rc;

    TRY(care_look(&k->access, CARE_ASK_METRICS | CARE_ASK_READ, &v, e));
    k->cluster_id = v.cluster_id;
    cli_state_sample(store, &v);
    TRY(show(c, &v, e));
    *verdict = (struct err){ 0 };
    rc = care_view_verdict(&v, verdict);
    (void)rc; /* it is in the verdict too */
    return RC_OK;
}

/* A terminal is cleared between two looks; elsewhere they follow each other. */
static void next_screen(struct cli *c, bool first)
{
    char now[21];

    if (c->format == RENDER_JSON)
        return;
    clock_utc(now);
    if (c->out->fd >= 0 && c->console->width > 0)
        printer_put(c->out, "\x1b[H\x1b[2J");
    else if (!first)
        printer_put(c->out, "\n");
    printer_printf(c->out, "%s\n", now);
}

/* A stop is how it ends, and no failure. */
static enum rc watch(struct cli *c, struct cli_cluster *k, struct care_store *store,
                     uint64_t pause_ms, struct err *e)
{
    struct err verdict = { 0 };

    for (bool first = true; !stop_wanted(); first = false) {
        enum rc rc;

        next_screen(c, first);
        rc = look(c, k, store, &verdict, e);
        if (rc != RC_OK)
            return rc == RC_INTERRUPTED ? RC_OK : rc;
        TRY(printer_flush(c->out, e));
        clock_sleep_ms(pause_ms);
    }
    return RC_OK;
}

static enum rc status(struct cli *c, const void *args, struct err *e)
{
    const struct status_args *a = args;
    AT_END(cli_cluster_clear) struct cli_cluster k = { 0 };
    OWNED(care_store) store = NULL;
    struct err verdict = { 0 };

    if (a->watch && a->interval_ms == 0)
        return err_set(e, RC_USAGE, "--interval must be longer than nothing");
    TRY(cli_cluster_init(&k, c, e));
    cli_state_try(c, &store);
    if (a->watch)
        return watch(c, &k, store, a->interval_ms, e);
    TRY(look(c, &k, store, &verdict, e));
    if (verdict.code != RC_OK)
        *e = verdict;
    return verdict.code;
}

const struct command cmd_status = {
    .name = "status",
    .alias = "endpoint status",
    .summary = "every member of the cluster, one row each",
    .description =
        "Asks all members at once: those behind --endpoints, and the others at the "
        "addresses they advertise. A member that does not answer is a row too: 'down' "
        "refuses connections, 'silent' takes them and does not answer, 'frozen' says how "
        "it is and finishes no linearizable read, 'locked' runs and lets nobody log in "
        "for want of a leader, 'barred' keeps us out.\n\n"
        "LAG is how many log entries the member has yet to apply. FREE is the share of "
        "the file that a defragmentation would give back. The quota comes from the "
        "member (3.6 and later) or from its /metrics.\n\n"
        "Each look leaves a sample of sizes and revisions in the state directory, from "
        "which doctor forecasts and compact --keep learns what an hour is.\n\n"
        "-w table and -w fields begin with the columns of `etcdctl endpoint status`; "
        "-w json is an array in etcdctl's names and ours.",
    .examples =
        "# one look\n"
        "holdfast status --endpoints 10.0.0.1:2379\n"
        "# what etcdctl would print, and more\n"
        "holdfast status -w table\n"
        "# names of the members that are not up\n"
        "holdfast status -w json | jq -r '.[] | select(.state != \"up\") | .name'\n",
    .opts = status_opts,
    .uses = CLI_CONNECTION | CLI_OUTPUT | CLI_STATE,
    .args_size = sizeof(struct status_args),
    .run = status,
};
