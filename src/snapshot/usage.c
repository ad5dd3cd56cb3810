#include "snapshot/usage.h"

#include <stdlib.h>

#include "util/mem.h"

void snap_usage_clear(struct snap_usage *u)
{
    mem_free(u->rows);
    *u = (struct snap_usage){ 0 };
}

void snap_growth_clear(struct snap_growth *g)
{
    mem_free(g->rows);
    *g = (struct snap_growth){ 0 };
}

/* ---- prefixes --------------------------------------------------------------------- */

static size_t next_slash(struct bytes key, size_t at)
{
    const uint8_t *slash = at < key.n ? memchr(key.p + at, '/', key.n - at) : NULL;

    return slash == NULL ? key.n : (size_t)(slash - key.p);
}

/* An API group has a dot in its name, a built-in resource has none. */
static bool is_group(struct bytes part)
{
    return bytes_is(part, "services") || memchr(part.p, '.', part.n) != NULL;
}

struct bytes snap_usage_prefix(struct bytes key, unsigned depth)
{
    bool kubernetes = bytes_starts(key, "/registry/");
    size_t end = 0, at = key.n > 0 && key.p[0] == '/';

    for (unsigned level = 1; level <= depth; level++) {
        size_t slash = next_slash(key, at);

        if (kubernetes && level == 2 &&
            is_group((struct bytes){ key.p + at, slash - at }) &&
            next_slash(key, slash + 1) < key.n)
            slash = next_slash(key, slash + 1);
        if (slash >= key.n)
            break;
        end = at = slash + 1;
    }
    return (struct bytes){ key.p, end };
}

/* ---- sums ------------------------------------------------------------------------- */

static void sum(struct snap_usage_row *to, const struct snap_usage_row *more)
{
    to->keys += more->keys;
    to->live_bytes += more->live_bytes;
    to->history += more->history;
    to->history_bytes += more->history_bytes;
}

static struct snap_usage_row weigh(const struct snap_index *ix,
                                   const struct snap_key *key, unsigned depth)
{
    struct snap_usage_row row = {
        .prefix = snap_usage_prefix(snap_index_key(ix, key->first), depth),
        .keys = snap_index_alive(ix, key),
        .history = key->end - key->first,
    };

    for (size_t i = key->first; i < key->end; i++)
        row.history_bytes += snap_index_size(ix, i);
    if (row.keys > 0)
        row.live_bytes = snap_index_size(ix, key->end - 1);
    row.history -= row.keys;
    row.history_bytes -= row.live_bytes;
    return row;
}

struct making {
    struct snap_usage usage;
    size_t room;
};

static void making_end(struct making *m)
{
    snap_usage_clear(&m->usage);
}

/* Neighbours mostly share their prefix; those that do not are brought together later. */
static enum rc add(struct making *m, const struct snap_usage_row *row, struct err *e)
{
    struct snap_usage *u = &m->usage;

    sum(&u->total, row);
    if (u->count > 0 && bytes_equal(u->rows[u->count - 1].prefix, row->prefix)) {
        sum(&u->rows[u->count - 1], row);
        return RC_OK;
    }
    if (u->count == m->room) {
        size_t room = m->room == 0 ? 64 : m->room * 2;
        void *rows = mem_resize(u->rows, room, sizeof *u->rows);

        if (rows == NULL)
            return err_set(e, RC_NOMEM, "no memory for %zu prefixes", room);
        u->rows = rows;
        m->room = room;
    }
    u->rows[u->count++] = *row;
    return RC_OK;
}

static int by_prefix(const void *a, const void *b)
{
    const struct snap_usage_row *x = a, *y = b;

    return bytes_compare(x->prefix, y->prefix);
}

static int by_bytes(const void *a, const void *b)
{
    uint64_t x = snap_usage_bytes(a), y = snap_usage_bytes(b);

    return x != y ? (x > y ? -1 : 1) : by_prefix(a, b);
}

static void merge_rows(struct snap_usage *u)
{
    size_t kept = 0;

    if (u->count == 0)
        return;
    qsort(u->rows, u->count, sizeof *u->rows, by_prefix);
    for (size_t i = 1; i < u->count; i++) {
        if (by_prefix(&u->rows[kept], &u->rows[i]) == 0)
            sum(&u->rows[kept], &u->rows[i]);
        else
            u->rows[++kept] = u->rows[i];
    }
    u->count = kept + 1;
    qsort(u->rows, u->count, sizeof *u->rows, by_bytes);
}

enum rc snap_usage_make(const struct snap_index *ix, unsigned depth,
                        struct snap_usage *out, struct err *e)
{
    AT_END(making_end) struct making m = { 0 };
    struct snap_key key = { 0 };

    while (snap_index_next(ix, &key)) {
        struct snap_usage_row row = weigh(ix, &key, depth);

        TRY(add(&m, &row, e));
    }
    merge_rows(&m.usage);
    *out = m.usage;
    m.usage = (struct snap_usage){ 0 };
    return RC_OK;
}

/* ---- growth ----------------------------------------------------------------------- */

static int growth_by_prefix(const void *a, const void *b)
{
    const struct snap_growth_row *x = a, *y = b;

    return bytes_compare(x->prefix, y->prefix);
}

static int64_t grown(const struct snap_growth_row *r)
{
    return (int64_t)(snap_usage_bytes(&r->after) - snap_usage_bytes(&r->before));
}

static int by_growth(const void *a, const void *b)
{
    int64_t x = grown(a), y = grown(b);

    return x != y ? (x > y ? -1 : 1) : growth_by_prefix(a, b);
}

static bool row_differs(const struct snap_growth_row *r)
{
    return r->before.keys != r->after.keys || r->before.history != r->after.history ||
           r->before.live_bytes != r->after.live_bytes ||
           r->before.history_bytes != r->after.history_bytes;
}

/* Both sides one after the other, sorted: what belongs together is then side by side. */
static size_t pair_up(struct snap_growth_row *rows, size_t count)
{
    size_t pairs = 0, kept = 0;

    qsort(rows, count, sizeof *rows, growth_by_prefix);
    for (size_t i = 0; i < count; i++) {
        if (pairs > 0 && growth_by_prefix(&rows[pairs - 1], &rows[i]) == 0) {
            sum(&rows[pairs - 1].before, &rows[i].before);
            sum(&rows[pairs - 1].after, &rows[i].after);
        } else {
            rows[pairs++] = rows[i];
        }
    }
    for (size_t i = 0; i < pairs; i++)
        if (row_differs(&rows[i]))
            rows[kept++] = rows[i];
    qsort(rows, kept, sizeof *rows, by_growth);
    return kept;
}

enum rc snap_growth_make(const struct snap_usage *before, const struct snap_usage *after,
                         struct snap_growth *out, struct err *e)
{
    size_t count = before->count + after->count;
    struct snap_growth_row *rows;

    TRY(mem_new(&rows, (count + 1) * sizeof *rows, "prefixes", e));
    for (size_t i = 0; i < before->count; i++)
        rows[i] = (struct snap_growth_row){ .prefix = before->rows[i].prefix,
                                            .before = before->rows[i] };
    for (size_t i = 0; i < after->count; i++)
        rows[before->count + i] =
            (struct snap_growth_row){ .prefix = after->rows[i].prefix,
                                      .after = after->rows[i] };
    *out = (struct snap_growth){ rows, pair_up(rows, count) };
    return RC_OK;
}
