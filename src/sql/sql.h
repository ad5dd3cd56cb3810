/* A small database in one file; the only user of SQLite.
 *
 * It holds what may be lost (samples, an index of manifests) or what only tells a story
 * (the journal of operations): nothing that a recovery needs. Text of a statement is a
 * literal and values are bound, so that no name from a cluster is ever read as SQL.
 *
 *     TRY(sql_open(path, &schema, &db, e));
 *     TRY(sql_do(db, "INSERT INTO sample VALUES (?, ?)", SQL(SQL_INT(t), SQL_TEXT(s)),
 * e));
 *
 * One object per thread; several processes may share the file and wait for each other. */
#ifndef SQL_SQL_H
#define SQL_SQL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/bytes.h"
#include "util/err.h"
#include "util/own.h"

struct sql;

/* Each step brings the file from the version before it to its own, in one transaction;
 * steps are only ever added. */
struct sql_schema {
    uint32_t application_id; /* a file of another application is refused */
    const char *const *steps;
    size_t count;
};

/* Opens or makes the file, mode 0600 and never through a symlink, checks its integrity,
 * and applies the steps it has not seen. Its directory must exist. RC_CORRUPT when it is
 * damaged, RC_REFUSED when it belongs to another application or a newer version. */
enum rc sql_open(const char *path, const struct sql_schema *schema, struct sql **out,
                 struct err *e);

/* The same for what is history alone, on which no job may fail: a damaged file becomes
 * PATH.damaged, with a warning, and another is begun. */
enum rc sql_open_history(const char *path, const struct sql_schema *schema,
                         struct sql **out, struct err *e);
void sql_free(struct sql *s); /* NULL is fine; an open transaction is rolled back */
OWN_DEFINE(sql)

enum sql_type {
    SQL_TYPE_NULL,
    SQL_TYPE_INT,
    SQL_TYPE_REAL,
    SQL_TYPE_TEXT,
    SQL_TYPE_BLOB
};

struct sql_value {
    enum sql_type type;
    int64_t number;
    double real;
    const char *text;  /* borrowed for the call; NULL is bound as null */
    struct bytes blob; /* likewise */
};
struct sql_values {
    const struct sql_value *items;
    size_t count;
};

#define SQL_INT(n) ((struct sql_value){ .type = SQL_TYPE_INT, .number = (n) })
#define SQL_REAL(x) ((struct sql_value){ .type = SQL_TYPE_REAL, .real = (x) })
#define SQL_TEXT(s) ((struct sql_value){ .type = SQL_TYPE_TEXT, .text = (s) })
#define SQL_BLOB(b) ((struct sql_value){ .type = SQL_TYPE_BLOB, .blob = (b) })
#define SQL(...)                                                              \
    ((struct sql_values){ (const struct sql_value[]){ __VA_ARGS__ },          \
                          sizeof((const struct sql_value[]){ __VA_ARGS__ }) / \
                              sizeof(struct sql_value) })
#define SQL_NOTHING ((struct sql_values){ NULL, 0 })

/* One statement, to its end. `v` has a value for each '?'. RC_LOCKED when another process
 * kept the file for longer than five seconds, RC_REFUSED when a constraint of the schema
 * says no. */
enum rc sql_do(struct sql *s, const char *statement, struct sql_values v, struct err *e);

/* The same for a query; rows come one by one, and a failing `fn` ends it. */
struct sql_row;
typedef enum rc sql_row_fn(void *arg, const struct sql_row *row, struct err *e);
enum rc sql_each(struct sql *s, const char *query, struct sql_values v, sql_row_fn *fn,
                 void *arg, struct err *e);

/* Columns from 0. Null is 0, 0.0, "" or no bytes; texts and bytes live until `fn`
 * returns. What a person may have edited is not to be trusted more than a file. */
int64_t sql_row_int(const struct sql_row *row, int column);
double sql_row_real(const struct sql_row *row, int column);
const char *sql_row_text(const struct sql_row *row, int column);
struct bytes sql_row_blob(const struct sql_row *row, int column);
bool sql_row_null(const struct sql_row *row, int column);

/* The rowid of the last INSERT, and the number of rows the last statement changed. */
int64_t sql_last_id(const struct sql *s);
int64_t sql_changes(const struct sql *s);

/* All or nothing; not nested. A transaction that is not committed is rolled back when the
 * database is closed, or by sql_rollback, which has nothing to say. */
enum rc sql_begin(struct sql *s, struct err *e);
enum rc sql_commit(struct sql *s, struct err *e);
void sql_rollback(struct sql *s);

#endif
