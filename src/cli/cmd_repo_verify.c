/* Is what is stored good, and how to get it out: verify, fetch. */
#include <inttypes.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/facts.h"
#include "cli/keys.h"
#include "cli/repos.h"
#include "repo/fetch.h"
#include "repo/rotate.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/stop.h"

struct read_args {
    const char *sequence, *output, *extract;
    struct repo_args repo;
    struct open_args open;
    unsigned level;
    uint64_t rotate;
    bool all;
};

static const char *const levels[] = {
    [REPO_LEVEL_STORED] = "stored", [REPO_LEVEL_FULL] = "full", NULL
};

/* clang-format off */
static const struct operand verify_operands[] = {
    OPERAND("SEQUENCE|latest", read_args, sequence,
            .help = "the backup's number in 'holdfast list'; latest, also without one, is "
                    "the newest that is proved"),
    OPERAND_DONE,
};

static const struct opt verify_opts[] = {
    REPO_OPTS(read_args, repo, true),
    OPT(FLAG, "all", read_args, all, .help = "every backup"),
    OPT(U64, "rotate", read_args, rotate, .arg = "N",
        .help = "N backups, those that this host has not looked at for longest"),
    OPT(CHOICE, "level", read_args, level, .choices = levels, .fallback = "stored",
        .help = "stored: signature and SHA-256 of the object; full: open it, check every "
                "page and record, and compare HashKV with the record"),
    OPEN_OPTS(read_args, open),
    OPT_DONE,
};

static const struct operand fetch_operands[] = {
    OPERAND("SEQUENCE|latest", read_args, sequence, .required = true,
            .help = "the backup's number in 'holdfast list'; latest is the newest that is "
                    "proved and verifies"),
    OPERAND_DONE,
};

static const struct opt fetch_opts[] = {
    REPO_OPTS(read_args, repo, true),
    OPT(STR, "output", read_args, output, .letter = 'o', .arg = "FILE",
        .help = "where to put it: .db.zst.age (.tar.zst.age) as it is stored, .db opened "
                "with an identity"),
    OPT(STR, "extract", read_args, extract, .arg = "DIR", .rival = "output",
        .help = "a bundle's snapshot and files of the host, into this new directory"),
    OPEN_OPTS(read_args, open),
    OPT_DONE,
};
/* clang-format on */

/* ---- verify ----------------------------------------------------------------------- */

/* A look at several backups, of which one may be bad. */
struct rounds {
    struct repo *repo;
    enum repo_level level;
    const struct age_identities *ids;
    struct result *list;
    size_t good, bad;
    struct err first;
};

static enum rc verify_one(struct rounds *v, const struct chain_item *i, struct err *e)
{
    struct err why = { 0 };
    enum rc rc = repo_verify(v->repo, i->record, v->level, v->ids, &why);

    TRY(stop_check(e));
    if (rc != RC_OK && v->bad++ == 0)
        v->first = why;
    v->good += rc == RC_OK;
    result_next(v->list);
    result_u64(v->list, "Sequence", "sequence", i->at.sequence);
    result_i64(v->list, "Revision", "revision", i->record->backup->revision);
    result_bool(v->list, "Ok", "ok", rc == RC_OK);
    result_str(v->list, NULL, "code", rc == RC_OK ? NULL : rc_name(rc));
    result_str(v->list, "Why", "why", rc == RC_OK ? NULL : why.why);
    return RC_OK;
}

static enum rc verify_next(struct rounds *v, const struct read_args *a,
                           const struct chain *log, struct err *e)
{
    AT_END(mem_end) const struct chain_item **items = NULL;
    size_t count;

    TRY(repo_rotate(v->repo, log, a->rotate, &items, &count, e));
    for (size_t i = 0; i < count; i++)
        TRY(verify_one(v, items[i], e));
    return RC_OK;
}

static enum rc verify_those(struct rounds *v, const struct read_args *a,
                            const struct chain *log, struct err *e)
{
    const struct chain_item *item;
    uint64_t sequence;

    if (a->rotate > 0)
        return verify_next(v, a, log, e);
    TRY(cli_sequence(a->sequence, &sequence, e));
    if (!a->all) {
        TRY(repo_find(log, sequence, &item, e));
        return verify_one(v, item, e);
    }
    for (size_t i = 0; i < log->count; i++)
        if (chain_is_backup(&log->items[i]))
            TRY(verify_one(v, &log->items[i], e));
    return RC_OK;
}

static enum rc conclude(const struct rounds *v, const struct chain *log, struct err *e)
{
    if (v->bad == 0)
        return repo_log_check(log, e);
    *e = v->first;
    if (v->bad > 1)
        log_warn("%zu of %zu backups are bad; this is the first", v->bad,
                 v->good + v->bad);
    return e->code;
}

static enum rc verify(struct cli *c, const void *args, struct err *e)
{
    const struct read_args *a = args;
    AT_END(cli_repo_clear) struct cli_repo k = { 0 };
    OWNED(age_identities) ids = NULL;
    OWNED(chain) log = NULL;
    OWNED(result) r = result_new_list();
    struct rounds v = { .level = (enum repo_level)a->level, .list = r };

    if (a->all + (a->sequence != NULL) + (a->rotate > 0) > 1)
        return err_set(e, RC_USAGE,
                       "--all, --rotate and the number of a backup exclude each other");
    TRY(cli_identities(&a->open, &ids, e));
    TRY(cli_repo_open(c, &a->repo, &k, e));
    TRY(repo_log_whole(k.repo, &log, e));
    cli_note_empty(log, a->repo.cluster);
    v.repo = k.repo;
    v.ids = ids;
    TRY(verify_those(&v, a, log, e));
    TRY(cli_show(c, r, e));
    return conclude(&v, log, e);
}

const struct command cmd_verify = {
    .name = "verify",
    .summary = "prove stored backups: signature, SHA-256, content",
    .description =
        "Reads the object of a backup and compares its size and SHA-256 with the signed "
        "record; no key is needed for that. With --level full and an identity it opens "
        "it, "
        "checks every page and record as `holdfast snapshot verify` does, and compares "
        "revision, keys and HashKV with the record; nothing unencrypted is stored. Exit "
        "status 3: altered, lost or damaged.",
    .examples = "holdfast verify --all --repo /mnt/backup --cluster prod\n"
                "# ten of many, others the next time\n"
                "holdfast verify --rotate 10 --repo /mnt/backup --cluster prod\n"
                "holdfast verify latest --cluster prod --level full -i backup.key\n",
    .operands = verify_operands,
    .opts = verify_opts,
    .uses = CLI_OUTPUT | CLI_PROGRESS | CLI_STATE,
    .args_size = sizeof(struct read_args),
    .run = verify,
};

/* ---- fetch ------------------------------------------------------------------------ */

static enum rc fetch_it(struct repo *r, const struct chain *log, uint64_t sequence,
                        const struct read_args *a, const struct age_identities *ids,
                        const struct chain_item **item, struct err *e)
{
    TRY(repo_find(log, sequence, item, e));
    if (a->extract != NULL)
        return repo_extract(r, (*item)->record, a->extract, ids, e);
    if (sequence == 0)
        return repo_fetch_newest(r, log, a->output, ids, item, e);
    return repo_fetch(r, (*item)->record, a->output, ids, e);
}

static enum rc fetch(struct cli *c, const void *args, struct err *e)
{
    const struct read_args *a = args;
    AT_END(cli_repo_clear) struct cli_repo k = { 0 };
    const struct chain_item *item = NULL;
    OWNED(age_identities) ids = NULL;
    OWNED(chain) log = NULL;
    OWNED(result) r = result_new();
    uint64_t sequence;

    if (a->output == NULL && a->extract == NULL)
        return err_set(e, RC_USAGE, "where to? give --output FILE or --extract DIR");
    TRY(cli_sequence(a->sequence, &sequence, e));
    TRY(cli_identities(&a->open, &ids, e));
    TRY(cli_repo_open(c, &a->repo, &k, e));
    TRY(repo_log(k.repo, &log, e));
    TRY(fetch_it(k.repo, log, sequence, a, ids, &item, e));
    result_str(r, "File", "file", a->output != NULL ? a->output : a->extract);
    show_backup(r, item->record, &item->tags);
    result_i64(r, "High water", "high_water", repo_high_water(k.repo, log));
    TRY(cli_show(c, r, e));
    return repo_log_check(log, e);
}

const struct command cmd_fetch = {
    .name = "fetch",
    .summary = "a backup out of the repository, into a file",
    .description =
        "Writes one backup to FILE, which gets its name only when it is whole and what "
        "the "
        "signed record says. A name that ends in .db.zst.age is the object as it is "
        "stored, "
        "which `age -d -i KEY FILE | zstd -d` opens without Holdfast; a name that ends "
        "in "
        ".db is the database, opened with an identity and checked to the last record.\n\n"
        "When the newest backup turns out to be altered or lost, `latest` goes back to "
        "the "
        "one before it and says what is lost by that. `holdfast restore --repo` fetches "
        "and "
        "restores in one step.",
    .examples = "holdfast fetch latest -o etcd.db -i backup.key --repo /mnt/backup \\\n"
                "  --cluster prod\n",
    .operands = fetch_operands,
    .opts = fetch_opts,
    .uses = CLI_OUTPUT | CLI_PROGRESS | CLI_STATE,
    .args_size = sizeof(struct read_args),
    .run = fetch,
};
