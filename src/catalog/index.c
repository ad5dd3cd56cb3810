#include "catalog/index.h"

#include <string.h>

#include "util/log.h"
#include "util/mem.h"
#include "util/str.h"

struct index {
    struct sql *db;
};

static const char *const steps[] = {
    "CREATE TABLE record ("
    " repo TEXT NOT NULL, cluster TEXT NOT NULL, sequence INTEGER NOT NULL,"
    " body BLOB NOT NULL, signature BLOB NOT NULL,"
    " PRIMARY KEY (repo, cluster, sequence)) WITHOUT ROWID;"
    "CREATE TABLE mark ("
    " repo TEXT NOT NULL, cluster TEXT NOT NULL, sequence INTEGER NOT NULL,"
    " sha256 BLOB NOT NULL, high_water INTEGER NOT NULL,"
    " PRIMARY KEY (repo, cluster)) WITHOUT ROWID;"
    "CREATE TABLE run ("
    " id INTEGER PRIMARY KEY, repo TEXT NOT NULL, cluster TEXT NOT NULL,"
    " kind TEXT NOT NULL, begun INTEGER NOT NULL, ended INTEGER NOT NULL,"
    " code INTEGER NOT NULL, outcome TEXT, sequence INTEGER NOT NULL);"
    "CREATE INDEX run_newest ON run (repo, cluster, id);"
    "CREATE TABLE drill ("
    " id INTEGER PRIMARY KEY, repo TEXT NOT NULL, cluster TEXT NOT NULL,"
    " sequence INTEGER NOT NULL, begun INTEGER NOT NULL, code INTEGER NOT NULL,"
    " rto_ms INTEGER NOT NULL, rpo_ms INTEGER NOT NULL, report TEXT);"
    "CREATE INDEX drill_newest ON drill (repo, cluster, id);",
};
static const struct sql_schema schema = { 0x484c4443, steps,
                                          sizeof steps / sizeof *steps };

enum rc index_open(const char *dir, struct index **out, struct err *e)
{
    OWNED(index) x = NULL;
    AT_END(mem_end) char *path = NULL;
    enum rc rc;

    TRY(str_format(&path, e, "%s/catalog.sqlite", dir));
    TRY(mem_new(&x, sizeof *x, "an index", e));
    rc = sql_open(path, &schema, &x->db, e);
    if (rc == RC_CORRUPT) {
        log_warn(
            "how far the logs were when this host last looked is forgotten: compare "
            "the head that 'holdfast audit' prints with one that was noted elsewhere");
        rc = sql_open_history(path, &schema, &x->db, e);
    }
    TRY(rc);
    *out = GIVE(x);
    return RC_OK;
}

void index_free(struct index *x)
{
    if (x == NULL)
        return;
    sql_free(x->db);
    mem_free(x);
}

/* ---- records --------------------------------------------------------------------------
 */

/* No bytes, which is not null. */
static struct bytes there(struct bytes b)
{
    static const uint8_t nothing[1];

    return b.p != NULL ? b : (struct bytes){ nothing, 0 };
}

enum rc index_put(struct index *x, const char *repo, const char *cluster,
                  const struct index_record *r, struct err *e)
{
    return sql_do(x->db, "INSERT OR REPLACE INTO record VALUES (?, ?, ?, ?, ?)",
                  SQL(SQL_TEXT(repo), SQL_TEXT(cluster), SQL_INT((int64_t)r->sequence),
                      SQL_BLOB(there(r->record)), SQL_BLOB(there(r->signature))),
                  e);
}

enum rc index_forget(struct index *x, const char *repo, const char *cluster,
                     uint64_t sequence, struct err *e)
{
    return sql_do(x->db,
                  "DELETE FROM record WHERE repo = ? AND cluster = ? AND sequence = ?",
                  SQL(SQL_TEXT(repo), SQL_TEXT(cluster), SQL_INT((int64_t)sequence)), e);
}

static enum rc replace_all(struct index *x, const char *repo, const char *cluster,
                           const struct index_record *items, size_t count, struct err *e)
{
    TRY(sql_do(x->db, "DELETE FROM record WHERE repo = ? AND cluster = ?",
               SQL(SQL_TEXT(repo), SQL_TEXT(cluster)), e));
    for (size_t i = 0; i < count; i++)
        TRY(index_put(x, repo, cluster, &items[i], e));
    return RC_OK;
}

enum rc index_rebuild(struct index *x, const char *repo, const char *cluster,
                      const struct index_record *items, size_t count, struct err *e)
{
    enum rc rc;

    TRY(sql_begin(x->db, e));
    rc = replace_all(x, repo, cluster, items, count, e);
    if (rc == RC_OK)
        rc = sql_commit(x->db, e);
    if (rc != RC_OK)
        sql_rollback(x->db);
    return rc;
}

struct one {
    struct buf *record, *signature;
    bool found;
};

static enum rc take_one(void *arg, const struct sql_row *row, struct err *e)
{
    struct one *o = arg;
    struct bytes record = sql_row_blob(row, 0), signature = sql_row_blob(row, 1);

    TRY(buf_add(o->record, record.p, record.n, e));
    TRY(buf_add(o->signature, signature.p, signature.n, e));
    o->found = true;
    return RC_OK;
}

enum rc index_get(struct index *x, const char *repo, const char *cluster,
                  uint64_t sequence, struct buf *record, struct buf *signature,
                  bool *found, struct err *e)
{
    struct one o = { record, signature, false };

    TRY(sql_each(x->db,
                 "SELECT body, signature FROM record"
                 " WHERE repo = ? AND cluster = ? AND sequence = ?",
                 SQL(SQL_TEXT(repo), SQL_TEXT(cluster), SQL_INT((int64_t)sequence)),
                 take_one, &o, e));
    *found = o.found;
    return RC_OK;
}

static enum rc add_record(void *arg, const struct sql_row *row, struct err *e)
{
    return chain_add(arg, (uint64_t)sql_row_int(row, 0), sql_row_blob(row, 1),
                     sql_row_blob(row, 2), e);
}

enum rc index_chain(struct index *x, struct chain *into, struct err *e)
{
    return sql_each(x->db,
                    "SELECT sequence, body, signature FROM record"
                    " WHERE repo = ? AND cluster = ? ORDER BY sequence",
                    SQL(SQL_TEXT(into->repo), SQL_TEXT(into->cluster)), add_record, into,
                    e);
}

/* ---- marks ----------------------------------------------------------------------------
 */

struct mark_search {
    struct chain_mark *out;
    bool found;
};

static enum rc take_mark(void *arg, const struct sql_row *row, struct err *e)
{
    struct mark_search *s = arg;
    struct bytes hash = sql_row_blob(row, 1);

    (void)e;
    s->out->head.sequence = (uint64_t)sql_row_int(row, 0);
    if (hash.n == SHA256_SIZE)
        memcpy(s->out->head.sha256, hash.p, SHA256_SIZE);
    s->out->high_water = sql_row_int(row, 2);
    s->found = true;
    return RC_OK;
}

enum rc index_mark(struct index *x, const char *repo, const char *cluster,
                   struct chain_mark *out, bool *found, struct err *e)
{
    struct mark_search s = { .out = out };

    *out = (struct chain_mark){ .whence = "this host's index" };
    TRY(sql_each(x->db,
                 "SELECT sequence, sha256, high_water FROM mark"
                 " WHERE repo = ? AND cluster = ?",
                 SQL(SQL_TEXT(repo), SQL_TEXT(cluster)), take_mark, &s, e));
    *found = s.found;
    return RC_OK;
}

/* In one statement: two processes that raise it at once leave the higher one. */
enum rc index_raise(struct index *x, const char *repo, const char *cluster,
                    const struct chain_mark *mark, struct err *e)
{
    return sql_do(x->db,
                  "INSERT INTO mark VALUES (?, ?, ?, ?, ?)"
                  " ON CONFLICT (repo, cluster) DO UPDATE SET"
                  " sha256 = CASE WHEN excluded.sequence > sequence"
                  "  THEN excluded.sha256 ELSE sha256 END,"
                  " sequence = max(sequence, excluded.sequence),"
                  " high_water = max(high_water, excluded.high_water)",
                  SQL(SQL_TEXT(repo), SQL_TEXT(cluster),
                      SQL_INT((int64_t)mark->head.sequence),
                      SQL_BLOB(BYTES_OF(mark->head.sha256)), SQL_INT(mark->high_water)),
                  e);
}

/* ---- what ran -------------------------------------------------------------------------
 */

enum rc index_add_run(struct index *x, const char *repo, const char *cluster,
                      const struct index_run *run, struct err *e)
{
    return sql_do(x->db,
                  "INSERT INTO run (repo, cluster, kind, begun, ended, code, outcome,"
                  " sequence) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                  SQL(SQL_TEXT(repo), SQL_TEXT(cluster), SQL_TEXT(run->kind),
                      SQL_INT(run->begun), SQL_INT(run->ended), SQL_INT(run->code),
                      SQL_TEXT(run->outcome), SQL_INT((int64_t)run->sequence)),
                  e);
}

struct run_reader {
    index_run_fn *fn;
    void *arg;
};

static enum rc read_run(void *arg, const struct sql_row *row, struct err *e)
{
    const struct run_reader *r = arg;
    const struct index_run run = {
        .kind = sql_row_text(row, 0),
        .begun = sql_row_int(row, 1),
        .ended = sql_row_int(row, 2),
        .code = (int)sql_row_int(row, 3),
        .outcome = sql_row_null(row, 4) ? NULL : sql_row_text(row, 4),
        .sequence = (uint64_t)sql_row_int(row, 5),
    };

    return r->fn(r->arg, &run, e);
}

static int64_t limit_of(size_t limit)
{
    return limit > INT64_MAX ? INT64_MAX : (int64_t)limit;
}

enum rc index_runs(struct index *x, const char *repo, const char *cluster,
                   const char *kind, size_t limit, index_run_fn *fn, void *arg,
                   struct err *e)
{
    struct run_reader r = { fn, arg };

    return sql_each(
        x->db,
        "SELECT kind, begun, ended, code, outcome, sequence FROM run"
        " WHERE repo = ? AND cluster = ? AND kind = coalesce(?, kind)"
        " ORDER BY id DESC LIMIT ?",
        SQL(SQL_TEXT(repo), SQL_TEXT(cluster), SQL_TEXT(kind), SQL_INT(limit_of(limit))),
        read_run, &r, e);
}

/* ---- drills ---------------------------------------------------------------------------
 */

enum rc index_add_drill(struct index *x, const char *repo, const char *cluster,
                        const struct index_drill *d, struct err *e)
{
    return sql_do(x->db,
                  "INSERT INTO drill (repo, cluster, sequence, begun, code, rto_ms,"
                  " rpo_ms, report) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                  SQL(SQL_TEXT(repo), SQL_TEXT(cluster), SQL_INT((int64_t)d->sequence),
                      SQL_INT(d->begun), SQL_INT(d->code), SQL_INT((int64_t)d->rto_ms),
                      SQL_INT((int64_t)d->rpo_ms), SQL_TEXT(d->report)),
                  e);
}

struct drill_reader {
    index_drill_fn *fn;
    void *arg;
};

static enum rc read_drill(void *arg, const struct sql_row *row, struct err *e)
{
    const struct drill_reader *r = arg;
    const struct index_drill drill = {
        .sequence = (uint64_t)sql_row_int(row, 0),
        .begun = sql_row_int(row, 1),
        .code = (int)sql_row_int(row, 2),
        .rto_ms = (uint64_t)sql_row_int(row, 3),
        .rpo_ms = (uint64_t)sql_row_int(row, 4),
        .report = sql_row_null(row, 5) ? NULL : sql_row_text(row, 5),
    };

    return r->fn(r->arg, &drill, e);
}

enum rc index_drills(struct index *x, const char *repo, const char *cluster, size_t limit,
                     index_drill_fn *fn, void *arg, struct err *e)
{
    struct drill_reader r = { fn, arg };

    return sql_each(x->db,
                    "SELECT sequence, begun, code, rto_ms, rpo_ms, report FROM drill"
                    " WHERE repo = ? AND cluster = ? ORDER BY id DESC LIMIT ?",
                    SQL(SQL_TEXT(repo), SQL_TEXT(cluster), SQL_INT(limit_of(limit))),
                    read_drill, &r, e);
}
