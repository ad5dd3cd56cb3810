/* The command line: commands are rows of a table, each with its options as data and
 * one function to run. Everything else (parsing, help, manual, completion, rendering,
 * errors, progress, exit status) is done here, the same for all.
 *
 * To add a command: write cmd_<name>.c with one `const struct command cmd_<name>`, and
 * list it in commands.c. cmd_version.c is the smallest example.
 *
 * A command never prints: it fills a struct result and shows it with cli_show(), says
 * what it decided with log_info(), and returns its failure. Results go to stdout, all
 * else to stderr. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/opt.h"
#include "cli/printer.h"
#include "cli/progress.h"
#include "cli/render.h"
#include "cli/report.h"
#include "util/err.h"

/* Options that several commands share; their values land in struct cli. */
enum cli_uses {
    CLI_CONNECTION = 1, /* --endpoints, --cacert and so on */
    CLI_OUTPUT = 2,     /* -w, --json; for every command that shows a result */
    CLI_PROGRESS = 4,   /* --progress */
    CLI_YES = 8,
    CLI_DRY_RUN = 16,
    CLI_STATE = 32, /* --state-dir: see state.h */
};

struct cli_connection {
    struct str_list endpoints; /* as given: "host:port" or a URL */
    const char *cacert, *cert, *key;
    const char *user;                     /* "name" or "name:password", as etcdctl */
    const char *password, *password_file; /* at most one of the two is set */
    uint64_t dial_timeout_ms, command_timeout_ms;
    uint64_t stall_timeout_ms; /* 0: the default; commands that stream set it */
    bool insecure_skip_tls_verify;
};

struct command;

/* What a command is given. Tests make one with capturing streams. */
struct cli {
    const struct command *const *commands; /* NULL-terminated */
    const char *(*env)(const char *name);
    struct printer *out;     /* results; flushed and checked after the command */
    struct console *console; /* stderr */
    struct cli_connection connection;
    enum render_format format;
    enum progress_mode progress;
    bool json, yes, dry_run;
    const char *state_dir; /* NULL: the usual place */
};

/* `args` is the command's own structure, `args_size` bytes, zeroed and then filled by
 * its options and operands. RC_DEGRADED is for "done, but": show the result first. */
typedef enum rc command_fn(struct cli *c, const void *args, struct err *e);

struct command {
    const char *name;    /* "snapshot save" */
    const char *alias;   /* another spelling, such as etcdctl's; may be NULL */
    const char *summary; /* one line of at most 55 columns, lower case, no full stop */
    const char *description; /* paragraphs of whole sentences; an empty line between */
    const char *examples;    /* lines of "# comment" and commands */
    const struct operand *operands;
    const struct opt *opts;
    unsigned uses; /* enum cli_uses */
    size_t args_size;
    command_fn *run;
};

extern const struct command *const cli_commands[];

/* Render on stdout in the chosen format. */
enum rc cli_show(struct cli *c, const struct result *r, struct err *e);

/* Parse, run, flush, report; the exit status. `words` is argv without argv[0]. */
int cli_run(struct cli *c, const char *const *words);

/* The program: the real streams, environment and commands. */
int cli_main(int argc, char **argv);

/* One array of options as help shows it. */
struct cli_group {
    const char *title;
    const struct opt *opts;
};

/* The arrays of a command, its own first; ends with opts NULL. */
enum { CLI_GROUPS_MAX = OPT_SETS_MAX };
void cli_groups(const struct command *cmd, struct cli_group out[static CLI_GROUPS_MAX]);

/* The command called `name`, also by its alias; NULL when there is none. */
const struct command *cli_command(const struct command *const *all, const char *name);

/* RC_USAGE with the nearest command as a hint. `second` may be NULL. */
enum rc cli_unknown_command(const struct command *const *all, const char *first,
                            const char *second, struct err *e);

/* Is `word` the first word of some two-word command? */
bool cli_has_family(const struct command *const *all, const char *word);

#endif
