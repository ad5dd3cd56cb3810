#include "cli/commands.h"
#include "cli/rebuilt.h"

struct defrag_args {
    const char *data_dir, *snapshot, *output;
    bool keep_backup;
};

/* clang-format off */
static const struct opt defrag_opts[] = {
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

static enum rc defrag(struct cli *c, const void *args, struct err *e)
{
    const struct defrag_args *a = args;
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

const struct command cmd_defrag = {
    .name = "defrag",
    .summary = "give back the free pages of a database file",
    .description =
        "Writes the database again without its free pages: all buckets and pairs as they "
        "are. Every page of the old file is checked on the way; the new one is read back "
        "from the disk and must hold the same pairs and the same HashKV before it takes "
        "the old one's place, by one rename. Killed or out of space at any moment, "
        "either "
        "the old database or the new one is in place, whole. Owner and mode stay.\n\n"
        "The member must be stopped: a data directory in use is refused, naming the "
        "process. The copy needs room beside the old file, and some of the file system "
        "stays free; --dry-run tells the exact sizes and changes nothing.\n\n"
        "A snapshot gets a new SHA-256 at its end; one that is compressed or encrypted "
        "must be unpacked first.",
    .examples = "# what would it gain?\n"
                "holdfast defrag --data-dir /var/lib/etcd --dry-run\n"
                "# a stopped member\n"
                "holdfast defrag --data-dir /var/lib/etcd\n"
                "# a snapshot, into a new file\n"
                "holdfast defrag --snapshot etcd.db -o compact.db\n",
    .opts = defrag_opts,
    .uses = CLI_OUTPUT | CLI_PROGRESS | CLI_DRY_RUN,
    .args_size = sizeof(struct defrag_args),
    .run = defrag,
};
