#include <string.h>

#include "host/quote.h"
#include "runbook/runbook.h"

void runbook_facts_clear(struct runbook_facts *f)
{
    for (size_t i = 0; i < RUNBOOK_BLANKS_MAX; i++)
        mem_free(f->values[i]);
    str_list_clear(&f->members);
    str_list_clear(&f->situation);
    *f = (struct runbook_facts){ 0 };
}

/* `n` characters of a name; SIZE_MAX when there is no such blank. */
static size_t blank_at(const char *name, size_t n)
{
    for (size_t i = 0; runbook_blanks[i].name != NULL; i++)
        if (strncmp(runbook_blanks[i].name, name, n) == 0 &&
            runbook_blanks[i].name[n] == '\0')
            return i;
    return SIZE_MAX;
}

enum rc runbook_know(struct runbook_facts *f, const char *blank, const char *value,
                     struct err *e)
{
    size_t i = blank_at(blank, strlen(blank));

    if (i == SIZE_MAX)
        return err_set(e, RC_USAGE,
                       "a runbook has no blank '%s'" HINT
                       "they are listed where the runbook begins, in capitals",
                       blank);
    if (f->values[i] != NULL)
        return RC_OK;
    f->values[i] = mem_str(value);
    return f->values[i] == NULL ? err_set(e, RC_NOMEM, "no memory for a runbook") : RC_OK;
}

static enum rc put(struct buf *out, const char *value, bool quoted, struct err *e)
{
    if (quoted)
        return quote_shell(out, value, e);
    return buf_add(out, value, strlen(value), e);
}

static enum rc fill_one(const struct runbook_facts *f, const char *name, size_t n,
                        bool commands, const char *here, struct buf *out, struct err *e)
{
    size_t i = blank_at(name, n);

    if (i == SIZE_MAX)
        return err_set(e, RC_INTERNAL, "no blank '%.*s'", (int)n, name);
    if (here != NULL && strcmp(runbook_blanks[i].name, "here") == 0)
        return put(out, here, commands, e);
    if (f->values[i] != NULL)
        return put(out, f->values[i], commands, e);
    return put(out, runbook_blanks[i].shown, false, e);
}

enum rc runbook_fill(const struct runbook_facts *f, const char *text, bool commands,
                     const char *here, struct buf *out, struct err *e)
{
    while (*text != '\0') {
        size_t n = strcspn(text, "{");

        TRY(buf_add(out, text, n, e));
        text += n;
        if (*text == '\0')
            break;
        n = strcspn(++text, "}");
        TRY(fill_one(f, text, n, commands, here, out, e));
        text += n + (text[n] == '}');
    }
    return RC_OK;
}

static bool mentions(const char *text, const char *blank)
{
    size_t n = strlen(blank);

    for (; text != NULL && (text = strchr(text, '{')) != NULL; text++)
        if (strncmp(text + 1, blank, n) == 0 && text[1 + n] == '}')
            return true;
    return false;
}

bool runbook_lacks(const struct runbook *b, const struct runbook_facts *f, size_t blank)
{
    const char *name = runbook_blanks[blank].name;

    if (f->values[blank] != NULL)
        return false;
    if (strcmp(name, "here") == 0 && f->members.count > 0)
        return false;
    for (const struct runbook_step *s = b->steps; s->title != NULL; s++)
        if (mentions(s->commands, name) || mentions(s->why, name) ||
            mentions(s->where, name) || mentions(s->expect, name) ||
            mentions(s->otherwise, name))
            return true;
    return false;
}
