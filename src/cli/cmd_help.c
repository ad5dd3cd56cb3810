#include <stdio.h>

#include "cli/commands.h"
#include "cli/help.h"

struct help_args {
    const char *first, *second;
};

/* clang-format off */
static const struct operand help_operands[] = {
    OPERAND("COMMAND", help_args, first, .help = "the command, of one or two words"),
    OPERAND("SUBCOMMAND", help_args, second, .help = "its second word"),
    OPERAND_DONE,
};
/* clang-format on */

static enum rc help(struct cli *c, const void *args, struct err *e)
{
    const struct help_args *a = args;
    const struct command *cmd;
    char name[128];

    if (a->first == NULL) {
        help_overview(c->out, c->commands, NULL);
        return RC_OK;
    }
    snprintf(name, sizeof name, "%.60s%s%.60s", a->first, a->second == NULL ? "" : " ",
             a->second == NULL ? "" : a->second);
    cmd = cli_command(c->commands, name);
    if (cmd != NULL)
        help_command(c->out, cmd);
    else if (a->second == NULL && cli_has_family(c->commands, name))
        help_overview(c->out, c->commands, name);
    else
        return cli_unknown_command(c->commands, a->first, a->second, e);
    return RC_OK;
}

const struct command cmd_help = {
    .name = "help",
    .summary = "list the commands, or explain one",
    .description = "Without arguments lists all commands; with a command's name prints "
                   "what it does, its arguments, options and variables. Every command "
                   "takes --help as well.",
    .examples = "holdfast help\nholdfast help version",
    .operands = help_operands,
    .args_size = sizeof(struct help_args),
    .run = help,
};
