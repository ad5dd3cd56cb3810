/* snapshot salvage: a new database out of a damaged one, and what it lacks. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/facts.h"
#include "cli/keys.h"
#include "cli/rows.h"
#include "salvage/salvage.h"

struct salvage_args {
    const char *source, *output, *wal_dir;
    bool doubtful, allow_same_filesystem;
    struct seal_args seal;
};

/* clang-format off */
static const struct operand salvage_operands[] = {
    OPERAND("SOURCE", salvage_args, source, .required = true,
            .help = "a damaged database file, a plain snapshot, or a data directory"),
    OPERAND_DONE,
};

static const struct opt salvage_opts[] = {
    OPT(STR, "output", salvage_args, output, .letter = 'o', .arg = "FILE", .required = true,
        .help = "where to store the new snapshot; its name says how: .db, .db.zst, "
                ".db.age, .db.zst.age; - is stdout"),
    OPT(STR, "wal-dir", salvage_args, wal_dir, .arg = "DIR",
        .help = "where the log is, if the member ran with --wal-dir"),
    OPT(FLAG, "include-doubtful", salvage_args, doubtful,
        .help = "also take records of which nobody can say whether they are old"),
    SEAL_OPTS(salvage_args, seal),
    OPT(FLAG, "allow-same-filesystem", salvage_args, allow_same_filesystem,
        .help = "next to a running etcd's data keep only the usual reserve free, not a "
                "tenth of the file system"),
    OPT_DONE,
};
/* clang-format on */

static const char *const roots[] = {
    [SALVAGE_ROOT_IN_FORCE] = "in force",
    [SALVAGE_ROOT_NEWER] = "the newest commit, whose meta page is gone",
    [SALVAGE_ROOT_BEFORE] = "the commit before",
    [SALVAGE_ROOT_FOUND] = "some earlier commit",
    [SALVAGE_ROOT_NONE] = "none",
};

static const char *const log_uses[] = {
    [SALVAGE_LOG_NONE] = NULL,
    [SALVAGE_LOG_LEFT] = "not applied",
    [SALVAGE_LOG_APPLIED] = "applied",
    [SALVAGE_LOG_OVER_LOSSES] = "applied over losses",
    [SALVAGE_LOG_ALONE] = "made all of it",
};

/* Is what the database lacks missing in the result? */
static bool from_base(const struct salvage_result *s)
{
    return s->log.use != SALVAGE_LOG_ALONE;
}

/* ---- what was lost ----------------------------------------------------------------- */

static const char *const span_states[] = {
    [SALVAGE_SOUND] = "sound",
    [SALVAGE_LEAF_LOST] = "leaf",
    [SALVAGE_BRANCH_LOST] = "branch",
};

/* Revisions as MAIN/SUB; the end that is open is shown as nothing. */
static void bound(struct result *list, const char *label, const char *key,
                  enum mvcc_bucket b, struct bytes at)
{
    struct mvcc_rev rev;
    struct err ignored;
    char text[48];

    if (at.n == 0) {
        result_str(list, label, key, NULL);
    } else if (b == MVCC_KEY && mvcc_rev_read(at, &rev, &ignored) == RC_OK) {
        snprintf(text, sizeof text, "%" PRId64 "/%" PRId64, rev.main, rev.sub);
        result_str(list, label, key, text);
    } else {
        result_bytes(list, label, key, at);
    }
}

static void span_row(struct result *list, enum mvcc_bucket b,
                     const struct salvage_span *span)
{
    result_next(list);
    result_str(list, "Bucket", "bucket", mvcc_bucket_name(b));
    if (span->page == FINDING_NO_PAGE)
        result_str(list, "Page", "page", NULL);
    else
        result_u64(list, "Page", "page", span->page);
    result_str(list, "Lost", "lost", span_states[span->state]);
    bound(list, "From", "from", b, span->from);
    bound(list, "Up to", "to", b, span->to);
}

static struct result *lost_pages(const struct salvage_result *s)
{
    struct result *list = result_new_list();

    for (int b = 0; b < MVCC_BUCKETS; b++) {
        const struct salvage_tree *t = &s->buckets[b].tree;

        for (size_t i = 0; i < t->count; i++)
            if (t->spans[i].state != SALVAGE_SOUND)
                span_row(list, (enum mvcc_bucket)b, &t->spans[i]);
    }
    return list;
}

static struct result *lost_revisions(const struct salvage_result *s)
{
    struct result *list = result_new_list();

    for (size_t i = 0; i < s->history.gap_count; i++) {
        const struct salvage_gap *g = &s->history.gaps[i];

        result_next(list);
        result_i64(list, "From", "first", g->main);
        result_i64(list, "To", "last", g->last_main);
        if (g->sub < 0) {
            result_str(list, "Changes", "first_change", NULL);
            result_str(list, NULL, "last_change", NULL);
            continue;
        }
        result_i64(list, "Changes", "first_change", g->sub);
        if (g->last_sub == SALVAGE_SUB_OPEN)
            result_str(list, "to", "last_change", NULL);
        else
            result_i64(list, "to", "last_change", g->last_sub);
    }
    return list;
}

static struct result *lost_versions(const struct salvage_result *s)
{
    struct result *list = result_new_list();

    for (size_t i = 0; i < s->history.version_count; i++) {
        const struct salvage_version *v = &s->history.versions[i];

        result_next(list);
        result_i64(list, "After", "after_revision", v->after);
        result_i64(list, "Before", "before_revision", v->before);
        result_i64(list, "Version", "first_version", v->first);
        if (v->last < v->first)
            result_str(list, "to", "last_version", NULL);
        else
            result_i64(list, "to", "last_version", v->last);
        result_bytes(list, "Key", "key", v->key);
    }
    return list;
}

static void pair_key(struct result *list, enum mvcc_bucket b,
                     const struct salvage_pair *x)
{
    struct err ignored;
    struct mvcc_rev rev;
    struct mvcc_kv kv;

    if (b != MVCC_KEY || mvcc_rev_read(x->key, &rev, &ignored) != RC_OK ||
        mvcc_kv_read(x->value, &kv, &ignored) != RC_OK) {
        result_str(list, "Revision", "revision", NULL);
        result_str(list, "Deleted", "deleted", NULL);
        result_bytes(list, "Key", "key", x->key);
        return;
    }
    result_i64(list, "Revision", "revision", rev.main);
    result_bool(list, "Deleted", "deleted", rev.tombstone);
    result_bytes(list, "Key", "key", kv.key);
}

static void pair_rows(struct result *list, enum mvcc_bucket b,
                      const struct salvage_pairs *p)
{
    for (size_t i = 0; i < p->count; i++) {
        result_next(list);
        result_str(list, "Bucket", "bucket", mvcc_bucket_name(b));
        result_u64(list, "Page", "page", p->items[i].page);
        pair_key(list, b, &p->items[i]);
    }
}

static struct result *damaged(const struct salvage_result *s)
{
    struct result *list = result_new_list();

    for (int b = 0; b < MVCC_BUCKETS; b++)
        pair_rows(list, (enum mvcc_bucket)b, &s->buckets[b].damaged);
    return list;
}

static struct result *doubtful(const struct salvage_result *s)
{
    struct result *list = result_new_list();

    for (int b = 0; b < MVCC_BUCKETS; b++)
        pair_rows(list, (enum mvcc_bucket)b, &s->buckets[b].doubtful);
    return list;
}

static struct result *cut(const struct salvage_result *s)
{
    struct result *list = result_new_list();

    pair_rows(list, MVCC_KEY, &s->history.cut);
    return list;
}

/* ---- what cannot be known ---------------------------------------------------------- */

static uint64_t unproved(const struct salvage_result *s)
{
    uint64_t n = 0;

    for (int b = 0; b < MVCC_BUCKETS; b++)
        n += s->buckets[b].unproved;
    return n;
}

static bool has_lost_branch(const struct salvage_result *s)
{
    const struct salvage_tree *t = &s->buckets[MVCC_KEY].tree;

    for (size_t i = 0; i < t->count; i++)
        if (t->spans[i].state == SALVAGE_BRANCH_LOST)
            return true;
    return false;
}

static bool has_small_losses(const struct salvage_result *s)
{
    for (int b = 0; b < MVCC_BUCKETS; b++)
        if (b != MVCC_KEY && s->buckets[b].tree.lost > 0)
            return true;
    return false;
}

static bool starts_below(const struct salvage_result *s, const struct salvage_span *span)
{
    struct err ignored;
    struct mvcc_rev rev;

    return !s->marks_known || mvcc_rev_read(span->from, &rev, &ignored) != RC_OK ||
           rev.main <= s->history.found;
}

/* Spans are in order. */
static bool leaf_lost_below(const struct salvage_result *s)
{
    const struct salvage_tree *t = &s->buckets[MVCC_KEY].tree;

    for (size_t i = 0; i < t->count && starts_below(s, &t->spans[i]); i++)
        if (t->spans[i].state == SALVAGE_LEAF_LOST)
            return true;
    return false;
}

static void unknown(struct result *list, const char *what)
{
    result_next(list);
    result_str(list, "Unknown", "what", what);
}

/* Entries that were applied say what came after; the log alone says everything. */
static bool has_tail(const struct salvage_result *s)
{
    return s->log.use >= SALVAGE_LOG_APPLIED;
}

static void unknown_log(struct result *to, const struct salvage_result *s)
{
    for (size_t i = 0; i < s->log.lost.count; i++)
        unknown(to, s->log.lost.items[i]);
    if (s->log.use == SALVAGE_LOG_APPLIED && s->root > SALVAGE_ROOT_NEWER)
        unknown(to, "whether all pages of the earlier commit that the log was applied to "
                    "were still its own: a commit under way when the member died may "
                    "have reused some");
    if (s->log.use == SALVAGE_LOG_OVER_LOSSES)
        unknown(to, "whether the log's entries came to what they had come to: a "
                    "transaction that compares a lost key, or a deletion of a range that "
                    "held one, may have gone another way, and revisions from the first "
                    "such one on are then other ones");
    if (s->log.use == SALVAGE_LOG_LEFT)
        unknown(to, "what the log holds: it was not applied, as it cannot be told from "
                    "which state it goes on");
}

static void unknown_commit(struct result *to, const struct salvage_result *s)
{
    if (s->root == SALVAGE_ROOT_IN_FORCE && !s->newest_commit)
        unknown(to, "whether there was one more commit: the other meta page is gone, and "
                    "no page shows a newer root that is whole");
    if (s->root == SALVAGE_ROOT_BEFORE)
        unknown(to, "what the last commit changed: its root is destroyed, and the one "
                    "before it was taken");
    if (s->root == SALVAGE_ROOT_FOUND)
        unknown(to, "what members, users, roles, leases and alarms were at the end: "
                    "those saved are of an earlier commit");
}

static void unknown_base(struct result *to, const struct salvage_result *s)
{
    if (s->newest_unknown)
        unknown(to, "whether there were revisions after the newest one saved: the "
                    "end of bucket key is lost");
    if (s->history.gap_count > 0)
        unknown(to, "which keys the lost revisions changed, but for those listed: "
                    "any key may have an older value than it had, or be back "
                    "although it was deleted");
    if (s->history.gap_count > 0 && has_lost_branch(s))
        unknown(to, "whether the last revision before each of the lost ones is whole: "
                    "changes at its end may be lost as well");
    if (leaf_lost_below(s))
        unknown(to, "which keys last changed before the compaction were on the lost "
                    "pages, but for those listed as doubtful");
    if (!s->marks_known)
        unknown(to, "up to which revision the history was compacted: the revisions "
                    "listed as lost may just have been compacted");
    if (unproved(s) > 0)
        unknown(to, "whether all pairs found on pages that nothing points to were "
                    "still in use; see unproved_pairs");
    if (s->zero_pages > 0)
        unknown(to, "whether the large values with whole pages of zeros in them were so, "
                    "or were wiped; see zero_pages");
    if (s->digest_wrong)
        unknown(to,
                "whether every value is as it was: the file is not the one that its "
                "SHA-256 was made of, and damage inside a value leaves no other trace");
    if (has_small_losses(s) && s->root != SALVAGE_ROOT_NONE)
        unknown(to, "what the lost pages of other buckets than key held at the end: what "
                    "was found of it elsewhere is older, or may be");
    if (s->root == SALVAGE_ROOT_NONE)
        unknown(to, "what the small buckets held, such as members and settings of "
                    "authentication: they went with the root page");
}

/* Each sentence is one thing that the lists cannot hold. */
static struct result *unknowns(const struct salvage_result *s)
{
    struct result *to = result_new_list();

    unknown_log(to, s);
    if (!has_tail(s))
        unknown_commit(to, s);
    if (from_base(s) && !s->whole)
        unknown_base(to, s);
    return to;
}

/* ---- all of it --------------------------------------------------------------------- */

static uint64_t lost_mains(const struct salvage_result *s)
{
    uint64_t n = 0;

    for (size_t i = 0; i < s->history.gap_count; i++)
        if (s->history.gaps[i].sub < 0)
            n += (uint64_t)(s->history.gaps[i].last_main - s->history.gaps[i].main + 1);
    return n;
}

static void show_log(struct result *r, const struct salvage_result *s)
{
    result_str(r, "Log", "wal", log_uses[s->log.use]);
    if (s->log.use == SALVAGE_LOG_NONE || s->log.last < s->log.first) {
        result_str(r, NULL, "first_index", NULL);
        result_str(r, NULL, "last_index", NULL);
    } else {
        result_u64(r, "First entry", "first_index", s->log.first);
        result_u64(r, "Last entry", "last_index", s->log.last);
    }
    if (s->log.use == SALVAGE_LOG_LEFT)
        result_str(r, "Log is in the way", "wal_problem", s->log.why);
}

static void show_saved(struct result *r, const struct cli *c,
                       const struct salvage_result *s)
{
    result_bool(r, "Whole", "whole", s->whole);
    result_str(r, "Root", "root", roots[s->root]);
    result_u64(r, "Metas damaged", "metas_damaged", s->metas_bad);
    result_bool(r, "Truncated", "truncated", s->truncated);
    result_bool(r, "Digest wrong", "digest_wrong", s->digest_wrong);
    show_log(r, s);
    result_u64(r, "Records found", "records", s->buckets[MVCC_KEY].pairs.count);
    result_u64(r, "Revisions lost", "revisions_lost", from_base(s) ? lost_mains(s) : 0);
    result_u64(r, "Records cut", "records_cut", from_base(s) ? s->history.cut.count : 0);
    result_u64(r, "Unproved pairs", "unproved_pairs", unproved(s));
    result_u64(r, "Pages of zeros", "zero_pages", s->zero_pages);
    if (c->dry_run)
        return;
    result_size(r, "Size", "size", s->made.trailer.size);
    result_size(r, "Stored size", "stored_size", s->made.stored.file.size);
    show_digest(r, "SHA-256", "sha256", s->made.stored.sha256);
    result_i64(r, "Revision", "revision", s->made.facts.revision);
    result_i64(r, "Compact revision", "compact_revision", s->made.facts.compact_revision);
    result_i64(r, "Compacts at", "scheduled_revision", s->made.facts.scheduled_revision);
    result_u64(r, "Keys", "keys", s->made.facts.live_keys);
    show_hashkv(r, &s->made.facts);
}

static struct result *describe(const struct cli *c, const struct salvage_args *a,
                               const struct salvage_result *s)
{
    struct result *r = result_new();

    result_str(r, "Source", "source", a->source);
    result_str(r, "Output", "output", a->output);
    show_saved(r, c, s);
    result_nest(r, "Lost pages", "lost_pages", lost_pages(s));
    if (from_base(s)) {
        result_nest(r, "Lost revisions", "lost_revisions", lost_revisions(s));
        result_nest(r, "Lost versions", "lost_versions", lost_versions(s));
        result_nest(r, "Cut", "cut", cut(s));
        result_nest(r, "Unreadable", "unreadable", damaged(s));
        result_nest(r, "Doubtful", "doubtful", doubtful(s));
    }
    result_nest(r, "Cannot be known", "unknown", unknowns(s));
    show_findings(r, &s->made.findings);
    result_bool(r, "Dry run", "dry_run", c->dry_run);
    return r;
}

static enum rc verdict(const struct cli *c, const struct salvage_args *a,
                       const struct salvage_result *s, struct err *e)
{
    struct err first;

    if (findings_verdict(&s->made.findings, &first) != RC_OK)
        return err_set(
            e, RC_DEGRADED,
            "'%s' was written, but is not clean: %s" HINT
            "the findings say what is left wrong; a restore refuses what etcd could "
            "not read",
            a->output, first.why);
    if (s->whole)
        return RC_OK;
    return err_set(e, RC_DEGRADED,
                   "'%s' %s not all that '%s' held" HINT
                   "the lists say what is missing and what cannot be known; compare with "
                   "another member or an older snapshot before you restore it, and "
                   "restore with --bump-revision where clients watch",
                   a->output, c->dry_run ? "would hold" : "holds", a->source);
}

static enum rc salvage(struct cli *c, const void *args, struct err *e)
{
    AT_END(salvage_result_clear) struct salvage_result s = { 0 };
    const struct salvage_args *a = args;
    OWNED(age_recipients) recipients = NULL;
    struct salvage_request q = {
        .source = a->source,
        .wal_dir = a->wal_dir,
        .store = { .file = a->output, .allow_same_filesystem = a->allow_same_filesystem },
        .look_only = c->dry_run,
        .take_doubtful = a->doubtful,
    };

    TRY(cli_recipients(&a->seal, &recipients, e));
    q.store.recipients = recipients;
    TRY(salvage_run(&q, &s, e));
    if (strcmp(a->output, "-") != 0 || c->dry_run) {
        OWNED(result) r = describe(c, a, &s);

        TRY(cli_show(c, r, e));
    }
    return verdict(c, a, &s, e);
}

const struct command cmd_snapshot_salvage = {
    .name = "snapshot salvage",
    .summary = "save what a damaged database still holds",
    .description =
        "Reads a database that etcd and a restore refuse: pages destroyed, metas gone, "
        "the "
        "end cut off. Trees are followed as far as they reach, then all pages are "
        "searched "
        "for leaves that nothing points to any more. What comes out is a new, clean "
        "database that `holdfast restore` takes like any snapshot, and a list of what is "
        "missing: revisions, versions of keys, pages, and what nobody can know. SOURCE "
        "is "
        "never changed.\n\n"
        "Free pages still hold what was deleted or compacted. Nothing of that is brought "
        "back: where it cannot be told whether a record was still in use, it is listed "
        "as "
        "doubtful and left out, unless --include-doubtful is given.\n\n"
        "Where revisions are missing, the new database has a compaction scheduled at the "
        "last of them: etcd keeps the newest value of every key and answers requests for "
        "older revisions as compacted, instead of from a history with holes. Records "
        "before a "
        "hole in the history of their own key are left out and listed as cut: no index "
        "of etcd could hold them.\n\n"
        "Exit status 0 says that nothing was lost, 8 that something was. Damage inside a "
        "value leaves no trace but in a snapshot's SHA-256, unless it is a page of "
        "zeros; "
        "a log that begins with the cluster puts it right.\n\n"
        "Of a data directory the log is applied, too: on the newest commit of which all "
        "is "
        "there, the log's entries make the member's state, as at every start of etcd. A "
        "log that begins with the cluster makes all of it, even without a database. An "
        "earlier commit, and one with losses of which it is known where the log goes on, "
        "are taken as well, with exit status 8: a transaction whose condition looks at a "
        "lost key may go another way than it did; what stands in for lost revisions is "
        "then "
        "compacted at once. The status is 8, too, where the log is missing or "
        "damaged.\n\n"
        "With one meta page gone the newest commit is searched for; when none is found, "
        "it cannot be known whether there was one, unless a snapshot's SHA-256 proves "
        "it.",
    .examples = "# what could be saved?\n"
                "holdfast snapshot salvage broken.db -o saved.db --dry-run\n"
                "# save it, and keep the list\n"
                "holdfast snapshot salvage broken.db -o saved.db --json > lost.json\n"
                "# a member that does not start, and whose peers are gone\n"
                "holdfast snapshot salvage /var/lib/etcd -o saved.db\n"
                "# compressed and encrypted\n"
                "holdfast snapshot salvage /mnt/etcd -o saved.db.zst.age -r age1...\n",
    .operands = salvage_operands,
    .opts = salvage_opts,
    .uses = CLI_OUTPUT | CLI_PROGRESS | CLI_DRY_RUN,
    .args_size = sizeof(struct salvage_args),
    .run = salvage,
};
