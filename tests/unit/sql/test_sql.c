#include "sql/sql.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/case.h"
#include "tests/lib/fault.h"
#include "tests/lib/tmpdir.h"

static const char *const steps[] = {
    "CREATE TABLE thing (id INTEGER PRIMARY KEY, name TEXT UNIQUE, size INTEGER);",
    "ALTER TABLE thing ADD COLUMN weight REAL;"
    "CREATE INDEX thing_size ON thing (size);",
};
static const struct sql_schema first = { 0x484f4c44, steps, 1 };
static const struct sql_schema second = { 0x484f4c44, steps, 2 };

static enum rc add(struct sql *s, const char *name, int64_t size, struct err *e)
{
    return sql_do(s, "INSERT INTO thing (name, size) VALUES (?, ?)",
                  SQL(SQL_TEXT(name), SQL_INT(size)), e);
}

static enum rc add_up(void *arg, const struct sql_row *row, struct err *e)
{
    (void)e;
    *(int64_t *)arg += sql_row_int(row, 0);
    return RC_OK;
}

static int64_t total(struct sql *s)
{
    struct err e = { 0 };
    int64_t sum = 0;

    OK(sql_each(s, "SELECT size FROM thing", SQL_NOTHING, add_up, &sum, &e), &e);
    return sum;
}

CASE(sql, what_is_stored_is_there_when_opened_again)
{
    const char *path = path_in(tmpdir_new(), "x.sqlite");
    struct err e = { 0 };

    for (int i = 0; i < 2; i++) {
        OWNED(sql) s = NULL;

        OK(sql_open(path, &first, &s, &e), &e);
        OK(add(s, i == 0 ? "a" : "b'); DROP TABLE thing; --", 21, &e), &e);
        cr_assert_eq(sql_changes(s), 1);
        cr_assert_eq(sql_last_id(s), i + 1);
        cr_assert_eq(total(s), 21 * (i + 1));
    }
}

CASE(sql, the_file_is_private_whatever_the_umask)
{
    const char *path = path_in(tmpdir_new(), "x.sqlite");
    struct err e = { 0 };
    struct stat st;
    OWNED(sql) s = NULL;

    umask(0);
    OK(sql_open(path, &first, &s, &e), &e);
    cr_assert(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600);
    cr_assert(chmod(path, 0644) == 0);
    sql_free(s);
    s = NULL;
    OK(sql_open(path, &first, &s, &e), &e);
    cr_assert(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600);
}

static enum rc look(void *arg, const struct sql_row *row, struct err *e)
{
    (void)arg;
    (void)e;
    cr_assert_eq(sql_row_int(row, 0), INT64_MIN);
    cr_assert_eq(sql_row_real(row, 1), 0.5);
    cr_assert_str_eq(sql_row_text(row, 2), "\xc3\xa4 '?");
    cr_assert(bytes_equal(sql_row_blob(row, 3), bytes_str("b")));
    cr_assert(sql_row_null(row, 4) && !sql_row_null(row, 0));
    cr_assert_str_eq(sql_row_text(row, 4), "");
    cr_assert_eq(sql_row_blob(row, 4).n, 0);
    return RC_OK;
}

CASE(sql, values_of_all_kinds_come_back)
{
    struct err e = { 0 };
    OWNED(sql) s = NULL;

    OK(sql_open(path_in(tmpdir_new(), "x.sqlite"), &first, &s, &e), &e);
    OK(sql_each(s, "SELECT ?, ?, ?, ?, ?",
                SQL(SQL_INT(INT64_MIN), SQL_REAL(0.5), SQL_TEXT("\xc3\xa4 '?"),
                    SQL_BLOB(bytes_str("b")), SQL_TEXT(NULL)),
                look, NULL, &e),
       &e);
}

CASE(sql, a_statement_with_too_few_values_is_our_fault)
{
    struct err e = { 0 };
    OWNED(sql) s = NULL;

    OK(sql_open(path_in(tmpdir_new(), "x.sqlite"), &first, &s, &e), &e);
    cr_assert_eq(sql_do(s, "SELECT ?, ?", SQL(SQL_INT(1)), &e), RC_INTERNAL);
    cr_assert_eq(sql_do(s, "SELECT nonsense", SQL_NOTHING, &e), RC_INTERNAL);
}

CASE(sql, a_newer_program_adds_its_steps_and_an_older_one_refuses_them)
{
    const char *path = path_in(tmpdir_new(), "x.sqlite");
    struct err e = { 0 };
    OWNED(sql) s = NULL;

    OK(sql_open(path, &first, &s, &e), &e);
    OK(add(s, "a", 7, &e), &e);
    sql_free(GIVE(s));
    OK(sql_open(path, &second, &s, &e), &e);
    OK(sql_do(s, "UPDATE thing SET weight = 1.5", SQL_NOTHING, &e), &e);
    cr_assert_eq(total(s), 7);
    sql_free(GIVE(s));
    cr_assert_eq(sql_open(path, &first, &s, &e), RC_REFUSED);
    cr_assert(strstr(e.why, "has version 2, this program knows 1") != NULL, "%s", e.why);
}

CASE(sql, the_file_of_another_program_is_left_alone)
{
    static const struct sql_schema other = { 1, steps, 1 };
    const char *path = path_in(tmpdir_new(), "x.sqlite");
    struct err e = { 0 };
    OWNED(sql) s = NULL;

    OK(sql_open(path, &other, &s, &e), &e);
    sql_free(GIVE(s));
    cr_assert_eq(sql_open(path, &first, &s, &e), RC_REFUSED);
    cr_assert(strstr(e.why, "another program") != NULL, "%s", e.why);
}

CASE(sql, a_symlink_and_a_directory_are_refused)
{
    const char *dir = tmpdir_new();
    struct err e = { 0 };
    OWNED(sql) s = NULL;

    cr_assert(symlink("/etc/passwd", path_in(dir, "link")) == 0);
    cr_assert_eq(sql_open(path_in(dir, "link"), &first, &s, &e), RC_REFUSED);
    cr_assert_neq(sql_open(dir, &first, &s, &e), RC_OK);
    cr_assert(mkfifo(path_in(dir, "pipe"), 0600) == 0);
    cr_assert_eq(sql_open(path_in(dir, "pipe"), &first, &s, &e), RC_REFUSED);
    cr_assert_eq(sql_open(path_in(dir, "no/file"), &first, &s, &e), RC_NOTFOUND);
}

/* Every 97th byte of a page in turn: told as damage or without effect, never a crash. */
CASE(sql, damage_is_told)
{
    const char *path = path_in(tmpdir_new(), "x.sqlite");
    struct err e = { 0 };
    unsigned told = 0;

    {
        OWNED(sql) s = NULL;

        OK(sql_open(path, &second, &s, &e), &e);
        for (int i = 0; i < 300; i++) {
            char name[16];

            snprintf(name, sizeof name, "n%d", i);
            OK(add(s, name, i, &e), &e);
        }
    }
    for (long at = 0; at < 12288; at += 97) {
        OWNED(sql) s = NULL;
        FILE *f = fopen(path, "r+b");
        int64_t sum = 0;
        int was;

        cr_assert_not_null(f);
        fseek(f, at, SEEK_SET);
        was = fgetc(f);
        fseek(f, at, SEEK_SET);
        fputc(was ^ 0xff, f);
        fflush(f);
        enum rc rc = sql_open(path, &second, &s, &e);

        if (rc == RC_OK)
            rc = sql_each(s, "SELECT size FROM thing", SQL_NOTHING, add_up, &sum, &e);
        cr_assert(rc == RC_OK || rc == RC_CORRUPT || rc == RC_REFUSED ||
                      rc == RC_STORAGE || rc == RC_INTERNAL || rc == RC_NOMEM,
                  "byte %ld: %d %s", at, rc, e.why);
        told += rc != RC_OK;
        fseek(f, at, SEEK_SET);
        fputc(was, f);
        fclose(f);
    }
    cr_assert_gt(told, 20, "%u", told);
}

CASE(sql, a_transaction_is_whole_or_not_at_all)
{
    const char *path = path_in(tmpdir_new(), "x.sqlite");
    struct err e = { 0 };
    OWNED(sql) s = NULL;

    OK(sql_open(path, &first, &s, &e), &e);
    OK(sql_begin(s, &e), &e);
    OK(add(s, "a", 1, &e), &e);
    sql_rollback(s);
    cr_assert_eq(total(s), 0);
    OK(sql_begin(s, &e), &e);
    OK(add(s, "a", 1, &e), &e);
    OK(sql_commit(s, &e), &e);
    OK(sql_begin(s, &e), &e);
    OK(add(s, "b", 1, &e), &e);
    sql_free(GIVE(s));
    OK(sql_open(path, &first, &s, &e), &e);
    cr_assert_eq(total(s), 1);
    cr_assert_eq(add(s, "a", 1, &e), RC_REFUSED, "the name is unique");
    sql_rollback(s);
}

static enum rc refuse(void *arg, const struct sql_row *row, struct err *e)
{
    (void)row;
    ++*(unsigned *)arg;
    return err_set(e, RC_INTERRUPTED, "enough");
}

CASE(sql, a_row_function_that_fails_ends_the_query)
{
    struct err e = { 0 };
    unsigned rows = 0;
    OWNED(sql) s = NULL;

    OK(sql_open(path_in(tmpdir_new(), "x.sqlite"), &first, &s, &e), &e);
    OK(add(s, "a", 1, &e), &e);
    OK(add(s, "b", 1, &e), &e);
    cr_assert_eq(sql_each(s, "SELECT size FROM thing", SQL_NOTHING, refuse, &rows, &e),
                 RC_INTERRUPTED);
    cr_assert_eq(rows, 1);
}

CASE(sql, no_memory_of_ours_leaks_nothing)
{
    const char *dir = tmpdir_new();
    unsigned runs = 0;

    FAULT_SWEEP(FAULT_ALLOC, nth, 0) {
        struct err e = { 0 };
        OWNED(sql) s = NULL;
        enum rc rc = sql_open(path_in(dir, "x.sqlite"), &first, &s, &e);

        runs = nth;
        cr_assert(rc == RC_OK || rc == RC_NOMEM);
    }
    cr_assert_eq(runs, 3, "the object, its path, a clean run");
}
