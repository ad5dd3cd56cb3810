#include "care/journal.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/log.h"

enum { LOOK_BACK_S = 30 * 24 * 3600 };

static int64_t now_s(void)
{
    return clock_unix_ms() / 1000;
}

enum rc care_journal_begin(struct care_journal *j, struct care_store *store,
                           uint64_t cluster, const char *kind, const char *detail,
                           struct err *e)
{
    *j = (struct care_journal){ .store = store };
    if (store == NULL)
        return RC_OK;
    TRY(sql_do(store->db,
               "INSERT INTO operation (cluster, kind, detail, begun, pid)"
               " VALUES (?, ?, ?, ?, ?)",
               SQL(SQL_INT((int64_t)cluster), SQL_TEXT(kind), SQL_TEXT(detail),
                   SQL_INT(now_s()), SQL_INT(getpid())),
               e));
    j->operation = sql_last_id(store->db);
    return RC_OK;
}

enum rc care_journal_step(struct care_journal *j, const char *what, int64_t *step,
                          struct err *e)
{
    *step = 0;
    if (j->store == NULL)
        return RC_OK;
    TRY(sql_do(j->store->db, "INSERT INTO step (operation, what, begun) VALUES (?, ?, ?)",
               SQL(SQL_INT(j->operation), SQL_TEXT(what), SQL_INT(now_s())), e));
    *step = sql_last_id(j->store->db);
    return RC_OK;
}

enum rc care_journal_step_end(struct care_journal *j, int64_t step, enum rc rc,
                              const char *why, struct err *e)
{
    if (j->store == NULL)
        return RC_OK;
    return sql_do(
        j->store->db, "UPDATE step SET ended = ?, code = ?, outcome = ? WHERE id = ?",
        SQL(SQL_INT(now_s()), SQL_INT(rc_exit_status(rc)), SQL_TEXT(why), SQL_INT(step)),
        e);
}

enum rc care_journal_end(struct care_journal *j, enum rc rc, const char *why,
                         struct err *e)
{
    if (j->store == NULL)
        return RC_OK;
    return sql_do(j->store->db,
                  "UPDATE operation SET ended = ?, code = ?, outcome = ? WHERE id = ?",
                  SQL(SQL_INT(now_s()), SQL_INT(rc_exit_status(rc)), SQL_TEXT(why),
                      SQL_INT(j->operation)),
                  e);
}

void care_journal_settle_step(struct care_journal *j, int64_t step, const char *what,
                              enum rc rc, const struct err *e)
{
    struct err unwritten = { 0 };

    if (care_journal_step_end(j, step, rc, rc == RC_OK ? NULL : e->why, &unwritten) !=
        RC_OK)
        log_warn("the journal does not tell how '%s' ended: %s", what, unwritten.why);
}

void care_journal_settle(struct care_journal *j, enum rc rc, const struct err *e)
{
    struct err unwritten = { 0 };

    if (care_journal_end(j, rc, rc == RC_OK ? NULL : e->why, &unwritten) != RC_OK)
        log_warn("the journal does not tell how this run ended: %s", unwritten.why);
}

struct search {
    struct care_unfinished *out;
    bool found;
};

/* A process of that number that still runs may well be the one: it is left alone. */
static bool lives(int64_t pid)
{
    return pid > 0 && pid <= INT32_MAX && (kill((pid_t)pid, 0) == 0 || errno == EPERM);
}

static enum rc take(void *arg, const struct sql_row *row, struct err *e)
{
    struct search *s = arg;
    struct care_unfinished *u = s->out;

    (void)e;
    if (s->found || lives(sql_row_int(row, 4)))
        return RC_OK;
    u->operation = sql_row_int(row, 0);
    u->begun = sql_row_int(row, 1);
    snprintf(u->kind, sizeof u->kind, "%s", sql_row_text(row, 2));
    snprintf(u->detail, sizeof u->detail, "%s", sql_row_text(row, 3));
    u->last_step[0] = '\0';
    u->step_ended = false;
    s->found = true;
    return RC_OK;
}

static enum rc take_step(void *arg, const struct sql_row *row, struct err *e)
{
    struct care_unfinished *u = arg;

    (void)e;
    snprintf(u->last_step, sizeof u->last_step, "%s", sql_row_text(row, 0));
    u->step_ended = !sql_row_null(row, 1);
    return RC_OK;
}

enum rc care_journal_unfinished(struct care_store *s, uint64_t cluster, int64_t now,
                                struct care_unfinished *out, bool *found, struct err *e)
{
    struct search search = { .out = out };

    TRY(sql_each(s->db,
                 "SELECT id, begun, kind, detail, pid FROM operation"
                 " WHERE cluster = ? AND ended IS NULL AND begun >= ? AND NOT EXISTS"
                 " (SELECT 1 FROM operation AS again WHERE again.id > operation.id"
                 " AND again.cluster = operation.cluster AND again.kind = operation.kind"
                 " AND again.detail = operation.detail AND again.ended IS NOT NULL"
                 " AND again.code = 0) ORDER BY id DESC",
                 SQL(SQL_INT((int64_t)cluster), SQL_INT(now - LOOK_BACK_S)), take,
                 &search, e));
    *found = search.found;
    if (!search.found)
        return RC_OK;
    return sql_each(s->db,
                    "SELECT what, ended FROM step WHERE operation = ? ORDER BY id DESC"
                    " LIMIT 1",
                    SQL(SQL_INT(out->operation)), take_step, out, e);
}

struct recall {
    care_past_fn *fn;
    void *arg;
};

static enum rc take_past(void *arg, const struct sql_row *row, struct err *e)
{
    const struct recall *r = arg;
    const struct care_past past = {
        .detail = sql_row_text(row, 0),
        .begun = sql_row_int(row, 1),
        .fulfilled = !sql_row_null(row, 2) && sql_row_int(row, 2) == 0,
    };

    (void)e;
    r->fn(r->arg, &past);
    return RC_OK;
}

enum rc care_journal_past(struct care_store *s, uint64_t cluster, const char *kind,
                          int64_t now, care_past_fn *fn, void *arg, struct err *e)
{
    struct recall r = { fn, arg };

    return sql_each(
        s->db,
        "SELECT detail, begun, code FROM operation"
        " WHERE cluster = ? AND kind = ? AND begun >= ? ORDER BY id DESC",
        SQL(SQL_INT((int64_t)cluster), SQL_TEXT(kind), SQL_INT(now - LOOK_BACK_S)),
        take_past, &r, e);
}
