#include "cli/commands.h"
#include "cli/version.h"

static enum rc version(struct cli *c, const void *args, struct err *e)
{
    OWNED(result) r = result_new();

    (void)args;
    result_line(r, "holdfast version: %s", HOLDFAST_VERSION);
    result_str(r, "Version", "version", HOLDFAST_VERSION);
    return cli_show(c, r, e);
}

const struct command cmd_version = {
    .name = "version",
    .summary = "print the version",
    .description = "Prints the version of this program.",
    .uses = CLI_OUTPUT,
    .run = version,
};
