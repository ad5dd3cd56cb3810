#include <string.h>

#include "cli/commands.h"
#include "cli/facts.h"
#include "cli/keys.h"
#include "datadir/save.h"
#include "util/log.h"

struct from_args {
    const char *dir, *output, *wal_dir;
    unsigned etcd_version;
    bool committed_only, allow_damaged_wal, allow_same_filesystem;
    struct seal_args seal;
};

/* The first is for the one that wrote it, the others are minors from 4 up. */
static const char *const versions[] = { "auto", "3.4", "3.5", "3.6", "3.7", NULL };
enum { VERSION_AUTO, VERSION_FIRST_MINOR = 4 };

/* clang-format off */
static const struct operand from_operands[] = {
    OPERAND("DIR", from_args, dir, .required = true,
            .help = "the data directory of a member that is down; it is only read"),
    OPERAND_DONE,
};

static const struct opt from_opts[] = {
    OPT(STR, "output", from_args, output, .letter = 'o', .arg = "FILE", .required = true,
        .help = "where to store it; its name says how: .db, .db.zst, .db.age, "
                ".db.zst.age; - is stdout"),
    OPT(STR, "wal-dir", from_args, wal_dir, .arg = "DIR",
        .help = "where its log is, if the member ran with --wal-dir"),
    OPT(FLAG, "committed-only", from_args, committed_only,
        .help = "leave out entries of which the log alone does not say that a majority "
                "had them; writes that clients were told of may be among them"),
    OPT(FLAG, "allow-damaged-wal", from_args, allow_damaged_wal,
        .help = "when the log is damaged, missing or not the database's, take what can be "
                "had, list what cannot be known, and end with exit code 8"),
    OPT(CHOICE, "etcd-version", from_args, etcd_version, .choices = versions,
        .fallback = "auto",
        .help = "apply the log as this etcd would; auto is the one that wrote it"),
    SEAL_OPTS(from_args, seal),
    OPT(FLAG, "allow-same-filesystem", from_args, allow_same_filesystem,
        .help = "next to a running etcd's data keep only the usual reserve free, not a "
                "tenth of the file system"),
    OPT_DONE,
};
/* clang-format on */

static void show_lost(struct result *r, const struct str_list *lost)
{
    struct json *list = json_new_array();

    for (size_t i = 0; i < lost->count; i++)
        json_add_str(list, lost->items[i]);
    result_json(r, "unknown", list);
    for (size_t i = 0; i < lost->count; i++)
        result_str(r, "Cannot be known", NULL, lost->items[i]);
}

static struct result *describe(const struct from_args *a, const struct datadir_saved *s)
{
    uint64_t applied = s->last < s->first ? 0 : s->last - s->first + 1;
    const struct datadir *d = s->from;
    struct result *r = result_new();

    result_str(r, "File", "file", a->output);
    result_i64(r, "Revision", "revision", s->facts.revision);
    result_i64(r, "Revision of the database", "db_revision", s->db_revision);
    result_size(r, "Size", "size", s->size);
    result_size(r, "Stored size", "stored_size", s->stored_size);
    show_digest(r, "SHA-256", "sha256", s->sha256);
    show_hashkv(r, &s->facts);
    result_u64(r, "Live keys", "live_keys", s->facts.live_keys);
    result_id(r, "Member", "member", "member_hex", d->member_id);
    result_str(r, "Member name", "member_name", s->member_name);
    result_str(r, "Log", "wal", datadir_verdict_name(d->verdict));
    result_u64(r, "Entries applied", "entries_applied", applied);
    if (applied > 0) {
        result_u64(r, "First entry", "first_index", s->first);
        result_u64(r, "Last entry", "last_index", s->last);
    } else {
        result_str(r, NULL, "first_index", NULL);
        result_str(r, NULL, "last_index", NULL);
    }
    result_u64(r, "Committed", "commit", d->committed);
    result_u64(r, "Entries beyond", "beyond_commit", s->beyond_commit);
    show_lost(r, &s->lost);
    show_findings(r, &d->findings);
    result_took(r, "Took", "took_seconds", s->took_ms);
    result_bool(r, "Proved", "proved", s->proved);
    return r;
}

/* What was decided, for who reads along. */
static void tell(const struct from_args *a, const struct datadir_saved *s)
{
    const struct datadir *d = s->from;

    if (d->verdict == DATADIR_TORN)
        log_info("the log ends in an unfinished record in %s at offset %llu, as a crash "
                 "leaves it; everything before it is there",
                 d->log->damage.segment, (unsigned long long)d->log->damage.offset);
    if (s->beyond_commit == 0)
        return;
    if (a->committed_only)
        log_warn("%llu entries at the end of the log were left out: the log does not say "
                 "whether a majority had them",
                 (unsigned long long)s->beyond_commit);
    else
        log_info("of the entries applied %llu lie beyond what this log knows to be "
                 "committed: a cluster of one commits them when it starts; in a larger "
                 "one they may hold writes that were never acknowledged",
                 (unsigned long long)s->beyond_commit);
}

static enum rc from_data_dir(struct cli *c, const void *args, struct err *e)
{
    const struct from_args *a = args;
    AT_END(datadir_saved_clear) struct datadir_saved saved = { 0 };
    OWNED(age_recipients) recipients = NULL;
    struct datadir_save_options o = {
        .from = { .dir = a->dir, .wal_dir = a->wal_dir },
        .tail = { .committed_only = a->committed_only,
                  .allow_loss = a->allow_damaged_wal,
                  .minor = a->etcd_version == VERSION_AUTO
                               ? 0
                               : (int)a->etcd_version - 1 + VERSION_FIRST_MINOR },
        .store = { .file = a->output, .allow_same_filesystem = a->allow_same_filesystem },
    };

    TRY(cli_recipients(&a->seal, &recipients, e));
    o.store.recipients = recipients;
    TRY(datadir_save(&o, &saved, e));
    tell(a, &saved);
    if (strcmp(a->output, "-") != 0) {
        OWNED(result) r = describe(a, &saved);

        TRY(cli_show(c, r, e));
    }
    if (saved.lost.count > 0)
        return err_set(
            e, RC_DEGRADED,
            "the snapshot is stored, but of what came after entry %llu this "
            "cannot be known: %s",
            (unsigned long long)(saved.last < saved.first ? saved.first - 1 : saved.last),
            saved.lost.items[0]);
    return RC_OK;
}

const struct command cmd_snapshot_from_data_dir = {
    .name = "snapshot from-data-dir",
    .summary = "a snapshot of a dead member, its log applied",
    .description =
        "Reads the data directory of a member that is down and writes the snapshot that "
        "the member would send if it ran: its database, with the entries of its log that "
        "were not in the database yet applied as etcd applies them. No etcd is started "
        "and nothing in DIR is changed or locked; a directory in use is refused, naming "
        "the process. Memory holds an index of all records and what the log wrote, not "
        "the database.\n\n"
        "All entries up to the end of the log are applied. That is what the member does "
        "itself when it starts alone, and it keeps every write that a client was told "
        "of: what the log calls committed lags behind that. The last entries of a member "
        "of a larger cluster may also hold writes whose clients were never answered; how "
        "many lie beyond is shown, and --committed-only leaves them out. Of several "
        "members take the one whose last entry has the highest term and then the highest "
        "index.\n\n"
        "A log that ends in an unfinished record is normal after a crash: everything "
        "before it counts. A log that is damaged elsewhere ends the command with exit "
        "code 3 and the place, and nothing is stored, unless --allow-damaged-wal is "
        "given. Without a database the state is made from the log alone, if that begins "
        "with the cluster.\n\n"
        "FILE is stored as `holdfast snapshot save` stores it, and gets its name only "
        "when what was written has been read back and has the HashKV of the state. "
        "`holdfast restore` and etcd's own tools restore it.",
    .examples =
        "# a member that will not start again\n"
        "holdfast snapshot from-data-dir /var/lib/etcd -o etcd.db\n"
        "# compressed and encrypted\n"
        "holdfast snapshot from-data-dir /mnt/etcd -o etcd.db.zst.age -r age1...\n"
        "# its log was on another disk\n"
        "holdfast snapshot from-data-dir /mnt/etcd --wal-dir /mnt/wal -o etcd.db\n",
    .operands = from_operands,
    .opts = from_opts,
    .uses = CLI_OUTPUT | CLI_PROGRESS,
    .args_size = sizeof(struct from_args),
    .run = from_data_dir,
};
