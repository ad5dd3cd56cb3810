/* The log of a cluster: tag, audit, catalog rebuild, unlock; and a copy of all of it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/confirm.h"
#include "cli/facts.h"
#include "cli/repos.h"
#include "repo/audit.h"
#include "repo/copy.h"
#include "repo/rebuild.h"
#include "repo/tag.h"

struct log_args {
    const char *sequence, *to;
    struct str_list words, marks;
    struct repo_args repo;
    struct repo_job_args job;
    bool remove;
};

/* ---- tag -------------------------------------------------------------------------- */

/* clang-format off */
static const struct operand tag_operands[] = {
    OPERAND("SEQUENCE|latest", log_args, sequence, .required = true,
            .help = "the backup's number in 'holdfast list'"),
    OPERANDS("WORD", log_args, words, .required = true,
             .help = "1 to 64 of letters, digits and . _ : = / + @ -"),
    OPERAND_DONE,
};

static const struct opt tag_opts[] = {
    REPO_OPTS(log_args, repo, true),
    REPO_JOB_OPTS(log_args, job),
    OPT_DONE,
};
/* clang-format on */

static enum rc tag(struct cli *c, const void *args, struct err *e)
{
    const struct log_args *a = args;
    AT_END(cli_job_clear) struct cli_job job = { 0 };
    AT_END(cli_repo_clear) struct cli_repo k = { 0 };
    const struct chain_item *item;
    OWNED(chain) log = NULL;
    OWNED(result) r = result_new();
    uint64_t sequence;

    TRY(cli_sequence(a->sequence, &sequence, e));
    TRY(cli_job_init(c, &a->job, &job, e));
    TRY(cli_repo_open(c, &a->repo, &k, e));
    TRY(repo_tag(k.repo, &job.options, &sequence, &a->words, e));
    TRY(repo_log(k.repo, &log, e));
    TRY(repo_find(log, sequence, &item, e));
    show_backup(r, item->record, &item->tags);
    return cli_show(c, r, e);
}

const struct command cmd_tag = {
    .name = "tag",
    .summary = "give a backup a word, such as before-upgrade",
    .description =
        "Adds words to a backup, as a signed record of their own. `holdfast prune "
        "--keep-tag` keeps such backups, `holdfast list --tag` shows them. A word is not "
        "taken back.",
    .examples = "holdfast tag latest before-upgrade --repo /mnt/backup --cluster prod\n",
    .operands = tag_operands,
    .opts = tag_opts,
    .uses = CLI_CONNECTION | CLI_OUTPUT | CLI_STATE,
    .args_size = sizeof(struct log_args),
    .run = tag,
};

/* ---- audit ------------------------------------------------------------------------ */

/* clang-format off */
static const struct opt audit_opts[] = {
    REPO_OPTS(log_args, repo, true),
    OPT(LIST, "mark", log_args, marks, .arg = "SEQUENCE:SHA256",
        .help = "what another place remembers as the head of the log, as this command "
                "prints it"),
    OPT_DONE,
};
/* clang-format on */

static enum rc parse_mark(const char *text, struct chain_mark *m, struct err *e)
{
    const char *colon = strchr(text, ':');
    char digits[24] = "";

    *m = (struct chain_mark){ .whence = "--mark" };
    if (colon != NULL && (size_t)(colon - text) < sizeof digits)
        memcpy(digits, text, (size_t)(colon - text));
    if (str_to_u64(digits, &m->head.sequence) && m->head.sequence > 0 &&
        str_unhex(colon + 1, m->head.sha256, sizeof m->head.sha256))
        return RC_OK;
    return err_set(e, RC_USAGE, "--mark '%s' is not SEQUENCE:SHA256", text);
}

static enum rc parse_marks(const struct str_list *texts, struct chain_mark **out,
                           struct err *e)
{
    TRY(mem_new(out, (texts->count + 1) * sizeof **out, "marks", e));
    for (size_t i = 0; i < texts->count; i++)
        TRY(parse_mark(texts->items[i], &(*out)[i], e));
    return RC_OK;
}

static struct result *describe_audit(const struct repo_audit *a)
{
    const struct record_link *head = &a->log->head;
    char hash[2 * SHA256_SIZE + 1], mark[96];
    struct result *r = result_new();

    str_hex(hash, head->sha256, sizeof head->sha256);
    snprintf(mark, sizeof mark, "%" PRIu64 ":%s", head->sequence, hash);
    result_bool(r, "Ok", "ok", a->findings.errors == 0);
    result_u64(r, "Records", "records", a->log->count);
    result_u64(r, "Backups", "backups", a->backups);
    result_u64(r, "Objects", "objects", a->objects);
    result_size(r, "Their size", "bytes", a->bytes);
    result_i64(r, "High water", "high_water", a->log->high_water);
    result_str(r, "Head", "head", mark);
    show_findings(r, &a->findings);
    return r;
}

static enum rc audit(struct cli *c, const void *args, struct err *e)
{
    const struct log_args *a = args;
    AT_END(cli_repo_clear) struct cli_repo k = { 0 };
    AT_END(repo_audit_clear) struct repo_audit done = { 0 };
    struct chain_mark *marks = NULL;
    AT_END(mem_end) void *held = NULL;
    enum rc rc = parse_marks(&a->marks, &marks, e);

    held = marks;
    TRY(rc);
    TRY(cli_repo_open(c, &a->repo, &k, e));
    TRY(repo_audit(k.repo, marks, a->marks.count, &done, e));

    OWNED(result) r = describe_audit(&done);

    TRY(cli_show(c, r, e));
    if (findings_verdict(&done.findings, e) != RC_OK) {
        err_hint(e,
                 "find out who may write there; what 'holdfast verify --all' finds good "
                 "can be fetched, and a copy of the repository may still be whole");
        return err_wrap(e, "the repository's log of '%s'", k.repo->options.cluster);
    }
    if (done.findings.warnings > 0)
        return err_set(e, RC_DEGRADED,
                       "the log hangs together, but %zu things in it are odd" HINT
                       "the findings above name them; records that nobody of ours signed "
                       "are never used, and somebody put them there",
                       done.findings.warnings);
    return RC_OK;
}

const struct command cmd_audit = {
    .name = "audit",
    .summary = "was anything removed, altered or rolled back?",
    .description =
        "Follows the signed log of the cluster record by record: each names the one "
        "before "
        "it by number and hash, a removal is a record itself, and the newest must not be "
        "older than what this host, or --mark, remembers. Every object must be there "
        "with "
        "its size; `holdfast verify --all` reads them as well. Exit status 3: something "
        "is wrong; 8: it hangs together, but holds what does not belong there.\n\n"
        "It says what nobody can know from here: a store that hides the newest records "
        "is "
        "found out only by a place that has seen them. Keep the printed head elsewhere.",
    .examples = "holdfast audit --repo /mnt/backup --cluster prod\n"
                "holdfast audit --cluster prod --mark 118:5f1c...\n",
    .opts = audit_opts,
    .uses = CLI_OUTPUT | CLI_STATE,
    .args_size = sizeof(struct log_args),
    .run = audit,
};

/* ---- catalog rebuild -------------------------------------------------------------- */

/* clang-format off */
static const struct opt rebuild_opts[] = {
    REPO_OPTS(log_args, repo, true),
    OPT_DONE,
};
/* clang-format on */

static enum rc rebuild(struct cli *c, const void *args, struct err *e)
{
    const struct log_args *a = args;
    AT_END(cli_repo_clear) struct cli_repo k = { 0 };
    OWNED(result) r = result_new();
    size_t records = 0;

    TRY(cli_repo_open(c, &a->repo, &k, e));
    TRY(repo_rebuild(k.repo, &records, e));
    result_str(r, "Cluster", "cluster", a->repo.cluster);
    result_u64(r, "Records", "records", records);
    return cli_show(c, r, e);
}

const struct command cmd_catalog_rebuild = {
    .name = "catalog rebuild",
    .summary = "make this host's index again from the repository",
    .description =
        "The index in the state directory is a copy of the repository's log and may be "
        "lost: this reads all records again. What only the index knows, how far the log "
        "was when this host last looked, is kept when it is there.",
    .examples = "holdfast catalog rebuild --repo /mnt/backup --cluster prod\n",
    .opts = rebuild_opts,
    .uses = CLI_OUTPUT | CLI_STATE,
    .args_size = sizeof(struct log_args),
    .run = rebuild,
};

/* ---- unlock ----------------------------------------------------------------------- */

static enum rc unlock(struct cli *c, const void *args, struct err *e)
{
    const struct log_args *a = args;
    AT_END(cli_repo_clear) struct cli_repo k = { 0 };
    OWNED(result) r = result_new();
    char owner[128] = "", us[128];
    struct lock_options o;
    bool held = false;

    TRY(cli_repo_open(c, &a->repo, &k, e));
    TRY(cli_confirm_word(c, "the cluster's name", a->repo.cluster,
                         "take the lock away from a job that may still be running", e));
    repo_owner(us);
    o = repo_lock_options(k.repo, k.repo->store, us);
    TRY(lock_break(&o, &held, owner, e));
    result_bool(r, "Was locked", "held", held);
    result_str(r, "By", "owner", held ? owner : NULL);
    return cli_show(c, r, e);
}

const struct command cmd_unlock = {
    .name = "unlock",
    .summary = "take a repository's lock from a job that is gone",
    .description =
        "A lock goes by itself: in a directory with the process that holds it, elsewhere "
        "a "
        "minute after its holder's last sign of life. This takes it at once. A holder "
        "that "
        "still lives finds out before it makes anything visible, and gives up.",
    .examples = "holdfast unlock --repo s3://etcd-backups --cluster prod\n",
    .opts = rebuild_opts,
    .uses = CLI_OUTPUT | CLI_STATE | CLI_YES,
    .args_size = sizeof(struct log_args),
    .run = unlock,
};

/* ---- copy ------------------------------------------------------------------------- */

/* clang-format off */
static const struct opt copy_opts[] = {
    OPT(STR, "to", log_args, to, .arg = "URL|DIR", .required = true,
        .help = "where: an empty place, or an earlier copy"),
    OPT(FLAG, "remove", log_args, remove,
        .help = "remove there, too, what was pruned here"),
    REPO_OPTS(log_args, repo, true),
    OPT_DONE,
};
/* clang-format on */

static enum rc copy(struct cli *c, const void *args, struct err *e)
{
    const struct log_args *a = args;
    AT_END(cli_repo_clear) struct cli_repo k = { 0 };
    const struct repo_copy_options o = {
        .to = cli_store_options(&a->repo, a->to),
        .remove = a->remove,
    };
    struct repo_copied done;
    OWNED(result) r = result_new();

    TRY(cli_repo_open(c, &a->repo, &k, e));
    TRY(repo_copy(k.repo, &o, &done, e));
    result_str(r, "To", "to", a->to);
    result_u64(r, "Backups copied", "objects", done.objects);
    result_u64(r, "Records copied", "records", done.records);
    result_u64(r, "Removed there", "removed", done.removed);
    result_size(r, "Bytes", "bytes", done.bytes);
    result_u64(r, "Bad here", "bad", done.bad);
    TRY(cli_show(c, r, e));
    if (done.bad > 0)
        return err_set(e, RC_DEGRADED,
                       "%" PRIu64 " backup(s) are bad here and were not copied" HINT
                       "see which with 'holdfast verify --all'",
                       done.bad);
    return RC_OK;
}

const struct command cmd_copy = {
    .name = "copy",
    .summary = "the same backups in a second place",
    .description =
        "Copies what a second place lacks: objects as they are stored, records and "
        "signatures unchanged, so that the copy is verified by the same key. Each object "
        "is "
        "compared with its record on the way and read back there. What was pruned here "
        "stays there unless --remove is given: whoever can prune here cannot empty the "
        "copy.",
    .examples =
        "holdfast copy --to /mnt/second --repo /mnt/backup --cluster prod\n"
        "holdfast copy --to 's3://safe?endpoint=https://s3.example' --cluster prod\n",
    .opts = copy_opts,
    .uses = CLI_OUTPUT | CLI_PROGRESS | CLI_STATE,
    .args_size = sizeof(struct log_args),
    .run = copy,
};
