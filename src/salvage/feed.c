/* What was saved, pair by pair: for a new database, or for etcd's state machine. */
#include "salvage/root.h"
#include "util/stop.h"

static bool raises_mark(const struct salvage_result *r)
{
    const struct salvage_pairs *meta = &r->buckets[MVCC_META].pairs;
    bool mended = r->history.gap_count > 0 || r->history.version_count > 0;

    return mended && r->history.compacted > salvage_mark_in(meta, MVCC_SCHEDULED_COMPACT);
}

static enum rc put_mark(const struct salvage_result *r, const struct bolt_visitor *to,
                        struct err *e)
{
    return to->pair(to->arg, bytes_str(MVCC_SCHEDULED_COMPACT),
                    (struct bytes){ r->mark, sizeof r->mark }, FINDING_NO_PAGE, e);
}

/* In its place among the others, and instead of an older one. */
static enum rc feed_meta(const struct salvage_result *r, const struct bolt_visitor *to,
                         struct err *e)
{
    const struct salvage_pairs *meta = &r->buckets[MVCC_META].pairs;
    struct bytes mark = bytes_str(MVCC_SCHEDULED_COMPACT);
    bool pending = raises_mark(r), raised = pending;

    for (size_t i = 0; i < meta->count; i++) {
        const struct salvage_pair *x = &meta->items[i];

        if (pending && bytes_compare(mark, x->key) <= 0) {
            TRY(put_mark(r, to, e));
            pending = false;
        }
        if (!raised || !bytes_equal(x->key, mark))
            TRY(to->pair(to->arg, x->key, x->value, x->page, e));
    }
    return pending ? put_mark(r, to, e) : RC_OK;
}

static enum rc feed_bucket(const struct salvage_bucket *b, const struct bolt_visitor *to,
                           struct err *e)
{
    for (size_t i = 0; i < b->pairs.count; i++) {
        const struct salvage_pair *x = &b->pairs.items[i];

        if (i % 4096 == 0)
            TRY(stop_check(e));
        TRY(to->pair(to->arg, x->key, x->value, x->page, e));
    }
    return RC_OK;
}

enum rc salvage_feed(const struct salvage_result *r, const struct bolt_visitor *to,
                     struct err *e)
{
    for (int b = 0; b < MVCC_BUCKETS; b++) {
        TRY(to->bucket(to->arg, bytes_str(mvcc_bucket_name((enum mvcc_bucket)b)), e));
        TRY(b == MVCC_META ? feed_meta(r, to, e) : feed_bucket(&r->buckets[b], to, e));
    }
    return RC_OK;
}

/* ---- as a database ----------------------------------------------------------------- */

static enum rc begin(void *arg, struct bytes name, struct err *e)
{
    return bolt_builder_bucket(arg, name, e);
}

static enum rc put(void *arg, struct bytes key, struct bytes value, uint64_t page,
                   struct err *e)
{
    (void)page;
    return bolt_builder_pair(arg, key, value, e);
}

enum rc salvage_write(const struct salvage_result *r, const struct bolt_target *to,
                      uint64_t *size, struct err *e)
{
    const struct bolt_build_options options = { .page_size = r->image.page_size };
    OWNED(bolt_builder) builder = NULL;

    TRY(bolt_builder_new(to, &options, &builder, e));

    const struct bolt_visitor visitor = { builder, begin, put };

    TRY(salvage_feed(r, &visitor, e));
    return bolt_builder_finish(builder, size, e);
}
