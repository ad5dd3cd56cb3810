#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/bump.h"
#include "cli/commands.h"
#include "cli/facts.h"
#include "cli/fetched.h"
#include "cli/keys.h"
#include "restore/planfile.h"
#include "restore/restore.h"
#include "snapshot/verify.h"
#include "storage/posix.h"
#include "util/log.h"
#include "util/mem.h"

struct restore_args {
    const char *file, *data_dir, *name, *initial_cluster, *token, *peer_urls, *wal_dir;
    const char *bump, *target, *plan, *member, *write_plan;
    uint64_t high_water;
    bool mark_compacted, skip_hash_check;
    struct open_args open;
    struct repo_args repo;
    const char *sequence;

    /* not options: how the snapshot is called, and which words name it to a restore */
    const char *called, *words;
};

/* clang-format off */
static const struct operand restore_operands[] = {
    OPERAND("FILE", restore_args, file,
            .help = "the snapshot, also compressed or encrypted; - is stdin; with --plan "
                    "or --repo it may be left out"),
    OPERAND_DONE,
};

static const struct opt restore_opts[] = {
    OPT(STR, "data-dir", restore_args, data_dir, .arg = "DIR",
        .help = "the new data directory, absent or empty; NAME.etcd without it"),
    OPT(STR, "wal-dir", restore_args, wal_dir, .arg = "DIR",
        .help = "a directory of its own for the write-ahead log"),
    OPT(STR, "name", restore_args, name, .arg = "NAME",
        .help = "this member; \"default\" without it"),
    OPT(STR, "initial-cluster", restore_args, initial_cluster, .arg = "NAME=URL,...",
        .help = "all members and their peer URLs; this one alone without it"),
    OPT(STR, "initial-cluster-token", restore_args, token, .arg = "TEXT",
        .help = "what makes the new cluster's ids its own; a random one without it"),
    OPT(STR, "initial-advertise-peer-urls", restore_args, peer_urls, .arg = "URL,...",
        .help = "this member's peer URLs; those of --initial-cluster without it"),
    OPT(STR, "bump-revision", restore_args, bump, .arg = "N|auto|0",
        .help = "raise the revision by N, so that none is used twice; auto is 10^9 or past "
                "--high-water, and the default when there are Kubernetes keys"),
    OPT(U64, "high-water", restore_args, high_water, .arg = "REVISION",
        .help = "the newest revision that any client may have seen"),
    OPT(FLAG, "mark-compacted", restore_args, mark_compacted,
        .help = "mark all revisions up to the bumped one as compacted, so that watchers "
                "start anew"),
    OPT(FLAG, "skip-hash-check", restore_args, skip_hash_check,
        .help = "take a file without a matching SHA-256, such as a copied db file"),
    OPT(STR, "target-version", restore_args, target, .arg = "3.4|3.5|3.6|3.7",
        .help = "fit the schema to this etcd, when it is older than the snapshot's"),
    OPT(STR, "plan", restore_args, plan, .arg = "PLAN.json",
        .help = "do what this plan says for --member"),
    OPT(STR, "member", restore_args, member, .arg = "NAME",
        .help = "with --plan: which member this host is"),
    OPT(STR, "write-plan", restore_args, write_plan, .arg = "PLAN.json",
        .help = "write one plan for all hosts instead of restoring"),
    OPEN_OPTS(restore_args, open),
    OPT(STR, "sequence", restore_args, sequence, .arg = "N|latest",
        .help = "with --repo: which backup; else the newest that is proved and verifies"),
    REPO_OPTS(restore_args, repo, false),
    OPT_DONE,
};
/* clang-format on */

static enum rc parse_request(const struct restore_args *a, struct restore_request *q,
                             struct err *e)
{
    *q = (struct restore_request){
        .name = a->name,
        .data_dir = a->data_dir,
        .wal_dir = a->wal_dir,
        .initial_cluster = a->initial_cluster,
        .token = a->token,
        .peer_urls = a->peer_urls,
        .high_water = a->high_water > INT64_MAX ? INT64_MAX : (int64_t)a->high_water,
        .mark_compacted = a->mark_compacted,
        .skip_hash_check = a->skip_hash_check,
        .shared = a->write_plan != NULL,
    };
    TRY(cli_bump(a->bump, &q->bump, &q->bump_by, e));
    return cli_target(a->target, &q->target_minor, e);
}

static enum rc check_combination(const struct restore_args *a, struct err *e)
{
    if (a->plan == NULL && a->file == NULL)
        return err_set(e, RC_USAGE,
                       "no snapshot is given" HINT
                       "name a FILE, or a repository with --repo and --cluster");
    if (a->plan == NULL && a->member != NULL)
        return err_set(e, RC_USAGE,
                       "--member goes with --plan" HINT
                       "use --name for a restore without a plan");
    if (a->plan == NULL)
        return RC_OK;
    if (a->member == NULL || a->data_dir == NULL)
        return err_set(e, RC_USAGE, "--plan needs --member and --data-dir");
    if (a->name != NULL || a->initial_cluster != NULL || a->token != NULL ||
        a->peer_urls != NULL || a->bump != NULL || a->target != NULL ||
        a->high_water != 0 || a->mark_compacted || a->skip_hash_check ||
        a->write_plan != NULL)
        return err_set(
            e, RC_USAGE,
            "--plan decides all that; only --member, --data-dir, --wal-dir and "
            "the keys go with it");
    return RC_OK;
}

/* ---- results --------------------------------------------------------------------------
 */

static void show_bump(struct result *r, const struct restore_bump *b)
{
    result_i64(r, "Revision", "revision", b->revision);
    result_i64(r, "Bumped by", "bumped_by", b->by);
    result_bool(r, "Marked compacted", "marked_compacted", b->mark_compacted);
    result_str(r, "Because", "bump_reason", b->reason);
}

static void show_dropped(struct result *r, const struct restore_dropped *d)
{
    struct result *o = result_new();

    result_u64(o, "Members", "members", d->members);
    result_u64(o, "Learners", "learners", d->learners);
    result_u64(o, "Alarms", "alarms", d->alarms);
    result_bool(o, "Downgrade", "downgrade", d->downgrade);
    result_nest(r, "Left behind", "left_behind", o);
}

/* The command that starts the member, with all that etcd checks on its first boot. */
static void show_start(struct result *r, const struct restore_plan *p)
{
    const struct restore_member *self = restore_members_find(&p->members, p->name);
    char line[4096];
    size_t used;

    used = (size_t)snprintf(line, sizeof line, "etcd --name %s --data-dir %s", p->name,
                            p->data_dir);
    if (p->wal_dir != NULL && used < sizeof line)
        used += (size_t)snprintf(line + used, sizeof line - used, " --wal-dir %s",
                                 p->wal_dir);
    for (size_t i = 0; i < self->peer_urls.count && used < sizeof line; i++)
        used += (size_t)snprintf(line + used, sizeof line - used, "%s%s",
                                 i == 0 ? " --listen-peer-urls " : ",",
                                 self->peer_urls.items[i]);
    result_str(r, "Start it with", "start", line);
}

static struct result *describe(const char *file, const struct restore_plan *p,
                               const struct restore_done *d)
{
    struct result *r = result_new();

    result_str(r, "Snapshot", "file", file);
    result_str(r, "Data dir", "data_dir", p->data_dir);
    result_str(r, "Member", "name", p->name);
    result_id(r, "Member id", "member", "member_hex", p->member_id);
    result_id(r, "Cluster id", "cluster_id", "cluster_id_hex", p->cluster_id);
    result_u64(r, "Members", "members", p->members.count);
    result_str(r, "Token", "token", p->token);
    result_i64(r, "Snapshot revision", "snapshot_revision", d->snapshot_revision);
    result_i64(r, "Compact revision", "compact_revision", d->compact_revision);
    result_u64(r, "HashKV", "hashkv", d->hashkv);
    result_u64(r, "Live keys", "live_keys", d->live_keys);
    result_size(r, "Database size", "db_size", d->db_size);
    show_bump(r, &d->bump);
    show_dropped(r, &d->dropped);
    result_bool(r, "SHA-256 matched", "hash_checked", d->trailer.matches);
    result_took(r, "Took", "took_seconds", d->took_ms);
    show_start(r, p);
    return r;
}

static void tell(const struct restore_done *d)
{
    if (d->dropped.alarms > 0)
        log_info("%zu alarm(s) of the old cluster were left behind: had they come along, "
                 "the new one might refuse writes",
                 d->dropped.alarms);
    if (d->dropped.learners > 0)
        log_info("%zu learner(s) of the old cluster were left behind: add them again "
                 "when the cluster runs",
                 d->dropped.learners);
    if (d->bump.by > 0)
        log_info("the revision was raised by %" PRId64 " to %" PRId64 ": %s", d->bump.by,
                 d->bump.revision, d->bump.reason);
    else
        log_info("the revision was not raised: %s", d->bump.reason);
    if (d->bump.by > 0 && !d->bump.mark_compacted)
        log_warn(
            "old revisions are not marked compacted: watchers may keep stale caches; "
            "--mark-compacted makes them start anew");
}

/* ---- the three ways -------------------------------------------------------------------
 */

static enum rc run(struct cli *c, const struct restore_args *a,
                   const struct restore_plan *p, const char *file, struct err *e)
{
    OWNED(age_identities) ids = NULL;
    struct restore_done done;

    TRY(cli_identities(&a->open, &ids, e));
    TRY(restore_run(p, file, ids, &done, e));
    tell(&done);

    OWNED(result) r = describe(a->called == NULL ? file : a->called, p, &done);

    return cli_show(c, r, e);
}

static enum rc from_plan(struct cli *c, const struct restore_args *a, struct err *e)
{
    AT_END(restore_plan_clear) struct restore_plan p = { 0 };
    AT_END(mem_end) char *file = NULL;

    TRY(restore_planfile_load(a->plan, a->member, a->data_dir, a->wal_dir, &p, &file, e));
    return run(c, a, &p, a->file == NULL ? file : a->file, e);
}

/* The snapshot is read once here, so that the plan names it by its digest and the bump is
 * decided once for all members. */
static enum rc decide_source(const struct restore_args *a, const struct restore_plan *p,
                             struct restore_plan_source *source, struct err *e)
{
    AT_END(snap_verdict_clear) struct snap_verdict v = { 0 };
    OWNED(age_identities) ids = NULL;

    TRY(cli_identities(&a->open, &ids, e));
    TRY(snap_verify(&(struct snap_verify_options){ .file = a->file,
                                                   .ids = ids,
                                                   .level = SNAP_LEVEL_FULL },
                    &v, e));
    if (!p->skip_hash_check)
        TRY(findings_verdict(&v.findings, e));
    source->file = a->called;
    source->revision = v.facts.revision;
    memcpy(source->database_sha256, v.trailer.database, SHA256_SIZE);
    return restore_bump_decide(
        &(struct restore_bump_input){ .kind = p->bump,
                                      .by = p->bump_by,
                                      .last_revision = v.facts.revision,
                                      .high_water = p->high_water,
                                      .kubernetes = v.facts.kubernetes,
                                      .mark_compacted = p->mark_compacted },
        &source->bump, e);
}

static enum rc write_plan(struct cli *c, const struct restore_args *a,
                          const struct restore_plan *p, struct err *e)
{
    struct restore_plan_source source;
    AT_END(mem_end) char *text = NULL;
    AT_END(mem_end) char *line = NULL;
    OWNED(result) r = result_new();
    OWNED(json) plan = NULL;

    TRY(decide_source(a, p, &source, e));
    TRY(restore_planfile_render(p, &source, &plan, e));
    TRY(json_render(plan, true, &text, e));
    TRY(str_format(&line, e, "%s\n", text));
    TRY(posix_put_text(a->write_plan, line, e));
    result_str(r, "Plan", "plan", a->write_plan);
    result_id(r, "Cluster id", "cluster_id", "cluster_id_hex", p->cluster_id);
    result_u64(r, "Members", "members", p->members.count);
    show_bump(r, &source.bump);
    for (size_t i = 0; i < p->members.count; i++)
        result_line(r,
                    "on the host of %s: holdfast restore %s --plan %s --member %s "
                    "--data-dir DIR",
                    p->members.items[i].name, a->words, a->write_plan,
                    p->members.items[i].name);
    return cli_show(c, r, e);
}

static enum rc restore_from(struct cli *c, const struct restore_args *a, struct err *e)
{
    AT_END(restore_plan_clear) struct restore_plan p = { 0 };
    struct restore_request q;

    TRY(check_combination(a, e));
    if (a->plan != NULL)
        return from_plan(c, a, e);
    TRY(parse_request(a, &q, e));
    TRY(restore_plan_make(&q, &p, e));
    if (a->write_plan != NULL)
        return write_plan(c, a, &p, e);
    return run(c, a, &p, a->file, e);
}

/* A FILE that is given wins over a repository that only the environment names. */
static bool from_repository(const struct restore_args *a)
{
    return a->file == NULL && a->repo.repo != NULL &&
           (a->plan == NULL || a->sequence != NULL);
}

/* Past everything that anybody saw of the cluster; a plan has decided that already. */
static void raise_high_water(struct restore_args *a, int64_t seen)
{
    if (a->plan == NULL && a->bump == NULL && seen > 0 && a->high_water < (uint64_t)seen)
        a->high_water = (uint64_t)seen;
}

static enum rc restore(struct cli *c, const void *args, struct err *e)
{
    AT_END(fetched_end) struct fetched f = { 0 };
    OWNED(age_identities) ids = NULL;
    struct restore_args a = *(const struct restore_args *)args;

    a.called = a.words = a.file;
    if (a.sequence != NULL && !from_repository(&a))
        return err_set(e, RC_USAGE, "--sequence goes with --repo, and without a FILE");
    if (!from_repository(&a))
        return restore_from(c, &a, e);
    TRY(cli_identities(&a.open, &ids, e));
    TRY(fetched_begin(c, &a.repo, a.sequence,
                      a.data_dir == NULL ? "holdfast" : a.data_dir, ids, &f, e));
    a.file = f.file;
    a.called = f.called;
    a.words = f.words;
    raise_high_water(&a, f.high_water);
    return restore_from(c, &a, e);
}

const struct command cmd_restore = {
    .name = "restore",
    .alias = "snapshot restore",
    .summary = "make a data directory of a new cluster from a snapshot",
    .description =
        "Builds the data directory of one member beside its final name, proves that it "
        "holds the snapshot's history, and gives it its name by one rename: it is there "
        "whole or not at all. The new cluster has ids of its own, so that nothing left "
        "of "
        "the old one can join it; members, alarms and a downgrade in progress of the old "
        "cluster are left behind.\n\n"
        "Kubernetes controllers cache by revision and would trust stale caches for hours "
        "when the revision goes back. So, when the snapshot holds keys below /registry/, "
        "the revision is raised by 10^9 and all older ones are marked compacted. "
        "--bump-revision 0 turns that off.\n\n"
        "With several members write one plan first and restore from it on each host.\n\n"
        "With --repo the newest proved backup of a repository is taken: it must be what "
        "its signed record says, else the one before it. The revision is then raised "
        "past "
        "everything that was ever seen of the cluster.",
    .examples =
        "# one member\n"
        "holdfast restore etcd.db.zst.age -i backup.key --data-dir /var/lib/etcd\n"
        "# the newest backup\n"
        "holdfast restore --repo /mnt/backup --cluster prod -i backup.key \\\n"
        "  --data-dir /var/lib/etcd\n"
        "# three members: once, then on each host\n"
        "holdfast restore etcd.db --write-plan plan.json --name a --initial-cluster \\\n"
        "  a=https://10.0.0.1:2380,b=https://10.0.0.2:2380,c=https://10.0.0.3:2380\n"
        "holdfast restore etcd.db --plan plan.json --member a --data-dir /var/lib/etcd\n",
    .operands = restore_operands,
    .opts = restore_opts,
    .uses = CLI_OUTPUT | CLI_PROGRESS | CLI_STATE,
    .args_size = sizeof(struct restore_args),
    .run = restore,
};
