/* snapshot log: what the log of a stopped member still says, entry by entry. */
#include <inttypes.h>

#include "cli/commands.h"
#include "cli/facts.h"
#include "cli/rows.h"
#include "datadir/read.h"
#include "machine/asks.h"
#include "util/log.h"
#include "util/stop.h"

struct log_args {
    const char *dir, *wal_dir, *prefix;
    bool values;
};

/* clang-format off */
static const struct operand log_operands[] = {
    OPERAND("DIR", log_args, dir, .required = true,
            .help = "the data directory of a member that is down; it is only read"),
    OPERAND_DONE,
};

static const struct opt log_opts[] = {
    OPT(STR, "wal-dir", log_args, wal_dir, .arg = "DIR",
        .help = "where its log is, if the member ran with --wal-dir"),
    OPT(STR, "prefix", log_args, prefix, .arg = "P",
        .help = "only what names a key that begins with it"),
    OPT(FLAG, "values", log_args, values,
        .help = "the values as well, in JSON; those of Secrets are among them"),
    OPT_DONE,
};
/* clang-format on */

struct listing {
    const struct log_args *args;
    struct datadir *dir;
    struct rows *rows;
    struct wal_entry entry; /* at hand */
    uint64_t told;
};

static void listing_end(struct listing *l)
{
    datadir_free(l->dir);
}

/* ---- one request --------------------------------------------------------------------
 */

static bool is_wanted(const struct listing *l, const struct machine_ask *a)
{
    const struct bytes prefix = bytes_str(l->args->prefix == NULL ? "" : l->args->prefix);

    return prefix.n == 0 || (a->key.n >= prefix.n &&
                             bytes_equal((struct bytes){ a->key.p, prefix.n }, prefix));
}

static void show_value(struct result *r, const struct listing *l,
                       const struct machine_ask *a)
{
    result_u64(r, "Size", "value_size", a->value.n);
    if (l->args->values)
        result_bytes(r, NULL, "value", a->value);
}

static enum rc on_ask(void *arg, const struct machine_ask *a, struct err *e)
{
    struct listing *l = arg;
    struct result *r;

    if (!is_wanted(l, a))
        return RC_OK;
    l->told++;
    r = result_new();
    result_u64(r, "Index", "index", l->entry.index);
    result_u64(r, "Term", "term", l->entry.term);
    result_str(r, "Commit", NULL, l->entry.index <= l->dir->committed ? "known" : "?");
    result_bool(r, NULL, "committed", l->entry.index <= l->dir->committed);
    result_str(r, "What", "what", a->what);
    result_str(r, "Branch", "branch", a->branch);
    result_id(r, NULL, "lease", "lease_hex", (uint64_t)a->lease);
    result_id(r, NULL, "member", "member_hex", a->member);
    result_i64(r, NULL, "revision", a->revision);
    show_value(r, l, a);
    result_bytes(r, "Key", "key", a->key);
    result_bytes(r, "To", "range_end", a->range_end);
    return rows_put(l->rows, r, e);
}

/* ---- all of them --------------------------------------------------------------------
 */

static enum rc make_rows(void *arg, struct rows *to, struct err *e)
{
    struct listing *l = arg;
    const struct wal_summary *log = l->dir->log;

    l->rows = to;
    l->told = 0;
    for (uint64_t i = 0; i < log->entry_count; i++) {
        TRY(stop_check(e));
        TRY(wal_entry_at(l->dir->wal, log->first_index + i, &l->entry, e));
        if (machine_asks(&l->entry, on_ask, l, e) != RC_OK)
            return err_wrap(e, "entry %" PRIu64, log->first_index + i);
    }
    return RC_OK;
}

static struct result *about(void *arg)
{
    const struct listing *l = arg;
    const struct wal_summary *log = l->dir->log;
    struct result *r = result_new();

    result_id(r, NULL, "cluster_id", "cluster_id_hex", l->dir->cluster_id);
    result_id(r, NULL, "member", "member_hex", l->dir->member_id);
    result_u64(r, NULL, "first_index", log->first_index);
    result_u64(r, NULL, "last_index", log->last_index);
    result_u64(r, NULL, "commit", l->dir->committed);
    result_bool(r, NULL, "complete", l->dir->log_complete);
    result_u64(r, NULL, "count", l->told);
    return r;
}

static void tell_beginning(const struct datadir *d)
{
    static const char unknown[] = "no state can be made of it alone; revisions are not "
                                  "known, nor which branch a transaction took";

    if (d->log_complete)
        log_info("the log begins with the cluster: `holdfast snapshot salvage` makes all "
                 "of the state of it");
    else if (d->log->first_index <= 1)
        log_info("the log was begun by a restore, and what was restored is not in it: %s",
                 unknown);
    else
        log_info("the log begins with entry %" PRIu64
                 ", and what was before is not in it: %s",
                 d->log->first_index, unknown);
}

static enum rc to_its_end(const struct datadir *d, struct err *e)
{
    const struct wal_damage *damage = &d->log->damage;

    if (d->log->verdict != WAL_DAMAGED)
        return RC_OK;
    return err_set(e, RC_DEGRADED,
                   "the log is damaged in %s at offset %" PRIu64
                   " (%s): what follows is not told",
                   damage->segment, damage->offset, damage->reason);
}

static enum rc show_log(struct cli *c, const void *args, struct err *e)
{
    static const struct datadir_base none = { .none = true };
    const struct log_args *a = args;
    const struct datadir_request q = { .dir = a->dir,
                                       .wal_dir = a->wal_dir,
                                       .base = &none };
    AT_END(listing_end) struct listing l = { .args = a };
    const struct rows_source source = {
        .arg = &l, .make = make_rows, .about = about, .key = "requests"
    };

    if (a->values && c->format != RENDER_JSON)
        return err_set(e, RC_USAGE, "--values is for JSON" HINT "add --json");
    TRY(datadir_open(&q, &l.dir, e));
    if (l.dir->wal == NULL)
        return err_set(e, RC_NOTFOUND, "there is no log in '%s'", l.dir->wal_path);
    tell_beginning(l.dir);
    TRY(rows_show(c, &source, e));
    TRY(datadir_intact(l.dir, e));
    return to_its_end(l.dir, e);
}

const struct command cmd_snapshot_log = {
    .name = "snapshot log",
    .summary = "what the log of a stopped member still says",
    .description =
        "Lists what the entries of a member's write-ahead log ask for, in their order: "
        "puts, deletions, what transactions write in either branch, compactions, leases, "
        "changes of users and members. It is for the day when a log is all that is left "
        "and does not begin with the cluster: no state can be made of it then, but what "
        "was written lately is in it, and --values --json exports that. Where the "
        "database or a backup is left, `holdfast snapshot from-data-dir` and `holdfast "
        "snapshot salvage` apply the log instead.\n\n"
        "An entry marked '?' is beyond what this member knew to be committed; clients "
        "may have been told of it all the same. A request that is listed may have been "
        "refused when it was applied, and which branch a transaction took is not in the "
        "log.\n\n"
        "Nothing in DIR is changed or locked. A log that is damaged is told up to the "
        "damage, with exit code 8.",
    .examples =
        "holdfast snapshot log /var/lib/etcd --prefix /registry/secrets/\n"
        "# every put that is left, as lines of key and value in base64\n"
        "holdfast snapshot log /var/lib/etcd --values --json |\n"
        "  jq -r '.requests[] | select(.what == \"put\") | \"\\(.key) \\(.value)\"'\n",
    .operands = log_operands,
    .opts = log_opts,
    .uses = CLI_OUTPUT,
    .args_size = sizeof(struct log_args),
    .run = show_log,
};
