/* The state directory: what Holdfast remembers of clusters between runs. Samples of their
 * sizes and revisions (samples.h) and a journal of what was done to them (journal.h), in
 * one small database. Nothing that a recovery needs; it may be lost. */
#ifndef CARE_STORE_H
#define CARE_STORE_H

#include "sql/sql.h"
#include "util/err.h"
#include "util/own.h"

struct care_store {
    struct sql *db;
    char *dir;
};

/* Makes the directory (0700, with its parents) unless it is there, and opens
 * DIR/state.sqlite in it; a damaged one becomes DIR/state.sqlite.damaged, with a warning,
 * and is begun anew. RC_REFUSED when others may write to the directory. */
enum rc care_store_open(const char *dir, struct care_store **out, struct err *e);
void care_store_free(struct care_store *s); /* NULL is fine */
OWN_DEFINE(care_store)

#endif
