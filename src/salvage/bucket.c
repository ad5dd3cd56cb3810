#include "salvage/bucket.h"

#include <stdlib.h>

#include "defrag/keep.h"
#include "salvage/shape.h"
#include "util/mem.h"
#include "util/stop.h"

void salvage_bucket_clear(struct salvage_bucket *b)
{
    salvage_tree_clear(&b->tree);
    salvage_tree_clear(&b->older);
    salvage_pairs_clear(&b->pairs);
    salvage_pairs_clear(&b->damaged);
    salvage_pairs_clear(&b->doubtful);
}

/* ---- what the trees hold ----------------------------------------------------------- */

/* A pair of the leaf, if it can be one of bucket `b`. */
static bool fits(enum mvcc_bucket b, const struct bolt_pair *pair)
{
    return !pair->is_bucket && salvage_shape_fits(b, pair->key, pair->value);
}

static enum rc take_span(struct salvage_bucket *b, const struct salvage_span *span,
                         struct err *e)
{
    for (uint16_t i = 0; i < span->leaf.count; i++) {
        struct bolt_pair pair = bolt_leaf_at(&span->leaf, i);
        const struct salvage_pair x = { pair.key, pair.value, span->page, SALVAGE_TREE,
                                        0 };

        TRY(salvage_pairs_add(fits(b->bucket, &pair) ? &b->pairs : &b->damaged, &x, e));
    }
    return RC_OK;
}

enum rc salvage_bucket_read(struct salvage_bucket *b, struct err *e)
{
    for (size_t i = 0; i < b->tree.count; i++)
        if (b->tree.spans[i].state == SALVAGE_SOUND)
            TRY(take_span(b, &b->tree.spans[i], e));
    return RC_OK;
}

static bool is_lost(const struct salvage_tree *t, struct bytes key)
{
    return salvage_tree_find(t, key)->state != SALVAGE_SOUND;
}

static enum rc take_older_span(struct salvage_bucket *b, const struct salvage_span *span,
                               struct err *e)
{
    for (uint16_t i = 0; i < span->leaf.count; i++) {
        struct bolt_pair pair = bolt_leaf_at(&span->leaf, i);
        const struct salvage_pair x = { pair.key, pair.value, span->page, SALVAGE_OLDER,
                                        0 };

        if (fits(b->bucket, &pair) && is_lost(&b->tree, pair.key))
            TRY(salvage_pairs_add(&b->pairs, &x, e));
    }
    return RC_OK;
}

static enum rc take_older(struct salvage_bucket *b, struct err *e)
{
    for (size_t i = 0; i < b->older.count; i++)
        if (b->older.spans[i].state == SALVAGE_SOUND)
            TRY(take_older_span(b, &b->older.spans[i], e));
    return RC_OK;
}

/* ---- strays ------------------------------------------------------------------------ */

static struct bolt_pair pair_at(const struct salvage_leaf *l, uint16_t i)
{
    return bolt_leaf_at(&l->page, i);
}

/* Two leaves apart from each other: only then can a page that was lost at the top have
 * been a branch. */
static bool may_be_branch(const struct salvage_scan *s, enum mvcc_bucket bucket)
{
    struct bytes least = { 0 }, most = { 0 };

    for (size_t i = 0; i < s->count; i++) {
        const struct salvage_leaf *l = &s->leaves[i];
        struct bytes first, last;

        if (!salvage_leaf_loose(l, bucket))
            continue;
        first = pair_at(l, 0).key;
        last = pair_at(l, (uint16_t)(l->page.count - 1)).key;
        if (least.n == 0 || bytes_compare(last, least) < 0)
            least = last;
        if (most.n == 0 || bytes_compare(first, most) > 0)
            most = first;
    }
    return least.n > 0 && bytes_compare(least, most) < 0;
}

static void judge_top(struct salvage_bucket *b, const struct salvage_scan *s)
{
    struct salvage_span *top = &b->tree.spans[0];

    if (b->tree.count == 1 && top->state == SALVAGE_BRANCH_LOST &&
        top->page != FINDING_NO_PAGE && !may_be_branch(s, b->bucket))
        top->state = SALVAGE_LEAF_LOST;
}

/* The main revision of a key of bucket key; all that reads as one has passed by then. */
static int64_t main_of(struct bytes key)
{
    return (int64_t)be64(key.p);
}

/* ---- what the tree contradicts ----------------------------------------------------- */

static struct bytes newest_of(const struct salvage_bucket *b)
{
    return b->pairs.count == 0 ? (struct bytes){ 0 }
                               : b->pairs.items[b->pairs.count - 1].key;
}

/* Above the compaction nothing goes, so what a sound leaf lacks was never there; below
 * it, and above, what it has is so. */
static bool disagrees(const struct salvage_bucket *b, const struct bolt_pair *pair,
                      int64_t removed, struct bytes newest)
{
    const struct salvage_pair *have = salvage_pairs_find(&b->pairs, pair->key);

    if (have != NULL)
        return !bytes_equal(have->value, pair->value);
    return main_of(pair->key) > removed && bytes_compare(pair->key, newest) < 0 &&
           !is_lost(&b->tree, pair->key);
}

/* Where the lives part is not before the newest record that the tree has up to there. */
static void lower_to_tree(struct salvage_bucket *b)
{
    size_t at = b->pairs.count;

    if (b->alien_from == INT64_MAX)
        return;
    while (at > 0 && main_of(b->pairs.items[at - 1].key) >= b->alien_from)
        at--;
    b->alien_from = at == 0 ? 0 : main_of(b->pairs.items[at - 1].key) + 1;
}

static void find_aliens(struct salvage_bucket *b, struct salvage_scan *s, int64_t removed)
{
    struct bytes newest = newest_of(b);

    b->alien_from = INT64_MAX;
    for (size_t n = 0; n < s->count; n++) {
        struct salvage_leaf *l = &s->leaves[n];

        for (uint16_t i = 0; salvage_leaf_loose(l, MVCC_KEY) && i < l->page.count; i++) {
            struct bolt_pair pair = pair_at(l, i);

            if (l->nested || !fits(MVCC_KEY, &pair) ||
                !disagrees(b, &pair, removed, newest))
                continue;
            l->alien = true;
            if (main_of(pair.key) < b->alien_from)
                b->alien_from = main_of(pair.key);
        }
    }
    lower_to_tree(b);
}

static bool leaf_contradicts(const struct salvage_bucket *b, const struct salvage_leaf *l,
                             int64_t removed, struct bytes newest)
{
    for (uint16_t i = 0; i < l->page.count; i++) {
        struct bolt_pair pair = pair_at(l, i);

        if (fits(MVCC_KEY, &pair) && main_of(pair.key) > removed &&
            (newest.n == 0 || bytes_compare(pair.key, newest) < 0) &&
            salvage_pairs_find(&b->pairs, pair.key) == NULL)
            return true;
    }
    return false;
}

bool salvage_bucket_contradicted(const struct salvage_bucket *b,
                                 const struct salvage_scan *s, int64_t removed)
{
    struct bytes newest = newest_of(b);

    for (size_t i = 0; i < s->count; i++)
        if (salvage_leaf_loose(&s->leaves[i], MVCC_KEY) && !s->leaves[i].nested &&
            leaf_contradicts(b, &s->leaves[i], removed, newest))
            return true;
    return false;
}

bool salvage_bucket_is_newest(const struct salvage_bucket *b,
                              const struct salvage_scan *s)
{
    struct bytes newest = newest_of(b);

    for (size_t i = 0; i < s->count; i++) {
        const struct salvage_leaf *l = &s->leaves[i];

        if (salvage_leaf_loose(l, MVCC_KEY) &&
            bytes_compare(pair_at(l, (uint16_t)(l->page.count - 1)).key, newest) > 0)
            return false;
    }
    return true;
}

/* Nothing is missing between two records that follow each other; before what a restore
 * with a raised revision leaves there may be any number of unused ones. */
static bool follow_each_other(const struct salvage_pairs *p)
{
    for (size_t i = 1; i < p->count; i++)
        if (p->items[i].value.n > 0 &&
            main_of(p->items[i].key) > main_of(p->items[i - 1].key) + 1)
            return false;
    return true;
}

bool salvage_bucket_is_part(const struct salvage_bucket *b, const struct salvage_scan *s)
{
    if (b->pairs.count == 0 || b->tree.lost > 0 || !follow_each_other(&b->pairs))
        return false;
    for (size_t i = 0; i < s->count; i++) {
        const struct salvage_leaf *l = &s->leaves[i];

        if (salvage_leaf_loose(l, MVCC_KEY) && !l->nested &&
            bytes_compare(pair_at(l, 0).key, b->pairs.items[0].key) < 0)
            return true;
    }
    return false;
}

/* ---- which strays to take ---------------------------------------------------------- */

enum belief { TAKE, DOUBT, IGNORE };

static bool older_answers(const struct salvage_bucket *b, struct bytes key)
{
    return b->older.count > 0 && !is_lost(&b->older, key);
}

/* Before anything is known about how old the leaf is. */
static enum belief believe(const struct salvage_bucket *b, const struct salvage_leaf *l,
                           struct bytes key, const struct salvage_compaction *c)
{
    enum salvage_span_state state = salvage_tree_find(&b->tree, key)->state;

    if (state == SALVAGE_SOUND)
        return IGNORE;
    if (l->nested)
        return DOUBT;
    if (b->bucket == MVCC_KEY && (l->alien || main_of(key) >= b->alien_from))
        return DOUBT;
    if (b->bucket == MVCC_KEY && main_of(key) > c->removed)
        return TAKE;
    if (older_answers(b, key))
        return IGNORE;
    return state == SALVAGE_LEAF_LOST ? DOUBT : TAKE;
}

static enum rc take_leaf(struct salvage_bucket *b, const struct salvage_scan *s,
                         uint32_t leaf, const struct salvage_compaction *c, struct err *e)
{
    const struct salvage_leaf *l = &s->leaves[leaf];

    for (uint16_t i = 0; i < l->page.count; i++) {
        struct bolt_pair pair = pair_at(l, i);
        const struct salvage_pair x = { pair.key, pair.value, l->page.id, SALVAGE_STRAY,
                                        leaf };
        enum belief belief;

        if (!fits(b->bucket, &pair))
            continue;
        belief = believe(b, l, pair.key, c);
        if (belief != IGNORE)
            TRY(salvage_pairs_add(belief == TAKE ? &b->pairs : &b->doubtful, &x, e));
    }
    return RC_OK;
}

static enum rc take_strays(struct salvage_bucket *b, const struct salvage_scan *s,
                           const struct salvage_compaction *c, struct err *e)
{
    for (size_t i = 0; i < s->count; i++) {
        if (i % 1024 == 0)
            TRY(stop_check(e));
        if (salvage_leaf_loose(&s->leaves[i], b->bucket))
            TRY(take_leaf(b, s, (uint32_t)i, c, e));
    }
    return RC_OK;
}

/* ---- which strays are older than the compaction ------------------------------------ */

/* Ends of all loose leaves of bucket key, in order. */
struct ends {
    struct bytes *firsts, *lasts;
    size_t count;
};

static void ends_end(struct ends *x)
{
    mem_free(x->firsts);
    mem_free(x->lasts);
}

static int by_bytes(const void *a, const void *b)
{
    const struct bytes *x = a, *y = b;

    return bytes_compare(*x, *y);
}

static enum rc list_ends(const struct salvage_scan *s, struct ends *out, struct err *e)
{
    TRY(mem_new(&out->firsts, (s->count + 1) * sizeof *out->firsts, "leaves", e));
    TRY(mem_new(&out->lasts, (s->count + 1) * sizeof *out->lasts, "leaves", e));
    for (size_t i = 0; i < s->count; i++) {
        const struct salvage_leaf *l = &s->leaves[i];

        if (!salvage_leaf_loose(l, MVCC_KEY) || l->nested)
            continue;
        out->firsts[out->count] = pair_at(l, 0).key;
        out->lasts[out->count++] = pair_at(l, (uint16_t)(l->page.count - 1)).key;
    }
    qsort(out->firsts, out->count, sizeof *out->firsts, by_bytes);
    qsort(out->lasts, out->count, sizeof *out->lasts, by_bytes);
    return RC_OK;
}

static bool is_inside(const struct salvage_leaf *l, struct bytes key)
{
    return bytes_compare(pair_at(l, 0).key, key) < 0 &&
           bytes_compare(key, pair_at(l, (uint16_t)(l->page.count - 1)).key) < 0;
}

/* Of sorted pairs, those from `from` on with the same key: how many loose leaves hold it
 * between others? */
static size_t holders(const struct salvage_pairs *p, const struct salvage_scan *s,
                      size_t from, size_t *to)
{
    size_t n = 0, i = from;

    for (; i < p->count && bytes_equal(p->items[i].key, p->items[from].key); i++)
        if (p->items[i].origin == SALVAGE_STRAY)
            n += is_inside(&s->leaves[p->items[i].leaf], p->items[i].key);
    *to = i;
    return n;
}

static void mark_stale(const struct salvage_pairs *p, struct salvage_scan *s, size_t from,
                       size_t to)
{
    for (size_t i = from; i < to; i++)
        if (p->items[i].origin == SALVAGE_STRAY)
            s->leaves[p->items[i].leaf].stale = true;
}

/* Sweeps over the records in order: where more leaves span one than hold it, it had been
 * removed. */
static enum rc find_removed(const struct salvage_pairs *p, struct salvage_scan *s,
                            const struct salvage_compaction *c, struct err *e)
{
    AT_END(ends_end) struct ends ends = { 0 };
    size_t begun = 0, over = 0;

    TRY(list_ends(s, &ends, e));
    for (size_t i = 0, next; i < p->count && main_of(p->items[i].key) <= c->removed;
         i = next) {
        struct bytes key = p->items[i].key;
        size_t held = holders(p, s, i, &next);

        while (begun < ends.count && bytes_compare(ends.firsts[begun], key) < 0)
            begun++;
        while (over < ends.count && bytes_compare(ends.lasts[over], key) <= 0)
            over++;
        if (begun > over && begun - over > held)
            mark_stale(p, s, i, next);
    }
    return RC_OK;
}

/* Those that the compaction had to remove, of the pairs in order, each key once. */
static enum rc find_superseded(const struct salvage_pairs *p, struct salvage_scan *s,
                               int64_t settled, struct err *e)
{
    const struct defrag_keep_rule rule = { .revision = settled };
    OWNED(defrag_keep) keep = NULL;
    uint64_t ordinal = 0;

    if (settled < 1)
        return RC_OK;
    TRY(defrag_keep_new(&rule, &keep, e));
    for (size_t i = 0; i < p->count; i++)
        if (i == 0 || !bytes_equal(p->items[i].key, p->items[i - 1].key))
            TRY(defrag_keep_add(keep, p->items[i].key, p->items[i].value, e));
    defrag_keep_settle(keep);
    for (size_t i = 0; i < p->count; i++) {
        ordinal += i > 0 && !bytes_equal(p->items[i].key, p->items[i - 1].key);
        if (!defrag_keep_has(keep, ordinal))
            mark_stale(p, s, i, i + 1);
    }
    return RC_OK;
}

/* Takes back what only leaves from before the compaction have. */
static enum rc drop_stale(struct salvage_bucket *b, const struct salvage_scan *s,
                          const struct salvage_compaction *c, struct err *e)
{
    size_t kept = 0;

    for (size_t i = 0; i < b->pairs.count; i++) {
        const struct salvage_pair *x = &b->pairs.items[i];
        bool below = x->origin == SALVAGE_STRAY && main_of(x->key) <= c->removed;

        if (below && s->leaves[x->leaf].stale)
            TRY(salvage_pairs_add(&b->doubtful, x, e));
        else
            b->pairs.items[kept++] = *x;
    }
    b->pairs.count = kept;
    return RC_OK;
}

/* Strays that disagree with each other are of two lives, and nobody can say which is
 * which from there on. */
static void find_forks(struct salvage_bucket *b)
{
    for (size_t i = 1; i < b->pairs.count; i++) {
        const struct salvage_pair *x = &b->pairs.items[i], *y = x - 1;

        if (salvage_pairs_rival(x, y, true) && main_of(x->key) < b->alien_from &&
            (!bytes_equal(x->key, y->key) || !bytes_equal(x->value, y->value)))
            b->alien_from = main_of(x->key);
    }
}

/* Takes back what may be of another life. */
static enum rc drop_forks(struct salvage_bucket *b, struct err *e)
{
    size_t kept = 0;

    find_forks(b);
    for (size_t i = 0; i < b->pairs.count; i++) {
        const struct salvage_pair *x = &b->pairs.items[i];

        if (x->origin == SALVAGE_STRAY && main_of(x->key) >= b->alien_from)
            TRY(salvage_pairs_add(&b->doubtful, x, e));
        else
            b->pairs.items[kept++] = *x;
    }
    b->pairs.count = kept;
    return RC_OK;
}

static enum rc weigh(struct salvage_bucket *b, struct salvage_scan *s,
                     const struct salvage_compaction *c, struct err *e)
{
    TRY(drop_forks(b, e));
    TRY(find_removed(&b->pairs, s, c, e));
    TRY(find_superseded(&b->pairs, s, c->settled, e));
    TRY(drop_stale(b, s, c, e));
    return RC_OK;
}

/* ---- together ---------------------------------------------------------------------- */

/* Doubts about what was taken from elsewhere are none. */
static void forget_settled_doubts(struct salvage_bucket *b)
{
    size_t kept = 0;

    for (size_t i = 0; i < b->doubtful.count; i++) {
        const struct salvage_pair *x = &b->doubtful.items[i];
        const struct salvage_pair *taken = salvage_pairs_find(&b->pairs, x->key);

        if (taken == NULL || !bytes_equal(taken->value, x->value))
            b->doubtful.items[kept++] = *x;
    }
    b->doubtful.count = kept;
}

static enum rc settle_doubts(struct salvage_bucket *b, struct err *e)
{
    struct salvage_pairs same = { 0 };
    enum rc rc;

    salvage_pairs_sort(&b->doubtful);
    rc = salvage_pairs_unite(&b->doubtful, false, &same, e);
    for (size_t i = 0; rc == RC_OK && i < same.count; i++)
        rc = salvage_pairs_add(&b->doubtful, &same.items[i], e);
    salvage_pairs_clear(&same);
    TRY(rc);
    salvage_pairs_sort(&b->doubtful);
    forget_settled_doubts(b);
    return RC_OK;
}

/* Taken and doubtful records as one history, in order. */
static enum rc feed_all(const struct salvage_bucket *b, struct defrag_keep *keep,
                        struct err *e)
{
    size_t taken = 0;

    for (size_t i = 0; i < b->doubtful.count; i++) {
        const struct salvage_pair *x = &b->doubtful.items[i];

        for (; taken < b->pairs.count &&
               bytes_compare(b->pairs.items[taken].key, x->key) < 0;
             taken++)
            TRY(defrag_keep_add(keep, b->pairs.items[taken].key,
                                b->pairs.items[taken].value, e));
        TRY(defrag_keep_add(keep, x->key, x->value, e));
    }
    for (; taken < b->pairs.count; taken++)
        TRY(defrag_keep_add(keep, b->pairs.items[taken].key, b->pairs.items[taken].value,
                            e));
    return RC_OK;
}

/* Of the doubtful records up to the compaction only those are worth telling that a
 * compaction would have kept, had all of them been there. */
static enum rc prune_doubts(struct salvage_bucket *b, int64_t removed, struct err *e)
{
    const struct defrag_keep_rule rule = { .revision = removed };
    OWNED(defrag_keep) keep = NULL;
    size_t kept = 0;

    if (removed < 1)
        return RC_OK;
    TRY(defrag_keep_new(&rule, &keep, e));
    TRY(feed_all(b, keep, e));
    defrag_keep_settle(keep);
    for (size_t i = 0, taken = 0; i < b->doubtful.count; i++) {
        const struct salvage_pair *x = &b->doubtful.items[i];

        while (taken < b->pairs.count &&
               bytes_compare(b->pairs.items[taken].key, x->key) < 0)
            taken++;
        if (defrag_keep_has(keep, taken + i))
            b->doubtful.items[kept++] = *x;
    }
    b->doubtful.count = kept;
    return RC_OK;
}

static void count_unproved(struct salvage_bucket *b, const struct salvage_compaction *c)
{
    for (size_t i = 0; i < b->pairs.count; i++) {
        const struct salvage_pair *x = &b->pairs.items[i];

        b->unproved += x->origin == SALVAGE_STRAY &&
                       (b->bucket != MVCC_KEY || main_of(x->key) <= c->removed);
    }
}

static enum rc accept_doubtful(struct salvage_bucket *b, struct err *e)
{
    for (size_t i = 0; i < b->doubtful.count; i++)
        TRY(salvage_pairs_add(&b->pairs, &b->doubtful.items[i], e));
    b->doubtful.count = 0;
    salvage_pairs_sort(&b->pairs);
    return salvage_pairs_unite(&b->pairs, b->bucket == MVCC_KEY, &b->doubtful, e);
}

enum rc salvage_bucket_fill(struct salvage_bucket *b, struct salvage_scan *s,
                            const struct salvage_compaction *c, bool take_doubtful,
                            struct err *e)
{
    /* Damage may make a put and a deletion of the same revision. */
    if (b->tree.lost == 0)
        return salvage_pairs_unite(&b->pairs, b->bucket == MVCC_KEY, &b->damaged, e);
    judge_top(b, s);
    if (b->bucket == MVCC_KEY)
        find_aliens(b, s, c->removed);
    TRY(take_older(b, e));
    TRY(take_strays(b, s, c, e));
    salvage_pairs_sort(&b->pairs);
    if (b->bucket == MVCC_KEY)
        TRY(weigh(b, s, c, e));
    TRY(salvage_pairs_unite(&b->pairs, b->bucket == MVCC_KEY, &b->doubtful, e));
    TRY(settle_doubts(b, e));
    if (b->bucket == MVCC_KEY)
        TRY(prune_doubts(b, c->removed, e));
    if (take_doubtful)
        TRY(accept_doubtful(b, e));
    count_unproved(b, c);
    return RC_OK;
}
