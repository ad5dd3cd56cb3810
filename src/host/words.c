#include "host/words.h"

#include <ctype.h>
#include <string.h>

#include "util/mem.h"

/* Of all words together: a variable can be named many times. */
enum { TOTAL_MAX = 4 << 20 };

#define BLANKS " \t\r\n"

/* One word being put together. */
struct word {
    struct buf text;
    bool begun;
    bool quoted;   /* part of it stood in quotes */
    bool variable; /* it is one bare $NAME so far */
};

struct splitter {
    enum words_rule rule;
    const struct str_list *env;
    struct str_list *out;
    size_t total;
    struct word word;
};

static void splitter_end(struct splitter *s)
{
    buf_clear(&s->word.text);
}

static enum rc add(struct splitter *s, const char *p, size_t n, struct err *e)
{
    s->word.begun = true;
    s->word.variable = false;
    return buf_add(&s->word.text, p, n, e);
}

static enum rc take(struct splitter *s, const char *p, size_t n, struct err *e)
{
    s->total += n;
    if (s->out->count >= WORDS_MAX || s->total > TOTAL_MAX)
        return err_set(e, RC_REFUSED, "a command line of more than %d words or %d bytes",
                       WORDS_MAX, TOTAL_MAX);
    return str_list_add_n(s->out, p, n, e);
}

/* A bare $NAME is as many words as its value has. */
static enum rc take_parts(struct splitter *s, struct err *e)
{
    const char *p = (const char *)s->word.text.p;
    const char *end = s->word.text.n == 0 ? p : p + s->word.text.n;

    while (p < end) {
        size_t n = 0;

        while (p < end && strchr(BLANKS, *p) != NULL)
            p++;
        while (p + n < end && strchr(BLANKS, p[n]) == NULL)
            n++;
        if (n > 0)
            TRY(take(s, p, n, e));
        p += n;
    }
    return RC_OK;
}

static enum rc finish(struct splitter *s, struct err *e)
{
    struct word *w = &s->word;

    if (w->begun && w->variable && !w->quoted)
        TRY(take_parts(s, e));
    else if (w->begun)
        TRY(take(s, w->text.p == NULL ? "" : (const char *)w->text.p, w->text.n, e));
    w->text.n = 0;
    w->begun = w->quoted = w->variable = false;
    return RC_OK;
}

/* ---- escapes and variables ------------------------------------------------------ */

static size_t name_length(const char *p)
{
    size_t n = 0;

    while (isalnum((unsigned char)p[n]) || p[n] == '_')
        n++;
    return n;
}

const char *words_lookup(const struct str_list *env, const char *name, size_t n)
{
    for (size_t i = env == NULL ? 0 : env->count; i > 0; i--)
        if (strncmp(env->items[i - 1], name, n) == 0 && env->items[i - 1][n] == '=')
            return env->items[i - 1] + n + 1;
    return NULL;
}

/* *p is at '$'; afterwards behind what belongs to it. */
static enum rc variable(struct splitter *s, const char **p, struct err *e)
{
    bool braces = (*p)[1] == '{';
    const char *name = *p + (braces ? 2 : 1);
    size_t n = name_length(name);
    bool first = !s->word.begun;
    const char *value;

    if (s->rule == WORDS_UNIT && (*p)[1] == '$') {
        *p += 2;
        return add(s, "$", 1, e);
    }
    if (n == 0 || (braces && name[n] != '}')) {
        *p += 1;
        return add(s, "$", 1, e);
    }
    *p = name + n + (braces ? 1 : 0);
    value = words_lookup(s->env, name, n);
    TRY(add(s, value == NULL ? "" : value, value == NULL ? 0 : strlen(value), e));
    s->word.variable = first && (!braces || s->rule == WORDS_SHELL);
    return RC_OK;
}

static char plain_escape(char c)
{
    static const char from[] = "abfnrtvs", to[] = "\a\b\f\n\r\t\v ";
    const char *at = strchr(from, c);

    return at == NULL || c == '\0' ? c : to[at - from];
}

/* *p is behind a backslash. A unit knows C's escapes, a shell only takes the next
 * character as it is, and in double quotes keeps the backslash before most. */
static enum rc escape(struct splitter *s, const char **p, char quote, struct err *e)
{
    char c = **p;
    uint8_t byte = 0;

    if (c == '\0')
        return add(s, "\\", 1, e);
    *p += 1;
    if (s->rule == WORDS_SHELL) {
        if (c == '\n')
            return RC_OK;
        if (quote == '"' && strchr("$`\"\\", c) == NULL)
            TRY(add(s, "\\", 1, e));
        return add(s, &c, 1, e);
    }
    if (c == 'x' && isxdigit((unsigned char)(*p)[0]) &&
        isxdigit((unsigned char)(*p)[1])) {
        char digits[3] = { (*p)[0], (*p)[1], '\0' };

        *p += 2;
        return str_unhex(digits, &byte, 1) && byte != 0 ? add(s, (char *)&byte, 1, e)
                                                        : RC_OK;
    }
    c = plain_escape(c);
    return add(s, &c, 1, e);
}

/* *p is behind the opening quote. An unclosed one ends with the text. */
static enum rc quoted(struct splitter *s, const char **p, char quote, struct err *e)
{
    bool literal = s->rule == WORDS_SHELL && quote == '\'';

    TRY(add(s, "", 0, e));
    s->word.quoted = true;
    while (**p != '\0' && **p != quote) {
        if (**p == '\\' && !literal) {
            *p += 1;
            TRY(escape(s, p, quote, e));
        } else if (**p == '$' && !literal && s->rule != WORDS_PLAIN) {
            TRY(variable(s, p, e));
        } else {
            TRY(add(s, *p, 1, e));
            *p += 1;
        }
    }
    *p += **p == quote;
    return RC_OK;
}

/* ---- splitting -------------------------------------------------------------------- */

static enum rc one(struct splitter *s, const char **p, struct err *e)
{
    char c = **p;

    if (strchr(BLANKS, c) != NULL) {
        *p += 1;
        return finish(s, e);
    }
    if (c == '"' || c == '\'') {
        *p += 1;
        return quoted(s, p, c, e);
    }
    if (c == '\\') {
        *p += 1;
        return escape(s, p, '\0', e);
    }
    if (c == '$' && s->rule != WORDS_PLAIN)
        return variable(s, p, e);
    TRY(add(s, &c, 1, e));
    *p += 1;
    return RC_OK;
}

enum rc words_split(const char *text, enum words_rule rule, const struct str_list *env,
                    struct str_list *out, struct err *e)
{
    AT_END(splitter_end)
    struct splitter s = { .rule = rule, .env = env, .out = out };

    s.word.text.cap_max = 1 << 20;
    for (const char *p = text; *p != '\0';) {
        if (rule == WORDS_SHELL && strchr(";|&<>\n", *p) != NULL) {
            TRY(finish(&s, e));
            if (*p != '\n' || out->count > 0)
                break;
        }
        TRY(one(&s, &p, e));
    }
    return finish(&s, e);
}
