#include "cli/help.h"

#include <stdio.h>
#include <string.h>

enum { HELP_COLUMN = 28, TEXT_INDENT = 2 };

void help_synopsis(struct printer *to, const struct command *cmd)
{
    printer_printf(to, "holdfast %s [options]", cmd->name);
    for (const struct operand *o = cmd->operands; o != NULL && o->name != NULL; o++)
        printer_printf(to, " %s%s%s%s", o->required ? "" : "[", o->name,
                       o->many ? "..." : "", o->required ? "" : "]");
}

void help_notes(char *out, size_t n, const struct opt *o)
{
    out[0] = '\0';
    if (o->required)
        snprintf(out, n, "required");
    else if (o->fallback != NULL)
        snprintf(out, n, "default: %s", o->fallback);
    else if (o->kind == OPT_LIST)
        snprintf(out, n, "may be repeated");
}

/* A name on the left, its text on the right, or below when the name is too long. */
static void entry(struct printer *to, const char *name, const char *text)
{
    size_t n = strlen(name);

    printer_put(to, name);
    if (n + 2 > HELP_COLUMN) {
        printer_put(to, "\n");
        n = 0;
    }
    printer_wrap(to, n, HELP_COLUMN, text);
}

static void option_entry(struct printer *to, const struct opt *o)
{
    char name[128], text[512], value[96], notes[96], letter[] = "-x, ";

    letter[1] = o->letter;
    opt_placeholder(value, sizeof value, o);
    help_notes(notes, sizeof notes, o);
    snprintf(name, sizeof name, "  %s--%s%s%s", o->letter == '\0' ? "    " : letter,
             o->name, *value == '\0' ? "" : " ", value);
    if (*notes == '\0')
        snprintf(text, sizeof text, "%s", o->help);
    else
        snprintf(text, sizeof text, "%s (%s)", o->help, notes);
    entry(to, name, text);
}

/* The variables of all groups, listed once: most options do not have one. */
static void environment(struct printer *to, const struct cli_group *groups)
{
    char name[96], list[1024] = "";
    size_t used = 0;
    bool etcdctl = false;

    for (const struct cli_group *g = groups; g->opts != NULL; g++)
        for (const struct opt *o = g->opts; o->kind != OPT_END; o++) {
            if (o->env == OPT_ENV_NONE || used >= sizeof list)
                continue;
            etcdctl = etcdctl || o->env == OPT_ENV_ETCDCTL;
            opt_env_name(name, sizeof name, "HOLDFAST", o);
            used += (size_t)snprintf(list + used, sizeof list - used, "%s%s",
                                     used == 0 ? "" : " ", name);
        }
    if (used == 0)
        return;
    printer_put(to, "\nEnvironment (a flag is stronger):\n");
    printer_wrap(to, 0, TEXT_INDENT, list);
    if (etcdctl)
        printer_wrap(
            to, 0, TEXT_INDENT,
            "and, where etcdctl has the option, the same with ETCDCTL_ in front");
}

static void operands(struct printer *to, const struct command *cmd)
{
    char name[64];

    if (cmd->operands == NULL)
        return;
    printer_put(to, "\nArguments:\n");
    for (const struct operand *o = cmd->operands; o->name != NULL; o++) {
        snprintf(name, sizeof name, "  %s%s", o->name, o->many ? "..." : "");
        entry(to, name, o->help);
    }
}

static void options(struct printer *to, const struct cli_group *groups)
{
    const char *title = "";

    for (const struct cli_group *g = groups; g->opts != NULL; g++) {
        if (g->opts->kind != OPT_END && strcmp(title, g->title) != 0) {
            title = g->title;
            printer_printf(to, "\n%s:\n", title);
        }
        for (const struct opt *o = g->opts; o->kind != OPT_END; o++)
            option_entry(to, o);
    }
}

static void examples(struct printer *to, const char *text)
{
    if (text == NULL)
        return;
    printer_put(to, "\nExamples:\n");
    while (*text != '\0') {
        size_t n = strcspn(text, "\n");

        printer_printf(to, "  %.*s\n", (int)n, text);
        text += n + (text[n] == '\n');
    }
}

void help_command(struct printer *to, const struct command *cmd)
{
    struct cli_group groups[CLI_GROUPS_MAX];

    cli_groups(cmd, groups);
    printer_printf(to, "holdfast %s: %s\n\nUsage: ", cmd->name, cmd->summary);
    help_synopsis(to, cmd);
    printer_put(to, "\n");
    if (cmd->alias != NULL)
        printer_printf(to, "Also:  holdfast %s\n", cmd->alias);
    if (cmd->description != NULL) {
        printer_put(to, "\n");
        printer_wrap(to, 0, 0, cmd->description);
    }
    operands(to, cmd);
    options(to, groups);
    environment(to, groups);
    examples(to, cmd->examples);
}

static bool in_family(const struct command *cmd, const char *family)
{
    size_t n = family == NULL ? 0 : strlen(family);

    return family == NULL || (strncmp(cmd->name, family, n) == 0 && cmd->name[n] == ' ');
}

void help_overview(struct printer *to, const struct command *const *all,
                   const char *family)
{
    char name[64];

    printer_printf(to,
                   "Usage: holdfast %s%sCOMMAND [options] [arguments]\n\n"
                   "Backup and disaster recovery for etcd.\n\nCommands:\n",
                   family == NULL ? "" : family, family == NULL ? "" : " ");
    for (; *all != NULL; all++)
        if (in_family(*all, family)) {
            snprintf(name, sizeof name, "  %s", (*all)->name);
            printer_printf(to, "%-24s %s\n", name, (*all)->summary);
        }
    printer_put(to, "\n'holdfast help COMMAND' tells everything about one of them.\n");
}
