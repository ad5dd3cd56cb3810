#include "agent/standing.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "util/json.h"

enum { APPLICATION = 0x48464147, PATH_SIZE = 4096 };

static const char *const outcomes[] = { "ok", "degraded", "elsewhere", "failed" };

const char *agent_outcome_name(enum agent_outcome o)
{
    return outcomes[o];
}

enum agent_outcome agent_outcome_of(int status)
{
    if (status == 0)
        return AGENT_OK;
    if (status == rc_exit_status(RC_DEGRADED))
        return AGENT_DEGRADED;
    return status == rc_exit_status(RC_LOCKED) ? AGENT_ELSEWHERE : AGENT_FAILED;
}

/* ---- memory --------------------------------------------------------------------------
 */

static const char *const steps[] = {
    "CREATE TABLE run (cluster TEXT NOT NULL, job TEXT NOT NULL, began INTEGER NOT NULL,"
    " ended INTEGER NOT NULL, succeeded INTEGER NOT NULL, status INTEGER NOT NULL,"
    " took_ms INTEGER NOT NULL, ok INTEGER NOT NULL, degraded INTEGER NOT NULL,"
    " elsewhere INTEGER NOT NULL, failed INTEGER NOT NULL, why TEXT NOT NULL,"
    " PRIMARY KEY (cluster, job))",
    "CREATE TABLE drill (cluster TEXT NOT NULL PRIMARY KEY, passed INTEGER NOT NULL,"
    " recovery_s REAL NOT NULL, data_age_s REAL NOT NULL)",
};

enum rc agent_memory_open(const char *dir, struct sql **out, struct err *e)
{
    static const struct sql_schema schema = { APPLICATION, steps,
                                              sizeof steps / sizeof steps[0] };
    char path[PATH_SIZE];

    if (snprintf(path, sizeof path, "%s/agent.sqlite", dir) >= (int)sizeof path)
        return err_set(e, RC_USAGE, "the state directory's name is too long");
    return sql_open_history(path, &schema, out, e);
}

static enum rc take_run(void *arg, const struct sql_row *row, struct err *e)
{
    struct agent_standing *s = arg;

    (void)e;
    for (unsigned k = 0; k < AGENT_KINDS; k++) {
        struct agent_run *r = &s->runs[k];

        if (strcmp(sql_row_text(row, 0), agent_kind_name(k)) != 0)
            continue;
        r->past.last = sql_row_int(row, 1);
        r->ended = sql_row_int(row, 2);
        r->succeeded = sql_row_int(row, 3);
        r->status = (int)sql_row_int(row, 4);
        r->took_ms = (uint64_t)sql_row_int(row, 5);
        if (r->ended < r->past.last)
            schedule_cut_off(&r->past);
        else if (agent_outcome_of(r->status) == AGENT_FAILED)
            schedule_ended(&r->past, r->ended, false);
        for (int o = 0; o < AGENT_OUTCOMES; o++)
            r->count[o] = (uint64_t)sql_row_int(row, 6 + o);
        snprintf(r->why, sizeof r->why, "%s", sql_row_text(row, 10));
    }
    return RC_OK;
}

static enum rc take_drill(void *arg, const struct sql_row *row, struct err *e)
{
    struct agent_standing *s = arg;

    (void)e;
    s->drill = (struct agent_drill_fact){ .known = true,
                                          .passed = sql_row_int(row, 0) != 0,
                                          .recovery_s = sql_row_real(row, 1),
                                          .data_age_s = sql_row_real(row, 2) };
    return RC_OK;
}

enum rc agent_memory_load(struct sql *db, struct agent_standing *s, struct err *e)
{
    TRY(sql_each(db,
                 "SELECT job, began, ended, succeeded, status, took_ms, ok, degraded,"
                 " elsewhere, failed, why FROM run WHERE cluster = ?",
                 SQL(SQL_TEXT(s->cluster)), take_run, s, e));
    return sql_each(db,
                    "SELECT passed, recovery_s, data_age_s FROM drill WHERE cluster = ?",
                    SQL(SQL_TEXT(s->cluster)), take_drill, s, e);
}

static enum rc keep_drill(struct sql *db, const struct agent_standing *s, struct err *e)
{
    if (!s->drill.known)
        return RC_OK;
    return sql_do(db, "INSERT OR REPLACE INTO drill VALUES (?, ?, ?, ?)",
                  SQL(SQL_TEXT(s->cluster), SQL_INT(s->drill.passed),
                      SQL_REAL(s->drill.recovery_s), SQL_REAL(s->drill.data_age_s)),
                  e);
}

enum rc agent_memory_keep(struct sql *db, const struct agent_standing *s,
                          enum agent_kind k, struct err *e)
{
    const struct agent_run *r = &s->runs[k];

    if (k == AGENT_DRILL)
        TRY(keep_drill(db, s, e));
    return sql_do(
        db, "INSERT OR REPLACE INTO run VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        SQL(SQL_TEXT(s->cluster), SQL_TEXT(agent_kind_name(k)), SQL_INT(r->past.last),
            SQL_INT(r->ended), SQL_INT(r->succeeded), SQL_INT(r->status),
            SQL_INT((int64_t)r->took_ms), SQL_INT((int64_t)r->count[AGENT_OK]),
            SQL_INT((int64_t)r->count[AGENT_DEGRADED]),
            SQL_INT((int64_t)r->count[AGENT_ELSEWHERE]),
            SQL_INT((int64_t)r->count[AGENT_FAILED]), SQL_TEXT(r->why)),
        e);
}

/* ---- what commands say ---------------------------------------------------------------
 */

/* "2026-11-21T15:00:00Z" */
static int64_t time_of(const char *text)
{
    struct tm tm = { 0 };
    const char *end = text == NULL ? NULL : strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm);

    return end == NULL || *end != '\0' ? 0 : timegm(&tm);
}

static void take_backup(const struct json *j, struct agent_backup_fact *out)
{
    struct agent_backup_fact f = { .known = true,
                                   .time = time_of(json_get_str(j, "time")) };

    if (json_get_u64(j, "sequence", &f.sequence) &&
        json_get_i64(j, "revision", &f.revision) && json_get_u64(j, "size", &f.size) &&
        json_get_u64(j, "stored_size", &f.stored_size))
        *out = f;
}

enum rc agent_standing_list(struct agent_standing *s, struct bytes text, struct err *e)
{
    OWNED(json) list = NULL;

    TRY(json_parse(text, "list", &list, e));
    if (!json_is_array(list))
        return err_set(e, RC_CORRUPT, "list does not show a list");
    s->backups = json_count(list);
    s->newest = s->proved = (struct agent_backup_fact){ .known = false };
    for (size_t i = 0; i < json_count(list); i++) {
        const struct json *j = json_at(list, i);
        bool proved = false;

        take_backup(j, &s->newest);
        if (json_get_bool(j, "proved", &proved) && proved)
            take_backup(j, &s->proved);
    }
    return RC_OK;
}

enum rc agent_standing_drill(struct agent_standing *s, struct bytes text, struct err *e)
{
    struct agent_drill_fact f = { .known = true };
    OWNED(json) j = NULL;

    TRY(json_parse(text, "drill", &j, e));
    if (!json_get_bool(j, "passed", &f.passed) ||
        !json_get_double(j, "recovery_seconds", &f.recovery_s) ||
        !json_get_double(j, "data_age_seconds", &f.data_age_s))
        return err_set(e, RC_CORRUPT, "the drill does not tell how it went");
    s->drill = f;
    return RC_OK;
}

bool agent_skipped(struct bytes text)
{
    OWNED(json) j = NULL;
    struct err e = { 0 };
    bool skipped = false;

    return json_parse(text, "backup", &j, &e) == RC_OK &&
           json_get_bool(j, "skipped", &skipped) && skipped;
}
