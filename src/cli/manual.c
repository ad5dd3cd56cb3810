#include "cli/manual.h"

#include <stdio.h>
#include <string.h>

#include "cli/help.h"

static void page_name(char *out, size_t n, const struct command *cmd)
{
    snprintf(out, n, "holdfast-%s", cmd->name);
    for (char *p = out; *p != '\0'; p++)
        if (*p == ' ')
            *p = '-';
}

void manual_list(struct printer *to, const struct command *const *all)
{
    char name[96];

    printer_put(to, "holdfast\n");
    for (; *all != NULL; all++) {
        page_name(name, sizeof name, *all);
        printer_printf(to, "%s\n", name);
    }
}

/* Text in which scdoc shall see no markup. A full stop at the beginning of a line is
 * markup too, to troff. */
static void plain(struct printer *to, const char *text)
{
    for (; *text != '\0'; text++) {
        if (strchr("\\*_#~`[]|<>+-.", *text) != NULL)
            printer_put(to, "\\");
        printer_fill(to, *text, 1);
    }
}

static void bold(struct printer *to, const char *text)
{
    printer_put(to, "*");
    plain(to, text);
    printer_put(to, "*");
}

static void heading(struct printer *to, const char *title)
{
    printer_put(to, "\n# ");
    for (; *title != '\0'; title++)
        printer_fill(to, (char)(*title >= 'a' && *title <= 'z' ? *title - 32 : *title),
                     1);
    printer_put(to, "\n\n");
}

static void exit_codes(struct printer *to)
{
    heading(to, "exit status");
    printer_put(to, "*0*\n\tdone, and proved\n\n");
#define X(name, exit_code, meaning) \
    if (name != RC_NOMEM)           \
        printer_printf(to, "*%d*\n\t%s\n\n", exit_code, meaning);
    RC_TABLE(X)
#undef X
}

static void variables(struct printer *to, const struct opt *o)
{
    char name[96];

    if (o->env == OPT_ENV_NONE)
        return;
    opt_env_name(name, sizeof name, "HOLDFAST", o);
    printer_put(to, " Environment: ");
    plain(to, name);
    if (o->env == OPT_ENV_ETCDCTL) {
        opt_env_name(name, sizeof name, "ETCDCTL", o);
        printer_put(to, ", then ");
        plain(to, name);
    }
    printer_put(to, ".");
}

static void option(struct printer *to, const struct opt *o)
{
    char text[128], value[96], notes[96];

    if (o->letter != '\0') {
        snprintf(text, sizeof text, "-%c", o->letter);
        bold(to, text);
        printer_put(to, ", ");
    }
    snprintf(text, sizeof text, "--%s", o->name);
    bold(to, text);
    opt_placeholder(value, sizeof value, o);
    if (*value != '\0') {
        printer_put(to, " ");
        plain(to, value);
    }
    help_notes(notes, sizeof notes, o);
    printer_put(to, "\n\t");
    plain(to, o->help);
    if (*notes != '\0') {
        printer_put(to, " (");
        plain(to, notes);
        printer_put(to, ")");
    }
    printer_put(to, ".");
    variables(to, o);
    printer_put(to, "\n\n");
}

static void options(struct printer *to, const struct command *cmd)
{
    struct cli_group groups[CLI_GROUPS_MAX];
    bool any = false;

    cli_groups(cmd, groups);
    for (const struct cli_group *g = groups; g->opts != NULL; g++)
        for (const struct opt *o = g->opts; o->kind != OPT_END; o++) {
            if (!any)
                heading(to, "options");
            any = true;
            option(to, o);
        }
}

static void operands(struct printer *to, const struct command *cmd)
{
    if (cmd->operands == NULL)
        return;
    heading(to, "arguments");
    for (const struct operand *o = cmd->operands; o->name != NULL; o++) {
        bold(to, o->name);
        printer_put(to, "\n\t");
        plain(to, o->help);
        printer_put(to, ".\n\n");
    }
}

/* A literal block: scdoc shows its lines as they are. */
static void examples(struct printer *to, const char *text)
{
    if (text == NULL)
        return;
    heading(to, "examples");
    printer_printf(to, "```\n%s\n```\n", text);
}

static void command_page(struct printer *to, const struct command *cmd, const char *page)
{
    printer_printf(to, "%s(1) \"\" \"Holdfast\"\n", page);
    heading(to, "name");
    printer_printf(to, "%s - ", page);
    plain(to, cmd->summary);
    printer_put(to, "\n");
    heading(to, "synopsis");
    printer_printf(to, "*holdfast %s* \\[options\\]", cmd->name);
    for (const struct operand *o = cmd->operands; o != NULL && o->name != NULL; o++)
        printer_printf(to, " %s%s%s%s", o->required ? "" : "\\[", o->name,
                       o->many ? "\\.\\.\\." : "", o->required ? "" : "\\]");
    printer_put(to, "\n");
    heading(to, "description");
    plain(to, cmd->description == NULL ? cmd->summary : cmd->description);
    printer_put(to, "\n");
    operands(to, cmd);
    options(to, cmd);
    examples(to, cmd->examples);
    exit_codes(to);
    heading(to, "see also");
    printer_put(to, "*holdfast*(1)\n");
}

static const char overview[] =
    "Holdfast takes backups of etcd, proves that they are whole, and brings a cluster "
    "back from them or from what is left of its data directories.\n\n"
    "Results go to standard output, everything else to standard error. An error is three "
    "lines: what failed, why, and what to do next.\n\n"
    "An option is taken from the command line, else from HOLDFAST_NAME, else, where "
    "etcdctl has it too, from ETCDCTL_NAME, with the name in upper case and underscores "
    "for dashes. Durations are written like 90s or 1h30m, sizes like 512MiB.";

static void main_page(struct printer *to, const struct command *const *all)
{
    char name[96];

    printer_put(to, "holdfast(1) \"\" \"Holdfast\"\n");
    heading(to, "name");
    printer_put(to, "holdfast - backup and disaster recovery for etcd\n");
    heading(to, "synopsis");
    printer_put(to, "*holdfast* COMMAND \\[options\\] \\[arguments\\]\n");
    heading(to, "description");
    plain(to, overview);
    printer_put(to, "\n");
    heading(to, "commands");
    for (; *all != NULL; all++) {
        page_name(name, sizeof name, *all);
        printer_printf(to, "*%s*(1)\n\t", name);
        plain(to, (*all)->summary);
        printer_put(to, ".\n\n");
    }
    exit_codes(to);
}

enum rc manual_page(struct printer *to, const struct command *const *all,
                    const char *page, struct err *e)
{
    char name[96];

    if (strcmp(page, "holdfast") == 0) {
        main_page(to, all);
        return RC_OK;
    }
    for (const struct command *const *c = all; *c != NULL; c++) {
        page_name(name, sizeof name, *c);
        if (strcmp(name, page) == 0) {
            command_page(to, *c, page);
            return RC_OK;
        }
    }
    return err_set(e, RC_NOTFOUND,
                   "there is no page '%.64s'" HINT "'holdfast manual --list' names them",
                   page);
}
