/* snapshot get: one key of a stored database, or all that ever happened to it. */
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/rows.h"
#include "snapshot/look.h"
#include "snapshot/secrets.h"
#include "util/mem.h"

struct get_args {
    const char *file, *key;
    uint64_t revision;
    bool history, raw, reveal;
};

/* clang-format off */
static const struct operand get_operands[] = {
    OPERAND("FILE", get_args, file, .required = true,
            .help = "a plain snapshot, a database file, or a data directory"),
    OPERAND("KEY", get_args, key, .required = true, .help = "the whole key"),
    OPERAND_DONE,
};

static const struct opt get_opts[] = {
    OPT(U64, "revision", get_args, revision, .arg = "N", .fallback = "0",
        .help = "as of this revision; 0 is the newest"),
    OPT(FLAG, "history", get_args, history,
        .help = "every record of the key that is left, instead of a value"),
    OPT(FLAG, "raw", get_args, raw,
        .help = "the bytes as they are, on a terminal as well"),
    OPT(FLAG, "reveal", get_args, reveal,
        .help = "also a value that looks like a secret"),
    OPT_DONE,
};
/* clang-format on */

static enum rc not_there(const struct get_args *a, const struct snap_look *look,
                         const struct snap_key *key, struct err *e)
{
    struct snap_record last;
    enum rc rc;

    if (key == NULL)
        return err_set(e, RC_NOTFOUND, "there is no key '%s' at revision %" PRId64,
                       a->key, look->revision);
    TRY(snap_index_newest(&look->index, key, &last, e));
    rc = err_set(e, RC_NOTFOUND, "the key '%s' was deleted at revision %" PRId64, a->key,
                 last.rev.main);
    if (key->end - key->first > 1)
        err_hint(e, "an older --revision may show it; --history lists them");
    return rc;
}

/* ---- the value -------------------------------------------------------------------- */

/* "text\n" as a string literal: newlines, tabs, quotes and backslashes are escaped here,
 * whatever else is not for a terminal by the printable form. */
static enum rc quote(struct bytes value, struct buf *out, struct err *e)
{
    static const char special[] = "\n\t\"\\", letters[] = "nt\"\\";

    for (size_t i = 0; i < value.n; i++) {
        const char *at = value.p[i] == '\0' ? NULL : strchr(special, (char)value.p[i]);

        if (at == NULL)
            TRY(buf_add(out, &value.p[i], 1, e));
        else
            TRY(buf_add(out, (const char[]){ '\\', letters[at - special] }, 2, e));
    }
    return RC_OK;
}

static enum rc show_quoted(struct cli *c, struct bytes value, struct err *e)
{
    AT_END(buf_wipe) struct buf quoted = { .cap_max = 2 * value.n + 64 };
    AT_END(mem_end) char *text = NULL;

    TRY(quote(value, &quoted, e));
    TRY(mem_new(&text, 4 * quoted.n + 16, "a value", e));
    str_printable(text, 4 * quoted.n + 16, (struct bytes){ quoted.p, quoted.n });
    printer_put(c->out, "\"");
    printer_put(c->out, text);
    printer_put(c->out, "\"\n");
    return RC_OK;
}

/* In the words of etcdctl get, for -w fields and -w json. */
static enum rc show_pair(struct cli *c, const struct snap_look *look,
                         const struct snap_record *record, struct err *e)
{
    OWNED(result) r = result_new();
    struct result *kvs = result_new_list(), *header = result_new();
    const struct mvcc_kv *kv = &record->kv;

    result_i64(header, NULL, "revision", look->revision);
    result_next(kvs);
    result_bytes(kvs, "Key", "key", kv->key);
    result_i64(kvs, "CreateRevision", "create_revision", kv->create);
    result_i64(kvs, "ModRevision", "mod_revision", kv->mod);
    result_i64(kvs, "Version", "version", kv->version);
    result_i64(kvs, "Lease", "lease", kv->lease);
    result_bytes(kvs, "Value", "value", kv->value);
    if (c->format != RENDER_JSON) {
        OWNED(result) shown = kvs;

        result_free(header);
        return cli_show(c, shown, e);
    }
    result_nest(r, NULL, "header", header);
    result_nest(r, NULL, "kvs", kvs);
    result_u64(r, NULL, "count", 1);
    return cli_show(c, r, e);
}

static enum rc show_value(struct cli *c, const struct get_args *a,
                          const struct snap_look *look, const struct snap_key *key,
                          struct err *e)
{
    struct snap_record record;

    if (key == NULL || !snap_index_alive(&look->index, key))
        return not_there(a, look, key, e);
    TRY(snap_index_newest(&look->index, key, &record, e));
    if (!a->reveal && snap_is_secret(record.kv.key, record.kv.value))
        return err_set(e, RC_REFUSED,
                       "the value of '%s' looks like a secret" HINT
                       "--reveal shows it all the same; --history shows all but values",
                       a->key);
    if (c->format != RENDER_SIMPLE)
        return show_pair(c, look, &record, e);
    if (!a->raw && isatty(c->out->fd))
        return show_quoted(c, record.kv.value, e);
    printer_put_bytes(c->out, record.kv.value);
    return RC_OK;
}

/* ---- the history ------------------------------------------------------------------ */

struct telling {
    const struct get_args *args;
    const struct snap_look *look;
    struct snap_key key;
};

static enum rc make_events(void *arg, struct rows *to, struct err *e)
{
    const struct telling *t = arg;

    for (size_t i = t->key.first; i < t->key.end; i++) {
        struct snap_record record;
        struct result *r;

        TRY(snap_index_record(&t->look->index, i, &record, e));
        r = result_new();
        result_i64(r, "Revision", "mod_revision", record.rev.main);
        result_i64(r, "Sub", "sub", record.rev.sub);
        result_str(r, "Event", "type", record.rev.tombstone ? "DELETE" : "PUT");
        result_i64(r, "Create", "create_revision", record.kv.create);
        result_i64(r, "Version", "version", record.kv.version);
        result_id(r, "Lease", "lease", "lease_hex", (uint64_t)record.kv.lease);
        result_u64(r, "Size", "value_size", record.kv.value.n);
        TRY(rows_put(to, r, e));
    }
    return RC_OK;
}

static struct result *about_events(void *arg)
{
    const struct telling *t = arg;
    struct result *r = result_new(), *header = result_new();

    result_i64(header, NULL, "revision", t->look->revision);
    result_nest(r, NULL, "header", header);
    result_bytes(r, NULL, "key", bytes_str(t->args->key));
    result_i64(r, NULL, "compact_revision", t->look->facts.compact_revision);
    return r;
}

static enum rc show_history(struct cli *c, const struct get_args *a,
                            const struct snap_look *look, const struct snap_key *key,
                            struct err *e)
{
    struct telling t = { .args = a, .look = look };
    const struct rows_source source = {
        .arg = &t, .make = make_events, .about = about_events, .key = "events"
    };

    if (key == NULL)
        return not_there(a, look, key, e);
    t.key = *key;
    return rows_show(c, &source, e);
}

static enum rc get(struct cli *c, const void *args, struct err *e)
{
    const struct get_args *a = args;
    const struct snap_look_options o = { .prefix = bytes_str(a->key),
                                         .whole = true,
                                         .revision = a->revision };
    AT_END(snap_look_clear) struct snap_look look = { 0 };
    struct snap_key key = { 0 };
    const struct snap_key *found;

    if (snap_look_open(a->file, &o, &look, e) != RC_OK)
        return err_wrap(e, "looking into '%s'", a->file);
    found = snap_index_next(&look.index, &key) ? &key : NULL;
    TRY(a->history ? show_history(c, a, &look, found, e)
                   : show_value(c, a, &look, found, e));
    return snap_look_intact(&look, e);
}

const struct command cmd_snapshot_get = {
    .name = "snapshot get",
    .summary = "one value from a snapshot, or the history of its key",
    .description =
        "Prints the value that a key had at a revision: quoted on a terminal, byte for "
        "byte into a file or pipe, and in the words of etcdctl with -w json or -w "
        "fields. "
        "A value that looks like a secret (of /registry/secrets/, or with a private key "
        "in "
        "it) is not shown without --reveal.\n\n"
        "With --history it lists every record of the key that compactions have left, "
        "without values.\n\n"
        "Every page of the file is checked first. The file is never changed.",
    .examples = "holdfast snapshot get etcd.db /registry/configmaps/default/web > web\n"
                "holdfast snapshot get etcd.db /registry/nodes/n1 --history\n",
    .operands = get_operands,
    .opts = get_opts,
    .uses = CLI_OUTPUT | CLI_PROGRESS,
    .args_size = sizeof(struct get_args),
    .run = get,
};
