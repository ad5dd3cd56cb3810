/* Keys, and what is left of their histories. */
#include "snapshot/diff.h"

struct side {
    const struct snap_index *ix;
    struct snap_key key;
    struct bytes name; /* of the key at hand */
    bool dead_too;     /* also keys that are no more */
    bool ended;
};

static void advance(struct side *s)
{
    do
        s->ended = !snap_index_next(s->ix, &s->key);
    while (!s->ended && !s->dead_too && !snap_index_alive(s->ix, &s->key));
    if (!s->ended)
        s->name = snap_index_key(s->ix, s->key.first);
}

static struct side side_of(const struct snap_look *look, bool dead_too)
{
    struct side s = { .ix = &look->index, .dead_too = dead_too };

    advance(&s);
    return s;
}

struct diffing {
    struct side before, after;
    int64_t floor, ceiling; /* of a history: between them both have all of it */
    snap_change_fn *change;
    void *arg;
};

/* Of a key that is in either, or in both. */
typedef enum rc key_fn(const struct diffing *d, struct bytes name,
                       const struct side *before, const struct side *after,
                       struct err *e);

/* Which of the two sides comes next: negative, positive, or both. */
static int order(const struct diffing *d)
{
    if (d->before.ended || d->after.ended)
        return d->before.ended ? 1 : -1;
    return bytes_compare(d->before.name, d->after.name);
}

static enum rc each_key(struct diffing *d, key_fn *compare, struct err *e)
{
    while (!d->before.ended || !d->after.ended) {
        int next = order(d);

        TRY(compare(d, next <= 0 ? d->before.name : d->after.name,
                    next <= 0 ? &d->before : NULL, next >= 0 ? &d->after : NULL, e));
        if (next <= 0)
            advance(&d->before);
        if (next >= 0)
            advance(&d->after);
    }
    return RC_OK;
}

/* Tells of two records, of which either may be NULL. */
static enum rc tell(const struct diffing *d, enum snap_subject subject, struct bytes name,
                    const struct snap_record *before, const struct snap_record *after,
                    struct err *e)
{
    /* Of one revision: mod_revision is in it. */
    if (before != NULL && after != NULL && bytes_equal(before->raw, after->raw) &&
        before->rev.tombstone == after->rev.tombstone)
        return RC_OK;
    return d->change(d->arg,
                     &(struct snap_change){
                         .kind = before == NULL  ? SNAP_ADDED
                                 : after == NULL ? SNAP_REMOVED
                                                 : SNAP_CHANGED,
                         .subject = subject,
                         .name = name,
                         .before = before,
                         .after = after,
                     },
                     e);
}

/* ---- what there is ------------------------------------------------------------------
 */

static enum rc compare_newest(const struct diffing *d, struct bytes name,
                              const struct side *before, const struct side *after,
                              struct err *e)
{
    struct snap_record was, is;

    if (before != NULL)
        TRY(snap_index_newest(before->ix, &before->key, &was, e));
    if (after != NULL)
        TRY(snap_index_newest(after->ix, &after->key, &is, e));
    return tell(d, SNAP_KEY, name, before == NULL ? NULL : &was,
                after == NULL ? NULL : &is, e);
}

enum rc snap_diff_keys(const struct snap_look *before, const struct snap_look *after,
                       snap_change_fn *change, void *arg, struct err *e)
{
    struct diffing d = { .before = side_of(before, false),
                         .after = side_of(after, false),
                         .change = change,
                         .arg = arg };

    return each_key(&d, compare_newest, e);
}

/* ---- what there was -----------------------------------------------------------------
 */

/* Of one key on one side: the record at hand. */
struct past {
    const struct side *side; /* NULL: it has none */
    size_t at;
    struct snap_record record;
    bool ended;
};

static bool counts(const struct diffing *d, int64_t revision)
{
    return revision > d->floor && revision <= d->ceiling;
}

static enum rc step(const struct diffing *d, struct past *p, struct err *e)
{
    do {
        p->ended = p->side == NULL || p->at == p->side->key.end;
        if (p->ended)
            return RC_OK;
        TRY(snap_index_record(p->side->ix, p->at++, &p->record, e));
    } while (!counts(d, p->record.rev.main));
    return RC_OK;
}

static enum rc past_of(const struct diffing *d, const struct side *side, struct past *out,
                       struct err *e)
{
    *out = (struct past){ .side = side, .at = side == NULL ? 0 : side->key.first };
    return step(d, out, e);
}

static int earlier(const struct past *a, const struct past *b)
{
    const struct mvcc_rev *x = &a->record.rev, *y = &b->record.rev;

    if (a->ended || b->ended)
        return a->ended ? 1 : -1;
    if (x->main != y->main)
        return x->main < y->main ? -1 : 1;
    return (x->sub > y->sub) - (x->sub < y->sub);
}

/* What the key holds now, and so told already. */
static bool is_present(const struct past *p)
{
    return p->at == p->side->key.end && snap_index_alive(p->side->ix, &p->side->key);
}

static enum rc compare_records(const struct diffing *d, struct bytes name,
                               const struct past *was, const struct past *is,
                               struct err *e)
{
    if ((was == NULL || is_present(was)) && (is == NULL || is_present(is)))
        return RC_OK;
    return tell(d, SNAP_HISTORY, name, was == NULL ? NULL : &was->record,
                is == NULL ? NULL : &is->record, e);
}

static enum rc compare_past(const struct diffing *d, struct bytes name,
                            const struct side *before, const struct side *after,
                            struct err *e)
{
    struct past was, is;

    TRY(past_of(d, before, &was, e));
    TRY(past_of(d, after, &is, e));
    while (!was.ended || !is.ended) {
        int next = earlier(&was, &is);

        TRY(compare_records(d, name, next <= 0 ? &was : NULL, next >= 0 ? &is : NULL, e));
        if (next <= 0)
            TRY(step(d, &was, e));
        if (next >= 0)
            TRY(step(d, &is, e));
    }
    return RC_OK;
}

static int64_t compacted(const struct snap_look *look)
{
    const struct mvcc_facts *f = &look->facts;

    return f->compact_revision > f->scheduled_revision ? f->compact_revision
                                                       : f->scheduled_revision;
}

enum rc snap_diff_history(const struct snap_look *before, const struct snap_look *after,
                          snap_change_fn *change, void *arg, struct err *e)
{
    int64_t a = compacted(before), b = compacted(after);
    struct diffing d = {
        .before = side_of(before, true),
        .after = side_of(after, true),
        .floor = a > b ? a : b,
        .ceiling =
            before->revision < after->revision ? before->revision : after->revision,
        .change = change,
        .arg = arg,
    };

    return each_key(&d, compare_past, e);
}
