#include <stdio.h>
#include <string.h>

#include "runbook/runbook.h"

enum { WIDTH = 96, TEXT_MAX = 1 << 20 };

struct page {
    struct buf text;
    const struct runbook *book;
    const struct runbook_facts *facts;
    const char *here;
};

static enum rc put(struct page *p, const char *text, struct err *e)
{
    return buf_add(&p->text, text, strlen(text), e);
}

/* Words of a filled text, wrapped. */
static enum rc wrap(struct page *p, const char *text, struct err *e)
{
    size_t column = 0;

    while (*text != '\0') {
        size_t n = strcspn(text, " ");

        if (column > 0 && column + 1 + n > WIDTH) {
            TRY(put(p, "\n", e));
            column = 0;
        } else if (column > 0) {
            TRY(put(p, " ", e));
            column++;
        }
        TRY(buf_add(&p->text, text, n, e));
        column += n;
        text += n + (text[n] == ' ');
    }
    return put(p, "\n\n", e);
}

static enum rc prose(struct page *p, const char *lead, const char *text, struct err *e)
{
    AT_END(buf_clear) struct buf filled = { .cap_max = TEXT_MAX };

    if (text == NULL)
        return RC_OK;
    TRY(buf_add(&filled, lead, strlen(lead), e));
    TRY(runbook_fill(p->facts, text, false, p->here, &filled, e));
    TRY(buf_add(&filled, "", 1, e));
    return wrap(p, (const char *)filled.p, e);
}

/* ---- the head ------------------------------------------------------------ */

static enum rc put_situation(struct page *p, struct err *e)
{
    for (size_t i = 0; i < p->facts->situation.count; i++) {
        TRY(put(p, "- ", e));
        TRY(put(p, p->facts->situation.items[i], e));
        TRY(put(p, "\n", e));
    }
    return p->facts->situation.count == 0 ? RC_OK : put(p, "\n", e);
}

static enum rc put_blank(struct page *p, const struct runbook_blank *b, struct err *e)
{
    AT_END(mem_end) char *line = NULL;

    TRY(str_format(&line, e, "- `%s`: %s\n", b->shown, b->means));
    return put(p, line, e);
}

static enum rc put_blanks(struct page *p, struct err *e)
{
    bool any = false;

    for (size_t i = 0; runbook_blanks[i].name != NULL; i++) {
        if (!runbook_lacks(p->book, p->facts, i))
            continue;
        if (!any)
            TRY(put(p, "Put in yourself, wherever it stands:\n\n", e));
        any = true;
        TRY(put_blank(p, &runbook_blanks[i], e));
    }
    return any ? put(p, "\n", e) : RC_OK;
}

/* ---- the steps ----------------------------------------------------------- */

static enum rc put_commands(struct page *p, const struct runbook_step *s, struct err *e)
{
    if (s->commands == NULL)
        return RC_OK;
    TRY(put(p, "```sh\n", e));
    TRY(runbook_fill(p->facts, s->commands, true, p->here, &p->text, e));
    return put(p, "\n```\n\n", e);
}

static enum rc put_expected(struct page *p, const struct runbook_step *s, struct err *e)
{
    char lead[64] = "You should see: ";

    if (s->status != 0)
        snprintf(lead, sizeof lead, "You should see, with exit status %d: ", s->status);
    return prose(p, lead, s->expect, e);
}

static enum rc put_step(struct page *p, const struct runbook_step *s, unsigned number,
                        struct err *e)
{
    char head[32];

    snprintf(head, sizeof head, "## %u. ", number);
    TRY(put(p, head, e));
    TRY(runbook_fill(p->facts, s->title, false, NULL, &p->text, e));
    TRY(put(p, "\n\n", e));
    TRY(prose(p, "", s->why, e));
    TRY(prose(p, "Where: ", s->where, e));
    if (!s->each || p->facts->members.count == 0)
        TRY(put_commands(p, s, e));
    for (size_t i = 0; s->each && i < p->facts->members.count; i++) {
        p->here = p->facts->members.items[i];
        TRY(put_commands(p, s, e));
    }
    p->here = NULL;
    TRY(put_expected(p, s, e));
    return prose(p, "If not: ", s->otherwise, e);
}

static enum rc put_all(struct page *p, struct err *e)
{
    unsigned number = 0;

    TRY(put(p, "# ", e));
    TRY(put(p, p->book->title, e));
    TRY(put(p, "\n\n", e));
    TRY(prose(p, "", p->book->when, e));
    TRY(put_situation(p, e));
    TRY(put_blanks(p, e));
    for (const struct runbook_step *s = p->book->steps; s->title != NULL; s++)
        TRY(put_step(p, s, ++number, e));
    p->text.n--; /* one newline ends it */
    return buf_add(&p->text, "", 1, e);
}

enum rc runbook_markdown(const struct runbook *b, const struct runbook_facts *f,
                         char **out, struct err *e)
{
    struct page p = { .text = { .cap_max = TEXT_MAX }, .book = b, .facts = f };
    enum rc rc = put_all(&p, e);

    if (rc != RC_OK) {
        buf_clear(&p.text);
        return rc;
    }
    *out = (char *)p.text.p;
    return RC_OK;
}
