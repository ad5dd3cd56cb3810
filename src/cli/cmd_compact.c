#include "cli/commands.h"
#include "cli/compact_online.h"
#include "cli/rebuilt.h"

struct compact_args {
    const char *data_dir, *snapshot, *output;
    const char *revision, *keep_revisions; /* text: 0 is not the same as not given */
    const char *target;
    bool keep_backup;
    struct compact_online_args online;
};

/* clang-format off */
static const struct opt compact_opts[] = {
    OPT(DURATION, "keep", compact_args, online.keep_ms, .arg = "DURATION",
        .help = "of a living cluster: the history of this long stays, by the samples that "
                "status leaves"),
    OPT(LIST, "protect", compact_args, online.protect, .arg = "R",
        .help = "of a living cluster: this revision must stay readable; may be repeated"),
    OPT(FLAG, "physical", compact_args, online.physical,
        .help = "of a living cluster: wait until the space is free inside the database"),
    OPT(FLAG, "allow-newest", compact_args, online.allow_newest,
        .help = "of a living cluster: up to the newest revision, though watches lose "
                "their place"),
    OPT(STR, "data-dir", compact_args, data_dir, .arg = "DIR",
        .help = "the data directory of a member that is stopped"),
    OPT(STR, "snapshot", compact_args, snapshot, .arg = "FILE",
        .help = "a snapshot, neither compressed nor encrypted"),
    OPT(STR, "output", compact_args, output, .letter = 'o', .arg = "FILE",
        .help = "with --snapshot: the new file; required, for history that is dropped "
                "cannot be had back"),
    OPT(STR, "revision", compact_args, revision, .arg = "R", .rival = "keep-revisions",
        .help = "drop what was superseded or deleted before this revision"),
    OPT(STR, "keep-revisions", compact_args, keep_revisions, .arg = "N",
        .help = "the same, N revisions before the newest"),
    OPT(STR, "target-version", compact_args, target, .arg = "VERSION",
        .help = "compact as this etcd does; before 3.4.34 and 3.5.16 the tombstone of a key "
                "deleted by revision R itself goes too; the newest without it"),
    OPT(FLAG, "keep-backup", compact_args, keep_backup,
        .help = "keep the old file, with .bak behind its name"),
    OPT_DONE,
};
/* clang-format on */

static enum rc parse_number(const char *name, const char *text, int64_t *out,
                            struct err *e)
{
    if (!str_to_i64(text, out) || *out < 0)
        return err_set(e, RC_USAGE, "--%s '%s' is no number of revisions", name, text);
    return RC_OK;
}

static enum rc parse_goal(const struct compact_args *a, struct defrag_goal *g,
                          struct err *e)
{
    *g = (struct defrag_goal){ .kind = DEFRAG_REVISION };
    if (a->target != NULL)
        TRY(defrag_goal_version(a->target, &g->drops_tombstone, e));
    if (a->revision != NULL)
        return parse_number("revision", a->revision, &g->number, e);
    if (a->keep_revisions == NULL)
        return err_set(e, RC_USAGE,
                       "compact up to where? Neither --revision nor --keep-revisions is "
                       "given" HINT
                       "--keep-revisions 1000 keeps what etcd's own automatic compaction "
                       "would with --auto-compaction-retention=1000; `holdfast snapshot "
                       "status` tells the newest revision");
    g->kind = DEFRAG_NEWEST;
    return parse_number("keep-revisions", a->keep_revisions, &g->number, e);
}

static enum rc offline(struct cli *c, const struct compact_args *a, struct err *e)
{
    struct defrag_request q = {
        .place = { .data_dir = a->data_dir,
                   .snapshot = a->snapshot,
                   .output = a->output,
                   .keep_backup = a->keep_backup },
    };

    TRY(rebuilt_check(&q.place, "compact", e));
    if (a->online.keep_ms > 0 || a->online.protect.count > 0 || a->online.physical ||
        a->online.allow_newest)
        return err_set(
            e, RC_USAGE,
            "--keep, --protect, --physical and --allow-newest are for a living "
            "cluster, --data-dir and --snapshot are files");
    if (a->snapshot != NULL && a->output == NULL && !c->dry_run)
        return err_set(
            e, RC_USAGE,
            "--snapshot needs --output: a snapshot is not replaced by one with "
            "less in it");
    TRY(parse_goal(a, &q.goal, e));
    return rebuilt_run(c, &q, e);
}

/* Of the living cluster: the three ways to say how far exclude each other. */
static enum rc online(struct cli *c, const struct compact_args *a, struct err *e)
{
    int64_t revision = -1, keep = -1;

    if (a->target != NULL)
        return err_set(e, RC_USAGE, "--target-version is for files");
    if (a->revision != NULL)
        TRY(parse_number("revision", a->revision, &revision, e));
    if (a->keep_revisions != NULL)
        TRY(parse_number("keep-revisions", a->keep_revisions, &keep, e));
    if ((revision >= 0) + (keep >= 0) + (a->online.keep_ms > 0) != 1)
        return err_set(e, RC_USAGE,
                       "compact up to where? Give one of --keep-revisions, --keep and "
                       "--revision" HINT
                       "--keep-revisions 10000 keeps what slow watchers may need");
    return compact_online(c, &a->online, revision, keep, e);
}

static enum rc compact(struct cli *c, const void *args, struct err *e)
{
    const struct compact_args *a = args;

    if (a->data_dir == NULL && a->snapshot == NULL && a->output == NULL &&
        !a->keep_backup)
        return online(c, a, e);
    return offline(c, a, e);
}

const struct command cmd_compact = {
    .name = "compact",
    .summary = "drop old history: of a living cluster, or of files",
    .description =
        "Of a living cluster: shows the newest revision, how far it goes and about how "
        "much that frees, asks for the cluster's id unless --yes, looks again, and lets "
        "etcd compact. It never goes to the newest revision unless told so, nor past a "
        "revision named by --protect. The file does not shrink: `holdfast defrag` does "
        "that. --dry-run shows the plan and changes nothing. What was done is in the "
        "journal of the state directory. A snapshot that `holdfast snapshot save` takes "
        "meanwhile, on this host, keeps its revision.\n\n"
        "Of a file, with --data-dir or --snapshot: drops exactly what etcd's own "
        "compaction at revision R would: of every key its "
        "newest record up to R stays, if the key was there at R, and everything later. "
        "The database is written again without free pages in the same pass, and notes "
        "the "
        "compaction as finished. HashKV at R and every later revision is that of a "
        "server "
        "that compacted at R.\n\n"
        "The new file is proved before it gets its name or takes the old one's place, as "
        "with `holdfast defrag`. --dry-run tells how many records would go and how large "
        "the file would be.\n\n"
        "In a data directory only this member forgets: do it on every member, each "
        "stopped, or only where the cluster is restored from this one. After that, what "
        "the member's log still holds is applied as usual when it starts.",
    .examples = "# a living cluster: what would it gain?\n"
                "holdfast compact --keep-revisions 10000 --dry-run\n"
                "# the history of the last hour stays\n"
                "holdfast compact --keep 1h --yes\n"
                "# a snapshot: what would it gain?\n"
                "holdfast compact --snapshot etcd.db --keep-revisions 1000 --dry-run\n"
                "# a smaller snapshot\n"
                "holdfast compact --snapshot etcd.db -o small.db --keep-revisions 1000\n"
                "# a member that cannot start for want of space\n"
                "holdfast compact --data-dir /var/lib/etcd --revision 1234567\n",
    .opts = compact_opts,
    .uses =
        CLI_CONNECTION | CLI_OUTPUT | CLI_PROGRESS | CLI_DRY_RUN | CLI_YES | CLI_STATE,
    .args_size = sizeof(struct compact_args),
    .run = compact,
};
