/* Help, from the tables: at most 80 columns, on the stream that is given. */
#ifndef CLI_HELP_H
#define CLI_HELP_H

#include "cli/cli.h"

/* All commands and how to go on; `family` ("snapshot") keeps to its commands. */
void help_overview(struct printer *to, const struct command *const *all,
                   const char *family);

/* Everything about one command. */
void help_command(struct printer *to, const struct command *cmd);

/* "holdfast snapshot save [options] FILE" */
void help_synopsis(struct printer *to, const struct command *cmd);

/* What an option's values may be, beyond its help: "default: 5s", or "". */
void help_notes(char *out, size_t n, const struct opt *o);

#endif
