#include <stdio.h>

#include "sql/inside.h"
#include "util/own.h"

struct sql_row {
    sqlite3_stmt *stmt;
};

enum rc sql_failed(const struct sql *s, int code, const char *doing, struct err *e)
{
    const char *text = s->db == NULL ? sqlite3_errstr(code) : sqlite3_errmsg(s->db);

    switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return err_set(e, RC_LOCKED, "%s '%s': another process holds it", doing, s->path);
    case SQLITE_NOMEM:
        return err_set(e, RC_NOMEM, "%s '%s': no memory", doing, s->path);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return err_set(e, RC_CORRUPT,
                       "%s '%s': %s" HINT
                       "move it away; what it held is history, and it is made anew",
                       doing, s->path, text);
    case SQLITE_CONSTRAINT:
        return err_set(e, RC_REFUSED, "%s '%s': %s", doing, s->path, text);
    case SQLITE_ERROR: /* the text of a statement is ours */
    case SQLITE_MISUSE:
    case SQLITE_RANGE:
        return err_set(e, RC_INTERNAL, "%s '%s': %s", doing, s->path, text);
    default:
        return err_set(e, RC_STORAGE, "%s '%s': %s", doing, s->path, text);
    }
}

static void finalize(sqlite3_stmt **stmt)
{
    sqlite3_finalize(*stmt);
}

static int bind_one(sqlite3_stmt *stmt, int at, const struct sql_value *v)
{
    switch (v->type) {
    case SQL_TYPE_INT:
        return sqlite3_bind_int64(stmt, at, v->number);
    case SQL_TYPE_REAL:
        return sqlite3_bind_double(stmt, at, v->real);
    case SQL_TYPE_TEXT:
        return sqlite3_bind_text64(stmt, at, v->text,
                                   v->text == NULL ? 0 : strlen(v->text), SQLITE_STATIC,
                                   SQLITE_UTF8);
    case SQL_TYPE_BLOB:
        return sqlite3_bind_blob64(stmt, at, v->blob.p, v->blob.n, SQLITE_STATIC);
    case SQL_TYPE_NULL:
        break;
    }
    return sqlite3_bind_null(stmt, at);
}

static enum rc bind_all(struct sql *s, sqlite3_stmt *stmt, struct sql_values v,
                        struct err *e)
{
    int wanted = sqlite3_bind_parameter_count(stmt);

    if (wanted < 0 || (size_t)wanted != v.count)
        return err_set(e, RC_INTERNAL, "a statement wants %d values and got %zu", wanted,
                       v.count);
    for (size_t i = 0; i < v.count; i++) {
        int rc = bind_one(stmt, (int)i + 1, &v.items[i]);

        if (rc != SQLITE_OK)
            return sql_failed(s, rc, "writing to", e);
    }
    return RC_OK;
}

enum rc sql_each(struct sql *s, const char *query, struct sql_values v, sql_row_fn *fn,
                 void *arg, struct err *e)
{
    AT_END(finalize) sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(s->db, query, -1, &stmt, NULL);

    if (rc != SQLITE_OK)
        return sql_failed(s, rc, "reading", e);
    TRY(bind_all(s, stmt, v, e));
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW)
        if (fn != NULL)
            TRY(fn(arg, &(struct sql_row){ stmt }, e));
    return rc == SQLITE_DONE
               ? RC_OK
               : sql_failed(s, rc,
                            sqlite3_stmt_readonly(stmt) != 0 ? "reading" : "writing to",
                            e);
}

enum rc sql_do(struct sql *s, const char *statement, struct sql_values v, struct err *e)
{
    return sql_each(s, statement, v, NULL, NULL, e);
}

enum rc sql_run(struct sql *s, const char *statements, struct err *e)
{
    int rc = sqlite3_exec(s->db, statements, NULL, NULL, NULL);

    return rc == SQLITE_OK ? RC_OK : sql_failed(s, rc, "preparing", e);
}

int64_t sql_row_int(const struct sql_row *row, int column)
{
    return sqlite3_column_int64(row->stmt, column);
}

double sql_row_real(const struct sql_row *row, int column)
{
    return sqlite3_column_double(row->stmt, column);
}

const char *sql_row_text(const struct sql_row *row, int column)
{
    const unsigned char *text = sqlite3_column_text(row->stmt, column);

    return text == NULL ? "" : (const char *)text;
}

struct bytes sql_row_blob(const struct sql_row *row, int column)
{
    const void *p = sqlite3_column_blob(row->stmt, column);
    int n = sqlite3_column_bytes(row->stmt, column);

    return (struct bytes){ p, p == NULL || n < 0 ? 0 : (size_t)n };
}

bool sql_row_null(const struct sql_row *row, int column)
{
    return sqlite3_column_type(row->stmt, column) == SQLITE_NULL;
}

int64_t sql_last_id(const struct sql *s)
{
    return sqlite3_last_insert_rowid(s->db);
}

int64_t sql_changes(const struct sql *s)
{
    return sqlite3_changes64(s->db);
}

/* IMMEDIATE: the lock is taken now, when waiting for it is still possible. */
enum rc sql_begin(struct sql *s, struct err *e)
{
    return sql_do(s, "BEGIN IMMEDIATE", SQL_NOTHING, e);
}

enum rc sql_commit(struct sql *s, struct err *e)
{
    return sql_do(s, "COMMIT", SQL_NOTHING, e);
}

void sql_rollback(struct sql *s)
{
    if (sqlite3_get_autocommit(s->db) == 0)
        sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
}
