#include "care/samples.h"

#include <inttypes.h>

#include "util/mem.h"

enum {
    FORECAST_SPAN_S = 3600,
    HABIT_SPAN_S = 2 * 3600,
    HABIT_REVISIONS = 1000,
    SAMPLES_MAX = 60000, /* 35 days of them are 50400 */
};

static struct sql_value id(uint64_t n)
{
    return SQL_INT((int64_t)n);
}

static enum rc add_one(struct care_store *s, const struct care_view *v,
                       const struct care_member *m, int64_t now, struct err *e)
{
    const struct wire_status *st = &m->status;
    bool known = m->metrics_known && m->metrics.compacted >= 0;

    return sql_do(s->db,
                  "INSERT OR IGNORE INTO sample"
                  " SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7"
                  " WHERE NOT EXISTS (SELECT 1 FROM sample WHERE cluster = ?1"
                  "  AND member = ?2 AND time > ?3 - ?8 AND time <= ?3)",
                  SQL(id(v->cluster_id), id(m->id), SQL_INT(now),
                      SQL_INT(st->header.revision),
                      known ? SQL_INT((int64_t)m->metrics.compacted) : SQL_TEXT(NULL),
                      SQL_INT((int64_t)st->db_size), SQL_INT((int64_t)st->db_size_in_use),
                      SQL_INT(CARE_SAMPLE_EVERY_S)),
                  e);
}

enum rc care_samples_add(struct care_store *s, const struct care_view *v, int64_t now,
                         struct err *e)
{
    enum rc rc = sql_begin(s->db, e);

    for (size_t i = 0; i < v->count && rc == RC_OK; i++)
        if (v->items[i].answered)
            rc = add_one(s, v, &v->items[i], now, e);
    if (rc == RC_OK)
        rc = sql_do(s->db, "DELETE FROM sample WHERE time < ?",
                    SQL(SQL_INT(now - CARE_SAMPLE_KEPT_S)), e);
    if (rc == RC_OK)
        rc = sql_commit(s->db, e);
    sql_rollback(s->db);
    return rc;
}

struct gathering {
    struct care_samples *out;
    size_t room;
};

static enum rc gather(void *arg, const struct sql_row *row, struct err *e)
{
    struct gathering *g = arg;
    struct care_samples *out = g->out;

    if (out->count == SAMPLES_MAX)
        return RC_OK;
    if (out->count == g->room) {
        size_t room = g->room == 0 ? 64 : 2 * g->room;
        struct care_sample *items = mem_resize(out->items, room, sizeof *items);

        if (items == NULL)
            return err_set(e, RC_NOMEM, "no memory for samples");
        out->items = items;
        g->room = room;
    }
    out->items[out->count++] = (struct care_sample){
        .time = sql_row_int(row, 0),
        .revision = sql_row_int(row, 1),
        .compacted = sql_row_null(row, 2) ? -1 : sql_row_int(row, 2),
        .size = (uint64_t)sql_row_int(row, 3),
        .in_use = (uint64_t)sql_row_int(row, 4),
    };
    return RC_OK;
}

enum rc care_samples_get(struct care_store *s, uint64_t cluster, uint64_t member,
                         int64_t since, struct care_samples *out, struct err *e)
{
    AT_END(care_samples_clear) struct care_samples found = { 0 };
    struct gathering g = { .out = &found };

    TRY(sql_each(s->db,
                 "SELECT time, revision, compacted, size, in_use FROM sample"
                 " WHERE cluster = ? AND member = ? AND time >= ? ORDER BY time",
                 SQL(id(cluster), id(member), SQL_INT(since)), gather, &g, e));
    *out = found;
    found = (struct care_samples){ 0 };
    return RC_OK;
}

void care_samples_clear(struct care_samples *s)
{
    mem_free(s->items);
    *s = (struct care_samples){ 0 };
}

static enum rc take_revision(void *arg, const struct sql_row *row, struct err *e)
{
    int64_t *found = arg;

    (void)e;
    found[0] = sql_row_int(row, 0);
    found[1] = sql_row_int(row, 1);
    return RC_OK;
}

enum rc care_samples_revision(struct care_store *s, uint64_t cluster, int64_t time,
                              int64_t *revision, int64_t *seen, struct err *e)
{
    int64_t found[2] = { 0 };

    TRY(sql_each(s->db,
                 "SELECT revision, time FROM sample WHERE cluster = ? AND time <= ?"
                 " ORDER BY revision DESC, time DESC LIMIT 1",
                 SQL(id(cluster), SQL_INT(time)), take_revision, found, e));
    if (found[0] == 0)
        return err_set(
            e, RC_NOTFOUND,
            "no sample of this cluster is that old" HINT
            "'holdfast status' takes one each time it runs: let a timer run it "
            "every few minutes, or say --keep-revisions");
    *revision = found[0];
    *seen = found[1];
    return RC_OK;
}

/* ---- what they mean -----------------------------------------------------------------
 */

/* Least squares; times relative to the first, so that doubles keep their digits. */
static double slope(const struct care_sample *items, size_t n)
{
    double st = 0, sy = 0, stt = 0, sty = 0, count = (double)n;

    for (size_t i = 0; i < n; i++) {
        double t = (double)(items[i].time - items[0].time);
        double y = (double)items[i].in_use - (double)items[0].in_use;

        st += t;
        sy += y;
        stt += t * t;
        sty += t * y;
    }
    double spread = count * stt - st * st;

    return spread > 0 ? (count * sty - st * sy) / spread : 0;
}

struct care_forecast care_forecast(const struct care_sample *items, size_t n,
                                   uint64_t quota)
{
    struct care_forecast f = { 0 };
    const struct care_sample *last;
    double rate, left;

    if (n < 3 || items[n - 1].time - items[0].time < FORECAST_SPAN_S)
        return f;
    last = &items[n - 1];
    rate = slope(items, n);
    f.known = true;
    f.bytes_per_day = rate * 86400;
    if (quota == 0 || rate <= 0)
        return f;
    left = quota > last->in_use ? (double)(quota - last->in_use) : 0;
    if (left / rate < 10 * 365 * 86400.0)
        f.full_at = last->time + (int64_t)(left / rate);
    return f;
}

struct care_habit care_compaction_habit(const struct care_sample *items, size_t n)
{
    struct care_habit h = { CARE_COMPACTION_UNKNOWN, 0, 0 };
    const struct care_sample *first = NULL, *last = NULL;
    int64_t moves = 0, first_move = 0, last_move = 0;

    for (size_t i = 0; i < n; i++) {
        if (items[i].compacted < 0)
            continue;
        if (last != NULL && items[i].compacted > last->compacted) {
            first_move = moves == 0 ? items[i].time : first_move;
            last_move = items[i].time;
            moves++;
        }
        first = first == NULL ? &items[i] : first;
        last = &items[i];
    }
    if (last == NULL)
        return h;
    h.kept = last->revision - last->compacted;
    if (moves > 0) {
        h.kind = CARE_COMPACTION_PERIODIC;
        h.every_s = moves > 1 ? (last_move - first_move) / (moves - 1) : 0;
    } else if (last->time - first->time >= HABIT_SPAN_S &&
               last->revision - first->revision >= HABIT_REVISIONS) {
        h.kind = CARE_COMPACTION_NONE;
    }
    return h;
}
