/* A bucket of a database in memory: pairs in the order of their keys, each perhaps with
 * what its value means. Small buckets (users, members, leases), so a sorted array. */
#ifndef MACHINE_TABLE_H
#define MACHINE_TABLE_H

#include "util/bytes.h"
#include "util/own.h"

struct table_row {
    struct bytes key, value;
    void *meaning; /* made from the value; NULL when the table needs none */
    bool owned;    /* key and value are ours (one allocation), not the file's */
};

/* Zero-initialise, end with table_clear. */
struct table {
    struct table_row *rows;
    size_t count, room;
    void (*drop)(void *meaning); /* ends a row's meaning; may be NULL */
};

/* *at is where the key is, or belongs. */
bool table_find(const struct table *t, struct bytes key, size_t *at);
const struct table_row *table_row(const struct table *t, struct bytes key); /* or NULL */

/* Add or replace. `meaning` belongs to the table from the call on, also when it fails;
 * key and value are copied, or with table_lend borrowed. RC_NOMEM: nothing changed. */
enum rc table_put(struct table *t, struct bytes key, struct bytes value, void *meaning,
                  struct err *e);
enum rc table_lend(struct table *t, struct bytes key, struct bytes value, void *meaning,
                   struct err *e);
void table_remove(struct table *t, size_t at);
void table_clear(struct table *t);

#endif
