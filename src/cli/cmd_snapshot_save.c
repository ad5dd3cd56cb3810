#include <string.h>

#include "cli/beside.h"
#include "cli/commands.h"
#include "cli/connect.h"
#include "cli/facts.h"
#include "cli/keys.h"
#include "cli/streaming.h"

struct save_args {
    const char *file;
    struct stream_args stream;
    struct seal_args seal;
    bool allow_same_filesystem;
};

/* clang-format off */
static const struct operand save_operands[] = {
    OPERAND("FILE", save_args, file, .required = true,
            .help = "where to store it; its name says how: .db, .db.zst, .db.age, "
                    ".db.zst.age; - is stdout"),
    OPERAND_DONE,
};

static const struct opt save_opts[] = {
    STREAM_OPTS(save_args, stream),
    SEAL_OPTS(save_args, seal),
    OPT(FLAG, "allow-same-filesystem", save_args, allow_same_filesystem,
        .help = "next to a running etcd's data keep only the usual reserve free, not a "
                "tenth of the file system"),
    OPT_DONE,
};
/* clang-format on */

static struct result *describe(const struct save_args *a, const struct snap_saved *s)
{
    struct result *r = result_new();

    result_str(r, "File", "file", a->file);
    result_i64(r, "Revision", "revision", s->facts.revision);
    result_size(r, "Size", "size", s->size);
    result_size(r, "Stored size", "stored_size", s->stored_size);
    show_digest(r, "SHA-256", "sha256", s->sha256);
    show_hashkv(r, &s->facts);
    result_u64(r, "Live keys", "live_keys", s->facts.live_keys);
    result_id(r, "Member", "member", "member_hex", s->member_id);
    result_str(r, "Endpoint", "endpoint", s->endpoint);
    result_str(r, "Chosen because", "reason", s->reason);
    result_took(r, "Took", "took_seconds", s->took_ms);
    result_bool(r, "Proved", "proved", s->proved);
    return r;
}

static enum rc save(struct cli *c, const void *args, struct err *e)
{
    const struct save_args *a = args;
    AT_END(beside_end) struct beside beside = BESIDE(c);
    AT_END(cli_login_clear) struct cli_login login = { 0 };
    AT_END(snap_saved_clear) struct snap_saved saved = { 0 };
    OWNED(age_recipients) recipients = NULL;
    OWNED(wire_client) w = NULL;
    struct snap_save_options o = {
        .file = a->file,
        .allow_same_filesystem = a->allow_same_filesystem,
        .begins = beside_begins,
        .begins_arg = &beside,
    };

    TRY(cli_recipients(&a->seal, &recipients, e));
    c->connection.stall_timeout_ms = a->stream.stall_timeout_ms;
    TRY(cli_connect(c, &login, &w, e));
    o.recipients = recipients;
    cli_stream(w, &a->stream, &o);
    TRY(snap_save(w, &o, &saved, e));
    if (strcmp(a->file, "-") != 0) {
        OWNED(result) r = describe(a, &saved);

        TRY(cli_show(c, r, e));
    }
    if (saved.degraded != NULL)
        return err_set(e, RC_DEGRADED, "the snapshot is stored, but %s", saved.degraded);
    return RC_OK;
}

const struct command cmd_snapshot_save = {
    .name = "snapshot save",
    .summary = "take a snapshot of a member, proved while it streams",
    .description =
        "Streams the database of one member to FILE. While the bytes go by, their "
        "SHA-256 "
        "is compared with the server's, every page is checked and every record read; "
        "what "
        "was stored is read back. FILE gets its name only when all of that is clean; an "
        "existing file is never replaced.\n\n"
        "A name that ends in .zst is compressed, one that ends in .age encrypted, "
        "without "
        "a plaintext on the way; `age -d -i KEY FILE | zstd -d` opens it without "
        "Holdfast.\n\n"
        "While it runs, `holdfast defrag` and `holdfast space fix` of this host and "
        "state "
        "directory wait for another time, and `holdfast compact` goes no further than "
        "the "
        "revision that is saved.",
    .examples = "# encrypted and compressed\n"
                "holdfast snapshot save etcd.db.zst.age -r age1...\n"
                "# from this member, as fast as it goes\n"
                "holdfast snapshot save etcd.db --from 10.0.0.2:2379 --rate 0\n",
    .operands = save_operands,
    .opts = save_opts,
    .uses = CLI_CONNECTION | CLI_OUTPUT | CLI_PROGRESS | CLI_STATE,
    .args_size = sizeof(struct save_args),
    .run = save,
};
