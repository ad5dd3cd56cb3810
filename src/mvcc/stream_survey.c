#include "mvcc/stream_survey.h"

#include "boltdb/stream.h"
#include "filter/spool.h"
#include "mvcc/assemble.h"
#include "mvcc/chain.h"
#include "mvcc/pack.h"
#include "util/mem.h"
#include "util/os.h"

enum {
    RESIDENT = 6 << 20, /* a third of it for pages */
    KEYS_MAX = 3 << 15,
    STEPS = 4000, /* bytes, put aside together */
};

/* What the tree turned out to be: its buckets, leaves and inline pairs, in order. */
enum step_kind { STEP_BUCKET, STEP_LEAF, STEP_PAIR };
struct step {
    uint64_t page;
    uint32_t key, value; /* bytes that follow; of a leaf: where its pairs are, plus 1 */
    enum step_kind kind;
};

struct stream_sink {
    struct sink base;
    struct bolt_stream *stream;
    struct findings *f;
    struct mvcc_facts *out;
    struct mvcc_stream_options options;
    uint8_t seed[SIPHASH_KEY_SIZE];
    struct spool *spool; /* leaves, and then steps; each begins with its size */
    struct buf scratch;  /* one leaf */
    struct buf steps;    /* not put aside yet */
    struct buf chunks;   /* where those before them are */
};

/* ---- while it goes by ------------------------------------------------------------- */

static enum rc put_aside(struct stream_sink *s, struct buf *b, uint32_t *place,
                         struct err *e)
{
    put_le32(b->p, (uint32_t)(b->n - sizeof *place));
    TRY(spool_add(s->spool, b->p, b->n, place, e));
    b->n = 0;
    return RC_OK;
}

/* Room for the size. */
static enum rc begin(struct buf *b, struct err *e)
{
    static const uint32_t size = 0;

    b->n = 0;
    return buf_add(b, &size, sizeof size, e);
}

static enum rc take_back(struct stream_sink *s, uint32_t place, struct buf *to,
                         struct err *e)
{
    uint8_t size[sizeof(uint32_t)];

    to->n = 0;
    TRY(spool_read(s->spool, place, 0, size, sizeof size, e));
    TRY(buf_reserve(to, le32(size), e));
    to->n = le32(size);
    return spool_read(s->spool, place, sizeof size, to->p, to->n, e);
}

/* Free pages are packed like any other: which ones count is known when the branches have
 * gone by, and bbolt writes those anywhere. */
static enum rc on_leaf(void *arg, const struct bolt_page *page, uint32_t *note,
                       struct err *e)
{
    struct stream_sink *s = arg;

    if (spool_lost(s->spool, NULL))
        return RC_OK;
    TRY(begin(&s->scratch, e));
    for (uint16_t i = 0; i < page->count; i++) {
        struct bolt_pair pair = bolt_leaf_at(page, i);

        if (!pair.is_bucket)
            TRY(mvcc_pack_add(&s->scratch, s->seed, pair.key, pair.value, e));
    }
    TRY(put_aside(s, &s->scratch, note, e));
    ++*note;
    return RC_OK;
}

static enum rc survey_write(struct sink *sink, const uint8_t *p, size_t n, struct err *e)
{
    struct stream_sink *s = (struct stream_sink *)sink;

    TRY(bolt_stream_write(s->stream, p, n, e));
    return sink_write(s->base.next, p, n, e);
}

/* ---- the tree, as the stream tells it --------------------------------------------- */

static enum rc put_steps_aside(struct stream_sink *s, struct err *e)
{
    uint32_t place;

    if (s->steps.n == 0)
        return RC_OK;
    TRY(put_aside(s, &s->steps, &place, e));
    return buf_add(&s->chunks, &place, sizeof place, e);
}

static enum rc step_add(struct stream_sink *s, const struct step *step, struct bytes key,
                        struct bytes value, struct err *e)
{
    if (s->steps.n == 0)
        TRY(begin(&s->steps, e));
    TRY(buf_add(&s->steps, step, sizeof *step, e));
    TRY(buf_add(&s->steps, key.p, key.n, e));
    TRY(buf_add(&s->steps, value.p, value.n, e));
    return s->steps.n < STEPS ? RC_OK : put_steps_aside(s, e);
}

static enum rc on_bucket(void *arg, struct bytes name, struct err *e)
{
    const struct step step = { .kind = STEP_BUCKET, .key = (uint32_t)name.n };

    return step_add(arg, &step, name, (struct bytes){ 0 }, e);
}

static enum rc on_reached(void *arg, uint64_t page, uint32_t note, struct err *e)
{
    const struct step step = { .kind = STEP_LEAF, .page = page, .key = note };

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

/* ---- all of it again -------------------------------------------------------------- */

/* One walk over what was put aside. End it with walk_end. */
struct walk {
    struct stream_sink *s;
    size_t chunk;      /* the next one */
    struct buf steps;  /* of the one before */
    struct bytes rest; /* of these */
    struct step step;  /* at hand, with what follows it */
    struct bytes key, value;
};

static void walk_end(struct walk *w)
{
    buf_clear(&w->steps);
}

static struct bytes split(struct bytes *rest, size_t n)
{
    struct bytes taken = { rest->p, n };

    *rest = (struct bytes){ rest->p + n, rest->n - n };
    return taken;
}

/* *more is false at the end. */
static enum rc walk_on(struct walk *w, bool *more, struct err *e)
{
    const struct buf *chunks = &w->s->chunks;
    uint32_t place;

    if (w->rest.n == 0 && w->chunk < chunks->n / sizeof place) {
        memcpy(&place, chunks->p + w->chunk++ * sizeof place, sizeof place);
        TRY(take_back(w->s, place, &w->steps, e));
        w->rest = (struct bytes){ w->steps.p, w->steps.n };
    }
    *more = w->rest.n > 0;
    if (!*more)
        return RC_OK;
    memcpy(&w->step, split(&w->rest, sizeof w->step).p, sizeof w->step);
    if (w->step.kind == STEP_LEAF)
        return RC_OK;
    w->key = split(&w->rest, w->step.key);
    w->value = split(&w->rest, w->step.value);
    return RC_OK;
}

typedef enum rc step_fn(const struct walk *w, void *arg, struct err *e);

static enum rc walk_all(struct stream_sink *s, step_fn *fn, void *arg, struct err *e)
{
    AT_END(walk_end) struct walk w = { .s = s };
    bool more;

    for (;;) {
        TRY(walk_on(&w, &more, e));
        if (!more)
            return RC_OK;
        TRY(fn(&w, arg, e));
    }
}

/* The pairs of the leaf at hand, until the next one's. */
static enum rc walk_pairs(const struct walk *w, struct bytes *pairs, struct err *e)
{
    struct stream_sink *s = w->s;

    *pairs = (struct bytes){ 0 };
    if (w->step.kind != STEP_LEAF || w->step.key == 0)
        return RC_OK;
    TRY(take_back(s, w->step.key - 1, &s->scratch, e));
    *pairs = (struct bytes){ s->scratch.p, s->scratch.n };
    return RC_OK;
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

struct marks {
    struct mvcc_assemble_options *o;
    bool inside; /* bucket meta */
};

static enum rc marks_of_leaf(const struct walk *w, struct marks *m, struct err *e)
{
    struct mvcc_packed pair;
    struct bytes pairs;

    TRY(walk_pairs(w, &pairs, e));
    while (mvcc_pack_next(&pairs, &pair))
        if (!pair.reduced)
            mark_take(pair.key, pair.value, m->o);
    return RC_OK;
}

static enum rc marks_step(const struct walk *w, void *arg, struct err *e)
{
    struct marks *m = arg;

    if (w->step.kind == STEP_BUCKET)
        m->inside = mvcc_bucket_find(w->key) == MVCC_META;
    else if (m->inside && w->step.kind == STEP_PAIR)
        mark_take(w->key, w->value, m->o);
    else if (m->inside)
        TRY(marks_of_leaf(w, m, e));
    return RC_OK;
}

struct feeding {
    struct mvcc_assemble *to;
    bool whole; /* every leaf was kept, and no pair of it taken for a record of bucket key
                 * that is none */
};

static enum rc feed_leaf(const struct walk *w, struct feeding *n, struct err *e)
{
    struct mvcc_packed pair;
    struct bytes pairs;

    n->whole &= w->step.key != 0;
    TRY(walk_pairs(w, &pairs, e));
    while (mvcc_pack_next(&pairs, &pair)) {
        if (!pair.reduced)
            TRY(mvcc_assemble_pair(n->to, pair.key, pair.value, w->step.page, e));
        else if (n->to->collect.bucket == MVCC_KEY)
            TRY(mvcc_assemble_record(n->to, &pair.record, w->step.page, e));
        else
            n->whole = false;
    }
    return RC_OK;
}

static enum rc feed_step(const struct walk *w, void *arg, struct err *e)
{
    struct feeding *n = arg;

    switch (w->step.kind) {
    case STEP_BUCKET:
        return mvcc_assemble_bucket(n->to, w->key, e);
    case STEP_LEAF:
        return feed_leaf(w, n, e);
    case STEP_PAIR:
        break;
    }
    return mvcc_assemble_pair(n->to, w->key, w->value, w->step.page, e);
}

/* ---- keys that did not fit -------------------------------------------------------- */

static enum rc repeat_pair(struct mvcc_history *h, struct bytes key, struct bytes value,
                           uint64_t page, struct err *e)
{
    uint32_t crc = mvcc_history_wants_crc(h) ? mvcc_pair_crc(key, value) : 0;

    return mvcc_history_pair(h, key, value, crc, page, e);
}

static enum rc repeat_leaf(const struct walk *w, struct mvcc_history *h, struct err *e)
{
    struct mvcc_packed pair;
    struct bytes pairs;

    TRY(walk_pairs(w, &pairs, e));
    while (mvcc_pack_next(&pairs, &pair))
        TRY(pair.reduced ? mvcc_history_add(h, &pair.record, w->step.page, e)
                         : repeat_pair(h, pair.key, pair.value, w->step.page, e));
    return RC_OK;
}

struct repeating {
    struct mvcc_history *to;
    bool inside; /* bucket key */
};

static enum rc repeat_step(const struct walk *w, void *arg, struct err *e)
{
    struct repeating *n = arg;

    if (w->step.kind == STEP_BUCKET)
        n->inside = mvcc_bucket_find(w->key) == MVCC_KEY;
    else if (n->inside && w->step.kind == STEP_PAIR)
        TRY(repeat_pair(n->to, w->key, w->value, w->step.page, e));
    else if (n->inside)
        TRY(repeat_leaf(w, n->to, e));
    return RC_OK;
}

static enum rc repeat_all(struct stream_sink *s, struct mvcc_assemble *a, bool complete,
                          struct err *e)
{
    const struct mvcc_lease_ids leases = mvcc_assemble_leases(a);
    const struct mvcc_lease_ids *known = complete ? &leases : NULL;
    bool again;

    TRY(mvcc_history_again(a->history, known, &again, e));
    while (again) {
        struct repeating n = { .to = a->history };

        TRY(walk_all(s, repeat_step, &n, e));
        TRY(mvcc_history_again(a->history, known, &again, e));
    }
    return RC_OK;
}

/* ---- together --------------------------------------------------------------------- */

/* From here on it is a survey as of a file. */
static enum rc assemble(struct stream_sink *s, bool undamaged, struct err *e)
{
    AT_END(mvcc_assemble_clear) struct mvcc_assemble a = { 0 };
    struct mvcc_assemble_options o = {
        .history = { .finished = MVCC_NEVER_COMPACTED,
                     .scheduled = MVCC_NEVER_COMPACTED,
                     .revision = s->options.revision,
                     .hash = true,
                     .checks = true },
        .status_hash = true,
    };
    /* The compaction marks are needed before the records and lie behind them. */
    struct marks marks = { .o = &o };
    struct feeding feeding = { .to = &a, .whole = true };

    TRY(walk_all(s, marks_step, &marks, e));
    TRY(mvcc_assemble_init(&a, &o, s->f, e));
    mvcc_history_seed(a.history, s->seed);
    mvcc_history_bound(a.history, s->options.keys_max);
    TRY(walk_all(s, feed_step, &feeding, e));
    TRY(repeat_all(s, &a, undamaged && feeding.whole, e));
    if (!feeding.whole)
        TRY(findings_add(s->f, FINDING_WARN, "not-checked", FINDING_NO_PAGE, e,
                         "pairs of a bucket could not be told from those of another"));
    return mvcc_assemble_finish(&a, undamaged && feeding.whole, s->out, e);
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

static enum rc not_checked(struct stream_sink *s, struct err *e)
{
    struct err why = { 0 };

    if (!spool_lost(s->spool, &why))
        (void)err_set(&why, RC_NOMEM,
                      "it has a page of more than %d MiB, or too many pages",
                      BOLT_STREAM_EXTENT_MAX >> 20);
    return findings_add(s->f, FINDING_WARN, "not-checked", FINDING_NO_PAGE, e,
                        "the database could not be checked in passing: %s", why.why);
}

/* Without a tree there is nothing to assemble; why, is among the findings. */
static enum rc conclude(struct stream_sink *s, struct err *e)
{
    size_t before = s->f->errors;
    struct bolt_walk_result walk;
    bool checked;

    TRY(bolt_stream_finish(s->stream, s->f, &walk, &checked, e));
    TRY(put_steps_aside(s, e));
    bool undamaged = s->f->errors == before;

    if (!checked || spool_lost(s->spool, NULL))
        TRY(not_checked(s, e));
    else if (undamaged || s->chunks.n > 0)
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

    buf_clear(&s->scratch);
    buf_clear(&s->steps);
    buf_clear(&s->chunks);
    spool_free(s->spool);
    bolt_stream_free(s->stream);
}

static const struct sink_ops survey_ops = {
    .name = "survey",
    .write = survey_write,
    .finish = survey_finish,
    .release = survey_release,
};

/* The pages' own facts are smaller than the records'. */
static enum rc set_up(struct stream_sink *s, struct err *e)
{
    const struct bolt_stream_visitor v = {
        .arg = s,
        .leaf = on_leaf,
        .bucket = on_bucket,
        .reached = on_reached,
        .inlined = on_inlined,
    };
    struct mvcc_stream_options *o = &s->options;
    size_t for_pages = o->memory_max / 4;
    struct spool_options records = { 0 };

    o->resident = o->resident == 0 ? RESIDENT : o->resident;
    o->keys_max = o->keys_max == 0 ? KEYS_MAX : o->keys_max;
    records.memory_max = o->memory_max - for_pages;
    records.resident = o->resident - o->resident / 3;
    TRY(os_random(s->seed, sizeof s->seed, e));
    TRY(spool_new(&records, &s->spool, e));
    return bolt_stream_new(&v, o->resident / 3 + 1,
                           o->memory_max == 0 ? 0 : for_pages + 1, &s->stream, e);
}

enum rc mvcc_stream_sink_new(struct sink *next, const struct mvcc_stream_options *o,
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
    if (o != NULL)
        s->options = *o;
    TRY(set_up(s, e));
    *sink = GIVE(chain);
    return RC_OK;
}
