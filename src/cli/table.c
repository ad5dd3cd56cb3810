/* Aligned text: frames as etcdctl's -w table draws them, and plain columns. */
#include <ctype.h>
#include <string.h>

#include "cli/result.h"

size_t table_width(const char *text)
{
    size_t n = 0;

    for (; *text != '\0'; text++)
        n += ((unsigned char)*text & 0xC0) != 0x80;
    return n;
}

/* The i-th cell of a record that has a column; NULL beyond the last. */
static const struct cell *column(const struct record *rec, size_t i)
{
    for (size_t k = 0; k < rec->count; k++)
        if (cell_shows(&rec->cells[k]) && i-- == 0)
            return &rec->cells[k];
    return NULL;
}

static void widen(size_t *width, const char *text)
{
    size_t n = table_width(text);

    if (n > *width)
        *width = n;
}

void table_measure(struct table_widths *w, const struct record *rec)
{
    const struct cell *c;

    if (w->columns == 0)
        while (w->columns < TABLE_COLUMNS_MAX && (c = column(rec, w->columns)) != NULL)
            widen(&w->of[w->columns++], c->label);
    for (size_t k = 0; k < w->columns && (c = column(rec, k)) != NULL; k++)
        widen(&w->of[k], c->text);
}

static struct table_widths measure(const struct result *r)
{
    struct table_widths w = { 0 };

    for (size_t i = 0; i < r->count; i++)
        table_measure(&w, &r->records[i]);
    return w;
}

static void put_upper(struct printer *to, const char *text)
{
    for (; *text != '\0'; text++)
        printer_fill(to, (char)toupper((unsigned char)*text), 1);
}

void table_frame(struct printer *to, const struct table_widths *w)
{
    for (size_t k = 0; k < w->columns; k++) {
        printer_put(to, "+");
        printer_fill(to, '-', w->of[k] + 2);
    }
    printer_put(to, "+\n");
}

/* Headings stand in the middle of their column. */
static void heading(struct printer *to, const struct record *rec,
                    const struct table_widths *w)
{
    for (size_t k = 0; k < w->columns; k++) {
        const char *label = column(rec, k)->label;
        size_t room = w->of[k] - table_width(label);

        printer_put(to, "| ");
        printer_fill(to, ' ', room / 2);
        put_upper(to, label);
        printer_fill(to, ' ', room - room / 2 + 1);
    }
    printer_put(to, "|\n");
}

static void aligned(struct printer *to, const struct cell *c, size_t width)
{
    const char *text = c == NULL ? "" : c->text;
    size_t room = width - table_width(text);

    if (c != NULL && c->number)
        printer_fill(to, ' ', room);
    printer_put(to, text);
    if (c == NULL || !c->number)
        printer_fill(to, ' ', room);
}

void table_box_row(struct printer *to, const struct record *rec,
                   const struct table_widths *w)
{
    for (size_t k = 0; k < w->columns; k++) {
        printer_put(to, "| ");
        aligned(to, column(rec, k), w->of[k]);
        printer_put(to, " ");
    }
    printer_put(to, "|\n");
}

void table_box_heading(struct printer *to, const struct record *rec,
                       const struct table_widths *w)
{
    table_frame(to, w);
    heading(to, rec, w);
    table_frame(to, w);
}

void table_box(struct printer *to, const struct result *r)
{
    struct table_widths w = measure(r);

    if (w.columns == 0)
        return;
    table_box_heading(to, &r->records[0], &w);
    for (size_t i = 0; i < r->count; i++)
        table_box_row(to, &r->records[i], &w);
    table_frame(to, &w);
}

/* No blanks after the last column, so that output can be compared and cut. */
void table_plain_row(struct printer *to, const struct record *rec,
                     const struct table_widths *w)
{
    for (size_t k = 0; k < w->columns; k++) {
        const struct cell *c = column(rec, k);
        bool last = k + 1 == w->columns && (c == NULL || !c->number);

        if (k > 0)
            printer_put(to, "  ");
        if (last)
            printer_put(to, c == NULL ? "" : c->text);
        else
            aligned(to, c, w->of[k]);
    }
    printer_put(to, "\n");
}

void table_heading(struct printer *to, const struct record *rec,
                   const struct table_widths *w)
{
    for (size_t k = 0; k < w->columns; k++) {
        struct cell c = *column(rec, k);
        const char *label = c.label;
        size_t room = w->of[k] - table_width(label);

        if (k > 0)
            printer_put(to, "  ");
        if (c.number)
            printer_fill(to, ' ', room);
        put_upper(to, label);
        if (!c.number && k + 1 < w->columns)
            printer_fill(to, ' ', room);
    }
    printer_put(to, "\n");
}

void table_columns(struct printer *to, const struct result *r)
{
    struct table_widths w = measure(r);

    if (w.columns == 0)
        return;
    table_heading(to, &r->records[0], &w);
    for (size_t i = 0; i < r->count; i++)
        table_plain_row(to, &r->records[i], &w);
}

void table_labels(struct printer *to, const struct record *rec)
{
    const struct cell *c;
    size_t width = 0;

    for (size_t i = 0; (c = column(rec, i)) != NULL; i++)
        widen(&width, c->label);
    for (size_t i = 0; (c = column(rec, i)) != NULL; i++) {
        printer_printf(to, "%s:", c->label);
        printer_fill(to, ' ', width - table_width(c->label) + 1);
        printer_printf(to, "%s\n", c->text);
    }
}
