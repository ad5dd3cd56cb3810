#include "catalog/retain_inside.h"
#include "util/mem.h"

/* 2025-01-01: no backup is older than the program. */
#define EARLIEST INT64_C(1735689600)

/* Patience: ends[k] is the item that ends the row of k+1 items with the lowest time, and
 * before[i] the one that precedes item i in its row. */
struct rows {
    size_t *ends, *before;
    size_t longest;
};
#define NOBODY SIZE_MAX

static void rows_end(struct rows *r)
{
    mem_free(r->ends);
    mem_free(r->before);
}

/* The first row that ends later than `created`: equal times go on. */
static size_t row_for(const struct rows *r, const struct retain_item *items,
                      int64_t created)
{
    size_t low = 0, high = r->longest;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (items[r->ends[mid]].created <= created)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static void lay(struct rows *r, const struct retain_item *items, size_t i)
{
    size_t k = row_for(r, items, items[i].created);

    r->before[i] = k == 0 ? NOBODY : r->ends[k - 1];
    r->ends[k] = i;
    if (k == r->longest)
        r->longest++;
}

enum rc retain_doubt(struct retain_item *items, size_t count, int64_t latest,
                     struct err *e)
{
    AT_END(rows_end) struct rows r = { 0 };

    if (count == 0)
        return RC_OK;
    TRY(mem_new(&r.ends, count * sizeof *r.ends, "backups", e));
    TRY(mem_new(&r.before, count * sizeof *r.before, "backups", e));
    for (size_t i = 0; i < count; i++) {
        items[i].doubtful = true;
        if (items[i].created >= EARLIEST && items[i].created <= latest)
            lay(&r, items, i);
    }
    for (size_t i = r.longest == 0 ? NOBODY : r.ends[r.longest - 1]; i != NOBODY;
         i = r.before[i])
        items[i].doubtful = false;
    return RC_OK;
}
