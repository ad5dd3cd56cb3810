#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/help.h"
#include "crypto/secret.h"
#include "util/clock.h"
#include "util/guess.h"
#include "util/log.h"
#include "util/mem.h"

/* Options that may stand before the command's name, as etcdctl's users put them. */
static const struct command everywhere = {
    .uses = CLI_CONNECTION | CLI_OUTPUT | CLI_PROGRESS | CLI_YES | CLI_DRY_RUN,
};

const struct command *cli_command(const struct command *const *all, const char *name)
{
    for (; *all != NULL; all++)
        if (strcmp((*all)->name, name) == 0 ||
            ((*all)->alias != NULL && strcmp((*all)->alias, name) == 0))
            return *all;
    return NULL;
}

static bool begins(const char *name, const char *word)
{
    size_t n = strlen(word);

    return name != NULL && strncmp(name, word, n) == 0 && name[n] == ' ';
}

bool cli_has_family(const struct command *const *all, const char *word)
{
    for (; *all != NULL; all++)
        if (begins((*all)->name, word) || begins((*all)->alias, word))
            return true;
    return false;
}

/* The nearest first word of a command; some command that begins with it. */
static const char *nearest_family(const struct command *const *all, const char *first)
{
    struct guess g = { .word = first };
    char word[64];

    for (; *all != NULL; all++) {
        size_t before = g.name == NULL ? SIZE_MAX : g.distance;

        snprintf(word, sizeof word, "%.*s", (int)strcspn((*all)->name, " "),
                 (*all)->name);
        guess_offer(&g, word);
        if (g.name != NULL && g.distance < before)
            g.name = (*all)->name; /* `word` does not last */
    }
    return g.name;
}

static const char *nearest(const struct command *const *all, const char *name)
{
    struct guess g = { .word = name };

    for (; *all != NULL; all++)
        guess_offer(&g, (*all)->name);
    return g.name;
}

enum rc cli_unknown_command(const struct command *const *all, const char *first,
                            const char *second, struct err *e)
{
    bool family = cli_has_family(all, first);
    const char *meant;
    char both[160];
    enum rc rc;

    if (family && second == NULL)
        return err_set(e, RC_USAGE,
                       "'%s' needs a second word" HINT
                       "'holdfast help %s' lists its commands",
                       first, first);
    snprintf(both, sizeof both, "%.64s%s%.64s", first, second == NULL ? "" : " ",
             second == NULL ? "" : second);
    rc = err_set(e, RC_USAGE, "unknown command '%.130s'", family ? both : first);
    meant = nearest(all, both);
    if (meant == NULL && !family)
        meant = nearest(all, first);
    if (meant != NULL)
        err_hint(e, "did you mean 'holdfast %s'?", meant);
    else if (family)
        err_hint(e, "'holdfast help %s' lists its commands", first);
    else if ((meant = nearest_family(all, first)) != NULL)
        err_hint(e, "did you mean 'holdfast help %.*s'?", (int)strcspn(meant, " "),
                 meant);
    else
        err_hint(e, "'holdfast help' lists the commands");
    return rc;
}

enum rc cli_show(struct cli *c, const struct result *r, struct err *e)
{
    return render(c->out, c->format, r, e);
}

/* The command line, with the words of the command's name taken out. */
struct line {
    const struct command *command;
    const char *name[2]; /* as typed; NULL where there is none */
    bool help, version;
    const char **rest; /* NULL-terminated */
};

/* The option of any command that `word` selects among those allowed before it. */
static const struct opt *shared_option(const char *word)
{
    struct cli_group groups[CLI_GROUPS_MAX];
    const struct opt *o = NULL;

    cli_groups(&everywhere, groups);
    for (const struct cli_group *g = groups; g->opts != NULL && o == NULL; g++)
        o = opt_named(g->opts, word);
    return o;
}

/* Index of the next word that is no option and no option's value; of the final NULL
 * when there is none. Unknown options end the search: nobody knows their values. */
static size_t next_word(const char *const *words, size_t i, size_t *unknown)
{
    *unknown = SIZE_MAX;
    while (words[i] != NULL && words[i][0] == '-') {
        const struct opt *o = shared_option(words[i]);

        if (o == NULL) {
            *unknown = i;
            return i;
        }
        if (opt_takes_next(o, words[i]) && words[i + 1] != NULL)
            i++;
        i++;
    }
    return i;
}

static bool is_any(const char *word, const char *a, const char *b)
{
    return strcmp(word, a) == 0 || strcmp(word, b) == 0;
}

static void drop(const char **words, size_t i)
{
    do
        words[i] = words[i + 1];
    while (words[i++] != NULL);
}

/* Finds the command's words, wherever shared options stand between them. */
static enum rc locate(const struct command *const *all, struct line *l, struct err *e)
{
    size_t unknown, i = next_word(l->rest, 0, &unknown), k;
    char both[160];

    if (unknown != SIZE_MAX) {
        l->help = is_any(l->rest[i], "--help", "-h");
        l->version = strcmp(l->rest[i], "--version") == 0;
        if (l->help || l->version)
            return RC_OK;
        return err_set(e, RC_USAGE,
                       "unknown option '%.*s' before the command" HINT
                       "put the command first; 'holdfast help' lists the commands",
                       (int)strcspn(l->rest[i], "="), l->rest[i]);
    }
    l->name[0] = l->rest[i];
    if (l->name[0] == NULL)
        return RC_OK;
    k = next_word(l->rest, i + 1, &unknown);
    if (unknown == SIZE_MAX)
        l->name[1] = l->rest[k];
    if (l->name[1] != NULL) {
        snprintf(both, sizeof both, "%.64s %.64s", l->name[0], l->name[1]);
        l->command = cli_command(all, both);
        if (l->command != NULL)
            drop(l->rest, k);
    }
    if (l->command == NULL)
        l->command = cli_command(all, l->name[0]);
    drop(l->rest, i);
    return RC_OK;
}

static void begin_output(struct cli *c, struct progress *p)
{
    if (c->json)
        c->format = RENDER_JSON;
    progress_init(p, c->console, c->progress, clock_ms);
    progress_to(progress_show, p);
}

static void end_output(struct progress *p)
{
    progress_to(NULL, NULL);
    progress_end(p);
}

static void job_end(struct opt_job *job)
{
    opt_clear(job);
}

static enum rc run(struct cli *c, const struct command *cmd, const char *const *words,
                   struct err *e)
{
    struct cli_group groups[CLI_GROUPS_MAX];
    AT_END(mem_end) void *args = NULL;
    struct progress progress;
    bool help;
    enum rc rc;

    TRY(mem_new(&args, cmd->args_size, "arguments", e));
    AT_END(job_end)
    struct opt_job job = { .operands = cmd->operands,
                           .operand_base = args,
                           .env = c->env,
                           .command = cmd->name };

    cli_groups(cmd, groups);
    for (size_t i = 0; groups[i].opts != NULL; i++)
        job.sets[i] = (struct opt_set){ groups[i].opts, i == 0 ? args : c };
    rc = opt_parse(&job, words, &help, e);
    if (rc == RC_OK && help) {
        help_command(c->out, cmd);
    } else if (rc == RC_OK) {
        begin_output(c, &progress);
        rc = cmd->run(c, args, e);
        end_output(&progress);
    }
    if (rc == RC_USAGE && e->hint[0] == '\0')
        err_hint(e, "see 'holdfast help %s'", cmd->name);
    return rc;
}

static bool wants_help(const char *const *words)
{
    return words[0] != NULL && is_any(words[0], "--help", "-h");
}

static enum rc dispatch(struct cli *c, struct line *l, struct err *e)
{
    TRY(locate(c->commands, l, e));
    if (l->command != NULL)
        return run(c, l->command, l->rest, e);
    if (l->version)
        return run(c, &cmd_version, (const char *[]){ NULL }, e);
    if (l->help) {
        help_overview(c->out, c->commands, NULL);
        return RC_OK;
    }
    if (l->name[0] == NULL)
        return err_set(e, RC_USAGE, "no command is given");
    if (cli_has_family(c->commands, l->name[0]) && wants_help(l->rest)) {
        help_overview(c->out, c->commands, l->name[0]);
        return RC_OK;
    }
    return cli_unknown_command(c->commands, l->name[0], l->name[1], e);
}

static enum rc copy_words(const char *const *words, const char ***out, struct err *e)
{
    size_t n = 0;

    while (words[n] != NULL)
        n++;
    *out = mem_copy(words, (n + 1) * sizeof *words);
    return *out == NULL ? err_set(e, RC_NOMEM, "no memory for the arguments") : RC_OK;
}

static enum rc parse_and_run(struct cli *c, const char *const *words, struct err *e)
{
    AT_END(mem_end) const char **rest = NULL;
    struct line l = { 0 };

    TRY(copy_words(words, &rest, e));
    l.rest = rest;
    return dispatch(c, &l, e);
}

/* A result that nobody received is no success, whatever was done; unless it is on record:
 * a good backup does not fail because a log is full. The rest of a list that nobody
 * wanted is no failure. */
static enum rc judge_unprinted(const struct printer *out, enum rc rc,
                               const struct err *failure, struct err *e)
{
    if (out->on_record)
        log_warn("it is done and on record, but the result was not printed: %s",
                 failure->why);
    if (rc != RC_OK || out->on_record || (out->reader_left && out->is_list))
        return rc;
    *e = *failure;
    return err_wrap(e, "printing the result");
}

int cli_run(struct cli *c, const char *const *words)
{
    struct err e = { 0 }, flushing = { 0 };
    enum rc rc = RC_USAGE;

    if (words[0] == NULL) {
        help_overview(c->console->to, c->commands, NULL);
        console_flush(c->console);
        return rc_exit_status(rc);
    }
    log_to(report_log, c->console);
    rc = parse_and_run(c, words, &e);
    if (printer_flush(c->out, &flushing) != RC_OK)
        rc = judge_unprinted(c->out, rc, &flushing, &e);
    if (rc != RC_OK)
        report_error(c->console, rc, &e);
    log_to(NULL, NULL);
    return rc_exit_status(rc);
}

static const char *environment(const char *name)
{
    return getenv(name);
}

/* Memory will hold passwords and identities. */
static void forbid_dumps(struct console *console)
{
#ifndef SANITIZE /* LeakSanitizer attaches to the process, which this would forbid */
    struct err e;

    if (crypto_guard_process(&e) != RC_OK)
        report_log(LOG_WARN_LEVEL, e.why, console);
#else
    (void)console;
#endif
}

int cli_main(int argc, char **argv)
{
    struct printer out = { .fd = 1, .name = "standard output" };
    struct printer err = { .fd = 2, .name = "standard error", .may_drop = true };
    struct console console;
    int status;

    console_init(&console, &err, environment);
    forbid_dumps(&console);
    struct cli c = {
        .commands = cli_commands, .env = environment, .out = &out, .console = &console
    };

    status = cli_run(&c, (const char *const *)argv + (argc > 0));
    printer_clear(&out);
    printer_clear(&err);
    return status;
}
