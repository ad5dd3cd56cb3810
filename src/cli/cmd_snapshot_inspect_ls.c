/* snapshot ls: the keys of a stored database, and how much room they take. */
#include <string.h>

#include "cli/commands.h"
#include "cli/rows.h"
#include "snapshot/look.h"
#include "snapshot/usage.h"
#include "util/mem.h"

struct ls_args {
    const char *file, *prefix;
    uint64_t revision, depth;
    bool keys_only, du;
};

/* clang-format off */
static const struct operand ls_operands[] = {
    OPERAND("FILE", ls_args, file, .required = true,
            .help = "a plain snapshot, a database file, or a data directory"),
    OPERAND("PREFIX", ls_args, prefix, .help = "only keys that begin with it"),
    OPERAND_DONE,
};

static const struct opt ls_opts[] = {
    OPT(FLAG, "keys-only", ls_args, keys_only, .help = "the keys and nothing else"),
    OPT(U64, "revision", ls_args, revision, .arg = "N", .fallback = "0",
        .help = "as of this revision; 0 is the newest"),
    OPT(FLAG, "du", ls_args, du,
        .help = "how many keys and bytes lie below each prefix, live and superseded"),
    OPT(U64, "depth", ls_args, depth, .arg = "N", .fallback = "2",
        .help = "with --du: parts of a prefix; of Kubernetes' keys 2 is a resource, 3 a "
                "namespace"),
    OPT_DONE,
};
/* clang-format on */

struct listing {
    const struct ls_args *args;
    struct snap_look look;
    struct snap_usage usage;
    uint64_t count;
};

static void listing_end(struct listing *l)
{
    snap_usage_clear(&l->usage);
    snap_look_clear(&l->look);
}

static struct result *key_row(const struct ls_args *a, const struct snap_record *record)
{
    struct result *r = result_new();

    if (a->keys_only) {
        result_bytes(r, "Key", "key", record->kv.key);
        return r;
    }
    result_i64(r, "Create", "create_revision", record->kv.create);
    result_i64(r, "Mod", "mod_revision", record->kv.mod);
    result_i64(r, "Version", "version", record->kv.version);
    result_id(r, "Lease", "lease", "lease_hex", (uint64_t)record->kv.lease);
    result_u64(r, "Size", "value_size", record->kv.value.n);
    result_bytes(r, "Key", "key", record->kv.key);
    return r;
}

static enum rc make_keys(void *arg, struct rows *to, struct err *e)
{
    struct listing *l = arg;
    struct snap_key key = { 0 };

    l->count = 0;
    while (snap_index_next(&l->look.index, &key)) {
        struct snap_record record;

        if (!snap_index_alive(&l->look.index, &key))
            continue;
        TRY(snap_index_newest(&l->look.index, &key, &record, e));
        TRY(rows_put(to, key_row(l->args, &record), e));
        l->count++;
    }
    return RC_OK;
}

/* As etcdctl gives it: the revision stands in a header. */
static struct result *header(const struct listing *l)
{
    struct result *h = result_new();

    result_i64(h, NULL, "revision", l->look.revision);
    return h;
}

static struct result *about_keys(void *arg)
{
    const struct listing *l = arg;
    struct result *r = result_new();

    result_nest(r, NULL, "header", header(l));
    result_u64(r, NULL, "count", l->count);
    return r;
}

static void usage_cells(struct result *r, const struct snap_usage_row *row)
{
    result_u64(r, "Keys", "keys", row->keys);
    result_size(r, "Live", "live_bytes", row->live_bytes);
    result_u64(r, "Old records", "history", row->history);
    result_size(r, "Old", "history_bytes", row->history_bytes);
}

static struct result *usage_row(const struct snap_usage_row *row, struct bytes name)
{
    struct result *r = result_new();

    usage_cells(r, row);
    result_name(r, "Prefix", "prefix", name);
    return r;
}

static enum rc make_usage(void *arg, struct rows *to, struct err *e)
{
    struct listing *l = arg;

    for (size_t i = 0; i < l->usage.count; i++)
        TRY(rows_put(to, usage_row(&l->usage.rows[i], l->usage.rows[i].prefix), e));
    if (rows_are_json(to))
        return RC_OK;
    return rows_put(to, usage_row(&l->usage.total, bytes_str("(all)")), e);
}

static struct result *about_usage(void *arg)
{
    const struct listing *l = arg;
    struct result *r = result_new(), *total = result_new();

    usage_cells(total, &l->usage.total);
    result_nest(r, NULL, "header", header(l));
    result_u64(r, NULL, "depth", l->args->depth);
    result_nest(r, NULL, "total", total);
    return r;
}

static enum rc show_usage(struct cli *c, struct listing *l, struct err *e)
{
    const struct rows_source source = {
        .arg = l, .make = make_usage, .about = about_usage, .key = "prefixes"
    };
    uint64_t depth = l->args->depth;

    TRY(snap_usage_make(&l->look.index, depth > 1000 ? 1000 : (unsigned)depth, &l->usage,
                        e));
    return rows_show(c, &source, e);
}

static enum rc ls(struct cli *c, const void *args, struct err *e)
{
    const struct ls_args *a = args;
    AT_END(listing_end) struct listing l = { .args = a };
    const struct rows_source source = { .arg = &l,
                                        .make = make_keys,
                                        .about = about_keys,
                                        .key = "kvs",
                                        .bare = a->keys_only };
    struct snap_look_options o = { .revision = a->revision };

    if (a->keys_only && a->du)
        return err_set(e, RC_USAGE, "--keys-only and --du ask for different things");
    if (a->prefix != NULL)
        o.prefix = bytes_str(a->prefix);
    if (snap_look_open(a->file, &o, &l.look, e) != RC_OK)
        return err_wrap(e, "looking into '%s'", a->file);
    TRY(a->du ? show_usage(c, &l, e) : rows_show(c, &source, e));
    return snap_look_intact(&l.look, e);
}

const struct command cmd_snapshot_ls = {
    .name = "snapshot ls",
    .summary = "list the keys of a snapshot, or the room they take",
    .description =
        "Lists the keys that a client would have seen at a revision, in etcd's order, "
        "with their revisions, version, lease and the size of the value. Every page of "
        "the file is checked first: nothing is listed of a damaged one.\n\n"
        "With --du the records are summed up by prefix instead: live ones, and those "
        "that a compaction may free. The bytes are those of whole records.\n\n"
        "The file is mapped and never changed; memory grows by 24 bytes a record of the "
        "keys asked for. What looks like a control character in a key is shown as \\xNN, "
        "and JSON has keys in base64 as etcdctl gives them.",
    .examples = "holdfast snapshot ls etcd.db /registry/pods/ --keys-only\n"
                "# which resource fills the database?\n"
                "holdfast snapshot ls etcd.db --du\n"
                "holdfast snapshot ls /var/lib/etcd /registry/events/ --du --depth 3\n",
    .operands = ls_operands,
    .opts = ls_opts,
    .uses = CLI_OUTPUT | CLI_PROGRESS,
    .args_size = sizeof(struct ls_args),
    .run = ls,
};
