#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "cli/cluster.h"
#include "cli/commands.h"
#include "cli/facts.h"
#include "cli/keys.h"
#include "cli/repos.h"
#include "cli/streaming.h"
#include "host/preset.h"
#include "repo/backup.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/program.h"

struct backup_args {
    struct repo_args repo;
    struct repo_job_args job;
    struct stream_args stream;
    struct seal_args seal;
    struct str_list tags, include;
    const char *accept_cluster, *preset;
    uint64_t lock_ms, unless_within_ms;
    bool skip_unchanged, allow_other_recipients;
    unsigned priority;
};

enum { PRIORITY_LOW };
static const char *const priorities[] = { [PRIORITY_LOW] = "low", "normal", NULL };

/* clang-format off */
static const struct opt backup_opts[] = {
    REPO_OPTS(backup_args, repo, true),
    SEAL_KEYS_OPTS(backup_args, seal),
    STREAM_OPTS(backup_args, stream),
    OPT(LIST, "tag", backup_args, tags, .arg = "WORD", .help = "a word for this backup"),
    OPT(LIST, "include", backup_args, include, .arg = "PATH",
        .help = "a file or directory of this host, into the same encrypted object"),
    OPT(STR, "preset", backup_args, preset, .arg = "kubeadm|k3s|rke2",
        .help = "all that a recovery of such a host needs: PKI, tokens, manifests, keys"),
    OPT(FLAG, "skip-unchanged", backup_args, skip_unchanged,
        .help = "store nothing when no key, user, role or voter changed since the newest "
                "backup, and all voters hold what it has (etcd 3.5 on)"),
    OPT(DURATION, "unless-within", backup_args, unless_within_ms, .arg = "DURATION",
        .fallback = "0",
        .help = "store nothing when a proved backup was made within this time, on whichever "
                "host: of several agents one does it"),
    OPT(DURATION, "lock", backup_args, lock_ms, .arg = "DURATION", .fallback = "0",
        .help = "object lock: the store refuses to delete it for so long"),
    OPT(STR, "accept-cluster", backup_args, accept_cluster, .arg = "ID",
        .help = "the cluster has this new id: it was restored"),
    OPT(CHOICE, "priority", backup_args, priority, .choices = priorities, .fallback = "low",
        .help = "for processor and disk: low leaves both to an etcd on this host"),
    OPT(FLAG, "allow-other-recipients", backup_args, allow_other_recipients,
        .help = "encrypt for others than the repository was made for"),
    REPO_JOB_OPTS(backup_args, job),
    OPT_DONE,
};
/* clang-format on */

/* ---- files of the host -------------------------------------------------------------
 */

static enum rc gather(const struct backup_args *a, struct bundle_path **out,
                      size_t *count, struct err *e)
{
    const struct host_preset *p = a->preset == NULL ? NULL : host_preset_named(a->preset);
    size_t n = 0;

    if (a->preset != NULL && p == NULL)
        return err_set(e, RC_USAGE, "--preset '%s' is not one of kubeadm, k3s and rke2",
                       a->preset);
    TRY(mem_new(out, (a->include.count + (p == NULL ? 0 : p->count) + 1) * sizeof **out,
                "paths", e));
    for (size_t i = 0; p != NULL && i < p->count; i++)
        (*out)[n++] = (struct bundle_path){ p->paths[i].path, p->paths[i].required };
    for (size_t i = 0; i < a->include.count; i++)
        (*out)[n++] = (struct bundle_path){ a->include.items[i], true };
    *count = n;
    return RC_OK;
}

static void tell(const struct bundle_report *b)
{
    for (size_t i = 0; i < b->missing.count; i++)
        log_info("'%s' is not there", b->missing.items[i]);
    for (size_t i = 0; i < b->passed_over.count; i++)
        log_warn("'%s' is no plain file, and is not in the backup",
                 b->passed_over.items[i]);
}

static void show_bundled(struct result *r, const struct repo_backup *b)
{
    struct json *missing = json_new_array();

    for (size_t i = 0; i < b->bundled.missing.count; i++)
        json_add_str(missing, b->bundled.missing.items[i]);
    if (b->record->backup->content == MANIFEST_BUNDLE && !b->skipped)
        result_u64(r, "Files", "files", b->bundled.packed.count);
    else
        result_u64(r, NULL, "files", 0);
    result_json(r, "missing", missing);
}

static struct result *describe(const struct repo_backup *b)
{
    const struct manifest *m = b->record->backup;
    struct result *r = result_new();

    result_u64(r, "Sequence", "sequence", b->record->sequence);
    result_str(r, "Object", "key", m->object_key);
    result_i64(r, "Revision", "revision", m->revision);
    result_size(r, "Size", "size", m->db_size);
    result_size(r, "Stored size", "stored_size", m->object_size);
    show_digest(r, "SHA-256", "sha256", m->object_sha256);
    if (m->hashkv_known)
        result_u64(r, "HashKV", "hashkv", m->hashkv);
    else
        result_str(r, NULL, "hashkv", NULL);
    result_u64(r, "Live keys", "live_keys", m->live_keys);
    result_id(r, "Member", "member", "member_hex", m->member_id);
    result_str(r, "Endpoint", "endpoint", b->endpoint);
    result_str(r, "Chosen because", "reason", b->reason);
    result_u64(r, NULL, "voters", b->voters);
    result_u64(r, NULL, "agreed", b->agreed);
    result_took(r, "Took", "took_seconds", b->took_ms);
    result_bool(r, "Proved", "proved", m->proved);
    result_str(r, "Because", "proved_why", m->proved_why);
    result_bool(r, NULL, "skipped", b->skipped);
    show_bundled(r, b);
    return r;
}

static enum rc parse_cluster(const char *text, uint64_t *out, struct err *e)
{
    char *end = NULL;

    *out = 0;
    if (text == NULL)
        return RC_OK;
    errno = 0;
    *out = strtoull(text, &end, 16);
    if (errno == 0 && *end == '\0' && *out != 0 && text[0] != '-')
        return RC_OK;
    return err_set(e, RC_USAGE, "'%s' is no cluster id in hexadecimal", text);
}

/* Everything that must live as long as the backup runs. */
struct running {
    struct cli_cluster k;
    struct cli_repo repo;
    struct cli_job job;
    struct age_recipients *to;
    struct wire_client *client;
    struct repo_backup done;
    struct bundle_path *include;
};

static void running_end(struct running *n)
{
    repo_backup_clear(&n->done);
    mem_free(n->include);
    wire_client_free(n->client);
    age_recipients_free(n->to);
    cli_job_clear(&n->job);
    cli_repo_clear(&n->repo);
    cli_cluster_clear(&n->k);
}

static enum rc prepare(struct cli *c, const struct backup_args *a, struct running *n,
                       struct repo_backup_options *o, struct err *e)
{
    TRY(cli_recipients(&a->seal, &n->to, e));
    TRY(parse_cluster(a->accept_cluster, &o->accept_cluster, e));
    TRY(gather(a, &n->include, &o->include_count, e));
    o->include = n->include;
    TRY(cli_repo_open(c, &a->repo, &n->repo, e));
    TRY(cli_connect(c, &n->k.login, &n->client, e));
    TRY(cli_job_init(c, &a->job, &n->job, e));
    o->job = n->job.options;
    o->client = n->client;
    o->access = &n->k.access;
    o->recipients = n->to;
    o->allow_other_recipients = a->allow_other_recipients;
    o->tags = &a->tags;
    o->skip_unchanged = a->skip_unchanged;
    if (a->unless_within_ms > 0)
        o->unless_since = (clock_unix_ms() - (int64_t)a->unless_within_ms) / 1000;
    if (a->lock_ms > 0)
        o->keep_until = (clock_unix_ms() + (int64_t)a->lock_ms) / 1000;
    cli_stream(n->client, &a->stream, &o->stream);
    return RC_OK;
}

static enum rc backup(struct cli *c, const void *args, struct err *e)
{
    const struct backup_args *a = args;
    AT_END(running_end) struct running n = { 0 };
    struct repo_backup_options o = { 0 };
    OWNED(result) r = NULL;

    if (a->priority == PRIORITY_LOW)
        program_give_way();
    TRY(cli_cluster_init(&n.k, c, e));
    c->connection.stall_timeout_ms = a->stream.stall_timeout_ms;
    TRY(prepare(c, a, &n, &o, e));
    TRY(repo_backup(n.repo.repo, &o, &n.done, e));
    if (n.done.skipped)
        log_info("backup %" PRIu64 " is as good as a new one: it stays the newest",
                 n.done.record->sequence);
    tell(&n.done.bundled);
    r = describe(&n.done);
    c->out->on_record = true;
    if (cli_show(c, r, e) != RC_OK)
        log_warn("the backup is stored, but cannot be shown: %s", e->why);
    return repo_backup_verdict(&n.done, e);
}

const struct command cmd_backup = {
    .name = "backup",
    .summary = "store a backup of a cluster, proved by its voters",
    .description =
        "Chooses a member, streams its database, checks every page and record, "
        "compresses "
        "and encrypts it on the way into the repository, reads back what is stored, asks "
        "all voters for their HashKV at the backup's revision, and writes a signed "
        "record. "
        "Nothing unencrypted and no whole copy touches a disk.\n\n"
        "Exit status 8: the backup is stored, and marked as not proved, or the cluster "
        "is "
        "ill. 11: another backup of this cluster is running. A backup that is killed "
        "leaves "
        "none; the next run removes its leftovers. A cluster's name in the repository "
        "stands for one cluster: endpoints that lead elsewhere are refused.",
    .examples =
        "holdfast backup --repo /mnt/backup --cluster prod -R recipients.txt\n"
        "# from a timer\n"
        "holdfast backup --cluster prod --skip-unchanged --tag hourly --wait 10m\n",
    .opts = backup_opts,
    .uses = CLI_CONNECTION | CLI_OUTPUT | CLI_PROGRESS | CLI_STATE,
    .args_size = sizeof(struct backup_args),
    .run = backup,
};
