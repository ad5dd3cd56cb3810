#include <inttypes.h>

#include "machine/kvstore_state.h"
#include "util/mem.h"
#include "util/os.h"

enum { SLOTS_MIN = 1024 };

/* ---- keys in no order ------------------------------------------------------------- */

void kvload_clear(struct kvload *load)
{
    for (size_t i = 0; i < load->capacity; i++)
        kvkey_free(load->slots[i].key);
    mem_free(load->slots);
    *load = (struct kvload){ 0 };
}

static enum rc grow(struct kvload *load, struct err *e)
{
    size_t capacity = load->capacity == 0 ? SLOTS_MIN : load->capacity * 2;
    struct kvload_slot *slots;

    if (load->count < load->capacity / 4 * 3)
        return RC_OK;
    TRY(mem_new(&slots, capacity * sizeof *slots, "the key table", e));
    for (size_t i = 0; i < load->capacity; i++) {
        size_t to = load->slots[i].hash & (capacity - 1);

        if (load->slots[i].key == NULL)
            continue;
        while (slots[to].key != NULL)
            to = (to + 1) & (capacity - 1);
        slots[to] = load->slots[i];
    }
    mem_free(load->slots);
    load->slots = slots;
    load->capacity = capacity;
    return RC_OK;
}

/* The slot of a key, or the free one where it belongs. */
static struct kvload_slot *probe(const struct kvload *load, uint64_t hash,
                                 struct bytes key)
{
    size_t i = hash & (load->capacity - 1);

    while (load->slots[i].key != NULL &&
           !(load->slots[i].hash == hash &&
             bytes_equal(kvkey_bytes(load->slots[i].key), key)))
        i = (i + 1) & (load->capacity - 1);
    return &load->slots[i];
}

/* The entry of a key; one without a place when it is new. */
static enum rc key_of(struct kvload *load, struct bytes key, uint64_t hash,
                      struct kvkey **out, struct err *e)
{
    struct kvload_slot *slot;

    TRY(grow(load, e));
    slot = probe(load, hash, key);
    if (slot->key == NULL) {
        TRY(kvkey_new(key, &slot->key, e));
        slot->hash = hash;
        load->count++;
    }
    *out = slot->key;
    return RC_OK;
}

/* ---- records ---------------------------------------------------------------------- */

static enum rc check_order(struct kvload *load, const struct mvcc_rev *rev, struct err *e)
{
    const struct mvcc_rev *last = &load->last;

    if (rev->main > KVSTORE_REVISION_MAX || rev->sub > UINT32_MAX)
        return err_set(e, RC_CORRUPT,
                       "revision %" PRId64 "/%" PRId64 " is beyond what etcd can reach",
                       rev->main, rev->sub);
    if (load->begun &&
        (rev->main < last->main || (rev->main == last->main && rev->sub <= last->sub)))
        return err_set(e, RC_CORRUPT,
                       "revision %" PRId64 "/%" PRId64 " follows revision %" PRId64
                       "/%" PRId64,
                       rev->main, rev->sub, last->main, last->sub);
    return RC_OK;
}

/* etcd's restoreIntoIndex: the first record of a key tells how far its generation has
 * come, later ones are counted. A tombstone of what does not exist belongs to no key,
 * unless it is the first that is known of it. */
static enum rc take(struct kvstore *s, const struct kvload_record *r, struct err *e)
{
    const struct kvstore_pair p = { .main = r->rev.main,
                                    .sub = (uint32_t)r->rev.sub,
                                    .tombstone = r->rev.tombstone,
                                    .stored = r->value };
    struct kvkey *k;
    bool first, alive;

    TRY(key_of(&s->load, r->kv.key, r->hash, &k, e));
    first = k->count == 0;
    alive = k->alive;
    k->lease = p.tombstone ? 0 : r->kv.lease;
    if (p.tombstone)
        return kvstore_append(s, first || alive ? k : NULL, &p, e);
    TRY(kvstore_append(s, k, &p, e));
    if (!alive)
        k->create = first ? r->kv.create : p.main;
    if (first)
        k->version = r->kv.version;
    else
        k->version = alive ? (int64_t)((uint64_t)k->version + 1) : 1;
    return RC_OK;
}

static enum rc take_oldest(struct kvstore *s, struct err *e)
{
    struct kvload *load = &s->load;
    const struct kvload_record *r = &load->next[load->first];

    load->first = (load->first + 1) % KVLOAD_QUEUE;
    load->queued--;
    return take(s, r, e);
}

static void queue(struct kvload *load, const struct kvload_record *r)
{
    if (load->capacity > 0)
        __builtin_prefetch(&load->slots[r->hash & (load->capacity - 1)]);
    load->next[(load->first + load->queued++) % KVLOAD_QUEUE] = *r;
    load->last = r->rev;
    load->begun = true;
}

enum rc kvstore_load(struct kvstore *s, struct bytes key, struct bytes value,
                     struct err *e)
{
    struct kvload *load = &s->load;
    struct kvload_record r = { .value = value };

    TRY(mvcc_rev_read(key, &r.rev, e));
    if (value.n > INT32_MAX)
        return err_set(e, RC_CORRUPT, "a value of %zu bytes, bbolt allows 2147483646",
                       value.n);
    TRY(mvcc_kv_read(value, &r.kv, e));
    TRY(check_order(load, &r.rev, e));
    if (!load->begun)
        TRY(os_random(load->seed, sizeof load->seed, e));
    if (load->queued == KVLOAD_QUEUE)
        TRY(take_oldest(s, e));
    r.hash = siphash_of(load->seed, r.kv.key.p, r.kv.key.n).low;
    queue(load, &r);
    return RC_OK;
}

/* ---- the end ---------------------------------------------------------------------- */

/* In the order of their first records, which is how they lie in memory. */
static enum rc order_keys(struct kvstore *s, struct err *e)
{
    AT_END(mem_end) struct kvkey **items = NULL;
    size_t n = 0;

    TRY(mem_new(&items, s->load.count * sizeof(struct kvkey *), "sorting keys", e));
    for (uint32_t i = 0; i < s->records.count; i++) {
        struct kvkey *k = kvrecords_nth(&s->records, i)->key;

        if (k != NULL && k->places[0] == s->records.first + i)
            items[n++] = k;
    }
    TRY(kvkeys_sort(items, n, e));
    TRY(kvkeys_fill(&s->keys, items, n, e));
    mem_free(s->load.slots);
    s->load = (struct kvload){ 0 };
    return RC_OK;
}

static void tell_leases(const struct kvstore *s)
{
    for (struct kvkeys_at at = { 0 }; at.block < s->keys.count;
         kvkeys_next(&s->keys, &at)) {
        const struct kvkey *k = kvkeys_item(&s->keys, at);

        if (k->lease != 0)
            s->options.lease(s->options.lease_arg, kvkey_bytes(k), 0, k->lease);
    }
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

enum rc kvstore_load_end(struct kvstore *s, int64_t finished, int64_t scheduled,
                         struct err *e)
{
    int64_t mark = larger(finished, scheduled);

    if (mark > KVSTORE_REVISION_MAX)
        return err_set(
            e, RC_CORRUPT,
            "a compaction at revision %" PRId64 " is beyond what etcd can reach", mark);
    while (s->load.queued > 0)
        TRY(take_oldest(s, e));
    s->revision = larger(larger(s->load.last.main, mark), 1);
    TRY(order_keys(s, e));
    s->compacted = finished;
    if (s->options.lease != NULL)
        tell_leases(s);
    if (scheduled > finished)
        kvstore_compact_to(s, scheduled);
    return RC_OK;
}
