/* All commands, in the order of the overview. */
#include "cli/commands.h"

const struct command *const cli_commands[] = {
    &cmd_help, &cmd_version, &cmd_completion, &cmd_manual, NULL,
};
