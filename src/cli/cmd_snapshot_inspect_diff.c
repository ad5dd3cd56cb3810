/* snapshot diff: what changed from one stored database to another. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/rows.h"
#include "snapshot/diff.h"
#include "snapshot/usage.h"
#include "util/task.h"

struct diff_args {
    const char *before, *after, *prefix;
    uint64_t depth;
    bool summary;
};

/* clang-format off */
static const struct operand diff_operands[] = {
    OPERAND("A", diff_args, before, .required = true,
            .help = "the earlier one: a plain snapshot, database file or data directory"),
    OPERAND("B", diff_args, after, .required = true, .help = "the later one"),
    OPERAND_DONE,
};

static const struct opt diff_opts[] = {
    OPT(STR, "prefix", diff_args, prefix, .arg = "P",
        .help = "only keys that begin with it, and nothing but keys"),
    OPT(U64, "depth", diff_args, depth, .arg = "N", .fallback = "2",
        .help = "parts of a prefix in the list of what grew, as in snapshot ls --du"),
    OPT(FLAG, "summary", diff_args, summary,
        .help = "how many and what grew, without the list of changes"),
    OPT_DONE,
};
/* clang-format on */

struct comparison {
    const struct diff_args *args;
    struct snap_look before, after;
    struct snap_growth growth;
    uint64_t counts[SNAP_SUBJECTS][SNAP_CHANGED + 1];
    uint64_t forked; /* keys of the same revision that differ */
    struct rows *rows;
};

static void comparison_end(struct comparison *d)
{
    snap_growth_clear(&d->growth);
    snap_look_clear(&d->before);
    snap_look_clear(&d->after);
}

/* ---- one change ------------------------------------------------------------------- */

static bool is_forked(const struct snap_change *c)
{
    return c->before != NULL && c->after != NULL &&
           c->before->rev.main == c->after->rev.main;
}

/* One side of a key: short for people, whole for programs. */
static void show_side(struct result *r, const char *label, const char *key,
                      const struct snap_record *record)
{
    struct result *side;
    char text[96];

    if (record == NULL) {
        result_str(r, label, key, NULL);
        return;
    }
    if (record->rev.tombstone)
        snprintf(text, sizeof text, "rev %" PRId64 " (deleted)", record->rev.main);
    else
        snprintf(text, sizeof text, "rev %" PRId64 " (%zu B)", record->rev.main,
                 record->kv.value.n);
    result_str(r, label, NULL, text);
    side = result_new();
    result_bool(side, NULL, "deleted", record->rev.tombstone);
    result_i64(side, NULL, "create_revision", record->kv.create);
    result_i64(side, NULL, "mod_revision", record->rev.main);
    result_i64(side, NULL, "version", record->kv.version);
    result_i64(side, NULL, "lease", record->kv.lease);
    result_u64(side, NULL, "value_size", record->kv.value.n);
    result_nest(r, NULL, key, side);
}

static struct result *change_row(const struct snap_change *c)
{
    static const char *const signs[] = { "+", "-", "~" };
    struct result *r = result_new();
    bool key = c->subject == SNAP_KEY || c->subject == SNAP_HISTORY;

    result_str(r, "Change", NULL, signs[c->kind]);
    result_str(r, NULL, "change", snap_change_name(c->kind));
    result_str(r, "What", "what", snap_subject_name(c->subject));
    if (key) {
        result_bytes(r, "Name", "key", c->name);
        show_side(r, "Before", "before", c->before);
        show_side(r, "After", "after", c->after);
        result_bool(r, NULL, "same_revision", is_forked(c));
        result_str(r, "Note", NULL,
                   is_forked(c) ? "of the same revision, but different" : "");
        return r;
    }
    result_name(r, "Name", "name", c->name);
    result_str(r, "Before", "before", c->was);
    result_str(r, "After", "after", c->is);
    result_str(r, "Note", NULL, "");
    return r;
}

static enum rc on_change(void *arg, const struct snap_change *c, struct err *e)
{
    struct comparison *d = arg;

    d->counts[c->subject][c->kind]++;
    d->forked += c->subject == SNAP_KEY && is_forked(c);
    return d->rows == NULL ? RC_OK : rows_put(d->rows, change_row(c), e);
}

static enum rc compare(struct comparison *d, struct rows *to, struct err *e)
{
    memset(d->counts, 0, sizeof d->counts);
    d->forked = 0;
    d->rows = to;
    TRY(snap_diff_keys(&d->before, &d->after, on_change, d, e));
    TRY(snap_diff_history(&d->before, &d->after, on_change, d, e));
    if (d->args->prefix != NULL)
        return RC_OK;
    return snap_diff_rest(&d->before, &d->after, on_change, d, e);
}

static enum rc make_changes(void *arg, struct rows *to, struct err *e)
{
    return compare(arg, to, e);
}

/* ---- the whole -------------------------------------------------------------------- */

static struct result *list_counts(const struct comparison *d)
{
    struct result *list = result_new_list();

    for (enum snap_subject s = 0; s < SNAP_SUBJECTS; s++) {
        const uint64_t *n = d->counts[s];

        if (n[SNAP_ADDED] + n[SNAP_REMOVED] + n[SNAP_CHANGED] == 0)
            continue;
        result_next(list);
        result_str(list, "What", "what", snap_subject_name(s));
        result_u64(list, "Added", "added", n[SNAP_ADDED]);
        result_u64(list, "Removed", "removed", n[SNAP_REMOVED]);
        result_u64(list, "Changed", "changed", n[SNAP_CHANGED]);
    }
    return list;
}

/* A size with its sign. */
static void show_growth(struct result *r, uint64_t before, uint64_t after)
{
    bool less = after < before;
    char text[32], size[31];

    str_size(size, sizeof size, less ? before - after : after - before);
    snprintf(text, sizeof text, "%s%s", less ? "-" : "+", size);
    result_str(r, "Growth", NULL, text);
    result_i64(r, NULL, "growth_bytes", (int64_t)(after - before));
}

static struct result *list_growth(const struct comparison *d)
{
    struct result *list = result_new_list();

    for (size_t i = 0; i < d->growth.count; i++) {
        const struct snap_growth_row *g = &d->growth.rows[i];

        result_next(list);
        result_i64(list, "Keys", "keys", (int64_t)(g->after.keys - g->before.keys));
        result_size(list, "Before", "before_bytes", snap_usage_bytes(&g->before));
        result_size(list, "After", "after_bytes", snap_usage_bytes(&g->after));
        show_growth(list, snap_usage_bytes(&g->before), snap_usage_bytes(&g->after));
        result_name(list, "Prefix", "prefix", g->prefix);
    }
    return list;
}

static struct result *about(void *arg)
{
    const struct comparison *d = arg;
    struct result *r = result_new();

    result_str(r, "A", "a", d->args->before);
    result_i64(r, "Revision of A", "a_revision", d->before.revision);
    result_str(r, "B", "b", d->args->after);
    result_i64(r, "Revision of B", "b_revision", d->after.revision);
    result_u64(r, "Forked keys", "forked_keys", d->forked);
    result_nest(r, "Changes", "counts", list_counts(d));
    result_nest(r, "Growth", "growth", list_growth(d));
    return r;
}

static enum rc weigh(struct comparison *d, struct err *e)
{
    AT_END(snap_usage_clear) struct snap_usage before = { 0 };
    AT_END(snap_usage_clear) struct snap_usage after = { 0 };
    unsigned depth = d->args->depth > 1000 ? 1000 : (unsigned)d->args->depth;

    TRY(snap_usage_make(&d->before.index, depth, &before, e));
    TRY(snap_usage_make(&d->after.index, depth, &after, e));
    return snap_growth_make(&before, &after, &d->growth, e);
}

struct opening {
    const char *path;
    struct snap_look_options options;
    struct snap_look *look;
};

static enum rc look_at(void *arg, struct err *e)
{
    const struct opening *o = arg;

    if (snap_look_open(o->path, &o->options, o->look, e) != RC_OK)
        return err_wrap(e, "looking into '%s'", o->path);
    return RC_OK;
}

/* Both at once: walking and sorting them is most of the work. */
static enum rc look_at_both(struct comparison *d, struct err *e)
{
    const char *prefix = d->args->prefix == NULL ? "" : d->args->prefix;
    const struct snap_look_options options = { .prefix = bytes_str(prefix) };
    struct opening before = { d->args->before, options, &d->before };
    struct opening after = { d->args->after, options, &d->after };
    struct task other;
    struct err late = { 0 };
    enum rc here, there;

    TRY(task_start(&other, look_at, &after, e));
    here = look_at(&before, e);
    there = task_join(&other, &late);
    TRY(here);
    if (there != RC_OK)
        *e = late;
    return there;
}

/* In JSON the whole stands behind the rows, in one object with them. */
static enum rc show(struct cli *c, struct comparison *d, struct err *e)
{
    const struct rows_source source = {
        .arg = d, .make = make_changes, .about = about, .key = "changes", .bare = true
    };
    OWNED(result) whole = NULL;

    if (d->args->summary) {
        TRY(compare(d, NULL, e));
    } else {
        TRY(rows_show(c, &source, e));
        if (c->format == RENDER_JSON)
            return RC_OK;
        printer_put(c->out, "\n");
    }
    whole = about(d);
    return cli_show(c, whole, e);
}

static enum rc diff(struct cli *c, const void *args, struct err *e)
{
    AT_END(comparison_end) struct comparison d = { .args = args };

    TRY(look_at_both(&d, e));
    TRY(weigh(&d, e));
    TRY(show(c, &d, e));
    TRY(snap_look_intact(&d.before, e));
    return snap_look_intact(&d.after, e);
}

const struct command cmd_snapshot_diff = {
    .name = "snapshot diff",
    .summary = "what changed from one snapshot to another",
    .description =
        "Compares the newest state of two databases: keys that were added (+), removed "
        "(-) or changed (~, by a revision or by any byte of the value or lease), leases, "
        "users, roles, members and alarms; then what grew, by prefix, history included. "
        "Values and passwords are not shown; a new password shows in the revision of "
        "auth.\n\n"
        "A key that has the same revision in both and still differs is marked: the two "
        "are then not of one history, as when members diverged or a restore went "
        "back. A row of 'history' is the same of a superseded put or a deletion, at a "
        "revision that both should have: members that differ only there have equal keys "
        "and another HashKV.\n\n"
        "Every page of both files is checked first. The exit status tells nothing about "
        "differences; with --json the list `changes` does. Memory grows by 24 bytes a "
        "record of the keys asked for, of both files.",
    .examples =
        "holdfast snapshot diff monday.db tuesday.db --summary\n"
        "holdfast snapshot diff before.db /var/lib/etcd --prefix /registry/pods/\n",
    .operands = diff_operands,
    .opts = diff_opts,
    .uses = CLI_OUTPUT | CLI_PROGRESS,
    .args_size = sizeof(struct diff_args),
    .run = diff,
};
