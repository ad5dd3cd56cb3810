#include "cli/commands.h"
#include "cli/manual.h"

struct manual_args {
    const char *page;
    bool list;
};

/* clang-format off */
static const struct operand manual_operands[] = {
    OPERAND("PAGE", manual_args, page,
            .help = "a name that --list prints; holdfast itself when left out"),
    OPERAND_DONE,
};

static const struct opt manual_opts[] = {
    OPT(FLAG, "list", manual_args, list, .help = "print the names of all pages"),
    OPT_DONE,
};
/* clang-format on */

static enum rc manual(struct cli *c, const void *args, struct err *e)
{
    const struct manual_args *a = args;

    if (a->list) {
        manual_list(c->out, c->commands);
        return RC_OK;
    }
    return manual_page(c->out, c->commands, a->page == NULL ? "holdfast" : a->page, e);
}

const struct command cmd_manual = {
    .name = "manual",
    .summary = "print the source of a manual page",
    .description = "Prints a manual page in the language of scdoc, made from the same "
                   "tables as the help. make man builds all of them.",
    .examples = "holdfast manual holdfast-version | scdoc > holdfast-version.1",
    .operands = manual_operands,
    .opts = manual_opts,
    .args_size = sizeof(struct manual_args),
    .run = manual,
};
