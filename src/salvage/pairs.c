#include "salvage/pairs.h"

#include <stdlib.h>

#include "mvcc/schema.h"
#include "util/mem.h"

enum rc salvage_pairs_add(struct salvage_pairs *p, const struct salvage_pair *pair,
                          struct err *e)
{
    if (p->count == p->capacity) {
        size_t more = p->capacity == 0 ? 64 : p->capacity * 2;
        struct salvage_pair *grown = mem_resize(p->items, more, sizeof *grown);

        if (grown == NULL)
            return err_set(e, RC_NOMEM, "no memory for %zu pairs", more);
        p->items = grown;
        p->capacity = more;
    }
    p->items[p->count++] = *pair;
    return RC_OK;
}

void salvage_pairs_clear(struct salvage_pairs *p)
{
    mem_free(p->items);
    *p = (struct salvage_pairs){ 0 };
}

static int by_key(const void *a, const void *b)
{
    const struct salvage_pair *x = a, *y = b;
    int order = bytes_compare(x->key, y->key);

    if (order != 0)
        return order;
    if (x->origin != y->origin)
        return x->origin < y->origin ? -1 : 1;
    return (x->page > y->page) - (x->page < y->page);
}

void salvage_pairs_sort(struct salvage_pairs *p)
{
    if (p->count > 0)
        qsort(p->items, p->count, sizeof *p->items, by_key);
}

bool salvage_pairs_rival(const struct salvage_pair *a, const struct salvage_pair *b,
                         bool records)
{
    if (!records)
        return bytes_equal(a->key, b->key);
    return memcmp(a->key.p, b->key.p, MVCC_REV_SIZE) == 0;
}

enum rc salvage_pairs_unite(struct salvage_pairs *p, bool records,
                            struct salvage_pairs *conflicts, struct err *e)
{
    size_t kept = 0;

    for (size_t i = 0; i < p->count; i++) {
        const struct salvage_pair *x = &p->items[i];
        const struct salvage_pair *best = kept == 0 ? NULL : &p->items[kept - 1];

        if (best == NULL || !salvage_pairs_rival(best, x, records))
            p->items[kept++] = *x;
        else if (!bytes_equal(best->key, x->key) || !bytes_equal(best->value, x->value))
            TRY(salvage_pairs_add(conflicts, x, e));
    }
    p->count = kept;
    return RC_OK;
}

const struct salvage_pair *salvage_pairs_find(const struct salvage_pairs *p,
                                              struct bytes key)
{
    size_t from = 0, to = p->count;

    while (from < to) {
        size_t middle = from + (to - from) / 2;

        if (bytes_compare(p->items[middle].key, key) < 0)
            from = middle + 1;
        else
            to = middle;
    }
    if (from == p->count || !bytes_equal(p->items[from].key, key))
        return NULL;
    return &p->items[from];
}
