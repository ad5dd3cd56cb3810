/* The inside of a result, for the files that draw it. */
#ifndef CLI_RESULT_H
#define CLI_RESULT_H

#include "cli/render.h"
#include "util/str.h"

struct cell {
    const char *label, *key;
    char *text;            /* printable */
    bool number;           /* right-aligned */
    struct result *nested; /* instead of text */
};

struct record {
    struct json *json;       /* the JSON object; NULL once an outer result has taken it */
    const struct json *view; /* the same object, whoever owns it */
    struct cell *cells;
    size_t count;
};

struct result {
    bool list;
    struct record *records;
    size_t count;
    struct str_list lines;
    struct err failure;
};

/* Has the cell a place in tables and label lists? */
static inline bool cell_shows(const struct cell *c)
{
    return c->label != NULL && c->nested == NULL;
}

/* Columns on a terminal: one a code point. */
size_t table_width(const char *text);

/* Widths of the columns that a record's cells have, grown with every record measured. */
enum { TABLE_COLUMNS_MAX = 32 };
struct table_widths {
    size_t columns, of[TABLE_COLUMNS_MAX];
};
void table_measure(struct table_widths *w, const struct record *rec);

/* Piece by piece, for rows that are not all at hand: a frame around the heading and below
 * the last row, or no frame at all. */
void table_frame(struct printer *to, const struct table_widths *w);
void table_box_heading(struct printer *to, const struct record *rec,
                       const struct table_widths *w);
void table_box_row(struct printer *to, const struct record *rec,
                   const struct table_widths *w);
void table_heading(struct printer *to, const struct record *rec,
                   const struct table_widths *w);
void table_plain_row(struct printer *to, const struct record *rec,
                     const struct table_widths *w);

/* Both need at least one record. */
void table_box(struct printer *to, const struct result *r);     /* with a frame */
void table_columns(struct printer *to, const struct result *r); /* aligned, no frame */
void table_labels(struct printer *to, const struct record *rec);

#endif
