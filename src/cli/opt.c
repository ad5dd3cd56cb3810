#include "cli/opt.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "util/guess.h"
#include "util/log.h"

/* Who gave an option its value, weakest first. */
enum source { FROM_NOBODY, FROM_FALLBACK, FROM_ETCDCTL, FROM_HOLDFAST, FROM_FLAG };

static const char *const prefixes[] = {
    [FROM_ETCDCTL] = "ETCDCTL",
    [FROM_HOLDFAST] = "HOLDFAST",
};

struct slot {
    const struct opt *opt;
    char *field;
    enum source from;
};

struct parse {
    const struct opt_job *job;
    struct slot slots[OPTS_MAX];
    size_t count;
    const struct operand *operand; /* the next to be filled; NULL when none is left */
    bool only_operands, help;
    const char *const *words; /* the next word */
};

static char *field_of(const struct opt_set *set, const struct opt *o)
{
    return (char *)set->base + o->at;
}

static enum rc gather(struct parse *p, const struct opt_job *job, struct err *e)
{
    for (const struct opt_set *set = job->sets; set->opts != NULL; set++)
        for (const struct opt *o = set->opts; o->kind != OPT_END; o++) {
            if (p->count == OPTS_MAX)
                return err_set(e, RC_INTERNAL, "'%s' has too many options", job->command);
            p->slots[p->count++] = (struct slot){ o, field_of(set, o), FROM_NOBODY };
        }
    return RC_OK;
}

void opt_env_name(char *out, size_t n, const char *prefix, const struct opt *o)
{
    int used = snprintf(out, n, "%s_%s", prefix, o->name);

    for (int i = 0; i < used && i < (int)n - 1; i++)
        out[i] = out[i] == '-' ? '_' : (char)toupper((unsigned char)out[i]);
}

/* The source of a value as messages name it. */
static void name_source(char *out, size_t n, const struct opt *o, enum source from)
{
    if (from == FROM_HOLDFAST || from == FROM_ETCDCTL)
        opt_env_name(out, n, prefixes[from], o);
    else
        snprintf(out, n, "option '--%s'", o->name);
}

static bool selects(const char *word, const struct opt *o)
{
    size_t n = strlen(o->name);

    if (word[0] != '-')
        return false;
    if (word[1] != '-')
        return o->letter != '\0' && word[1] == o->letter;
    return strncmp(word + 2, o->name, n) == 0 &&
           (word[2 + n] == '\0' || word[2 + n] == '=');
}

const struct opt *opt_named(const struct opt *opts, const char *word)
{
    for (; opts != NULL && opts->kind != OPT_END; opts++)
        if (selects(word, opts))
            return opts;
    return NULL;
}

/* The value inside the word: "--name=value", "-nvalue", "-n=value"; NULL when none. */
static const char *inline_value(const char *word)
{
    const char *equals = strchr(word, '=');

    if (word[1] == '-')
        return equals == NULL ? NULL : equals + 1;
    if (word[2] == '\0')
        return NULL;
    return word[2] == '=' ? word + 3 : word + 2;
}

bool opt_takes_next(const struct opt *o, const char *word)
{
    return o->kind != OPT_FLAG && inline_value(word) == NULL;
}

static struct slot *rival_of(struct parse *p, const struct slot *s)
{
    for (size_t i = 0; i < p->count; i++) {
        const struct opt *o = p->slots[i].opt;

        if ((s->opt->rival != NULL && strcmp(s->opt->rival, o->name) == 0) ||
            (o->rival != NULL && strcmp(o->rival, s->opt->name) == 0))
            return &p->slots[i];
    }
    return NULL;
}

static enum rc fill(struct parse *p, struct slot *s, const char *text, enum source from,
                    struct err *e)
{
    const struct slot *rival = rival_of(p, s);
    char here[96], there[96];

    name_source(here, sizeof here, s->opt, from);
    if (rival != NULL && rival->from == from && from != FROM_FALLBACK) {
        name_source(there, sizeof there, rival->opt, from);
        return err_set(e, RC_USAGE,
                       "%s and %s exclude each other" HINT "give one of them", there,
                       here);
    }
    s->from = from;
    return opt_store(s->opt, s->field, text, here, e);
}

static enum rc unknown_option(const struct parse *p, const char *word, struct err *e)
{
    char name[64], letter[] = { word[1], '\0' };
    struct guess g = { .word = name };

    snprintf(name, sizeof name, "%.*s", (int)strcspn(word + 2, "="), word + 2);
    for (size_t i = 0; i < p->count && word[1] == '-'; i++)
        guess_offer(&g, p->slots[i].opt->name);
    /* Without its value, which may be a secret after a mistyped name. */
    enum rc rc = err_set(e, RC_USAGE, "unknown option '%.*s%s'", word[1] == '-' ? 2 : 1,
                         word, word[1] == '-' ? name : letter);

    if (g.name != NULL)
        err_hint(e, "did you mean '--%s'? 'holdfast help %s' lists the options", g.name,
                 p->job->command);
    else
        err_hint(e, "'holdfast help %s' lists the options", p->job->command);
    return rc;
}

static struct slot *slot_for(struct parse *p, const char *word)
{
    for (size_t i = 0; i < p->count; i++)
        if (selects(word, p->slots[i].opt))
            return &p->slots[i];
    return NULL;
}

/* The word after an option that needs a value. One that looks like an option is
 * refused: "--data-dir --yes" must not make a directory called "--yes". */
static enum rc next_value(struct parse *p, const struct opt *o, const char **value,
                          struct err *e)
{
    const char *next = *p->words;

    if (next == NULL)
        return err_set(e, RC_USAGE,
                       "option '--%s' needs a value" HINT "see 'holdfast help %s'",
                       o->name, p->job->command);
    if (next[0] == '-' && next[1] != '\0')
        return err_set(
            e, RC_USAGE,
            "option '--%s' needs a value, and '%.64s' looks like an option" HINT
            "write --%s=VALUE for a value that begins with a dash",
            o->name, o->secret ? "what follows" : next, o->name);
    *value = next;
    p->words++;
    return RC_OK;
}

static enum rc take_flag(struct parse *p, struct slot *s, const char *word, struct err *e)
{
    const char *value = inline_value(word);

    if (value == NULL)
        value = "true";
    else if (word[1] != '-' && word[2] != '=')
        return unknown_option(p, word, e);
    return fill(p, s, value, FROM_FLAG, e);
}

static enum rc take_option(struct parse *p, const char *word, struct err *e)
{
    struct slot *s = slot_for(p, word);
    const char *value = inline_value(word);

    if (s == NULL)
        return unknown_option(p, word, e);
    if (s->opt->kind == OPT_FLAG)
        return take_flag(p, s, word, e);
    if (value == NULL)
        TRY(next_value(p, s->opt, &value, e));
    if (s->opt->secret)
        log_warn("other users of this host can read the value of '--%s' on the command "
                 "line",
                 s->opt->name);
    return fill(p, s, value, FROM_FLAG, e);
}

static enum rc take_operand(struct parse *p, const char *word, struct err *e)
{
    const struct operand *o = p->operand;
    char *field;

    if (o == NULL || o->name == NULL)
        return err_set(e, RC_USAGE,
                       "'%.64s' is one argument too many" HINT
                       "'holdfast help %s' shows what the command takes",
                       word, p->job->command);
    if (*word == '\0')
        return err_set(e, RC_USAGE,
                       "%s is empty" HINT "check the variable that should fill it",
                       o->name);
    field = (char *)p->job->operand_base + o->at;
    if (o->many)
        return str_list_add((struct str_list *)(void *)field, word, e);
    *(const char **)(void *)field = word;
    p->operand++;
    return RC_OK;
}

static enum rc take_word(struct parse *p, const char *word, struct err *e)
{
    if (p->only_operands || word[0] != '-' || word[1] == '\0')
        return take_operand(p, word, e);
    if (strcmp(word, "--") == 0) {
        p->only_operands = true;
        return RC_OK;
    }
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
        p->help = true;
        return RC_OK;
    }
    return take_option(p, word, e);
}

static bool wanted_from(const struct opt *o, enum source from)
{
    return from == FROM_HOLDFAST  ? o->env != OPT_ENV_NONE
           : from == FROM_ETCDCTL ? o->env == OPT_ENV_ETCDCTL
                                  : o->fallback != NULL;
}

static const char *value_from(const struct parse *p, const struct opt *o,
                              enum source from)
{
    char name[96];

    if (from == FROM_FALLBACK)
        return o->fallback;
    opt_env_name(name, sizeof name, prefixes[from], o);
    return p->job->env == NULL ? NULL : p->job->env(name);
}

/* Fill what no stronger source has filled, and whose rival none has either. */
static enum rc fill_all(struct parse *p, enum source from, struct err *e)
{
    for (size_t i = 0; i < p->count; i++) {
        struct slot *s = &p->slots[i];
        const struct slot *rival = rival_of(p, s);
        const char *value;

        if (s->from != FROM_NOBODY || !wanted_from(s->opt, from) ||
            (rival != NULL && rival->from > from))
            continue;
        value = value_from(p, s->opt, from);
        if (value != NULL && *value != '\0')
            TRY(fill(p, s, value, from, e));
    }
    return RC_OK;
}

static enum rc require_options(const struct parse *p, struct err *e)
{
    for (size_t i = 0; i < p->count; i++) {
        const struct slot *s = &p->slots[i];

        if (s->opt->required && s->from == FROM_NOBODY)
            return err_set(e, RC_USAGE, "option '--%s' is missing" HINT "it is %s",
                           s->opt->name, s->opt->help);
    }
    return RC_OK;
}

static enum rc require_operands(const struct parse *p, struct err *e)
{
    const struct operand *o = p->operand;
    const struct str_list *items;

    if (o == NULL || o->name == NULL || !o->required)
        return RC_OK;
    items = (const void *)((const char *)p->job->operand_base + o->at);
    if (o->many && items->count > 0)
        return RC_OK;
    return err_set(e, RC_USAGE, "%s is missing" HINT "it is %s", o->name, o->help);
}

enum rc opt_parse(const struct opt_job *job, const char *const *words, bool *help,
                  struct err *e)
{
    struct parse p = { .job = job, .operand = job->operands, .words = words };

    TRY(gather(&p, job, e));
    while (*p.words != NULL && !p.help)
        TRY(take_word(&p, *p.words++, e));
    *help = p.help;
    if (p.help)
        return RC_OK;
    for (enum source from = FROM_HOLDFAST; from > FROM_NOBODY; from--)
        TRY(fill_all(&p, from, e));
    TRY(require_options(&p, e));
    return require_operands(&p, e);
}

static void clear_operands(const struct opt_job *job)
{
    for (const struct operand *o = job->operands; o != NULL && o->name != NULL; o++)
        if (o->many)
            str_list_clear(
                (struct str_list *)(void *)((char *)job->operand_base + o->at));
}

void opt_clear(const struct opt_job *job)
{
    for (const struct opt_set *set = job->sets; set->opts != NULL; set++)
        for (const struct opt *o = set->opts; o->kind != OPT_END; o++)
            if (o->kind == OPT_LIST || o->kind == OPT_CSV)
                str_list_clear((struct str_list *)(void *)field_of(set, o));
    clear_operands(job);
}
