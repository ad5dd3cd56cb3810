#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/assessment.h"
#include "cli/commands.h"
#include "recover/statement.h"
#include "storage/posix.h"
#include "util/clock.h"
#include "util/mem.h"

struct assess_args {
    struct assessment_args from;
    const char *export;
};

/* clang-format off */
static const struct operand assess_operands[] = {
    ASSESSMENT_OPERANDS(assess_args, from),
    OPERAND_DONE,
};

static const struct opt assess_opts[] = {
    OPT(LIST, "backup", assess_args, from.backups, .letter = 'b', .arg = "FILE",
        .help = "a stored snapshot to compare with"),
    OPT(STR, "export", assess_args, export, .arg = "FILE", .rival = "backup",
        .help = "only write what is known of the directories on this host into FILE, to "
                "be given to assess elsewhere"),
    OPT(STR, "wal-dir", assess_args, from.wal_dir, .arg = "DIR",
        .help = "where the log is, if the member ran with --wal-dir; with one DIR only"),
    OPEN_OPTS(assess_args, from.open),
    OPT_DONE,
};
/* clang-format on */

/* ---- showing ------------------------------------------------------------------------
 */

static void show_number(struct result *r, const char *label, const char *key, bool known,
                        int64_t value)
{
    if (known)
        result_i64(r, label, key, value);
    else
        result_str(r, label, key, NULL);
}

static void show_copy(struct result *r, const struct recover_ranked *k,
                      const struct recover_verdict *v)
{
    const struct recover_copy *c = k->copy;

    result_str(r, "Copy", "path", c->path);
    result_str(r, "Member", "member_name", c->name);
    result_id(r, NULL, "member", "member_hex", c->member_id);
    result_str(r, NULL, "kind", recover_kind_name(c->kind));
    result_str(r, NULL, "host", c->host);
    result_str(r, NULL, "statement", c->statement);
    result_id(r, NULL, "cluster_id", "cluster_id_hex", c->cluster_id);
    show_number(r, "Term", "term", c->term_known, (int64_t)c->term);
    result_u64(r, "Index", "index", c->index);
    result_u64(r, NULL, "commit", c->commit);
    result_u64(r, NULL, "consistent_index", c->applied);
    result_i64(r, NULL, "revision", c->revision);
    show_number(r, "Revision", "revision_with_tail", c->tail_known,
                c->revision_with_tail);
    show_number(r, "Loses", "loses_revisions", k->loss_known, k->loses);
    result_u64(r, NULL, "behind_entries", k->behind);
    result_bool(r, NULL, "ok", c->ok);
    result_bool(r, NULL, "startable", c->startable);
    result_bool(r, NULL, "in_use", c->in_use);
    result_bool(r, NULL, "kubernetes", c->kubernetes);
    result_str(r, NULL, "wal", c->verdict);
    result_str(r, NULL, "standing", recover_standing_name(k->standing));
    result_str(r, "", NULL,
               c == v->best ? "best"
               : c->in_use  ? "in use"
                            : recover_standing_name(k->standing));
    result_json(r, "findings", recover_notes_json(c));
}

static struct result *candidates(const struct recover_verdict *v)
{
    struct result *r = result_new_list();

    for (size_t i = 0; i < v->ranked_count; i++) {
        result_next(r);
        show_copy(r, &v->ranked[i], v);
    }
    return r;
}

static struct result *members(const struct recover_verdict *v)
{
    struct result *r = result_new_list();

    for (size_t i = 0; i < v->seat_count; i++) {
        const struct recover_seat *seat = &v->seats[i];
        char name[80];

        result_next(r);
        result_str(r, "Member", NULL, recover_called(seat->id, seat->name, name));
        result_id(r, NULL, "id", "id_hex", seat->id);
        result_str(r, NULL, "name", seat->name);
        result_str(r, "Role", "role", seat->voter ? "voter" : "learner");
        result_str(r, "Is", "presence", recover_presence_name(seat->presence));
        result_str(r, "At", "path", seat->copy == NULL ? NULL : seat->copy->path);
        result_str(r, NULL, "endpoint",
                   seat->answer == NULL ? NULL : seat->answer->endpoint);
    }
    return r;
}

static struct result *quorum(const struct recover_verdict *v)
{
    struct result *r = result_new();

    result_str(r, "State", "state", recover_state_name(v->state));
    result_u64(r, "Voters", "voters", v->now.voters);
    result_u64(r, "Needed", "needed", v->now.needed);
    result_u64(r, "Running", "running", v->now.up);
    result_u64(r, "Startable", "startable", v->startable);
    return r;
}

static const char *headline(const struct recover_verdict *v)
{
    switch (v->state) {
    case RECOVER_HAS:
        return "the cluster has quorum";
    case RECOVER_RUNS:
        return "a majority runs, but was not seen to serve";
    case RECOVER_STARTABLE:
        return "not lost: start the stopped members";
    case RECOVER_UNKNOWN:
        return "not known";
    case RECOVER_LOST:
        break;
    }
    return "quorum is LOST";
}

static void draw_text(struct printer *p, const struct recover_verdict *v)
{
    printer_put(p, "\n");
    printer_wrap(p, 0, 0, v->why);
    for (size_t i = 0; i < v->notes.count; i++) {
        printer_put(p, "\n- ");
        printer_wrap(p, 2, 2, v->notes.items[i]);
    }
    printer_printf(p, "\nNext:  %s\n", v->next);
}

/* The screen, drawn into memory and handed over line by line. */
static enum rc draw(const struct recover_verdict *v, struct result *r, struct err *e)
{
    AT_END(printer_clear) struct printer p = { .fd = -1, .name = "memory" };
    OWNED(result) who = members(v);
    OWNED(result) copies = candidates(v);

    printer_printf(&p, "Verdict:  %s\n", headline(v));
    if (v->cluster_id != 0)
        printer_printf(&p, "Cluster:  %" PRIx64 "\n", v->cluster_id);
    if (v->now.voters > 0)
        printer_printf(&p,
                       "Quorum:   %zu voters, %zu needed, %zu running, %zu startable\n",
                       v->now.voters, v->now.needed, v->now.up, v->startable);
    printer_put(&p, "\n");
    TRY(render(&p, RENDER_SIMPLE, who, e));
    if (v->seat_count > 0)
        printer_put(&p, "\n");
    TRY(render(&p, RENDER_SIMPLE, copies, e));
    draw_text(&p, v);
    return result_drawn(r, &p, e);
}

static struct json *notes_json(const struct recover_verdict *v)
{
    struct json *a = json_new_array();

    for (size_t i = 0; i < v->notes.count; i++)
        json_add_str(a, v->notes.items[i]);
    return a;
}

static enum rc show(struct cli *c, const struct recover_verdict *v, struct err *e)
{
    bool plain = c->format == RENDER_SIMPLE;
    OWNED(result) r = result_new();

    if (v->state == RECOVER_UNKNOWN)
        result_str(r, "Quorum lost", "quorum_lost", NULL);
    else
        result_bool(r, "Quorum lost", "quorum_lost", v->state == RECOVER_LOST);
    result_id(r, "Cluster", "cluster_id", "cluster_id_hex", v->cluster_id);
    result_nest(r, plain ? NULL : "Quorum", "quorum", quorum(v));
    result_nest(r, plain ? NULL : "Members", "members", members(v));
    result_nest(r, plain ? NULL : "Candidates", "candidates", candidates(v));
    result_str(r, "Best", "best", v->best == NULL ? NULL : v->best->path);
    result_str(r, "Why", "why", v->why);
    result_json(r, "notes", notes_json(v));
    result_str(r, "Next", "next", v->next);
    if (plain)
        TRY(draw(v, r, e));
    return cli_show(c, r, e);
}

/* ---- the command --------------------------------------------------------------------
 */

/* The first copy that a statement would have nothing to say about. */
static enum rc all_readable(const struct recover_copies *l, struct err *e)
{
    for (size_t i = 0; i < l->count; i++)
        if (!l->items[i].readable && l->items[i].note_count > 0)
            return err_set(e, RC_CORRUPT,
                           "'%s' could not be read: %s" HINT
                           "export only what can be read",
                           l->items[i].path, l->items[i].notes[0].message);
    return RC_OK;
}

static enum rc export(struct cli *c, const struct assess_args *a, struct assessment *v,
                      struct err *e) {
    OWNED(result) r = result_new(); AT_END(mem_end) char *text = NULL;
    char host[256] = "";

    if (a->from.copies.count ==
        0) return err_set(e, RC_USAGE, "--export needs a data directory to tell about");
    if (gethostname(host, sizeof host - 1) != 0) return err_sys(e, RC_INTERNAL,
                                                                "the name of this host");
    TRY(posix_put_check(a->export, e));
    TRY(assessment_survey(&a->from, v, e));
    TRY(all_readable(&v->copies, e));
    TRY(recover_statement_render(&v->copies, host, clock_unix_ms(), &text, e));
    TRY(posix_put_text(a->export, text, e));
    result_str(r, "Statement", "statement", a->export);
    result_str(r, "Host", "host", host);
    result_u64(r, "Copies", "copies", v->copies.count);
    result_str(r, "Next", "next",
               "bring it to where the others are, and give it to "
               "`holdfast assess` beside them");
    return strcmp(a->export, "-") == 0 ? RC_OK : cli_show(c, r, e);
}

static enum rc assess(struct cli *c, const void *args, struct err *e)
{
    const struct assess_args *a = args;
    AT_END(assessment_clear) struct assessment v = { .view = { 0 } };

    if (a->export != NULL)
        return export(c, a, &v, e);
    TRY(assessment_make(c, &a->from, true, &v, e));
    TRY(show(c, &v.verdict, e));
    return recover_verdict_result(&v.verdict, e);
}

const struct command cmd_assess = {
    .name = "assess",
    .summary = "what is left of a cluster, and the next step",
    .description =
        "For the hour after members were lost. Give it what there is: data directories "
        "of "
        "members that are down (or copies of them, brought from their hosts), snapshots, "
        "and by --endpoints members that may still answer; this host's is asked unless "
        "others are named, and the members at the addresses that the copies tell. It "
        "says how many voters there were, who is left, and whether "
        "quorum is really lost, or comes back when the stopped members are started: then "
        "no restore is wanted, and none should be made. If it is lost it says which copy "
        "is the newest and why, and what any other would lose. It ends with one command "
        "to "
        "run next. It changes nothing.\n\n"
        "Newest is the copy whose last entry has the highest term, and then the highest "
        "index: so raft elects, and so no write that was acknowledged is left behind "
        "while any copy has it. The revision told is the one with the log applied. What "
        "the log calls committed lags behind, and the term of a member that was alone "
        "runs ahead: neither counts. Copies of another cluster, of a member that was "
        "removed, and older copies of the same member are set apart.\n\n"
        "A directory that cannot be brought here is told about by a file: run `holdfast "
        "assess DIR --export FILE` on its host and give FILE in place of DIR. It holds "
        "facts only, no keys and no values, and a SHA-256 that shows when it was cut or "
        "edited by accident; it is not signed. An older file may be of a time when more "
        "was running: make all of them anew when anything was started.\n\n"
        "Exit status 0: there is a quorum, or it comes back by starting members. 8: it "
        "is "
        "lost and a new cluster must be built, or what was given does not tell. 3: it is "
        "lost, and no copy is sound.",
    .examples =
        "# on the host of the only survivor\n"
        "holdfast assess /var/lib/etcd\n"
        "# all that could be carried together, and the last backup\n"
        "holdfast assess a/etcd b/etcd c.json --backup etcd.db.zst.age -i backup.key\n"
        "# on a host whose disk is too large to carry\n"
        "holdfast assess /var/lib/etcd --export $(hostname).json\n",
    .operands = assess_operands,
    .opts = assess_opts,
    .uses = CLI_CONNECTION | CLI_OUTPUT | CLI_PROGRESS,
    .args_size = sizeof(struct assess_args),
    .run = assess,
};
