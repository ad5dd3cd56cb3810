/* The commands that read a stored snapshot: status, verify, hashkv. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/connect.h"
#include "cli/facts.h"
#include "cli/keys.h"
#include "snapshot/compare.h"
#include "snapshot/verify.h"
#include "util/mem.h"

struct read_args {
    const char *file;
    struct open_args open;
    uint64_t revision;
    unsigned level;
    bool against_cluster;
};

/* clang-format off */
static const struct operand read_operands[] = {
    OPERAND("FILE", read_args, file, .required = true,
            .help = "the snapshot, also compressed or encrypted; - is stdin"),
    OPERAND_DONE,
};

static const struct opt status_opts[] = {
    OPEN_OPTS(read_args, open),
    OPT_DONE,
};

static const char *const levels[] = {
    [SNAP_LEVEL_TRAILER] = "trailer", [SNAP_LEVEL_PAGES] = "pages",
    [SNAP_LEVEL_FULL] = "full", NULL,
};

static const struct opt verify_opts[] = {
    OPT(CHOICE, "level", read_args, level, .choices = levels, .fallback = "full",
        .help = "trailer: the SHA-256; pages: and every page; full: and what the records "
                "mean"),
    OPT(FLAG, "against-cluster", read_args, against_cluster,
        .help = "and ask the members for their HashKV at the snapshot's revision"),
    OPEN_OPTS(read_args, open),
    OPT_DONE,
};

static const struct opt hashkv_opts[] = {
    OPT(U64, "rev", read_args, revision, .arg = "N", .fallback = "0",
        .help = "at this revision; 0 is the newest"),
    OPEN_OPTS(read_args, open),
    OPT_DONE,
};
/* clang-format on */

static enum rc examine(const struct read_args *a, struct snap_verify_options o,
                       struct snap_verdict *v, struct err *e)
{
    OWNED(age_identities) ids = NULL;

    TRY(cli_identities(&a->open, &ids, e));
    o.file = a->file;
    o.ids = ids;
    o.revision = (int64_t)a->revision;
    if (snap_verify(&o, v, e) != RC_OK)
        return e->what[0] == '\0' ? err_wrap(e, "examining '%s'", a->file) : e->code;
    return RC_OK;
}

/* ---- status -------------------------------------------------------------------------
 */

static enum rc status(struct cli *c, const void *args, struct err *e)
{
    const struct read_args *a = args;
    AT_END(snap_verdict_clear) struct snap_verdict v = { 0 };
    OWNED(result) r = result_new();
    char hash[16];

    TRY(examine(a,
                (struct snap_verify_options){ .level = SNAP_LEVEL_PAGES,
                                              .skip_trailer = true,
                                              .status_hash = true },
                &v, e));
    if (findings_verdict(&v.findings, e) != RC_OK)
        return err_wrap(e, "the snapshot '%s' is damaged", a->file);
    snprintf(hash, sizeof hash, "%" PRIx32, v.facts.status_hash);
    result_str(r, "Hash", NULL, hash);
    result_u64(r, NULL, "hash", v.facts.status_hash);
    result_i64(r, "Revision", "revision", v.facts.last_main);
    result_u64(r, "Total keys", "totalKey", v.facts.indexed_keys);
    result_size(r, "Total size", "totalSize", v.facts.total_size);
    result_str(r, "Storage version", "version",
               v.facts.storage_version == NULL ? "" : v.facts.storage_version);
    result_u64(r, "Live keys", "live_keys", v.facts.live_keys);
    result_u64(r, "Records", "records", v.facts.records);
    return cli_show(c, r, e);
}

const struct command cmd_snapshot_status = {
    .name = "snapshot status",
    .summary = "check a snapshot's pages and show its figures",
    .description =
        "Checks every page and prints what `etcdutl snapshot status` prints: the hash "
        "over "
        "all pairs, the newest revision, the number of keys as etcd 3.6 counts them, the "
        "size and the storage version. It does not read the whole file, so it cannot "
        "vouch "
        "for the SHA-256: `snapshot verify` does.",
    .operands = read_operands,
    .opts = status_opts,
    .uses = CLI_OUTPUT | CLI_PROGRESS,
    .args_size = sizeof(struct read_args),
    .run = status,
};

/* ---- verify -------------------------------------------------------------------------
 */

/* The JSON fields that the chosen level, or the damage, leaves unknown. */
static void show_unknown(struct result *r)
{
    static const char *const keys[] = { "revision", "compact_revision", "hashkv",
                                        "live_keys", "storage_version" };

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        result_str(r, NULL, keys[i], NULL);
}

static struct result *describe(const struct read_args *a, const struct snap_verdict *v,
                               bool ok)
{
    struct result *r = result_new();

    result_str(r, "File", "file", a->file);
    result_bool(r, "Ok", "ok", ok);
    result_str(r, "Level", "level", levels[a->level]);
    if (a->level != SNAP_LEVEL_TRAILER) {
        result_i64(r, "Revision", "revision", v->facts.revision);
        result_i64(r, "Compact revision", "compact_revision", v->facts.compact_revision);
        show_hashkv(r, &v->facts);
        result_u64(r, "Live keys", "live_keys", v->facts.live_keys);
        result_str(r, "Storage version", "storage_version",
                   v->facts.storage_version == NULL ? "" : v->facts.storage_version);
    } else {
        show_unknown(r);
    }
    show_digest(r, "SHA-256", "sha256", v->stored.sha256);
    show_digest(r, "Database SHA-256", "database_sha256", v->trailer.database);
    result_size(r, "Size", "size", v->trailer.size);
    result_size(r, "Stored size", "stored_size", v->stored.size);
    return r;
}

/* A file that is no database any more gets a verdict too, in the same shape. */
static enum rc unreadable(struct cli *c, const struct read_args *a, struct err *why)
{
    AT_END(findings_clear) struct findings f = { 0 };
    OWNED(result) r = result_new();
    struct err e = *why;

    TRY(findings_add(&f, FINDING_ERROR, "unreadable", FINDING_NO_PAGE, &e, "%.220s",
                     why->why));
    result_str(r, "File", "file", a->file);
    result_bool(r, "Ok", "ok", false);
    result_str(r, "Level", "level", levels[a->level]);
    show_unknown(r);
    result_str(r, NULL, "sha256", NULL);
    show_findings(r, &f);
    TRY(cli_show(c, r, &e));
    return why->code;
}

/* Asks the members; what they say is added to the findings. *compared: did one tell? */
static enum rc against_cluster(struct cli *c, struct snap_verdict *v, struct result *r,
                               bool *compared, struct err *e)
{
    AT_END(cli_login_clear) struct cli_login login = { 0 };
    AT_END(snap_votes_clear) struct snap_votes votes = { 0 };
    OWNED(wire_client) w = NULL;
    struct result *list = result_new_list();
    enum rc rc;

    rc = cli_connect(c, &login, &w, e);
    if (rc == RC_OK)
        rc = snap_compare(w, &v->facts, &votes, &v->findings, e);
    for (size_t i = 0; i < votes.count; i++) {
        *compared |= votes.items[i].verdict != SNAP_VOTE_UNKNOWN;
        result_next(list);
        result_str(list, "Endpoint", "endpoint", votes.items[i].endpoint);
        result_str(list, "Verdict", "verdict", snap_vote_name(votes.items[i].verdict));
        result_u64(list, "HashKV", "hashkv", votes.items[i].hash);
        result_i64(list, "Compact revision", "compact_revision", votes.items[i].compact);
    }
    result_nest(r, "Members", "cluster", list);
    return rc;
}

/* All was shown; what does it amount to? */
static enum rc conclude(const struct read_args *a, const struct snap_verdict *v,
                        bool compared, struct err *e)
{
    if (findings_verdict(&v->findings, e) != RC_OK)
        return err_wrap(e, "the snapshot '%s' is not good", a->file);
    if (a->level == SNAP_LEVEL_FULL && !v->facts.hashkv_known)
        return err_set(e, RC_DEGRADED, "the records were too many to check them all");
    if (a->against_cluster && !compared)
        return err_set(
            e, RC_DEGRADED,
            "the snapshot '%s' is good, but no member could tell its HashKV at "
            "that revision" HINT "compare a newer snapshot; each finding above says why",
            a->file);
    return RC_OK;
}

static enum rc verify(struct cli *c, const void *args, struct err *e)
{
    const struct read_args *a = args;
    AT_END(snap_verdict_clear) struct snap_verdict v = { 0 };
    OWNED(result) r = NULL;
    bool compared = false;

    if (a->against_cluster && a->level != SNAP_LEVEL_FULL)
        return err_set(e, RC_USAGE, "--against-cluster needs --level full");
    enum rc rc = examine(a, (struct snap_verify_options){ .level = a->level }, &v, e);

    if (rc == RC_CORRUPT)
        return unreadable(c, a, e);
    TRY(rc);
    r = describe(a, &v, v.findings.errors == 0);
    if (a->against_cluster)
        TRY(against_cluster(c, &v, r, &compared, e));
    show_findings(r, &v.findings);
    TRY(cli_show(c, r, e));
    return conclude(a, &v, compared, e);
}

const struct command cmd_snapshot_verify = {
    .name = "snapshot verify",
    .summary = "prove a snapshot: SHA-256, pages, meaning",
    .description =
        "Reads the whole file and tells all that is wrong with it: the SHA-256 against "
        "the "
        "trailer, every reachable page (more strictly than bbolt does), and at level "
        "full "
        "what the records mean, with HashKV as the servers compute it. The file is "
        "opened "
        "read-only and never changed; a compressed or encrypted one is checked as it "
        "streams, without a plaintext on disk. Exit status 3 means: do not rely on it.",
    .examples = "holdfast snapshot verify etcd.db.zst.age -i backup.key\n"
                "holdfast snapshot verify etcd.db --against-cluster\n",
    .operands = read_operands,
    .opts = verify_opts,
    .uses = CLI_CONNECTION | CLI_OUTPUT | CLI_PROGRESS,
    .args_size = sizeof(struct read_args),
    .run = verify,
};

/* ---- hashkv -------------------------------------------------------------------------
 */

static enum rc hashkv(struct cli *c, const void *args, struct err *e)
{
    const struct read_args *a = args;
    AT_END(snap_verdict_clear) struct snap_verdict v = { 0 };
    OWNED(result) r = result_new();

    TRY(examine(
        a, (struct snap_verify_options){ .level = SNAP_LEVEL_FULL, .skip_trailer = true },
        &v, e));
    if (findings_verdict(&v.findings, e) != RC_OK)
        return err_wrap(e, "the snapshot '%s' is damaged", a->file);
    if (!v.facts.hashkv_known)
        return err_set(e, RC_DEGRADED,
                       "the records were too many to hash them all" HINT
                       "decrypt and decompress the file first");
    result_u64(r, "Hash", "hash", v.facts.hashkv.hash);
    result_i64(r, "Hash revision", "hashRevision", v.facts.hashkv.revision);
    result_i64(r, "Compact revision", "compactRevision", v.facts.hashkv.compact_revision);
    return cli_show(c, r, e);
}

const struct command cmd_snapshot_hashkv = {
    .name = "snapshot hashkv",
    .summary = "HashKV of a snapshot, equal to the server's",
    .description =
        "Computes what Maintenance.HashKV of a member answers at a revision, from the "
        "file "
        "alone. Two members or copies hold the same data when hash, hash revision and "
        "compact revision are all equal.",
    .operands = read_operands,
    .opts = hashkv_opts,
    .uses = CLI_OUTPUT | CLI_PROGRESS,
    .args_size = sizeof(struct read_args),
    .run = hashkv,
};
