#include "cli/commands.h"
#include "cli/defrag_online.h"
#include "cli/rebuilt.h"

struct defrag_args {
    const char *data_dir, *snapshot, *output;
    bool keep_backup;
    struct defrag_online_args online;
};

/* clang-format off */
static const struct opt defrag_opts[] = {
    OPT(FLAG, "cluster", defrag_args, online.cluster,
        .help = "all members, not only those behind --endpoints"),
    OPT(STR, "rule", defrag_args, online.rule, .arg = "EXPR",
        .help = "only members for which it holds: dbSize, dbSizeInUse, dbSizeFree, "
                "dbQuota, dbQuotaUsage with + - * / % == != < <= > >= && || ! ( )"),
    OPT(FLAG, "move-leader", defrag_args, online.move_leader,
        .help = "move leadership away before the leader's turn"),
    OPT(DURATION, "max-stall", defrag_args, online.max_stall_ms, .arg = "DURATION",
        .help = "leave out members that would answer nothing for longer, and stop when "
                "one did"),
    OPT(DURATION, "wait-between", defrag_args, online.wait_between_ms,
        .arg = "DURATION", .fallback = "0s", .help = "the pause between two members"),
    OPT(DURATION, "timeout", defrag_args, online.timeout_ms, .arg = "DURATION",
        .help = "longest wait for one member; else a minute and more by its size"),
    OPT(FLAG, "continue-on-error", defrag_args, online.continue_on_error,
        .help = "go on with the next member, once all are well again, when one fails"),
    OPT(STR, "data-dir", defrag_args, data_dir, .arg = "DIR",
        .help = "the data directory of a member that is stopped"),
    OPT(STR, "snapshot", defrag_args, snapshot, .arg = "FILE",
        .help = "a snapshot, neither compressed nor encrypted"),
    OPT(STR, "output", defrag_args, output, .letter = 'o', .arg = "FILE",
        .help = "with --snapshot: write a new file and leave the snapshot as it is"),
    OPT(FLAG, "keep-backup", defrag_args, keep_backup,
        .help = "keep the old file, with .bak behind its name"),
    OPT_DONE,
};
/* clang-format on */

static enum rc offline(struct cli *c, const struct defrag_args *a, struct err *e)
{
    const struct defrag_request q = {
        .place = { .data_dir = a->data_dir,
                   .snapshot = a->snapshot,
                   .output = a->output,
                   .keep_backup = a->keep_backup },
        .goal = { .kind = DEFRAG_ALL },
    };

    TRY(rebuilt_check(&q.place, "defrag", e));
    return rebuilt_run(c, &q, e);
}

static enum rc refuse_online(const struct defrag_online_args *a, struct err *e)
{
    if (!a->cluster && a->rule == NULL && !a->move_leader && a->max_stall_ms == 0 &&
        a->wait_between_ms == 0 && a->timeout_ms == 0 && !a->continue_on_error)
        return RC_OK;
    return err_set(e, RC_USAGE,
                   "--data-dir and --snapshot are files, and the other options are for a "
                   "living cluster" HINT "`holdfast help defrag` has examples of both");
}

static enum rc defrag(struct cli *c, const void *args, struct err *e)
{
    const struct defrag_args *a = args;

    if (a->data_dir == NULL && a->snapshot == NULL && a->output == NULL &&
        !a->keep_backup)
        return defrag_online(c, &a->online, e);
    TRY(refuse_online(&a->online, e));
    return offline(c, a, e);
}

const struct command cmd_defrag = {
    .name = "defrag",
    .summary = "give back free pages: of living members, or of files",
    .description =
        "Of living members: one at a time, followers first, the leader last. A member "
        "answers nothing while it rewrites its database, so each turn begins only when "
        "all others are up, caught up and finish a linearizable read, no alarm but "
        "NOSPACE is raised, nobody defragments already and no snapshot of ours streams; "
        "for members on this host, when the copy fits on the disk. That is looked at "
        "again before each one. Learners are left alone. --dry-run shows the plan; "
        "without --yes the cluster's id must be typed. SIGTERM ends it after the member "
        "whose turn it is. What was done is in the journal of the state directory, and "
        "`holdfast doctor` tells of a run that broke off.\n\n"
        "STALL is the longest that a read of the member waited, OTHERS a read through "
        "the rest of the cluster. Exit status 8 when a member was left out or failed.\n\n"
        "Of a file, with --data-dir or --snapshot: writes the database again without its "
        "free pages, all buckets and pairs as they are. Every page of the old file is "
        "checked on the way; the new one is read back from the disk and must hold the "
        "same pairs and the same HashKV before it takes the old one's place, by one "
        "rename. Killed or out of space at any moment, either the old database or the "
        "new one is in place, whole. Owner and mode stay. The member must be stopped: a "
        "data directory in use is refused, naming the process. The copy needs room "
        "beside the old file, and some of the file system stays free; --dry-run tells "
        "the exact sizes and changes nothing. A snapshot gets a new SHA-256 at its end; "
        "one that is compressed or encrypted must be unpacked first.",
    .examples =
        "# what would be done?\n"
        "holdfast defrag --cluster --dry-run --endpoints 10.0.0.1:2379\n"
        "# a night job: only what is worth it, and no pause of the leader\n"
        "holdfast defrag --cluster --move-leader --yes --rule 'dbSizeFree > 200MiB'\n"
        "# a stopped member: what would it gain?\n"
        "holdfast defrag --data-dir /var/lib/etcd --dry-run\n"
        "# a snapshot, into a new file\n"
        "holdfast defrag --snapshot etcd.db -o compact.db\n",
    .opts = defrag_opts,
    .uses =
        CLI_CONNECTION | CLI_OUTPUT | CLI_PROGRESS | CLI_DRY_RUN | CLI_YES | CLI_STATE,
    .args_size = sizeof(struct defrag_args),
    .run = defrag,
};
