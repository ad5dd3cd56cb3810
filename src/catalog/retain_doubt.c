#include <stdlib.h>

#include "catalog/retain_inside.h"
#include "util/mem.h"

/* 2025-01-01: no backup is older than the program. */
#define EARLIEST INT64_C(1735689600)

/* A backup speaks for those that were pruned before it, so that a few wrong days, in
 * which everything is still there, do not outweigh months that have been thinned out. */
enum { WEIGHT_MAX = 1024 };

#define NOBODY SIZE_MAX

struct spot {
    int64_t created;
    size_t item;
};

/* The heaviest row that ends at or before a time: a Fenwick tree over the times' ranks.
 */
struct row {
    uint64_t weight;
    size_t end;
};

struct rows {
    struct spot *spots; /* the items that may be believed, by time */
    size_t count;
    size_t *ranks, *before; /* by item: its place among the times; who precedes it */
    struct row *tree;
};

static void rows_end(struct rows *r)
{
    mem_free(r->spots);
    mem_free(r->ranks);
    mem_free(r->before);
    mem_free(r->tree);
}

static int compare_spots(const void *a, const void *b)
{
    const struct spot *x = a, *y = b;

    if (x->created != y->created)
        return x->created < y->created ? -1 : 1;
    return (x->item > y->item) - (x->item < y->item);
}

static enum rc rows_new(struct rows *r, size_t count, struct err *e)
{
    TRY(mem_new(&r->spots, count * sizeof *r->spots, "backups", e));
    TRY(mem_new(&r->ranks, count * sizeof *r->ranks, "backups", e));
    TRY(mem_new(&r->before, count * sizeof *r->before, "backups", e));
    return mem_new(&r->tree, (count + 1) * sizeof *r->tree, "backups", e);
}

/* Equal times are in the order of their sequences, so that they go on. */
static void rank(struct rows *r)
{
    qsort(r->spots, r->count, sizeof *r->spots, compare_spots);
    for (size_t k = 0; k < r->count; k++)
        r->ranks[r->spots[k].item] = k + 1;
}

static struct row heaviest(const struct rows *r, size_t upto)
{
    struct row best = { 0, NOBODY };

    for (; upto > 0; upto &= upto - 1)
        if (r->tree[upto].weight > best.weight)
            best = r->tree[upto];
    return best;
}

static void enter(struct rows *r, size_t at, struct row row)
{
    for (; at <= r->count; at += at & -at)
        if (row.weight > r->tree[at].weight)
            r->tree[at] = row;
}

static uint64_t weight_of(const struct retain_item *items, size_t i)
{
    uint64_t w = i == 0 ? 1 : items[i].sequence - items[i - 1].sequence;

    return w < WEIGHT_MAX ? w : WEIGHT_MAX;
}

enum rc retain_doubt(struct retain_item *items, size_t count, int64_t latest,
                     struct err *e)
{
    AT_END(rows_end) struct rows r = { 0 };

    if (count == 0)
        return RC_OK;
    TRY(rows_new(&r, count, e));
    for (size_t i = 0; i < count; i++) {
        items[i].doubtful = true;
        if (items[i].created >= EARLIEST && items[i].created <= latest)
            r.spots[r.count++] = (struct spot){ items[i].created, i };
    }
    rank(&r);
    for (size_t i = 0; i < count; i++) {
        if (r.ranks[i] == 0)
            continue;
        struct row best = heaviest(&r, r.ranks[i]);

        r.before[i] = best.end;
        enter(&r, r.ranks[i], (struct row){ best.weight + weight_of(items, i), i });
    }
    for (size_t i = heaviest(&r, r.count).end; i != NOBODY; i = r.before[i])
        items[i].doubtful = false;
    return RC_OK;
}
