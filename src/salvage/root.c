#include "salvage/root.h"

/* ---- the root bucket --------------------------------------------------------------- */

static void view_leaf(struct salvage_view *v, const struct bolt_page *page)
{
    for (uint16_t n = 0; n < page->count; n++) {
        struct bolt_pair pair = bolt_leaf_at(page, n);
        enum mvcc_bucket b = mvcc_bucket_find(pair.key);
        struct bolt_fault fault;

        if (b == MVCC_BUCKETS) {
            v->unknown++;
            continue;
        }
        v->pages[b] = page->id;
        v->has[b] =
            pair.is_bucket && bolt_bucket_examine(pair.value, &v->buckets[b], &fault);
        v->known += v->has[b];
    }
}

/* A root bucket is one leaf, unless many small buckets lie in it. */
enum rc salvage_view_read(struct salvage_result *r, uint64_t id, struct salvage_view *out,
                          struct err *e)
{
    AT_END(salvage_tree_clear) struct salvage_tree t = { 0 };

    *out = (struct salvage_view){ 0 };
    TRY(salvage_tree_walk(&r->image, id, &r->seen, &t, e));
    for (size_t i = 0; i < t.count; i++)
        if (t.spans[i].state == SALVAGE_SOUND)
            view_leaf(out, &t.spans[i].leaf);
    return RC_OK;
}

enum rc salvage_view_tree(struct salvage_result *r, const struct salvage_view *v,
                          enum mvcc_bucket b, struct salvage_tree *out, struct err *e)
{
    if (!v->has[b])
        return salvage_tree_none(out, e);
    if (v->buckets[b].root == 0)
        return salvage_tree_inline(&v->buckets[b].inlined, v->pages[b], out, e);
    return salvage_tree_walk(&r->image, v->buckets[b].root, &r->seen, out, e);
}

static enum rc read_bucket(struct salvage_result *r, const struct salvage_view *v,
                           enum mvcc_bucket b, struct salvage_bucket *out, struct err *e)
{
    *out = (struct salvage_bucket){ .bucket = b };
    TRY(salvage_view_tree(r, v, b, &out->tree, e));
    return salvage_bucket_read(out, e);
}

uint64_t salvage_index_in(const struct salvage_pairs *meta)
{
    const struct salvage_pair *x =
        salvage_pairs_find(meta, bytes_str(MVCC_CONSISTENT_INDEX));
    struct err ignored;
    uint64_t index;

    return x != NULL && mvcc_u64_read(x->value, &index, &ignored) == RC_OK ? index : 0;
}

int64_t salvage_mark_in(const struct salvage_pairs *meta, const char *name)
{
    const struct salvage_pair *x = salvage_pairs_find(meta, bytes_str(name));
    struct err ignored;
    int64_t revision;

    if (x == NULL || mvcc_compact_rev_read(x->value, &revision, &ignored) != RC_OK)
        return MVCC_NEVER_COMPACTED;
    return revision;
}

/* ---- how new it is ----------------------------------------------------------------- */

/* A commit without an entry of the log only moves a compaction on. */
struct age {
    uint64_t index;
    int64_t scheduled, finished;
};

static bool is_newer(const struct age *a, const struct age *b)
{
    if (a->index != b->index)
        return a->index > b->index;
    if (a->scheduled != b->scheduled)
        return a->scheduled > b->scheduled;
    return a->finished > b->finished;
}

static int64_t larger_mark(const struct age *a)
{
    return a->scheduled > a->finished ? a->scheduled : a->finished;
}

static enum rc age_of(struct salvage_result *r, const struct salvage_view *v,
                      struct age *out, uint64_t *steps, struct err *e)
{
    AT_END(salvage_bucket_clear) struct salvage_bucket meta = { 0 };

    TRY(read_bucket(r, v, MVCC_META, &meta, e));
    *steps += meta.tree.visited + meta.pairs.count + 1;
    *out = (struct age){
        .index = salvage_index_in(&meta.pairs),
        .scheduled = salvage_mark_in(&meta.pairs, MVCC_SCHEDULED_COMPACT),
        .finished = salvage_mark_in(&meta.pairs, MVCC_FINISHED_COMPACT),
    };
    return RC_OK;
}

/* ---- does one commit go on from another? ------------------------------------------- */

static bool is_sound(const struct salvage_bucket *b)
{
    return b->tree.lost == 0 && b->damaged.count == 0;
}

static enum rc check_whole(struct salvage_result *r, const struct salvage_view *v,
                           bool *whole, struct err *e)
{
    *whole = v->unknown == 0;
    for (int b = 0; b < MVCC_BUCKETS && *whole; b++) {
        AT_END(salvage_bucket_clear) struct salvage_bucket bucket = { 0 };

        if (v->has[b])
            TRY(read_bucket(r, v, (enum mvcc_bucket)b, &bucket, e));
        *whole = !v->has[b] || is_sound(&bucket);
    }
    return RC_OK;
}

static bool explains(const struct age *from, const struct age *to, int64_t main)
{
    bool idle = to->finished == to->scheduled && to->finished == from->finished;

    return !idle && main <= larger_mark(to);
}

static bool has_pair(const struct salvage_pairs *p, const struct salvage_pair *x)
{
    const struct salvage_pair *found = salvage_pairs_find(p, x->key);

    return found != NULL && bytes_equal(found->value, x->value);
}

/* All records are there that no compaction removed since, and none has slipped in before
 * the newest of them. */
static bool records_go_on(const struct salvage_bucket *from,
                          const struct salvage_bucket *to, const struct age *before,
                          const struct age *after)
{
    struct bytes newest = { 0 };

    for (size_t i = 0; i < from->pairs.count; i++) {
        const struct salvage_pair *x = &from->pairs.items[i];

        newest = x->key;
        if (!has_pair(&to->pairs, x) && !explains(before, after, (int64_t)be64(x->key.p)))
            return false;
    }
    for (size_t i = 0; from->tree.lost == 0 && i < to->pairs.count; i++) {
        const struct salvage_pair *x = &to->pairs.items[i];

        if (newest.n > 0 && bytes_compare(x->key, newest) < 0 &&
            salvage_pairs_find(&from->pairs, x->key) == NULL)
            return false;
    }
    return true;
}

static enum rc check_records(struct salvage_result *r, const struct salvage_view *from,
                             const struct salvage_view *to, bool *good, struct err *e)
{
    AT_END(salvage_bucket_clear) struct salvage_bucket a = { 0 };
    AT_END(salvage_bucket_clear) struct salvage_bucket b = { 0 };
    struct age before, after;
    uint64_t steps = 0;

    TRY(age_of(r, from, &before, &steps, e));
    TRY(age_of(r, to, &after, &steps, e));
    TRY(read_bucket(r, from, MVCC_KEY, &a, e));
    TRY(read_bucket(r, to, MVCC_KEY, &b, e));
    *good = records_go_on(&a, &b, &before, &after);
    return RC_OK;
}

/* A database that was restored has other members than the one that its free pages are
 * of. */
static enum rc check_members(struct salvage_result *r, const struct salvage_view *from,
                             const struct salvage_view *to, bool *good, struct err *e)
{
    AT_END(salvage_bucket_clear) struct salvage_bucket was = { 0 };
    AT_END(salvage_bucket_clear) struct salvage_bucket is = { 0 };
    AT_END(salvage_bucket_clear) struct salvage_bucket gone = { 0 };

    TRY(read_bucket(r, from, MVCC_MEMBERS, &was, e));
    TRY(read_bucket(r, to, MVCC_MEMBERS, &is, e));
    TRY(read_bucket(r, to, MVCC_MEMBERS_REMOVED, &gone, e));
    *good = true;
    for (size_t i = 0; i < was.pairs.count && *good; i++)
        *good = salvage_pairs_find(&is.pairs, was.pairs.items[i].key) != NULL ||
                salvage_pairs_find(&gone.pairs, was.pairs.items[i].key) != NULL;
    return RC_OK;
}

static enum rc goes_on(struct salvage_result *r, const struct salvage_view *from,
                       const struct salvage_view *to, bool *good, struct err *e)
{
    TRY(check_whole(r, to, good, e));
    if (*good)
        TRY(check_members(r, from, to, good, e));
    return *good ? check_records(r, from, to, good, e) : RC_OK;
}

/* ---- all root pages ---------------------------------------------------------------- */

struct candidate {
    struct salvage_view view;
    struct age age;
};

/* A file made to take longer is looked at so far and no further. */
enum { STEPS_A_PAGE = 64, NEWER_MAX = 8 };

/* The newest below `limit`, when there is one; of its pages the one that shows most. */
static enum rc find_newest(struct salvage_result *r, const struct age *limit,
                           struct candidate *out, struct err *e)
{
    uint64_t steps = 0, most = STEPS_A_PAGE * (r->image.pages + 1);

    *out = (struct candidate){ 0 };
    for (size_t i = 0; i < r->scan.roots.count && steps < most; i++) {
        struct candidate c;
        bool first = out->view.known == 0;

        TRY(salvage_view_read(r, r->scan.roots.items[i], &c.view, e));
        if (c.view.known == 0)
            continue;
        TRY(age_of(r, &c.view, &c.age, &steps, e));
        if (limit != NULL && !is_newer(limit, &c.age))
            continue;
        if (first || is_newer(&c.age, &out->age) ||
            (!is_newer(&out->age, &c.age) && c.view.known > out->view.known))
            *out = c;
    }
    return RC_OK;
}

static enum rc find_newer(struct salvage_result *r, struct salvage_view *v,
                          struct salvage_view *older, struct err *e)
{
    uint64_t steps = 0;
    struct candidate c;
    struct age own;

    TRY(age_of(r, v, &own, &steps, e));
    TRY(find_newest(r, NULL, &c, e));
    for (unsigned n = 0; n < NEWER_MAX; n++) {
        struct age limit = c.age;
        bool good = false;

        if (c.view.known == 0 || !is_newer(&c.age, &own))
            return RC_OK;
        TRY(goes_on(r, v, &c.view, &good, e));
        if (good) {
            *older = *v;
            *v = c.view;
            r->root = SALVAGE_ROOT_NEWER;
            r->newest_commit = true;
            return RC_OK;
        }
        TRY(find_newest(r, &limit, &c, e));
    }
    return RC_OK;
}

/* ---- together ---------------------------------------------------------------------- */

static enum rc find_any(struct salvage_result *r, struct salvage_view *v, struct err *e)
{
    struct candidate c;

    TRY(find_newest(r, NULL, &c, e));
    r->root = c.view.known > 0 ? SALVAGE_ROOT_FOUND : SALVAGE_ROOT_NONE;
    *v = c.view;
    return RC_OK;
}

enum rc salvage_root_choose(struct salvage_result *r, bool before, struct salvage_view *v,
                            struct salvage_view *older, struct err *e)
{
    const struct salvage_image *i = &r->image;
    bool two = i->metas_good > 1 && i->metas[1].root != i->metas[0].root;

    *older = *v = (struct salvage_view){ 0 };
    if (i->metas_good > 0 && !before)
        TRY(salvage_view_read(r, i->metas[0].root, v, e));
    if (two)
        TRY(salvage_view_read(r, i->metas[1].root, older, e));
    r->root = SALVAGE_ROOT_IN_FORCE;
    r->newest_commit = i->metas_good > 1 || r->meta_proved;
    if (v->known > 0)
        return r->newest_commit ? RC_OK : find_newer(r, v, older, e);
    *v = *older;
    *older = (struct salvage_view){ 0 };
    r->root = SALVAGE_ROOT_BEFORE;
    r->newest_commit = false;
    return v->known > 0 ? RC_OK : find_any(r, v, e);
}
