#include "sample.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "util/log.h"

char sample_seen[2048];
const char *const *sample_env;

static const char *const colours[] = { "red", "green", NULL };

/* clang-format off */
const struct opt sample_opts[] = {
    OPT(FLAG, "quick", sample_args, quick, .letter = 'q', .help = "do it quickly"),
    OPT(STR, "name", sample_args, name, .letter = 'n', .arg = "NAME", .env = OPT_ENV_OWN,
        .help = "name of it, with 'quotes', [brackets], a: colon and a \\ backslash"),
    OPT(STR, "token", sample_args, token, .arg = "TEXT", .secret = true,
        .env = OPT_ENV_ETCDCTL, .help = "a secret"),
    OPT(LIST, "recipient", sample_args, recipients, .letter = 'r', .arg = "KEY",
        .help = "who may read it"),
    OPT(CSV, "parts", sample_args, parts, .arg = "A,B", .env = OPT_ENV_ETCDCTL,
        .fallback = "all", .help = "which parts"),
    OPT(U64, "count", sample_args, count, .arg = "N", .fallback = "7", .help = "how many"),
    OPT(SIZE, "rate", sample_args, rate, .arg = "B/S", .help = "how fast"),
    OPT(DURATION, "wait", sample_args, wait_ms, .arg = "DURATION", .fallback = "1m",
        .env = OPT_ENV_ETCDCTL, .help = "how long to wait"),
    OPT(CHOICE, "colour", sample_args, colour, .choices = colours, .fallback = "green",
        .help = "which colour"),
    OPT(U64_AUTO, "bump-revision", sample_args, bump, .arg = "N|auto", .fallback = "auto",
        .help = "by how much; a long help text that must go on to a second and even to a "
                "third line of the help, since it says so very much about so little"),
    OPT(SIZE_AUTO, "pace", sample_args, pace, .arg = "B/S|auto", .help = "how fast"),
    OPT_DONE,
};

const struct operand sample_operands[] = {
    OPERAND("FILE", sample_args, file, .required = true, .help = "where it goes"),
    OPERANDS("MORE", sample_args, more, .help = "and where else"),
    OPERAND_DONE,
};
/* clang-format on */

static const char *or_none(const char *s)
{
    return s == NULL ? "-" : s;
}

static size_t put_list(char *out, size_t n, const char *name, const struct str_list *l)
{
    size_t used = (size_t)snprintf(out, n, " %s=", name);

    for (size_t i = 0; i < l->count && used < n; i++)
        used += (size_t)snprintf(out + used, n - used, "%.99s+", l->items[i]);
    return used;
}

static enum rc save(struct cli *c, const void *args, struct err *e)
{
    const struct sample_args *a = args;
    size_t n = (size_t)snprintf(
        sample_seen, sizeof sample_seen,
        "file=%.99s name=%.99s token=%.99s quick=%d count=%" PRIu64 " rate=%" PRIu64
        " wait=%" PRIu64 " colour=%d bump=%d/%" PRIu64 " pace=%d/%" PRIu64 " dry=%d",
        or_none(a->file), or_none(a->name), or_none(a->token), a->quick, a->count,
        a->rate, a->wait_ms, a->colour, a->bump.automatic, a->bump.value,
        a->pace.automatic, a->pace.value, c->dry_run);

    n += put_list(sample_seen + n, sizeof sample_seen - n, "to", &a->recipients);
    n += put_list(sample_seen + n, sizeof sample_seen - n, "parts", &a->parts);
    n += put_list(sample_seen + n, sizeof sample_seen - n, "more", &a->more);
    put_list(sample_seen + n, sizeof sample_seen - n, "at", &c->connection.endpoints);
    OWNED(result) r = result_new();

    result_str(r, "File", "file", a->file);
    TRY(cli_show(c, r, e));
    log_info("saved '%s'", a->file);
    return a->quick ? err_set(e, RC_DEGRADED, "it was quick, not good") : RC_OK;
}

static enum rc fail(struct cli *c, const void *args, struct err *e)
{
    enum rc rc = err_set(e, RC_CORRUPT, "page 7 is \x1b[31mred" HINT "paint it");

    (void)c;
    (void)args;
    (void)rc;
    return err_wrap(e, "reading 'a\nb'");
}

static const struct command cmd_save = {
    .name = "snapshot save",
    .alias = "backup now",
    .summary = "save it",
    .description =
        "Saves it. The option --name is *not* _special_ to\nanyone.\n\n"
        "A second paragraph, long enough to need more than one line when it is "
        "shown in a terminal of eighty columns.",
    .examples = "# the usual\nholdfast snapshot save x.db\n'quoted' \\ [text] *here*",
    .operands = sample_operands,
    .opts = sample_opts,
    .uses = CLI_CONNECTION | CLI_OUTPUT | CLI_PROGRESS | CLI_YES | CLI_DRY_RUN,
    .args_size = sizeof(struct sample_args),
    .run = save,
};
static const struct command cmd_status = {
    .name = "snapshot status",
    .summary = "tell about it",
    .uses = CLI_OUTPUT,
    .run = fail,
};
static const struct command cmd_restore = {
    .name = "restore",
    .summary = "bring it back",
    .run = fail,
};
extern const struct command cmd_help;

const struct command *const sample_commands[] = {
    &cmd_save, &cmd_status, &cmd_restore, &cmd_help, NULL,
};

static const char *variable(const char *name)
{
    size_t n = strlen(name);

    for (const char *const *v = sample_env; v != NULL && *v != NULL; v++)
        if (strncmp(*v, name, n) == 0 && (*v)[n] == '=')
            return *v + n + 1;
    return NULL;
}

void sample_begin(struct sample *s)
{
    *s = (struct sample){ .out = { .fd = -1 }, .err = { .fd = -1 } };
    sample_env = NULL;
    sample_seen[0] = '\0';
    console_init(&s->console, &s->err, variable);
    s->cli = (struct cli){ .commands = sample_commands,
                           .env = variable,
                           .out = &s->out,
                           .console = &s->console };
}

void sample_end(struct sample *s)
{
    printer_clear(&s->out);
    printer_clear(&s->err);
}
