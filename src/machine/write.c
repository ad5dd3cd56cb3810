/* Put, delete and compact (etcd server/etcdserver/txn: put, deleteRange). */
#include "machine/reply.h"
#include "machine/state.h"
#include "util/mem.h"

/* ---- put ----------------------------------------------------------------------------
 */

static bool lease_missing(const struct machine *m, const Etcdrpc__PutRequest *r)
{
    return r->lease != 0 && lease_find(m, r->lease) == NULL;
}

static enum rc put_checked(const struct machine *m, const Etcdrpc__PutRequest *r,
                           bool lease_first, enum refusal *why, struct err *e)
{
    struct kvstore_record before;
    bool found = true;

    if (r->ignore_value || r->ignore_lease)
        TRY(kvstore_get(m->kv, field_bytes(r->key), 0, &before, &found, e));
    *why = found ? ALLOWED : REFUSE_KEY_NOT_FOUND;
    if (lease_missing(m, r) && (found || lease_first))
        *why = REFUSE_NO_LEASE;
    return RC_OK;
}

/* In a transaction 3.7 was the first to look for the lease before the key; alone, all do.
 */
enum rc put_check(const struct machine *m, const Etcdrpc__PutRequest *r,
                  enum refusal *why, struct err *e)
{
    return put_checked(m, r, m->options.minor >= 7, why, e);
}

/* The value that stays is copied: writing ends what was borrowed. */
static enum rc put_over(struct kvstore *kv, const Etcdrpc__PutRequest *r,
                        const struct kvstore_record *before, struct err *e)
{
    AT_END(mem_end) void *kept = NULL;
    struct bytes value = field_bytes(r->value);
    int64_t lease = r->lease;
    struct mvcc_kv old;

    TRY(mvcc_kv_read(before->stored, &old, e));
    if (r->ignore_lease)
        lease = old.lease;
    if (r->ignore_value) {
        kept = mem_copy(old.value.p, old.value.n);
        if (kept == NULL)
            return err_set(e, RC_NOMEM, "no memory for a value");
        value = (struct bytes){ kept, old.value.n };
    }
    return kvstore_put(kv, field_bytes(r->key), value, lease, e);
}

/* A transaction may delete everything from a key on and then put one of these keys with
 * its old value. etcd takes that into its log, and ends whenever it applies it; here the
 * key gets the value and lease of the request, which are none. */
enum rc put_run(struct kvstore *kv, const Etcdrpc__PutRequest *r, struct buf *out,
                struct err *e)
{
    struct kvstore_record before;
    bool found = false;

    if (r->prev_kv || r->ignore_value || r->ignore_lease)
        TRY(kvstore_get(kv, field_bytes(r->key), 0, &before, &found, e));
    if (found && r->prev_kv && out != NULL)
        TRY(pb_put_bytes(out, 2, before.stored, e));
    if (found && (r->ignore_value || r->ignore_lease))
        return put_over(kv, r, &before, e);
    return kvstore_put(kv, field_bytes(r->key), field_bytes(r->value), r->lease, e);
}

enum rc put_apply(struct machine *m, const struct caller *who, const void *request,
                  struct machine_outcome *o, struct err *e)
{
    const Etcdrpc__PutRequest *r = request;
    enum refusal why = permit_put(m, who, r);

    if (why == ALLOWED)
        TRY(put_checked(m, r, true, &why, e));
    if (why != ALLOWED)
        return refused(o, why);
    kvstore_begin(m->kv);
    enum rc rc = put_run(m->kv, r, o->wants_reply ? &o->reply : NULL, e);

    (void)kvstore_end(m->kv);
    return rc;
}

/* ---- delete -------------------------------------------------------------------------
 */

static enum rc prev_visit(void *arg, struct bytes key, const struct kvstore_record *r,
                          bool *stop, struct err *e)
{
    (void)key;
    (void)stop;
    return pb_put_bytes(arg, 3, r->stored, e);
}

static struct kvstore_span delete_span(const Etcdrpc__DeleteRangeRequest *r)
{
    return (struct kvstore_span){ field_bytes(r->key), field_bytes(r->range_end) };
}

/* The count precedes what is deleted, and is known only after it. */
enum rc delete_run(struct kvstore *kv, const Etcdrpc__DeleteRangeRequest *r,
                   struct buf *out, struct err *e)
{
    AT_END(buf_clear) struct buf before = { .cap_max = INT32_MAX };
    uint64_t deleted = 0;

    if (r->prev_kv && out != NULL)
        TRY(kvstore_range(kv, delete_span(r), 0, prev_visit, &before, e));
    TRY(kvstore_delete(kv, delete_span(r), &deleted, e));
    if (out == NULL)
        return RC_OK;
    TRY(reply_number(out, 2, deleted, e));
    return buf_add(out, before.p, before.n, e);
}

enum rc delete_apply(struct machine *m, const struct caller *who, const void *request,
                     struct machine_outcome *o, struct err *e)
{
    const Etcdrpc__DeleteRangeRequest *r = request;
    enum refusal why = permit_delete(m, who, r);

    if (why != ALLOWED)
        return refused(o, why);
    kvstore_begin(m->kv);
    enum rc rc = delete_run(m->kv, r, o->wants_reply ? &o->reply : NULL, e);

    (void)kvstore_end(m->kv);
    return rc;
}

/* ---- compact ------------------------------------------------------------------------
 */

enum rc compact_apply(struct machine *m, const struct caller *who, const void *request,
                      struct machine_outcome *o, struct err *e)
{
    const Etcdrpc__CompactionRequest *r = request;

    (void)who;
    if (r->revision <= kvstore_compacted(m->kv))
        return refused(o, REFUSE_COMPACTED);
    if (r->revision > kvstore_revision(m->kv))
        return refused(o, REFUSE_FUTURE);
    return kvstore_compact(m->kv, r->revision, e);
}
