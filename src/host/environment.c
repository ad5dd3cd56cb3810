/* Environment files, and which etcd a command line starts. */
#include <ctype.h>
#include <string.h>

#include "host/words.h"
#include "util/mem.h"

enum { VARIABLES_MAX = 4096 };

struct reader {
    const char *p, *end;
    struct buf line; /* NAME=value so far */
};

static void reader_end(struct reader *r)
{
    buf_clear(&r->line);
}

static char next(const struct reader *r)
{
    return r->p < r->end ? *r->p : '\0';
}

static void skip_line(struct reader *r)
{
    while (r->p < r->end && *r->p != '\n')
        r->p++;
}

static enum rc take(struct reader *r, struct err *e)
{
    return buf_add(&r->line, r->p++, 1, e);
}

/* Behind the backslash; a newline there joins two lines. */
static enum rc escaped(struct reader *r, bool in_quotes, struct err *e)
{
    if (r->p >= r->end)
        return RC_OK;
    if (*r->p == '\n') {
        r->p++;
        return RC_OK;
    }
    if (in_quotes && strchr("\"\\`$", *r->p) == NULL)
        TRY(buf_add(&r->line, "\\", 1, e));
    return take(r, e);
}

static enum rc in_quotes(struct reader *r, char quote, struct err *e)
{
    while (r->p < r->end && *r->p != quote) {
        if (quote == '"' && *r->p == '\\') {
            r->p++;
            TRY(escaped(r, true, e));
        } else {
            TRY(take(r, e));
        }
    }
    r->p += r->p < r->end;
    return RC_OK;
}

/* The value up to the end of the line; blanks around it do not count. */
static enum rc value(struct reader *r, struct err *e)
{
    size_t solid = r->line.n;

    while (next(r) == ' ' || next(r) == '\t')
        r->p++;
    while (r->p < r->end && *r->p != '\n') {
        char c = *r->p;

        if (c == '"' || c == '\'' || c == '\\') {
            r->p++;
            TRY(c == '\\' ? escaped(r, false, e) : in_quotes(r, c, e));
            solid = r->line.n;
            continue;
        }
        TRY(take(r, e));
        if (c != ' ' && c != '\t' && c != '\r')
            solid = r->line.n;
    }
    r->line.n = solid;
    return RC_OK;
}

static bool is_name(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)p[i]) && p[i] != '_')
            return false;
    return n > 0 && !isdigit((unsigned char)p[0]);
}

static enum rc assignment(struct reader *r, struct str_list *out, struct err *e)
{
    const char *name = r->p;
    size_t n = 0, named;

    while (name + n < r->end && name[n] != '=' && name[n] != '\n')
        n++;
    named = n;
    while (named > 0 && (name[named - 1] == ' ' || name[named - 1] == '\t'))
        named--;
    if (name + n >= r->end || name[n] != '=' || !is_name(name, named)) {
        skip_line(r);
        return RC_OK;
    }
    r->p = name + n + 1;
    r->line.n = 0;
    TRY(buf_add(&r->line, name, named, e));
    TRY(buf_add(&r->line, "=", 1, e));
    TRY(value(r, e));
    if (out->count >= VARIABLES_MAX)
        return err_set(e, RC_REFUSED, "more than %d variables", VARIABLES_MAX);
    return str_list_add_n(out, (const char *)r->line.p, r->line.n, e);
}

enum rc words_environment(struct bytes text, struct str_list *out, struct err *e)
{
    const char *p = (const char *)text.p;
    AT_END(reader_end)
    struct reader r = { .p = p, .end = p + text.n, .line = { .cap_max = 1 << 20 } };

    while (r.p < r.end) {
        if (isspace((unsigned char)*r.p)) {
            r.p++;
        } else if (*r.p == '#' || *r.p == ';') {
            skip_line(&r);
        } else {
            TRY(assignment(&r, out, e));
        }
    }
    return RC_OK;
}
