/* What the files of this folder share. */
#ifndef SQL_INSIDE_H
#define SQL_INSIDE_H

#include <sqlite3.h>

#include "sql/sql.h"

struct sql {
    sqlite3 *db;
    char *path;
};

/* SQLite's code as ours, with its text; `doing` is a participle. */
enum rc sql_failed(const struct sql *s, int code, const char *doing, struct err *e);

/* Several statements without values: a step of a schema. */
enum rc sql_run(struct sql *s, const char *statements, struct err *e);

#endif
