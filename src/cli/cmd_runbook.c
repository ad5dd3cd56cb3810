#include <string.h>

#include "cli/assessment.h"
#include "cli/cluster.h"
#include "cli/commands.h"
#include "recover/planfile.h"
#include "runbook/look.h"
#include "runbook/remains.h"
#include "util/mem.h"

struct runbook_args {
    const char *situation;
    struct str_list known;
    const char *plan;
    struct assessment_args from;
    bool offline;
};

/* clang-format off */
static const struct operand runbook_operands[] = {
    OPERAND("SITUATION", runbook_args, situation, .required = true,
            .help = "lost-quorum, lost-member, nospace, corrupt-member, "
                    "restore-from-backup or two-members"),
    ASSESSMENT_OPERANDS(runbook_args, from),
    OPERAND_DONE,
};

static const struct opt runbook_opts[] = {
    OPT(LIST, "set", runbook_args, known, .arg = "BLANK=TEXT",
        .help = "fill a blank, such as new=m4, new-peer=https://10.0.0.4:2380, "
                "backup=before.db or data-dir=/var/lib/etcd; once for each"),
    OPT(STR, "plan", runbook_args, plan, .arg = "PLAN",
        .help = "take names from this plan, which `recover --plan` wrote"),
    OPT(FLAG, "offline", runbook_args, offline,
        .help = "ask no cluster: what is not set stays blank"),
    OPT_DONE,
};
/* clang-format on */

static enum rc set_one(struct runbook_facts *f, const char *pair, struct err *e)
{
    AT_END(mem_end) char *name = mem_str(pair);
    char *equals;

    if (name == NULL)
        return err_set(e, RC_NOMEM, "no memory for a blank");
    equals = strchr(name, '=');
    if (equals == NULL)
        return err_set(e, RC_USAGE, "'%s' is not BLANK=TEXT", pair);
    *equals = '\0';
    return runbook_know(f, name, equals + 1, e);
}

/* ---- showing ------------------------------------------------------------- */

/* A field of a step, with what is known filled in. */
static enum rc add_field(struct result *r, const char *key, const struct runbook_facts *f,
                         const char *text, bool commands, const char *here, struct err *e)
{
    AT_END(buf_clear) struct buf filled = { .cap_max = 1 << 20 };

    if (text == NULL) {
        result_str(r, NULL, key, NULL);
        return RC_OK;
    }
    TRY(runbook_fill(f, text, commands, here, &filled, e));
    TRY(buf_add(&filled, "", 1, e));
    result_str(r, NULL, key, (const char *)filled.p);
    return RC_OK;
}

static enum rc add_step(struct result *list, const struct runbook_facts *f,
                        const struct runbook_step *s, const char *here, struct err *e)
{
    result_next(list);
    TRY(add_field(list, "title", f, s->title, false, here, e));
    TRY(add_field(list, "why", f, s->why, false, here, e));
    TRY(add_field(list, "where", f, s->where, false, here, e));
    result_str(list, NULL, "member", here);
    TRY(add_field(list, "commands", f, s->commands, true, here, e));
    result_i64(list, NULL, "exit_status", s->status);
    TRY(add_field(list, "expect", f, s->expect, false, here, e));
    return add_field(list, "otherwise", f, s->otherwise, false, here, e);
}

static enum rc add_steps(struct result *list, const struct runbook *b,
                         const struct runbook_facts *f, struct err *e)
{
    for (const struct runbook_step *s = b->steps; s->title != NULL; s++) {
        if (!s->each || f->members.count == 0)
            TRY(add_step(list, f, s, NULL, e));
        for (size_t i = 0; s->each && i < f->members.count; i++)
            TRY(add_step(list, f, s, f->members.items[i], e));
    }
    return RC_OK;
}

static struct json *situation(const struct runbook_facts *f)
{
    struct json *a = json_new_array();

    for (size_t i = 0; i < f->situation.count; i++)
        json_add_str(a, f->situation.items[i]);
    return a;
}

static struct result *blanks(const struct runbook *b, const struct runbook_facts *f)
{
    struct result *list = result_new_list();

    for (size_t i = 0; runbook_blanks[i].name != NULL; i++) {
        if (!runbook_lacks(b, f, i))
            continue;
        result_next(list);
        result_str(list, NULL, "blank", runbook_blanks[i].name);
        result_str(list, NULL, "shown", runbook_blanks[i].shown);
        result_str(list, NULL, "means", runbook_blanks[i].means);
    }
    return list;
}

static enum rc show_text(struct cli *c, const struct runbook *b,
                         const struct runbook_facts *f, struct err *e)
{
    AT_END(printer_clear) struct printer p = { .fd = -1, .name = "memory" };
    AT_END(mem_end) char *text = NULL;
    OWNED(result) r = result_new();

    TRY(runbook_markdown(b, f, &text, e));
    printer_put(&p, text);
    TRY(result_drawn(r, &p, e));
    return cli_show(c, r, e);
}

static enum rc show_fields(struct cli *c, const struct runbook *b,
                           const struct runbook_facts *f, struct err *e)
{
    OWNED(result) r = result_new();
    struct result *steps = result_new_list();
    enum rc rc = add_steps(steps, b, f, e);

    result_str(r, "Runbook", "runbook", b->name);
    result_str(r, "Title", "title", b->title);
    result_str(r, "When", "when", b->when);
    result_json(r, "situation", situation(f));
    result_nest(r, NULL, "blanks", blanks(b, f));
    result_nest(r, NULL, "steps", steps);
    return rc == RC_OK ? cli_show(c, r, e) : rc;
}

/* ---- the command --------------------------------------------------------- */

static enum rc read_plan(const char *file, struct runbook_facts *f, struct err *e)
{
    AT_END(recover_plan_clear) struct recover_plan p = { 0 };

    TRY(recover_planfile_load(file, &p, e));
    return runbook_planned(&p, file, f, e);
}

/* Directories and statements tell more than a cluster that is gone; offline they tell
 * alone. */
static enum rc assess(struct cli *c, const struct runbook_args *a,
                      struct runbook_facts *f, struct err *e)
{
    AT_END(assessment_clear) struct assessment found = { 0 };
    const struct recover_scene alone = { .copies = &found.copies };

    if (a->offline) {
        TRY(assessment_survey(&a->from, &found, e));
        TRY(recover_judge(&alone, &found.verdict, e));
    } else {
        TRY(assessment_make(c, &a->from, true, &found, e));
    }
    return runbook_remains(&found.verdict, f, e);
}

static enum rc find_facts(struct cli *c, const struct runbook_args *a,
                          const struct runbook *b, struct runbook_facts *f, struct err *e)
{
    AT_END(cli_cluster_clear) struct cli_cluster k = { 0 };

    for (size_t i = 0; i < a->known.count; i++)
        TRY(set_one(f, a->known.items[i], e));
    if (a->plan != NULL)
        return read_plan(a->plan, f, e);
    if (a->from.copies.count > 0)
        return assess(c, a, f, e);
    if (a->offline)
        return RC_OK;
    TRY(cli_cluster_init(&k, c, e));
    return runbook_look(b, &k.access, f, e);
}

static enum rc print_runbook(struct cli *c, const void *args, struct err *e)
{
    const struct runbook_args *a = args;
    const struct runbook *b = runbook_find(a->situation);
    AT_END(runbook_facts_clear) struct runbook_facts f = { 0 };

    if (b == NULL)
        return err_set(e, RC_USAGE,
                       "there is no runbook '%s'" HINT
                       "`holdfast help runbook` lists them",
                       a->situation);
    TRY(find_facts(c, a, b, &f, e));
    return c->format == RENDER_SIMPLE ? show_text(c, b, &f, e) : show_fields(c, b, &f, e);
}

const struct command cmd_runbook = {
    .name = "runbook",
    .summary = "what to do now, step by step, for this cluster",
    .description =
        "Prints a runbook: for each step why, the commands, what is seen then, and what "
        "to do if not. The cluster at --endpoints is asked, and what it tells is filled "
        "in: addresses, names, who is down, what the planner would do. What is not known "
        "stays a word in capitals, explained at the top; --set fills it. A cluster that "
        "nobody can ask is told by what is left of it: directories and statements, as "
        "for `holdfast assess`, or a plan. Without any of that, and with --offline, it "
        "is the page that ships in docs/runbooks.\n\n"
        "lost-quorum: more members are gone than the cluster bears. lost-member: one is "
        "gone, the others serve. nospace: the database is full. corrupt-member: one "
        "holds other data than the rest. restore-from-backup: everything else is gone. "
        "two-members: growing to three.",
    .examples = "holdfast runbook lost-member --set new=m4 \\\n"
                "    --set new-peer=https://10.0.0.4:2380 --endpoints 10.0.0.1:2379\n"
                "holdfast runbook lost-quorum /var/lib/etcd\n"
                "holdfast runbook nospace --offline\n",
    .operands = runbook_operands,
    .opts = runbook_opts,
    .uses = CLI_CONNECTION | CLI_OUTPUT,
    .args_size = sizeof(struct runbook_args),
    .run = print_runbook,
};
