#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "sql/inside.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/os.h"
#include "util/str.h"

enum { BUSY_MS = 5000 };

void sql_free(struct sql *s)
{
    if (s == NULL)
        return;
    sqlite3_close_v2(s->db); /* NULL is fine; rolls back */
    mem_free(s->path);
    mem_free(s);
}

/* The file is there, ours alone, and no symlink, before SQLite would make it with the
 * mode that the umask leaves. Files beside it take over its mode. */
static enum rc make_file(const char *path, struct err *e)
{
    OWNED_FD int fd = -1;
    struct stat st;

    TRY(os_open(AT_FDCWD, path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0600, &fd,
                e));
    if (os.fstat(fd, &st) != 0)
        return err_sys(e, RC_STORAGE, "examining '%s'", path);
    if (!S_ISREG(st.st_mode))
        return err_set(e, RC_REFUSED, "'%s' is not a regular file", path);
    if ((st.st_mode & 0077) != 0 && os.fchmod(fd, 0600) != 0)
        return err_sys(e, RC_STORAGE, "making '%s' private", path);
    return RC_OK;
}

/* Nothing in the file may run code or refer to other files. */
static enum rc open_file(struct sql *s, struct err *e)
{
    int rc = sqlite3_open_v2(
        s->path, &s->db,
        SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE, NULL);

    if (rc != SQLITE_OK)
        return sql_failed(s, rc, "opening", e);
    sqlite3_extended_result_codes(s->db, 1);
    sqlite3_busy_timeout(s->db, BUSY_MS);
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_limit(s->db, SQLITE_LIMIT_ATTACHED, 0);
    sqlite3_limit(s->db, SQLITE_LIMIT_LENGTH, 16 << 20);
    TRY(sql_do(s, "PRAGMA cell_size_check = ON", SQL_NOTHING, e));
    TRY(sql_do(s, "PRAGMA foreign_keys = ON", SQL_NOTHING, e));
    return sql_do(s, "PRAGMA synchronous = FULL", SQL_NOTHING, e);
}

static enum rc first_text(void *arg, const struct sql_row *row, struct err *e)
{
    char *text = arg;

    (void)e;
    if (*text == '\0')
        snprintf(text, 128, "%s", sql_row_text(row, 0));
    return RC_OK;
}

static enum rc check_integrity(struct sql *s, struct err *e)
{
    char said[128] = "";

    TRY(sql_each(s, "PRAGMA integrity_check(1)", SQL_NOTHING, first_text, said, e));
    if (strcmp(said, "ok") == 0)
        return RC_OK;
    return err_set(e, RC_CORRUPT,
                   "'%s' is damaged: %s" HINT
                   "move it away; what it held is history, and it is made anew",
                   s->path, said);
}

static enum rc first_number(void *arg, const struct sql_row *row, struct err *e)
{
    (void)e;
    *(int64_t *)arg = sql_row_int(row, 0);
    return RC_OK;
}

static enum rc ask_number(struct sql *s, const char *query, int64_t *out, struct err *e)
{
    *out = 0;
    return sql_each(s, query, SQL_NOTHING, first_number, out, e);
}

/* Pragmas take no bound values; these are numbers of our own. */
static enum rc set_number(struct sql *s, const char *pragma, uint64_t value,
                          struct err *e)
{
    char text[64];

    snprintf(text, sizeof text, "PRAGMA %s = %" PRIu64, pragma, value);
    return sql_do(s, text, SQL_NOTHING, e);
}

static enum rc step_up(struct sql *s, const struct sql_schema *schema, struct err *e)
{
    int64_t version, id, tables;

    TRY(ask_number(s, "PRAGMA user_version", &version, e));
    TRY(ask_number(s, "PRAGMA application_id", &id, e));
    TRY(ask_number(s, "SELECT count(*) FROM sqlite_schema", &tables, e));
    if (id != (int64_t)schema->application_id && (id != 0 || tables > 0))
        return err_set(e, RC_REFUSED, "'%s' is the database of another program", s->path);
    if (version < 0 || (uint64_t)version > schema->count)
        return err_set(e, RC_REFUSED,
                       "'%s' has version %" PRId64 ", this program knows %zu" HINT
                       "use the program that wrote it, or a newer one",
                       s->path, version, schema->count);
    for (size_t i = (size_t)version; i < schema->count; i++)
        TRY(sql_run(s, schema->steps[i], e));
    if ((size_t)version == schema->count && id == (int64_t)schema->application_id)
        return RC_OK;
    TRY(set_number(s, "application_id", schema->application_id, e));
    return set_number(s, "user_version", schema->count, e);
}

/* In one transaction, which two processes that start at once take in turn. */
static enum rc migrate(struct sql *s, const struct sql_schema *schema, struct err *e)
{
    TRY(sql_begin(s, e));
    TRY(step_up(s, schema, e));
    return sql_commit(s, e);
}

enum rc sql_open(const char *path, const struct sql_schema *schema, struct sql **out,
                 struct err *e)
{
    OWNED(sql) s = NULL;

    TRY(make_file(path, e));
    TRY(mem_new(&s, sizeof *s, "a database", e));
    s->path = mem_str(path);
    if (s->path == NULL)
        return err_set(e, RC_NOMEM, "no memory for a path");
    TRY(open_file(s, e));
    TRY(check_integrity(s, e));
    TRY(migrate(s, schema, e));
    *out = GIVE(s);
    return RC_OK;
}

static enum rc put_aside(const char *path, struct err *e)
{
    AT_END(mem_end) char *aside = NULL;

    TRY(str_format(&aside, e, "%s.damaged", path));
    if (os.renameat2(AT_FDCWD, path, AT_FDCWD, aside, 0) != 0)
        return err_sys(e, RC_STORAGE, "cannot rename '%s'", path);
    log_warn("'%s' was damaged and is begun anew; what is left of it is '%s'", path,
             aside);
    return RC_OK;
}

enum rc sql_open_history(const char *path, const struct sql_schema *schema,
                         struct sql **out, struct err *e)
{
    enum rc rc = sql_open(path, schema, out, e);

    if (rc != RC_CORRUPT)
        return rc;
    TRY(put_aside(path, e));
    return sql_open(path, schema, out, e);
}
