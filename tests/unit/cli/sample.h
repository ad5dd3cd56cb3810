/* A made-up set of commands that uses every kind of option, and a command line whose
 * output is captured. */
#ifndef TESTS_UNIT_CLI_SAMPLE_H
#define TESTS_UNIT_CLI_SAMPLE_H

#include "cli/cli.h"

enum sample_colour { SAMPLE_RED, SAMPLE_GREEN };

struct sample_args {
    bool quick;
    const char *name, *token, *file;
    struct str_list recipients, parts, more;
    uint64_t count, rate, wait_ms;
    enum sample_colour colour;
    struct opt_auto bump, pace;
};

extern const struct opt sample_opts[];
extern const struct operand sample_operands[];
extern const struct command *const sample_commands[];

/* What the last `snapshot save` was given, as text. */
extern char sample_seen[2048];

struct sample {
    struct printer out, err;
    struct console console;
    struct cli cli;
};

/* Variables for `env` of a sample, as "NAME=value", NULL-terminated. */
extern const char *const *sample_env;

void sample_begin(struct sample *s);
void sample_end(struct sample *s);

/* cli_run with capturing streams; the arguments end with NULL. */
#define SAMPLE_RUN(s, ...) cli_run(&(s)->cli, (const char *[]){ __VA_ARGS__, NULL })

#endif
