#include "machine/table.h"

#include "util/mem.h"

bool table_find(const struct table *t, struct bytes key, size_t *at)
{
    size_t low = 0, high = t->count;

    /* Files come sorted: most often it is the end. */
    if (high > 0 && bytes_compare(t->rows[high - 1].key, key) < 0)
        low = high;
    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (bytes_compare(t->rows[middle].key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *at = low;
    return low < t->count && bytes_equal(t->rows[low].key, key);
}

const struct table_row *table_row(const struct table *t, struct bytes key)
{
    size_t at;

    return table_find(t, key, &at) ? &t->rows[at] : NULL;
}

static void drop_meaning(const struct table *t, void *meaning)
{
    if (meaning != NULL && t->drop != NULL)
        t->drop(meaning);
}

static void row_end(const struct table *t, struct table_row *row)
{
    union {
        const uint8_t *owned;
        void *p;
    } cast = { .owned = row->key.p };

    if (row->owned)
        mem_free(cast.p);
    drop_meaning(t, row->meaning);
}

static enum rc room_for_one(struct table *t, struct err *e)
{
    size_t room = t->room == 0 ? 8 : t->room * 2;

    if (t->count < t->room)
        return RC_OK;
    void *rows = mem_resize(t->rows, room, sizeof *t->rows);

    if (rows == NULL)
        return err_set(e, RC_NOMEM, "no memory for %zu pairs of a bucket", room);
    t->rows = rows;
    t->room = room;
    return RC_OK;
}

static enum rc place(struct table *t, const struct table_row *row, struct err *e)
{
    size_t at;

    if (table_find(t, row->key, &at)) {
        row_end(t, &t->rows[at]);
        t->rows[at] = *row;
        return RC_OK;
    }
    TRY(room_for_one(t, e));
    memmove(&t->rows[at + 1], &t->rows[at], (t->count - at) * sizeof *t->rows);
    t->rows[at] = *row;
    t->count++;
    return RC_OK;
}

enum rc table_put(struct table *t, struct bytes key, struct bytes value, void *meaning,
                  struct err *e)
{
    struct table_row row = { .meaning = meaning, .owned = true };
    uint8_t *copy;
    enum rc rc = mem_new(&copy, key.n + value.n + 1, "a pair of a bucket", e);

    if (rc != RC_OK) {
        drop_meaning(t, meaning);
        return rc;
    }
    if (key.n > 0)
        memcpy(copy, key.p, key.n);
    if (value.n > 0)
        memcpy(copy + key.n, value.p, value.n);
    row.key = (struct bytes){ copy, key.n };
    row.value = (struct bytes){ copy + key.n, value.n };
    rc = place(t, &row, e);
    if (rc != RC_OK)
        row_end(t, &row);
    return rc;
}

enum rc table_lend(struct table *t, struct bytes key, struct bytes value, void *meaning,
                   struct err *e)
{
    const struct table_row row = { .key = key, .value = value, .meaning = meaning };
    enum rc rc = place(t, &row, e);

    if (rc != RC_OK)
        drop_meaning(t, meaning);
    return rc;
}

void table_remove(struct table *t, size_t at)
{
    row_end(t, &t->rows[at]);
    t->count--;
    memmove(&t->rows[at], &t->rows[at + 1], (t->count - at) * sizeof *t->rows);
}

void table_clear(struct table *t)
{
    for (size_t i = 0; i < t->count; i++)
        row_end(t, &t->rows[i]);
    mem_free(t->rows);
    *t = (struct table){ .drop = t->drop };
}
