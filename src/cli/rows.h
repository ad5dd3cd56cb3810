/* A list that may be too long to hold: its rows are made one at a time, shown and
 * forgotten. Where columns are aligned they are made twice, once to be measured, so
 * whoever makes them must make the same ones again. */
#ifndef CLI_ROWS_H
#define CLI_ROWS_H

#include "cli/cli.h"

struct rows;

/* Shows one row: a result of one record, with the same labels in every row. Owns it. */
enum rc rows_put(struct rows *to, struct result *owned, struct err *e);

/* Will this row be printed as JSON? Some rows are for people only. */
bool rows_are_json(const struct rows *to);

struct rows_source {
    void *arg;
    enum rc (*make)(void *arg, struct rows *to, struct err *e); /* rows_put each */

    /* What belongs to the list as a whole, for JSON: called when all rows have been made,
     * the result is owned by the caller. May be NULL. */
    struct result *(*about)(void *arg);

    const char *key; /* of the array in the JSON object */
    bool bare;       /* in the simple form: no heading and nothing aligned, one pass */
};

enum rc rows_show(struct cli *c, const struct rows_source *source, struct err *e);

/* A cell of bytes from a database: printable for people; base64 in JSON, as etcdctl
 * writes keys and values. A key of NULL keeps it from JSON. */
void result_bytes(struct result *r, const char *label, const char *key,
                  struct bytes bytes);

/* The same, but printable in JSON as well: for what etcd has no name for. */
void result_name(struct result *r, const char *label, const char *key,
                 struct bytes bytes);

#endif
