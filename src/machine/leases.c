/* Leases: bucket `lease`, and which keys hang on them (etcd server/lease). */
#include "machine/reply.h"
#include "machine/state.h"
#include "util/mem.h"

#define LEASE_TTL_MAX INT64_C(9000000000)
enum { LEASE_TTL_MIN = 2 }; /* of a server with etcd's own timeouts */

static void key_free(struct bytes key)
{
    union {
        const uint8_t *owned;
        void *p;
    } cast = { .owned = key.p };

    mem_free(cast.p);
}

static void keys_free(struct bytes *keys, size_t count)
{
    for (size_t i = 0; i < count; i++)
        key_free(keys[i]);
    mem_free(keys);
}

void lease_free(void *meaning)
{
    struct lease *l = meaning;

    keys_free(l->keys, l->count);
    mem_free(l);
}

static struct lease *find(const struct machine *m, int64_t id)
{
    uint8_t key[8];

    put_be64(key, (uint64_t)id);
    const struct table_row *row = table_row(&m->buckets[MVCC_LEASE], BYTES_OF(key));

    return row == NULL ? NULL : row->meaning;
}

const struct lease *lease_find(const struct machine *m, int64_t id)
{
    return find(m, id);
}

static int64_t ttl_min(const struct machine *m)
{
    return m->options.min_lease_ttl == 0 ? LEASE_TTL_MIN : m->options.min_lease_ttl;
}

static enum rc lease_new(const struct machine *m, const struct mvcc_lease *stored,
                         struct lease **out, struct err *e)
{
    struct lease *l;

    TRY(mem_new(&l, sizeof *l, "a lease", e));
    l->id = stored->id;
    l->ttl = stored->ttl < ttl_min(m) ? ttl_min(m) : stored->ttl;
    l->remaining = stored->remaining_ttl;
    *out = l;
    return RC_OK;
}

enum rc lease_load(struct machine *m, struct bytes key, struct bytes value, struct err *e)
{
    struct mvcc_lease stored;
    struct lease *l;

    TRY(mvcc_lease_read(key, value, &stored, e));
    TRY(lease_new(m, &stored, &l, e));
    return table_lend(bucket_of(m, MVCC_LEASE), key, value, l, e);
}

/* ---- keys ---------------------------------------------------------------------------
 */

static bool key_place(const struct lease *l, struct bytes key, size_t *at)
{
    size_t low = 0, high = l->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (bytes_compare(l->keys[middle], key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *at = low;
    return low < l->count && bytes_equal(l->keys[low], key);
}

static void detach(struct lease *l, struct bytes key)
{
    size_t at;

    if (!key_place(l, key, &at))
        return;
    key_free(l->keys[at]);
    l->count--;
    memmove(&l->keys[at], &l->keys[at + 1], (l->count - at) * sizeof *l->keys);
}

static bool attach(struct lease *l, struct bytes key)
{
    size_t at, room = l->room == 0 ? 4 : l->room * 2;
    void *copy;

    if (key_place(l, key, &at))
        return true;
    if (l->count == l->room) {
        struct bytes *keys = mem_resize(l->keys, room, sizeof *keys);

        if (keys == NULL)
            return false;
        l->keys = keys;
        l->room = room;
    }
    copy = mem_copy(key.p, key.n);
    if (copy == NULL)
        return false;
    memmove(&l->keys[at + 1], &l->keys[at], (l->count - at) * sizeof *l->keys);
    l->keys[at] = (struct bytes){ copy, key.n };
    l->count++;
    return true;
}

/* A key may name a lease that is gone: etcd logs that and goes on. The store's callback
 * cannot fail, so memory that ran out is told at the end of the request. */
void lease_attach(void *arg, struct bytes key, int64_t before, int64_t after)
{
    struct machine *m = arg;
    struct lease *old = before == 0 ? NULL : find(m, before);
    struct lease *new = after == 0 ? NULL : find(m, after);

    if (before == after && old != NULL)
        return;
    if (old != NULL)
        detach(old, key);
    if (new != NULL && !attach(new, key))
        m->starved = true;
}

/* ---- requests -----------------------------------------------------------------------
 */

static enum rc pack(const struct lease *l, struct buf *out, struct err *e)
{
    TRY(reply_number(out, 1, (uint64_t)l->id, e));
    TRY(reply_number(out, 2, (uint64_t)l->ttl, e));
    return reply_number(out, 3, (uint64_t)l->remaining, e);
}

/* Owns the lease, also when it fails. */
static enum rc store(struct machine *m, struct lease *l, struct err *e)
{
    AT_END(buf_clear) struct buf value = { 0 };
    enum rc rc = pack(l, &value, e);
    uint8_t key[8];

    if (rc != RC_OK) {
        lease_free(l);
        return rc;
    }
    put_be64(key, (uint64_t)l->id);
    return table_put(bucket_of(m, MVCC_LEASE), BYTES_OF(key), buf_bytes(&value), l, e);
}

enum rc lease_grant(struct machine *m, const struct caller *who, const void *request,
                    struct machine_outcome *o, struct err *e)
{
    const Etcdrpc__LeaseGrantRequest *r = request;
    const struct mvcc_lease wanted = { .id = r->id, .ttl = r->ttl };
    struct lease *l;

    (void)who;
    if (r->id == 0)
        return refused(o, REFUSE_NO_LEASE);
    if (r->ttl > LEASE_TTL_MAX)
        return refused(o, REFUSE_LONG_TTL);
    if (find(m, r->id) != NULL)
        return refused(o, REFUSE_LEASE_EXISTS);
    TRY(lease_new(m, &wanted, &l, e));
    int64_t ttl = l->ttl;

    TRY(store(m, l, e));
    if (!o->wants_reply)
        return RC_OK;
    TRY(reply_number(&o->reply, 2, (uint64_t)r->id, e));
    return reply_number(&o->reply, 3, (uint64_t)ttl, e);
}

/* The keys leave the lease before they are deleted, which would detach them. */
static enum rc delete_keys(struct machine *m, struct lease *l, struct err *e)
{
    struct bytes *keys = l->keys;
    size_t count = l->count;
    uint64_t deleted;
    enum rc rc = RC_OK;

    l->keys = NULL;
    l->count = l->room = 0;
    kvstore_begin(m->kv);
    for (size_t i = 0; i < count && rc == RC_OK; i++)
        rc = kvstore_delete(m->kv, (struct kvstore_span){ .key = keys[i] }, &deleted, e);
    (void)kvstore_end(m->kv);
    keys_free(keys, count);
    return rc;
}

enum rc lease_revoke(struct machine *m, const struct caller *who, const void *request,
                     struct machine_outcome *o, struct err *e)
{
    const Etcdrpc__LeaseRevokeRequest *r = request;
    enum refusal why = permit_lease(m, who, r->id);
    struct lease *l = find(m, r->id);
    uint8_t key[8];
    size_t at;

    if (why != ALLOWED)
        return refused(o, why);
    if (l == NULL)
        return refused(o, REFUSE_NO_LEASE);
    TRY(delete_keys(m, l, e));
    put_be64(key, (uint64_t)r->id);
    if (table_find(bucket_of(m, MVCC_LEASE), BYTES_OF(key), &at))
        table_remove(bucket_of(m, MVCC_LEASE), at);
    return RC_OK;
}

/* The bucket keeps what is left of a lease once the whole cluster is 3.6. */
static bool checkpoints_last(const struct machine *m)
{
    struct mvcc_version v;
    struct err e;

    if (m->options.persist_checkpoints)
        return true;
    if (m->cluster_version == NULL ||
        mvcc_version_read(bytes_str(m->cluster_version), &v, &e) != RC_OK)
        return false;
    return v.major > 3 || (v.major == 3 && v.minor >= 6);
}

/* The row's pair is made anew around the same lease. */
static enum rc store_again(struct machine *m, const struct lease *l, struct err *e)
{
    struct table *t = bucket_of(m, MVCC_LEASE);
    struct lease *moved;
    uint8_t key[8];
    size_t at;

    put_be64(key, (uint64_t)l->id);
    if (!table_find(t, BYTES_OF(key), &at))
        return RC_OK;
    moved = t->rows[at].meaning;
    t->rows[at].meaning = NULL;
    return store(m, moved, e);
}

enum rc lease_checkpoint(struct machine *m, const struct caller *who, const void *request,
                         struct machine_outcome *o, struct err *e)
{
    const Etcdrpc__LeaseCheckpointRequest *r = request;

    (void)who;
    (void)o;
    for (size_t i = 0; i < r->n_checkpoints; i++) {
        struct lease *l = find(m, r->checkpoints[i]->id);

        if (l == NULL)
            continue;
        l->remaining = r->checkpoints[i]->remaining_ttl;
        if (checkpoints_last(m))
            TRY(store_again(m, l, e));
    }
    return RC_OK;
}

/* ---- facts --------------------------------------------------------------------------
 */

static struct machine_lease shown(const struct lease *l)
{
    return (struct machine_lease){ .id = l->id,
                                   .ttl = l->ttl,
                                   .remaining_ttl = l->remaining };
}

bool machine_lease_at(const struct machine *m, size_t i, struct machine_lease *out)
{
    const struct table *t = &m->buckets[MVCC_LEASE];

    if (i >= t->count)
        return false;
    *out = shown(t->rows[i].meaning);
    return true;
}

bool machine_lease_find(const struct machine *m, int64_t id, struct machine_lease *out)
{
    const struct lease *l = lease_find(m, id);

    if (l == NULL)
        return false;
    *out = shown(l);
    return true;
}

enum rc machine_lease_keys(const struct machine *m, int64_t id,
                           enum rc (*visit)(void *arg, struct bytes key, struct err *e),
                           void *arg, struct err *e)
{
    const struct lease *l = lease_find(m, id);

    for (size_t i = 0; l != NULL && i < l->count; i++)
        TRY(visit(arg, l->keys[i], e));
    return RC_OK;
}
