#include "salvage/scan.h"

#include "salvage/shape.h"
#include "util/mem.h"
#include "util/stop.h"

static enum rc add_id(struct salvage_ids *ids, uint64_t id, struct err *e)
{
    if (ids->count == ids->capacity) {
        size_t more = ids->capacity == 0 ? 64 : ids->capacity * 2;
        uint64_t *grown = mem_resize(ids->items, more, sizeof *grown);

        if (grown == NULL)
            return err_set(e, RC_NOMEM, "no memory for %zu page ids", more);
        ids->items = grown;
        ids->capacity = more;
    }
    ids->items[ids->count++] = id;
    return RC_OK;
}

static enum rc add_leaf(struct salvage_scan *s, const struct bolt_page *page,
                        struct err *e)
{
    enum mvcc_bucket bucket = salvage_shape_of(page);

    if (bucket == MVCC_BUCKETS)
        return RC_OK;
    if (s->count == s->capacity) {
        size_t more = s->capacity == 0 ? 64 : s->capacity * 2;
        struct salvage_leaf *grown = mem_resize(s->leaves, more, sizeof *grown);

        if (grown == NULL || more > UINT32_MAX) {
            s->leaves = grown == NULL ? s->leaves : grown;
            return err_set(e, RC_NOMEM, "no memory for %zu leaves", more);
        }
        s->leaves = grown;
        s->capacity = more;
    }
    s->leaves[s->count++] = (struct salvage_leaf){ .page = *page, .bucket = bucket };
    return RC_OK;
}

static enum rc add_page(struct salvage_scan *s, const struct bolt_page *page,
                        struct err *e)
{
    if (salvage_shape_root(page))
        return add_id(&s->roots, page->id, e);
    if (page->kind == BOLT_PAGE_BRANCH)
        return salvage_shape_branch(page) ? add_id(&s->branches, page->id, e) : RC_OK;
    return add_leaf(s, page, e);
}

enum rc salvage_scan_run(const struct salvage_image *i, struct salvage_scan *out,
                         struct err *e)
{
    struct bolt_page page;

    for (uint64_t id = 2; id < i->pages; id++) {
        if (id % 1024 == 0)
            TRY(stop_check(e));
        if (salvage_image_page(i, id, &page))
            TRY(add_page(out, &page, e));
    }
    return RC_OK;
}

void salvage_scan_clear(struct salvage_scan *s)
{
    mem_free(s->leaves);
    mem_free(s->roots.items);
    mem_free(s->branches.items);
    *s = (struct salvage_scan){ 0 };
}

/* ---- who holds them ---------------------------------------------------------------- */

static struct salvage_leaf *leaf_of(struct salvage_scan *s, uint64_t id)
{
    size_t from = 0, to = s->count;

    while (from < to) {
        size_t middle = from + (to - from) / 2;

        if (s->leaves[middle].page.id < id)
            from = middle + 1;
        else
            to = middle;
    }
    return from < s->count && s->leaves[from].page.id == id ? &s->leaves[from] : NULL;
}

void salvage_scan_claim(struct salvage_scan *s, const struct salvage_tree *t)
{
    for (size_t i = 0; i < t->count; i++) {
        const struct salvage_span *span = &t->spans[i];
        struct salvage_leaf *leaf =
            span->state == SALVAGE_SOUND ? leaf_of(s, span->page) : NULL;

        if (leaf != NULL && leaf->page.p == span->leaf.p)
            leaf->claimed = true;
    }
}

static uint64_t end_of(const struct salvage_leaf *l)
{
    return l->page.id + 1 + l->page.overflow;
}

static void settle_pair(struct salvage_leaf *outer, struct salvage_leaf *inner)
{
    if (outer->claimed)
        inner->torn = true;
    else if (inner->claimed)
        outer->torn = true;
    else
        outer->nested = inner->nested = true;
}

/* The leaf that reaches furthest so far meets each one that begins in it; with a claimed
 * one apart, for what lies in it is a value whatever else lies there. */
void salvage_scan_settle(struct salvage_scan *s)
{
    struct salvage_leaf *loose = NULL, *held = NULL;

    for (size_t i = 0; i < s->count; i++) {
        struct salvage_leaf *l = &s->leaves[i];

        if (held != NULL && end_of(held) > l->page.id)
            settle_pair(held, l);
        if (loose != NULL && end_of(loose) > l->page.id)
            settle_pair(loose, l);
        if (l->claimed && (held == NULL || end_of(l) > end_of(held)))
            held = l;
        if (!l->claimed && !l->torn && (loose == NULL || end_of(l) > end_of(loose)))
            loose = l;
    }
}
