/* What is in a repository: list, info. */
#include <string.h>

#include "cli/commands.h"
#include "cli/facts.h"
#include "cli/repos.h"
#include "util/clock.h"

struct list_args {
    const char *sequence;
    struct repo_args repo;
    struct str_list tags;
    uint64_t last;
    bool remembered;
};

/* clang-format off */
static const struct opt list_opts[] = {
    REPO_OPTS(list_args, repo, true),
    OPT(LIST, "tag", list_args, tags, .arg = "WORD", .help = "only backups with this tag"),
    OPT(U64, "last", list_args, last, .arg = "N", .help = "only the newest N of these"),
    OPT(FLAG, "remembered", list_args, remembered,
        .help = "as this host remembers it, without asking for the log"),
    OPT_DONE,
};

static const struct operand info_operands[] = {
    OPERAND("SEQUENCE|latest", list_args, sequence, .required = true,
            .help = "the backup's number in 'holdfast list'; latest is the newest that is "
                    "proved"),
    OPERAND_DONE,
};

static const struct opt info_opts[] = {
    REPO_OPTS(list_args, repo, true),
    OPT_DONE,
};
/* clang-format on */

static bool wanted(const struct chain_item *i, const struct str_list *tags)
{
    if (!chain_is_backup(i))
        return false;
    for (size_t k = 0; k < tags->count; k++)
        if (!str_list_has(&i->tags, tags->items[k]))
            return false;
    return true;
}

/* How many of those that are wanted come before the newest `last`. */
static size_t too_old(const struct chain *log, const struct list_args *a)
{
    size_t count = 0;

    for (size_t i = 0; i < log->count; i++)
        count += wanted(&log->items[i], &a->tags);
    return a->last != 0 && count > a->last ? count - a->last : 0;
}

static void show(struct result *r, const struct chain *log, const struct list_args *a)
{
    size_t skip = too_old(log, a);

    for (size_t i = 0; i < log->count; i++) {
        if (!wanted(&log->items[i], &a->tags))
            continue;
        if (skip > 0) {
            skip--;
            continue;
        }
        result_next(r);
        show_backup(r, log->items[i].record, &log->items[i].tags);
    }
}

static enum rc list(struct cli *c, const void *args, struct err *e)
{
    const struct list_args *a = args;
    AT_END(cli_repo_clear) struct cli_repo k = { 0 };
    OWNED(chain) log = NULL;
    OWNED(result) r = result_new_list();

    TRY(cli_repo_open(c, &a->repo, &k, e));
    if (a->remembered)
        TRY(repo_log_remembered(k.repo, &log, e));
    else
        TRY(repo_log(k.repo, &log, e));
    cli_note_empty(log, a->repo.cluster);
    show(r, log, a);
    TRY(cli_show(c, r, e));
    return repo_log_check(log, e);
}

const struct command cmd_list = {
    .name = "list",
    .summary = "the backups of a cluster, oldest first",
    .description =
        "Reads the signed log of the cluster in the repository, checks that it hangs "
        "together and that it is not older than what this host remembers, and shows the "
        "backups in it. An object without a genuine record is no backup and is not "
        "shown. "
        "Exit status 3: the log was altered, cut or rolled back; `holdfast audit` says "
        "where.",
    .examples = "holdfast list --repo /mnt/backup --cluster prod\n"
                "# the newest proved one\n"
                "holdfast list --cluster prod -w json | jq 'map(select(.proved))[-1]'\n",
    .opts = list_opts,
    .uses = CLI_OUTPUT | CLI_STATE,
    .args_size = sizeof(struct list_args),
    .run = list,
};

/* ---- info ------------------------------------------------------------------------- */

static const char *word_name(enum manifest_word w)
{
    static const char *const names[] = { [MANIFEST_AGREES] = "agrees",
                                         [MANIFEST_DIFFERS] = "differs",
                                         [MANIFEST_UNKNOWN] = "unknown" };

    return names[w];
}

static void show_votes(struct result *r, const struct manifest *m)
{
    struct result *list = result_new_list();

    for (size_t i = 0; i < m->vote_count; i++) {
        result_next(list);
        result_id(list, "Member", "member", "member_hex", m->votes[i].member_id);
        result_str(list, "Vote", "vote", word_name(m->votes[i].word));
    }
    result_nest(r, "Voters", "votes", list);
}

static void show_object(struct result *r, const struct manifest *m)
{
    struct json *to = json_new_array();

    for (size_t i = 0; i < m->recipients.count; i++)
        json_add_str(to, m->recipients.items[i]);
    result_str(r, "Object", "key", m->object_key);
    show_digest(r, "SHA-256", "sha256", m->object_sha256);
    show_digest(r, "Database SHA-256", "db_sha256", m->db_sha256);
    result_u64(r, "Recipients", NULL, m->recipients.count);
    result_json(r, "recipients", to);
}

static void show_origin(struct result *r, const struct record *x)
{
    const struct manifest *m = x->backup;

    result_id(r, "Cluster id", "cluster_id", "cluster_id_hex", m->etcd_cluster_id);
    result_id(r, "From member", "member", "member_hex", m->member_id);
    result_str(r, "etcd", "etcd_version", m->etcd_version);
    result_str(r, "Storage version", "storage_version", m->storage_version);
    result_str(r, "Written by", "host", x->host);
    result_str(r, "With", "tool", x->tool);
}

static void show_record(struct result *r, const struct chain_item *i)
{
    const struct manifest *m = i->record->backup;
    char key[MINISIGN_ID_SIZE];

    minisign_id_text(i->key_id, key);
    show_backup(r, i->record, &i->tags);
    result_i64(r, "Compact revision", "compact_revision", m->compact_revision);
    if (m->hashkv_known)
        result_u64(r, "HashKV", NULL, m->hashkv);
    result_u64(r, "Live keys", "live_keys", m->live_keys);
    result_bool(r, "Kubernetes", "kubernetes", m->kubernetes);
    show_origin(r, i->record);
    show_object(r, m);
    result_str(r, "Because", "proved_why", m->proved_why);
    result_str(r, "Cluster was", "degraded", m->degraded);
    result_i64(r, "High water", "high_water", i->record->high_water);
    show_digest(r, "Record", "record_sha256", i->at.sha256);
    result_str(r, "Signed by", "signed_by", key);
    show_votes(r, m);
}

static enum rc info(struct cli *c, const void *args, struct err *e)
{
    const struct list_args *a = args;
    AT_END(cli_repo_clear) struct cli_repo k = { 0 };
    const struct chain_item *item;
    OWNED(chain) log = NULL;
    OWNED(result) r = result_new();
    uint64_t sequence;

    TRY(cli_sequence(a->sequence, &sequence, e));
    TRY(cli_repo_open(c, &a->repo, &k, e));
    TRY(repo_log(k.repo, &log, e));
    TRY(repo_find(log, sequence, &item, e));
    show_record(r, item);
    TRY(cli_show(c, r, e));
    return repo_log_check(log, e);
}

const struct command cmd_info = {
    .name = "info",
    .summary = "all that is known of one backup",
    .description =
        "Shows the signed record of a backup: what it holds, where it came "
        "from, how "
        "the voters answered, for whom it is encrypted, and who signed for it. "
        "`holdfast verify` examines the object itself.",
    .examples = "holdfast info latest --repo /mnt/backup --cluster prod\n",
    .operands = info_operands,
    .opts = info_opts,
    .uses = CLI_OUTPUT | CLI_STATE,
    .args_size = sizeof(struct list_args),
    .run = info,
};
