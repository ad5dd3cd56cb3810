#include "mvcc/stream_survey.h"

#include <stdlib.h>

#include "boltdb/stream.h"
#include "mvcc/assemble.h"
#include "mvcc/pack.h"
#include "util/mem.h"
#include "util/os.h"

/* A leaf that went by. */
struct block {
    uint64_t page;
    uint8_t *pairs; /* packed */
    size_t size;
};

/* What the tree turned out to be: its buckets, leaves and inline pairs, in order. */
enum step_kind { STEP_BUCKET, STEP_LEAF, STEP_PAIR };
struct step {
    uint64_t page;
    uint32_t key, value; /* bytes that follow */
    enum step_kind kind;
};

struct stream_sink {
    struct sink base;
    struct bolt_stream *stream;
    struct findings *f;
    struct mvcc_facts *out;
    int64_t revision; /* of HashKV; 0: the newest */
    uint8_t seed[SIPHASH_KEY_SIZE];
    struct block *blocks;
    size_t count, capacity;
    size_t memory, memory_max; /* of the blocks */
    bool gave_up;
    struct buf scratch; /* one leaf */
    struct buf steps;
};

/* ---- while it goes by ------------------------------------------------------------- */

static void drop_blocks(struct stream_sink *s)
{
    for (size_t i = 0; i < s->count; i++)
        mem_free(s->blocks[i].pairs);
    mem_free(s->blocks);
    s->blocks = NULL;
    s->count = s->capacity = 0;
}

static enum rc block_add(struct stream_sink *s, uint64_t page, struct err *e)
{
    if (s->count == s->capacity) {
        size_t capacity = s->capacity == 0 ? 256 : s->capacity * 2;
        void *more = mem_resize(s->blocks, capacity, sizeof *s->blocks);

        if (more == NULL)
            return err_set(e, RC_NOMEM, "no memory for %zu leaves", capacity);
        s->blocks = more;
        s->capacity = capacity;
    }
    void *pairs = mem_copy(s->scratch.p, s->scratch.n);

    if (pairs == NULL)
        return err_set(e, RC_NOMEM, "no memory for the facts of a leaf");
    s->blocks[s->count++] =
        (struct block){ .page = page, .pairs = pairs, .size = s->scratch.n };
    s->memory += sizeof *s->blocks + s->scratch.n;
    return RC_OK;
}

/* Free pages are packed like any other: which ones count is known when the branches have
 * gone by, and bbolt writes those anywhere. */
static enum rc on_leaf(void *arg, const struct bolt_page *page, struct err *e)
{
    struct stream_sink *s = arg;

    if (s->gave_up)
        return RC_OK;
    s->scratch.n = 0;
    for (uint16_t i = 0; i < page->count; i++) {
        struct bolt_pair pair = bolt_leaf_at(page, i);

        if (!pair.is_bucket)
            TRY(mvcc_pack_add(&s->scratch, s->seed, pair.key, pair.value, e));
    }
    TRY(block_add(s, page->id, e));
    if (s->memory_max != 0 && s->memory > s->memory_max) {
        s->gave_up = true;
        drop_blocks(s);
    }
    return RC_OK;
}

static enum rc survey_write(struct sink *sink, const uint8_t *p, size_t n, struct err *e)
{
    struct stream_sink *s = (struct stream_sink *)sink;

    TRY(bolt_stream_write(s->stream, p, n, e));
    return sink_write(s->base.next, p, n, e);
}

/* ---- the tree, as the stream tells it --------------------------------------------- */

static enum rc step_add(struct stream_sink *s, const struct step *step, struct bytes key,
                        struct bytes value, struct err *e)
{
    TRY(buf_add(&s->steps, step, sizeof *step, e));
    TRY(buf_add(&s->steps, key.p, key.n, e));
    return buf_add(&s->steps, value.p, value.n, e);
}

static enum rc on_bucket(void *arg, struct bytes name, struct err *e)
{
    const struct step step = { .kind = STEP_BUCKET, .key = (uint32_t)name.n };

    return step_add(arg, &step, name, (struct bytes){ 0 }, e);
}

static enum rc on_reached(void *arg, uint64_t page, struct err *e)
{
    const struct step step = { .kind = STEP_LEAF, .page = page };

    return step_add(arg, &step, (struct bytes){ 0 }, (struct bytes){ 0 }, e);
}

static enum rc on_inlined(void *arg, struct bytes key, struct bytes value, uint64_t page,
                          struct err *e)
{
    const struct step step = {
        .kind = STEP_PAIR,
        .page = page,
        .key = (uint32_t)key.n,
        .value = (uint32_t)value.n,
    };

    return step_add(arg, &step, key, value, e);
}

static bool step_next(struct bytes *rest, struct step *out, struct bytes *key,
                      struct bytes *value)
{
    if (rest->n == 0)
        return false;
    memcpy(out, rest->p, sizeof *out);
    *key = (struct bytes){ rest->p + sizeof *out, out->key };
    *value = (struct bytes){ key->p + out->key, out->value };
    const uint8_t *end = value->p + out->value;

    rest->n -= (size_t)(end - rest->p);
    rest->p = end;
    return true;
}

/* A leaf with overflow is complete after pages that lie inside of it, so that blocks do
 * not come in order. */
static int by_page(const void *a, const void *b)
{
    uint64_t x = ((const struct block *)a)->page, y = ((const struct block *)b)->page;

    return x < y ? -1 : x > y;
}

static const struct block *block_of(const struct stream_sink *s, uint64_t page)
{
    const struct block wanted = { .page = page };

    return s->count == 0
               ? NULL
               : bsearch(&wanted, s->blocks, s->count, sizeof *s->blocks, by_page);
}

/* ---- the facts -------------------------------------------------------------------- */

static void mark_take(struct bytes key, struct bytes value,
                      struct mvcc_assemble_options *o)
{
    if (bytes_is(key, MVCC_FINISHED_COMPACT))
        o->history.finished = mvcc_mark_read(true, value, &o->marks_bad);
    else if (bytes_is(key, MVCC_SCHEDULED_COMPACT))
        o->history.scheduled = mvcc_mark_read(true, value, &o->marks_bad);
}

/* The compaction marks are needed before the records and lie behind them. */
static void marks_find(const struct stream_sink *s, struct mvcc_assemble_options *o)
{
    struct bytes rest = { s->steps.p, s->steps.n }, key, value;
    bool inside = false;
    struct step step;

    while (step_next(&rest, &step, &key, &value)) {
        const struct block *b = step.kind == STEP_LEAF ? block_of(s, step.page) : NULL;
        struct bytes pairs =
            b == NULL ? (struct bytes){ 0 } : (struct bytes){ b->pairs, b->size };
        struct mvcc_packed pair;

        if (step.kind == STEP_BUCKET)
            inside = mvcc_bucket_find(key) == MVCC_META;
        else if (inside && step.kind == STEP_PAIR)
            mark_take(key, value, o);
        while (inside && mvcc_pack_next(&pairs, &pair))
            if (!pair.reduced)
                mark_take(pair.key, pair.value, o);
    }
}

/* *whole becomes false when the leaf was not kept, or when a pair was taken for a record
 * of bucket key and is none. */
static enum rc feed_leaf(struct mvcc_assemble *a, const struct block *b, bool *whole,
                         struct err *e)
{
    struct bytes rest =
        b == NULL ? (struct bytes){ 0 } : (struct bytes){ b->pairs, b->size };
    struct mvcc_packed pair;

    *whole &= b != NULL;
    while (mvcc_pack_next(&rest, &pair)) {
        if (!pair.reduced)
            TRY(mvcc_assemble_pair(a, pair.key, pair.value, b->page, e));
        else if (a->collect.bucket == MVCC_KEY)
            TRY(mvcc_assemble_record(a, &pair.record, b->page, e));
        else
            *whole = false;
    }
    return RC_OK;
}

static enum rc feed(const struct stream_sink *s, struct mvcc_assemble *a, bool *whole,
                    struct err *e)
{
    struct bytes rest = { s->steps.p, s->steps.n }, key, value;
    struct step step;

    while (step_next(&rest, &step, &key, &value))
        switch (step.kind) {
        case STEP_BUCKET:
            TRY(mvcc_assemble_bucket(a, key, e));
            break;
        case STEP_LEAF:
            TRY(feed_leaf(a, block_of(s, step.page), whole, e));
            break;
        case STEP_PAIR:
            TRY(mvcc_assemble_pair(a, key, value, step.page, e));
            break;
        }
    return RC_OK;
}

/* From here on it is a survey as of a file. */
static enum rc assemble(struct stream_sink *s, bool undamaged, struct err *e)
{
    AT_END(mvcc_assemble_clear) struct mvcc_assemble a = { 0 };
    struct mvcc_assemble_options o = {
        .history = { .finished = MVCC_NEVER_COMPACTED,
                     .scheduled = MVCC_NEVER_COMPACTED,
                     .revision = s->revision,
                     .hash = true,
                     .checks = true },
        .status_hash = true,
    };
    bool whole = true;

    if (s->count > 0)
        qsort(s->blocks, s->count, sizeof *s->blocks, by_page);
    marks_find(s, &o);
    TRY(mvcc_assemble_init(&a, &o, s->f, e));
    mvcc_history_seed(a.history, s->seed);
    TRY(feed(s, &a, &whole, e));
    if (!whole)
        TRY(findings_add(s->f, FINDING_WARN, "not-checked", FINDING_NO_PAGE, e,
                         "pairs of a bucket could not be told from those of another"));
    return mvcc_assemble_finish(&a, undamaged && whole, s->out, e);
}

static void page_facts(struct stream_sink *s, const struct bolt_walk_result *walk)
{
    const struct bolt_meta *meta = bolt_stream_meta(s->stream);

    s->out->pages = *walk;
    if (meta == NULL)
        return;
    s->out->page_size = meta->page_size;
    s->out->total_size = meta->high_water * meta->page_size;
}

/* Without a tree there is nothing to assemble; why, is among the findings. */
static enum rc conclude(struct stream_sink *s, struct err *e)
{
    size_t before = s->f->errors;
    struct bolt_walk_result walk;
    bool checked;

    TRY(bolt_stream_finish(s->stream, s->f, &walk, &checked, e));
    bool undamaged = s->f->errors == before;

    if (!checked || s->gave_up)
        TRY(findings_add(s->f, FINDING_WARN, "not-checked", FINDING_NO_PAGE, e,
                         "the database needs more memory to check in passing than is "
                         "allowed, or has a page of more than %d MiB",
                         BOLT_STREAM_EXTENT_MAX >> 20));
    else if (undamaged || s->steps.n > 0)
        TRY(assemble(s, undamaged, e));
    page_facts(s, &walk);
    return RC_OK;
}

static enum rc survey_finish(struct sink *sink, struct err *e)
{
    TRY(conclude((struct stream_sink *)sink, e));
    return sink_finish(sink->next, e);
}

static void survey_release(struct sink *sink)
{
    struct stream_sink *s = (struct stream_sink *)sink;

    drop_blocks(s);
    buf_clear(&s->scratch);
    buf_clear(&s->steps);
    bolt_stream_free(s->stream);
}

static const struct sink_ops survey_ops = {
    .name = "survey",
    .write = survey_write,
    .finish = survey_finish,
    .release = survey_release,
};

/* The pages' own facts are far smaller than the records'. */
static enum rc stream_new(struct stream_sink *s, size_t memory_max, struct err *e)
{
    const struct bolt_stream_visitor v = {
        .arg = s,
        .leaf = on_leaf,
        .bucket = on_bucket,
        .reached = on_reached,
        .inlined = on_inlined,
    };
    size_t for_pages = memory_max / 4;

    s->memory_max = memory_max - for_pages;
    TRY(os_random(s->seed, sizeof s->seed, e));
    return bolt_stream_new(&v, memory_max == 0 ? 0 : for_pages + 1, &s->stream, e);
}

enum rc mvcc_stream_sink_new(struct sink *next, size_t memory_max, struct findings *f,
                             struct mvcc_facts *out, struct sink **sink, struct err *e)
{
    return mvcc_stream_sink_at(next, memory_max, 0, f, out, sink, e);
}

enum rc mvcc_stream_sink_at(struct sink *next, size_t memory_max, int64_t revision,
                            struct findings *f, struct mvcc_facts *out,
                            struct sink **sink, struct err *e)
{
    OWNED(sink) chain = next;
    struct stream_sink *s = mem_zero(sizeof *s);

    if (s == NULL)
        return err_set(e, RC_NOMEM, "no memory for a survey");
    s->base = (struct sink){ .ops = &survey_ops, .next = GIVE(chain) };
    chain = &s->base;
    s->f = f;
    s->out = out;
    s->revision = revision;
    s->steps.cap_max = (size_t)1 << 30; /* 24 bytes a leaf */
    TRY(stream_new(s, memory_max, e));
    *sink = GIVE(chain);
    return RC_OK;
}
