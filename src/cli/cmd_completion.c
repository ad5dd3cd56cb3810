#include <string.h>

#include "cli/commands.h"
#include "cli/completion.h"

struct completion_args {
    const char *shell;
};

/* clang-format off */
static const struct operand completion_operands[] = {
    OPERAND("SHELL", completion_args, shell, .required = true,
            .help = "bash, zsh or fish"),
    OPERAND_DONE,
};
/* clang-format on */

static enum rc completion(struct cli *c, const void *args, struct err *e)
{
    static const char *const shells[] = {
        [COMPLETION_BASH] = "bash",
        [COMPLETION_ZSH] = "zsh",
        [COMPLETION_FISH] = "fish",
    };
    const struct completion_args *a = args;

    for (size_t i = 0; i < sizeof shells / sizeof shells[0]; i++)
        if (strcmp(shells[i], a->shell) == 0) {
            completion_script(c->out, (enum completion_shell)i, c->commands);
            return RC_OK;
        }
    return err_set(e, RC_USAGE, "SHELL: '%.64s' is not one of bash, zsh, fish", a->shell);
}

const struct command cmd_completion = {
    .name = "completion",
    .summary = "print a completion script for a shell",
    .description = "Prints a script that teaches a shell the commands and options of "
                   "holdfast. make install puts it where the shells look.",
    .examples = "# in this session only\nsource <(holdfast completion bash)",
    .operands = completion_operands,
    .args_size = sizeof(struct completion_args),
    .run = completion,
};
