#include "mvcc/survey.h"

#include "mvcc/assemble.h"

struct survey {
    struct mvcc_assemble assemble;
    struct findings *f;
    size_t told; /* errors of ours among those in f; the others are damaged pages */
};

static size_t errors(const struct survey *s)
{
    return s->f == NULL ? 0 : s->f->errors;
}

static enum rc on_bucket(void *arg, struct bytes name, struct err *e)
{
    struct survey *s = arg;

    return mvcc_assemble_bucket(&s->assemble, name, e);
}

static enum rc on_pair(void *arg, struct bytes key, struct bytes value, uint64_t page,
                       struct err *e)
{
    struct survey *s = arg;
    size_t before = errors(s);

    TRY(mvcc_assemble_pair(&s->assemble, key, value, page, e));
    s->told += errors(s) - before;
    return RC_OK;
}

/* The marks are needed before the records and lie behind them. Damage on the way is
 * found again by the walk, which reports it. */
static enum rc mark_get(const struct bolt_file *file, const char *name, int64_t *mark,
                        bool *bad, struct err *e)
{
    struct bytes value = { 0 };
    struct err why = { 0 };
    bool found = false;
    enum rc rc = bolt_file_get(file, mvcc_bucket_name(MVCC_META), bytes_str(name), &value,
                               &found, &why);

    if (rc != RC_OK && rc != RC_CORRUPT) {
        *e = why;
        return rc;
    }
    *bad |= rc == RC_CORRUPT;
    *mark = mvcc_mark_read(found, value, bad);
    return RC_OK;
}

static enum rc marks_get(const struct bolt_file *file, struct mvcc_history_options *o,
                         bool *bad, struct err *e)
{
    TRY(mark_get(file, MVCC_FINISHED_COMPACT, &o->finished, bad, e));
    return mark_get(file, MVCC_SCHEDULED_COMPACT, &o->scheduled, bad, e);
}

/* ---- bucket key alone ------------------------------------------------------------- */

/* The other buckets may be as broken as they like. */
struct key_walk {
    struct mvcc_history *history;
    bool inside; /* bucket key */
};

static enum rc key_bucket(void *arg, struct bytes name, struct err *e)
{
    (void)e;
    ((struct key_walk *)arg)->inside = mvcc_bucket_find(name) == MVCC_KEY;
    return RC_OK;
}

static enum rc key_pair(void *arg, struct bytes key, struct bytes value, uint64_t page,
                        struct err *e)
{
    const struct key_walk *w = arg;

    if (!w->inside)
        return RC_OK;
    return mvcc_history_pair(
        w->history, key, value,
        mvcc_history_wants_crc(w->history) ? mvcc_pair_crc(key, value) : 0, page, e);
}

static enum rc key_records(const struct bolt_file *file, struct mvcc_history *h,
                           struct findings *f, struct err *e)
{
    struct key_walk w = { .history = h };
    const struct bolt_visitor v = { .arg = &w, .bucket = key_bucket, .pair = key_pair };
    struct bolt_walk_result walk;

    TRY(bolt_walk(file, &v, f, &walk, e));
    return bolt_file_intact(file, e);
}

enum rc mvcc_history_repeat(struct mvcc_history *h, const struct bolt_file *file,
                            const struct mvcc_lease_ids *leases, struct err *e)
{
    AT_END(findings_clear) struct findings known = { 0 };
    bool again;

    TRY(mvcc_history_again(h, leases, &again, e));
    while (again) {
        TRY(key_records(file, h, &known, e));
        TRY(mvcc_history_again(h, leases, &again, e));
    }
    return RC_OK;
}

/* ---- the whole -------------------------------------------------------------------- */

static void survey_end(struct survey *s)
{
    mvcc_assemble_clear(&s->assemble);
}

/* etcdutl's totalSize: what lies beyond the mark, trailer included, is not counted. */
static void page_facts(const struct bolt_file *file, const struct bolt_walk_result *walk,
                       struct mvcc_facts *out)
{
    const struct bolt_meta *meta = bolt_file_meta(file);

    out->pages = *walk;
    out->page_size = meta->page_size;
    out->total_size = meta->high_water * meta->page_size;
}

static enum rc repeat(struct mvcc_assemble *a, const struct bolt_file *file,
                      bool complete, struct err *e)
{
    const struct mvcc_lease_ids leases = mvcc_assemble_leases(a);

    return mvcc_history_repeat(a->history, file, complete ? &leases : NULL, e);
}

enum rc mvcc_survey_file(const struct bolt_file *file,
                         const struct mvcc_survey_options *options, struct findings *f,
                         struct mvcc_facts *out, struct err *e)
{
    AT_END(survey_end) struct survey s = { .f = f };
    const struct bolt_visitor visitor = { .arg = &s,
                                          .bucket = on_bucket,
                                          .pair = on_pair };
    struct mvcc_assemble_options a = { .status_hash = options->status_hash };
    struct bolt_walk_result walk;
    size_t before = errors(&s);
    bool complete;

    a.history.revision = options->revision;
    a.history.hash = a.history.checks = options->level == MVCC_FULL;
    TRY(marks_get(file, &a.history, &a.marks_bad, e));
    TRY(mvcc_assemble_init(&s.assemble, &a, f, e));
    s.assemble.collect.lease = options->lease;
    s.assemble.collect.lease_arg = options->lease_arg;
    mvcc_history_bound(s.assemble.history, MVCC_KEYS_AT_HAND);
    TRY(bolt_walk(file, &visitor, f, &walk, e));
    TRY(bolt_file_intact(file, e));
    complete = errors(&s) - before == s.told;
    TRY(repeat(&s.assemble, file, complete, e));
    TRY(mvcc_assemble_finish(&s.assemble, complete, out, e));
    page_facts(file, &walk, out);
    return RC_OK;
}

/* ---- HashKV alone ----------------------------------------------------------------- */

enum rc mvcc_hashkv_file(const struct bolt_file *file, int64_t revision,
                         struct mvcc_hashkv *out, struct err *e)
{
    struct mvcc_history_options options = { .revision = revision, .hash = true };
    OWNED(mvcc_history) history = NULL;
    struct mvcc_history_result result;
    bool bad = false;

    TRY(marks_get(file, &options, &bad, e));
    if (bad)
        return err_set(e, RC_CORRUPT,
                       "the compaction marks in bucket 'meta' of '%s' "
                       "cannot be read",
                       bolt_file_name(file));
    TRY(mvcc_history_new(&options, NULL, &history, e));
    mvcc_history_bound(history, MVCC_KEYS_AT_HAND);
    TRY(key_records(file, history, NULL, e));
    TRY(mvcc_history_repeat(history, file, NULL, e));
    TRY(mvcc_history_finish(history, NULL, &result, e));
    *out = result.hashkv;
    return RC_OK;
}
