/* A restore drill of a stored backup, or of a file. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/connect.h"
#include "cli/facts.h"
#include "cli/keys.h"
#include "cli/repos.h"
#include "drill/drill.h"
#include "drill/scratch.h"
#include "host/find.h"
#include "repo/fetch.h"
#include "storage/posix.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/os.h"
#include "util/str.h"

enum { TIME_SIZE = 24 };

struct drill_args {
    const char *which, *file, *scratch, *etcd, *report_dir;
    struct repo_args repo;
    struct open_args open;
    struct str_list canaries;
    uint64_t rto_ms, rpo_ms, boot_timeout_ms;
};

/* clang-format off */
static const struct operand drill_operands[] = {
    OPERAND("SEQUENCE|latest|random", drill_args, which,
            .help = "which backup; latest, also without one, is the newest that is "
                    "proved"),
    OPERAND_DONE,
};

static const struct opt drill_opts[] = {
    REPO_OPTS(drill_args, repo, false),
    OPT(STR, "file", drill_args, file, .arg = "FILE", .rival = "repo",
        .help = "a snapshot file instead of a stored backup"),
    OPEN_OPTS(drill_args, open),
    OPT(STR, "etcd", drill_args, etcd, .arg = "PROGRAM", .env = OPT_ENV_OWN,
        .help = "the etcd to boot; else the one in PATH, else holdfast-lab"),
    OPT(STR, "scratch", drill_args, scratch, .arg = "DIR", .env = OPT_ENV_OWN,
        .help = "where the backup is restored to; else TMPDIR, else /var/tmp"),
    OPT(LIST, "canary", drill_args, canaries, .arg = "KEY",
        .help = "this key must be there; may be repeated"),
    OPT(DURATION, "rto", drill_args, rto_ms, .arg = "DURATION", .fallback = "0",
        .help = "the time to recovery that is allowed"),
    OPT(DURATION, "rpo", drill_args, rpo_ms, .arg = "DURATION", .fallback = "0",
        .help = "the age of the data that is allowed"),
    OPT(DURATION, "boot-timeout", drill_args, boot_timeout_ms, .arg = "DURATION",
        .fallback = "2m", .help = "how long the server may take to answer"),
    OPT(STR, "report-dir", drill_args, report_dir, .arg = "DIR",
        .help = "write the report there too, as text and as JSON"),
    OPT_DONE,
};
/* clang-format on */

/* Everything that must live as long as the drill. */
struct drilling {
    const struct drill_args *a;
    struct cli_repo k;
    struct cli_login login;
    struct age_identities *ids;
    struct chain *log;
    const struct chain_item *wanted, *item; /* item: the one that could be fetched; of a
                                               drill of a file both are NULL */
    struct drill_scratch scratch;
    char *file;
    int64_t begun;     /* seconds since 1970 */
    uint64_t begun_ms; /* monotonic */
    struct drill_seen seen;
    enum rc rc;
    struct err failure;
};

static void drilling_end(struct drilling *d)
{
    drill_scratch_end(&d->scratch);
    mem_free(d->file);
    chain_free(d->log);
    age_identities_free(d->ids);
    cli_login_clear(&d->login);
    cli_repo_clear(&d->k);
}

/* ---- which backup --------------------------------------------------------------------
 */

static enum rc random_backup(const struct chain *log, const struct chain_item **out,
                             struct err *e)
{
    uint64_t number, left = 0;

    for (size_t i = 0; i < log->count; i++)
        left += chain_is_backup(&log->items[i]);
    if (left == 0)
        return repo_find(log, 0, out, e);
    TRY(os_random(&number, sizeof number, e));
    left = number % left;
    for (size_t i = 0; i < log->count; i++)
        if (chain_is_backup(&log->items[i]) && left-- == 0)
            *out = &log->items[i];
    return RC_OK;
}

static enum rc fetch(struct drilling *d, struct err *e)
{
    const char *which = d->a->which;
    AT_END(mem_end) char *stem = NULL;
    uint64_t sequence = 0;

    TRY(str_format(&stem, e, "%s/backup", d->scratch.path));
    if (which != NULL && strcmp(which, "random") == 0) {
        TRY(random_backup(d->log, &d->item, e));
        sequence = d->item->at.sequence;
    } else {
        TRY(cli_sequence(which, &sequence, e));
    }
    TRY(repo_find(d->log, sequence, &d->wanted, e));
    d->item = d->wanted;
    return repo_fetch_database(d->k.repo, d->log, sequence, stem, d->ids, &d->item,
                               &d->file, e);
}

/* ---- where ---------------------------------------------------------------------------
 */

/* A drill that filled the disk of a living etcd would be the disaster it rehearses. */
static enum rc check_place(const char *parent, struct err *e)
{
    struct neighbor n;
    char whose[NEIGHBOR_WORDS];
    bool found = false;

    TRY(host_neighbor_find(parent, &n, &found, e));
    if (!found)
        return RC_OK;
    neighbor_words(&n, whose);
    return err_set(e, RC_REFUSED,
                   "'%s' lies on the file system of %s" HINT
                   "name a directory on another disk with --scratch",
                   parent, whose);
}

static enum rc make_scratch(struct cli *c, struct drilling *d, struct err *e)
{
    const char *usual = c->env == NULL ? NULL : c->env("TMPDIR");
    const char *parent = d->a->scratch != NULL ? d->a->scratch
                         : usual != NULL       ? usual
                                               : "/var/tmp";

    if (!d->a->repo.allow_same_filesystem)
        TRY(check_place(parent, e));
    return drill_scratch_make(parent, &d->scratch, e);
}

/* ---- the drill -----------------------------------------------------------------------
 */

static void expect(const struct drilling *d, struct drill_expected *x)
{
    const struct manifest *m = d->item == NULL ? NULL : d->item->record->backup;

    if (m != NULL)
        *x = (struct drill_expected){ .known = true,
                                      .revision = m->revision,
                                      .hashkv_known = m->hashkv_known,
                                      .hashkv = m->hashkv,
                                      .keys = m->live_keys };
}

static enum rc rehearse(struct drilling *d, struct err *e)
{
    struct drill_request q = {
        .ids = d->ids,
        .scratch = d->scratch.path,
        .etcd = d->a->etcd,
        .begun_ms = d->begun_ms,
        .boot_timeout_ms = d->a->boot_timeout_ms,
        .canaries = d->a->canaries,
        .user = d->login.user,
        .password = cli_password,
        .password_arg = &d->login,
    };

    if (d->a->file == NULL)
        TRY(fetch(d, e));
    q.file = d->a->file != NULL ? d->a->file : d->file;
    expect(d, &q.expected);
    return drill_run(&q, &d->seen, e);
}

/* Seconds; the data is as old as the backup. */
static uint64_t data_age(const struct drilling *d)
{
    const int64_t age = d->item == NULL ? 0 : d->begun - d->item->record->created;

    return age > 0 ? (uint64_t)age : 0;
}

static enum rc missed(const char *what, uint64_t is_ms, uint64_t allowed_ms,
                      struct err *e)
{
    char is[TIME_SIZE], allowed[TIME_SIZE];

    str_seconds(is, sizeof is, is_ms);
    str_seconds(allowed, sizeof allowed, allowed_ms);
    return err_set(e, RC_DEGRADED, "%s %s, and %s are allowed", what, is, allowed);
}

/* A good drill that took too long, or brought back data that is too old. */
static enum rc targets(const struct drilling *d, struct err *e)
{
    const uint64_t age_ms = data_age(d) * 1000;

    if (d->a->rto_ms != 0 && d->seen.recovery_ms > d->a->rto_ms)
        return missed("recovery took", d->seen.recovery_ms, d->a->rto_ms, e);
    if (d->a->rpo_ms != 0 && age_ms > d->a->rpo_ms)
        return missed("the data is older by", age_ms, d->a->rpo_ms, e);
    return RC_OK;
}

/* Another backup came back, and whoever counts on the newest one has to know. */
static enum rc stood_in(const struct drilling *d, struct err *e)
{
    if (d->item == d->wanted)
        return RC_OK;
    return err_set(e, RC_CORRUPT,
                   "backup %" PRIu64 ", the newest that was proved, is lost or altered; "
                   "backup %" PRIu64 " came back in its place" HINT
                   "make a new backup at once, then look with 'holdfast verify --all'",
                   d->wanted->at.sequence, d->item->at.sequence);
}

/* ---- the report ----------------------------------------------------------------------
 */

static struct result *describe_steps(const struct drilling *d)
{
    struct result *r = result_new_list();

    for (size_t i = 0; i < DRILL_STEPS && d->seen.steps[i].name != NULL; i++) {
        result_next(r);
        result_str(r, "Step", "step", d->seen.steps[i].name);
        result_took(r, "Took", "took_seconds", d->seen.steps[i].took_ms);
    }
    return r;
}

static struct result *describe(const struct drilling *d)
{
    const bool passed = d->rc == RC_OK || d->rc == RC_DEGRADED;
    struct result *r = result_new();

    result_bool(r, "Passed", "passed", passed);
    result_str(r, passed ? NULL : "Why not", "why", passed ? NULL : d->failure.why);
    result_str(r, d->a->file == NULL ? "Cluster" : NULL, "cluster", d->a->repo.cluster);
    result_str(r, d->a->file == NULL ? NULL : "File", "file", d->a->file);
    result_u64(r, d->item == NULL ? NULL : "Sequence", "sequence",
               d->item == NULL ? 0 : d->item->at.sequence);
    result_str(r, "Booted on", "server", d->seen.server);
    result_i64(r, "Revision", "revision", d->seen.revision);
    result_u64(r, "HashKV", "hashkv", d->seen.hashkv);
    result_u64(r, "Keys", "keys", d->seen.keys);
    result_u64(r, "Canary keys found", "canaries", d->seen.canaries);
    result_size(r, "Database", "database_size", d->seen.db_size);
    result_took(r, "Recovery took", "recovery_seconds", d->seen.recovery_ms);
    result_took(r, d->a->rto_ms == 0 ? NULL : "Recovery allowed", "rto_seconds",
                d->a->rto_ms);
    result_took(r, "Data is older by", "data_age_seconds", data_age(d) * 1000);
    result_took(r, d->a->rpo_ms == 0 ? NULL : "Age allowed", "rpo_seconds", d->a->rpo_ms);
    result_bool(r, "Within its targets", "within_targets", d->rc == RC_OK);
    result_nest(r, "Steps", "steps", describe_steps(d));
    return r;
}

static enum rc write_form(const struct drilling *d, const struct result *r,
                          enum render_format format, const char *suffix, struct err *e)
{
    [[gnu::cleanup(printer_clear)]] struct printer p = { .fd = -1, .name = "report" };
    AT_END(mem_end) char *path = NULL;

    TRY(str_format(&path, e, "%s/drill-%s-%" PRId64 ".%s", d->a->report_dir,
                   d->a->repo.cluster != NULL ? d->a->repo.cluster : "file", d->begun,
                   suffix));
    TRY(render(&p, format, r, e));
    return posix_put_text(path, printer_text(&p), e);
}

static enum rc write_report(const struct drilling *d, const struct result *r,
                            struct err *e)
{
    if (d->a->report_dir == NULL)
        return RC_OK;
    TRY(write_form(d, r, RENDER_SIMPLE, "txt", e));
    return write_form(d, r, RENDER_JSON, "json", e);
}

/* Into the catalogue of this host. */
static void record(const struct drilling *d, const struct result *r)
{
    [[gnu::cleanup(printer_clear)]] struct printer p = { .fd = -1, .name = "report" };
    struct err e = { 0 };

    if (d->item == NULL || d->k.repo->index == NULL)
        return;
    const struct index_drill x = {
        .sequence = d->item->at.sequence,
        .begun = d->begun,
        .code = d->rc == RC_OK ? 0 : rc_exit_status(d->rc),
        .rto_ms = d->seen.recovery_ms,
        .rpo_ms = data_age(d) * 1000,
        .report = render(&p, RENDER_JSON, r, &e) == RC_OK ? printer_text(&p) : NULL,
    };

    if (index_add_drill(d->k.repo->index, d->k.repo->identity.id, d->a->repo.cluster, &x,
                        &e) != RC_OK)
        log_warn("this host does not remember the drill: %s", e.why);
}

static enum rc open_all(struct cli *c, struct drilling *d, struct err *e)
{
    TRY(cli_login_init(&d->login, &c->connection, e));
    TRY(cli_identities(&d->a->open, &d->ids, e));
    if (d->a->file != NULL)
        return RC_OK;
    if (d->a->repo.repo == NULL || d->a->repo.cluster == NULL)
        return err_set(e, RC_USAGE,
                       "a drill of what?" HINT "name --repo and --cluster, or a --file");
    TRY(cli_repo_open(c, &d->a->repo, &d->k, e));
    TRY(repo_log_whole(d->k.repo, &d->log, e));
    return repo_log_check(d->log, e);
}

/* What the drill found is shown even when the report cannot be written, and outweighs
 * that. */
static enum rc conclude(struct cli *c, const struct drilling *d, struct result *r,
                        struct err *e)
{
    struct err why = { 0 };
    enum rc written = write_report(d, r, &why);

    TRY(cli_show(c, r, e));
    if (written != RC_OK && d->rc != RC_OK)
        log_warn("no report was written: %s", why.why);
    *e = d->rc != RC_OK ? d->failure : why;
    return d->rc != RC_OK ? d->rc : written;
}

static enum rc drill(struct cli *c, const void *args, struct err *e)
{
    AT_END(drilling_end)
    struct drilling d = { .a = args,
                          .scratch = DRILL_SCRATCH,
                          .begun = clock_unix_ms() / 1000,
                          .begun_ms = clock_ms() };
    OWNED(result) r = NULL;

    TRY(open_all(c, &d, e));
    TRY(make_scratch(c, &d, e));
    log_info("the drill is in '%s', on 127.0.0.1 alone; no living cluster is asked",
             d.scratch.path);
    d.rc = rehearse(&d, &d.failure);
    if (d.rc == RC_OK)
        d.rc = stood_in(&d, &d.failure);
    if (d.rc == RC_OK)
        d.rc = targets(&d, &d.failure);
    r = describe(&d);
    record(&d, r);
    return conclude(c, &d, r, e);
}

const struct command cmd_drill = {
    .name = "drill",
    .summary = "restore a backup, boot it, compare it, remove it",
    .description =
        "Takes a stored backup, restores it into a scratch directory, boots a server on "
        "it there, asks that server for HashKV, the number of keys and the canary keys, "
        "compares them with the signed record, and removes all of it. Measures the time "
        "to recovery and the age of the data; exit status 8 when one is beyond its "
        "target, 3 when the backup does not come back as it was. When the newest one is "
        "lost or altered, the one before it is drilled, and that is 3 as well.\n\n"
        "A drill never contacts a living cluster: the only server asked is the one it "
        "started on 127.0.0.1. It refuses to work on the file system of a running "
        "etcd's data. A backup with authentication on needs --user with role root, and "
        "the password that it had when the backup was made.",
    .examples =
        "holdfast drill --repo /mnt/backup --cluster prod -i backup.key\n"
        "# any of them, on a certain etcd, with targets\n"
        "holdfast drill random --cluster prod -i backup.key --rto 10m --rpo 8h \\\n"
        "  --etcd /usr/bin/etcd\n"
        "# a file at hand\n"
        "holdfast drill --file etcd.db.zst.age -i backup.key\n",
    .operands = drill_operands,
    .opts = drill_opts,
    .uses = CLI_CONNECTION | CLI_OUTPUT | CLI_PROGRESS | CLI_STATE,
    .args_size = sizeof(struct drill_args),
    .run = drill,
};
