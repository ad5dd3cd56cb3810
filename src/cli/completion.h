/* Completion scripts for shells, from the tables. */
#ifndef CLI_COMPLETION_H
#define CLI_COMPLETION_H

#include "cli/cli.h"

enum completion_shell { COMPLETION_BASH, COMPLETION_ZSH, COMPLETION_FISH };

void completion_script(struct printer *to, enum completion_shell shell,
                       const struct command *const *all);

#endif
