/* Range requests (etcd server/etcdserver/txn: executeRange). */
#include <stdlib.h>

#include "machine/reply.h"
#include "machine/state.h"
#include "util/mem.h"

enum refusal range_refusal(const struct kvstore *kv, int64_t revision)
{
    if (revision > kvstore_revision(kv))
        return REFUSE_FUTURE;
    if (revision > 0 && revision < kvstore_compacted(kv))
        return REFUSE_COMPACTED;
    return ALLOWED;
}

static struct kvstore_span span_of(const Etcdrpc__RangeRequest *r)
{
    return (struct kvstore_span){ field_bytes(r->key), field_bytes(r->range_end) };
}

static int64_t revision_of(const Etcdrpc__RangeRequest *r)
{
    return r->revision > 0 ? r->revision : 0;
}

/* How a record is shown. */
enum view { WHOLE, NO_VALUE, NO_VALUE_NO_LEASE };

/* The stored message without field 5, and perhaps 6. */
static enum rc put_part(struct buf *out, struct bytes stored, enum view view,
                        struct err *e)
{
    AT_END(buf_clear) struct buf kv = { .cap_max = stored.n + 64 };
    struct pb_reader r = pb_reader_of(stored);
    const uint8_t *start = r.at;
    struct pb_field f;

    for (; pb_next(&r, &f); start = r.at)
        if (f.tag != PB_TAG(5, PB_BYTES) &&
            (view == NO_VALUE || f.tag != PB_TAG(6, PB_VARINT)))
            TRY(buf_add(&kv, start, (size_t)(r.at - start), e));
    return reply_part(out, 2, &kv, e);
}

/* 3.7 takes keys from its index, which knows no leases, unless it needs the values. */
static enum view view_of(const struct machine *m, const Etcdrpc__RangeRequest *r)
{
    if (!r->keys_only)
        return WHOLE;
    return m->options.minor >= 7 && r->sort_target != ETCDRPC__SORT_TARGET__BY_VALUE
               ? NO_VALUE_NO_LEASE
               : NO_VALUE;
}

static enum rc put_record(struct buf *out, struct bytes stored, enum view view,
                          struct err *e)
{
    return view == WHOLE ? pb_put_bytes(out, 2, stored, e)
                         : put_part(out, stored, view, e);
}

/* ---- in key order, without filters: nothing is kept ---------------------------------
 */

struct plain {
    const Etcdrpc__RangeRequest *request;
    enum view view;
    struct buf *out;
    uint64_t count;
    bool more;
};

static enum rc plain_visit(void *arg, struct bytes key, const struct kvstore_record *rec,
                           bool *stop, struct err *e)
{
    struct plain *p = arg;

    (void)key;
    if (p->request->limit > 0 && p->count == (uint64_t)p->request->limit) {
        p->more = *stop = true;
        return RC_OK;
    }
    p->count++;
    return put_record(p->out, rec->stored, p->view, e);
}

static enum rc plain_range(const struct machine *m, const Etcdrpc__RangeRequest *r,
                           struct buf *out, struct err *e)
{
    struct plain p = { .request = r, .view = view_of(m, r), .out = out };

    if (!r->count_only)
        TRY(kvstore_range(m->kv, span_of(r), revision_of(r), plain_visit, &p, e));
    if (r->count_only || p.more)
        TRY(kvstore_count(m->kv, span_of(r), revision_of(r), &p.count, e));
    TRY(reply_number(out, 3, p.more, e));
    return reply_number(out, 4, p.count, e);
}

/* ---- filtered or sorted -------------------------------------------------------------
 */

struct found {
    struct mvcc_kv kv;
    struct bytes stored;
    Etcdrpc__SortTarget target; /* where qsort can see it */
    bool descending;
};

struct list {
    const Etcdrpc__RangeRequest *request;
    struct found *items;
    size_t count, room;
    uint64_t seen, most; /* no more than `most` are looked at; 0: all */
};

static void list_end(struct list *l)
{
    mem_free(l->items);
}

static bool passes(const Etcdrpc__RangeRequest *r, const struct mvcc_kv *kv)
{
    return !(r->max_mod_revision != 0 && kv->mod > r->max_mod_revision) &&
           !(r->min_mod_revision != 0 && kv->mod < r->min_mod_revision) &&
           !(r->max_create_revision != 0 && kv->create > r->max_create_revision) &&
           !(r->min_create_revision != 0 && kv->create < r->min_create_revision);
}

static enum rc list_room(struct list *l, struct err *e)
{
    size_t room = l->room == 0 ? 64 : l->room * 2;

    if (l->count < l->room)
        return RC_OK;
    void *items = mem_resize(l->items, room, sizeof *l->items);

    if (items == NULL)
        return err_set(e, RC_NOMEM, "no memory to sort %zu keys", room);
    l->items = items;
    l->room = room;
    return RC_OK;
}

static enum rc list_visit(void *arg, struct bytes key, const struct kvstore_record *rec,
                          bool *stop, struct err *e)
{
    struct list *l = arg;
    struct found f = { .stored = rec->stored,
                       .target = l->request->sort_target,
                       .descending =
                           l->request->sort_order == ETCDRPC__SORT_ORDER__SORT_DESCEND };

    (void)key;
    l->seen++;
    *stop = l->seen == l->most;
    TRY(mvcc_kv_read(rec->stored, &f.kv, e));
    if (!passes(l->request, &f.kv))
        return RC_OK;
    TRY(list_room(l, e));
    l->items[l->count++] = f;
    return RC_OK;
}

static int compare_numbers(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

static int compare_target(const struct found *a, const struct found *b)
{
    switch (a->target) {
    case ETCDRPC__SORT_TARGET__BY_VERSION:
        return compare_numbers(a->kv.version, b->kv.version);
    case ETCDRPC__SORT_TARGET__BY_CREATE:
        return compare_numbers(a->kv.create, b->kv.create);
    case ETCDRPC__SORT_TARGET__BY_MOD:
        return compare_numbers(a->kv.mod, b->kv.mod);
    case ETCDRPC__SORT_TARGET__BY_VALUE:
        return bytes_compare(a->kv.value, b->kv.value);
    case ETCDRPC__SORT_TARGET__BY_KEY:
    case _ETCDRPC__SORT_TARGET_IS_INT_SIZE:
        break;
    }
    return bytes_compare(a->kv.key, b->kv.key);
}

/* Ties go by key. etcd leaves their order to an unstable sort. */
static int compare_found(const void *x, const void *y)
{
    const struct found *a = x, *b = y;
    int order = compare_target(a, b);

    if (order == 0)
        return bytes_compare(a->kv.key, b->kv.key);
    return a->descending ? -order : order;
}

static bool filtered(const Etcdrpc__RangeRequest *r)
{
    return r->min_mod_revision != 0 || r->max_mod_revision != 0 ||
           r->min_create_revision != 0 || r->max_create_revision != 0;
}

/* With a target but no order, etcd sorts ascending what the limit has let through. */
static uint64_t most_of(const Etcdrpc__RangeRequest *r)
{
    bool early = r->sort_order == ETCDRPC__SORT_ORDER__SORT_NONE && !filtered(r);

    return early && r->limit > 0 ? (uint64_t)r->limit + 1 : 0;
}

static enum rc list_range(const struct machine *m, const Etcdrpc__RangeRequest *r,
                          struct buf *out, struct err *e)
{
    AT_END(list_end) struct list l = { .request = r, .most = most_of(r) };
    bool more = false;

    TRY(kvstore_range(m->kv, span_of(r), revision_of(r), list_visit, &l, e));
    if (l.count > 1)
        qsort(l.items, l.count, sizeof *l.items, compare_found);
    if (r->limit > 0 && l.count > (uint64_t)r->limit) {
        l.count = (size_t)r->limit;
        more = true;
    }
    for (size_t i = 0; i < l.count; i++)
        TRY(put_record(out, l.items[i].stored, view_of(m, r), e));
    if (l.most != 0)
        TRY(kvstore_count(m->kv, span_of(r), revision_of(r), &l.seen, e));
    TRY(reply_number(out, 3, more, e));
    return reply_number(out, 4, l.seen, e);
}

/* ---- requests -----------------------------------------------------------------------
 */

static bool is_plain(const Etcdrpc__RangeRequest *r)
{
    bool sorted = r->sort_target == ETCDRPC__SORT_TARGET__BY_KEY &&
                  r->sort_order != ETCDRPC__SORT_ORDER__SORT_DESCEND;

    return r->count_only || (sorted && !filtered(r));
}

static enum rc range_body(const struct machine *m, const Etcdrpc__RangeRequest *r,
                          struct buf *out, struct err *e)
{
    return is_plain(r) ? plain_range(m, r, out, e) : list_range(m, r, out, e);
}

enum rc range_reply(const struct machine *m, const Etcdrpc__RangeRequest *r, bool writing,
                    struct buf *out, struct err *e)
{
    TRY(reply_header(out, revision_now(m->kv, writing), e));
    return range_body(m, r, out, e);
}

enum rc range_query(const struct machine *m, const struct caller *who,
                    const void *request, struct machine_outcome *o, struct err *e)
{
    const Etcdrpc__RangeRequest *r = request;
    enum refusal why = permit_span(m, who, span_of(r), false);

    if (why == ALLOWED)
        why = range_refusal(m->kv, r->revision);
    if (why != ALLOWED)
        return refused(o, why);
    return o->wants_reply ? range_body(m, r, &o->reply, e) : RC_OK;
}
