#include "cli/commands.h"
#include "cli/recovery.h"

static const char *const shapes[] = { "all-at-once", "re-bootstrap", NULL };

/* clang-format off */
static const struct operand recover_operands[] = {
    ASSESSMENT_OPERANDS(recovery_args, from),
    OPERAND_DONE,
};

static const struct opt recover_opts[] = {
    OPT(STR, "plan", recovery_args, plan, .arg = "FILE",
        .help = "assess, decide, and write the plan into FILE; nothing is changed"),
    OPT(STR, "apply", recovery_args, apply, .arg = "PLAN", .rival = "plan",
        .help = "do what PLAN has for this host; again after a failure goes on"),
    OPT(STR, "rollback", recovery_args, rollback, .arg = "PLAN", .rival = "apply",
        .help = "put this host's old state back, as long as nothing was written"),
    OPT(STR, "member", recovery_args, member, .arg = "NAME",
        .help = "with --apply and --rollback: which member this host is"),
    OPT(LIST, "backup", recovery_args, from.backups, .letter = 'b', .arg = "FILE",
        .help = "a stored snapshot, that counts as a copy too"),
    OPT(STR, "source", recovery_args, source, .arg = "PATH",
        .help = "build on this copy and not on the newest; with --apply, where the "
                "plan's source lies on this host"),
    OPT(STR, "export", recovery_args, export, .arg = "FILE",
        .help = "where the plan's source goes, when it is a data directory; .db and "
                ".db.zst; beside the plan without it"),
    OPT(STR, "members", recovery_args, members, .arg = "NAME=URL,...",
        .help = "the new cluster's members and peer URLs; the old voters without it"),
    OPT(CHOICE, "shape", recovery_args, shape, .choices = shapes,
        .fallback = "all-at-once",
        .help = "every host builds from the same source; or one does, and the others "
                "join it as learners"),
    OPT(STR, "first", recovery_args, first, .arg = "NAME",
        .help = "the host that begins; without it the one where the plan is made, "
                "or the survivor's"),
    OPT(STR, "bump-revision", recovery_args, bump, .arg = "N|auto|0",
        .help = "raise the revision by N, so that none is used twice; auto is 10^9, and "
                "the default when there are Kubernetes keys"),
    OPT(U64, "high-water", recovery_args, high_water, .arg = "REVISION",
        .help = "the newest revision that any client may have seen"),
    OPT(FLAG, "mark-compacted", recovery_args, mark_compacted,
        .help = "mark all revisions up to the bumped one as compacted"),
    OPT(STR, "target-version", recovery_args, target, .arg = "3.4|3.5|3.6|3.7",
        .help = "fit the schema to this etcd, when it is older than the source's"),
    OPT(LIST, "assume-off", recovery_args, from.assumed, .arg = "NAME",
        .help = "this old member does not run, whatever answers at its address and does "
                "not say who it is"),
    OPT(STR, "layout", recovery_args, layout, .arg = "NAME",
        .help = "how etcd runs: plain, systemd, static-pod, k3s, rke2; found out "
                "without it"),
    OPT(STR, "data-dir", recovery_args, data_dir, .arg = "DIR",
        .help = "the data directory on the host; found out without it"),
    OPT(STR, "wal-dir", recovery_args, from.wal_dir, .arg = "DIR",
        .help = "where the log is, if the member runs with --wal-dir"),
    OPT(STR, "manifests", recovery_args, manifests, .arg = "DIR",
        .help = "the kubelet's folder; /etc/kubernetes/manifests without it"),
    OPT(STR, "stop-command", recovery_args, stop_command, .arg = "COMMAND",
        .help = "a shell command that stops etcd here, instead of the layout's"),
    OPT(STR, "start-command", recovery_args, start_command, .arg = "COMMAND",
        .help = "a shell command that starts etcd here, in the background; one that joins "
                "finds ETCD_INITIAL_CLUSTER and ETCD_INITIAL_CLUSTER_STATE set, which etcd "
                "refuses beside flags that say the same"),
    OPT(DURATION, "wait", recovery_args, wait_ms, .arg = "DURATION", .fallback = "2m",
        .help = "how long etcd may take to stop, to start, and to serve"),
    OPEN_OPTS(recovery_args, from.open),
    OPT_DONE,
};
/* clang-format on */

static enum rc check_ways(const struct cli *c, const struct recovery_args *a,
                          struct err *e)
{
    int ways = (a->plan != NULL) + (a->apply != NULL) + (a->rollback != NULL);

    if (ways != 1)
        return err_set(e, RC_USAGE,
                       "one of --plan, --apply and --rollback must be given" HINT
                       "begin with `holdfast recover --plan plan.json DIR...`");
    if (a->plan != NULL && c->dry_run)
        return err_set(e, RC_USAGE,
                       "--dry-run goes with --apply; --plan itself changes nothing");
    if (a->plan != NULL && a->member != NULL)
        return err_set(e, RC_USAGE, "--member goes with --apply and --rollback");
    if (a->plan == NULL && a->member == NULL)
        return err_set(e, RC_USAGE,
                       "which member is this host? --member NAME" HINT
                       "the plan names them: `grep '\"name\"' %s`",
                       a->apply != NULL ? a->apply : a->rollback);
    if (a->plan == NULL && (a->from.copies.count > 0 || a->from.backups.count > 0))
        return err_set(e, RC_USAGE, "copies go with --plan; the plan has its source");
    return RC_OK;
}

static enum rc recover(struct cli *c, const void *args, struct err *e)
{
    const struct recovery_args *a = args;

    TRY(check_ways(c, a, e));
    if (a->plan != NULL)
        return recovery_plan(c, a, e);
    return a->apply != NULL ? recovery_apply(c, a, e) : recovery_rollback(c, a, e);
}

const struct command cmd_recover = {
    .name = "recover",
    .summary = "a new cluster from what is left, by a plan",
    .description =
        "For a cluster that has lost its quorum for good. It works in two parts.\n\n"
        "--plan assesses what is left, as `holdfast assess` does, and refuses unless "
        "quorum is really lost: when starting the stopped members would bring it back, "
        "when it is not known, and when a member of the old cluster still answers at its "
        "peer or client address. It chooses the newest sound copy, takes all that a "
        "stopped member holds, its log applied, into one file, and writes one plan for "
        "all hosts: the new cluster's ids, the source and its SHA-256, the revision it "
        "will begin with and why, what is or may be lost, and each host's steps, with "
        "what they do by hand, how to check them, and the way back. Read it. A plan "
        "that was altered is refused.\n\n"
        "--apply does the steps of one host, the survivor's first. Before anything is "
        "moved it looks again: a directory that has changed, or that is newer than the "
        "source, another cluster, or an old member that runs make it refuse. It stops "
        "etcd, builds the new data directory beside the old one and proves it, moves the "
        "old one aside (DIR.before-ID; nothing is deleted), gives the new one its name "
        "by a rename, starts etcd, and waits until it serves. Every step is written to a "
        "journal in DIR.recovery-ID first: after a crash or a failure the same command "
        "goes on.\n\n"
        "--rollback puts a host's old state back, and keeps the new directory as "
        "DIR.recovered-ID. It refuses as soon as the new cluster has a revision beyond "
        "the one it began with: by then something would be lost.\n\n"
        "Old members cannot join the new cluster, nor take it for theirs: its ids come "
        "from a random token. Under Kubernetes the revision is raised by 10^9 and all "
        "before it marked compacted, so that no cache is believed; what else needs a "
        "restart or a look is listed in the plan, and at the end.\n\n"
        "Exit status 5: refused, with the reason. 11: another recovery is at work on "
        "this directory.",
    .examples =
        "# on the host of the only survivor; etcd is stopped there\n"
        "holdfast recover --plan plan.json /var/lib/etcd\n"
        "holdfast recover --apply plan.json --member m0\n"
        "# on the other hosts, with plan.json and plan.db copied there\n"
        "holdfast recover --apply plan.json --member m1\n"
        "# all disks are gone\n"
        "holdfast recover --plan plan.json --backup etcd.db.zst.age -i backup.key \\\n"
        "    --members m0=https://10.0.0.1:2380,m1=https://10.0.0.2:2380\n",
    .operands = recover_operands,
    .opts = recover_opts,
    .uses = CLI_CONNECTION | CLI_OUTPUT | CLI_PROGRESS | CLI_YES | CLI_DRY_RUN,
    .args_size = sizeof(struct recovery_args),
    .run = recover,
};
