#include <inttypes.h>

#include "machine/kvstore_state.h"

/* ---- one key ---------------------------------------------------------------------- */

/* A generation that ends exactly at the revision is the one to look at, whatever comes
 * behind it in the same transaction. Of `n` records up to the revision: the first
 * tombstone at it, or `n`. */
static uint32_t tombstone_at(const struct kvstore *s, const struct kvkey *k, uint32_t n,
                             int64_t revision)
{
    uint32_t found = n;

    for (uint32_t i = n; i-- > 0;) {
        const struct kvrecord *r = kvrecords_at(&s->records, k->places[i]);

        if ((int64_t)r->main < revision)
            break;
        if (r->tombstone)
            found = i;
    }
    return found;
}

/* etcd's keyIndex.doCompact: of the first generation whose tombstone lies at or past the
 * revision, else of the last one, the newest record up to it. Before the rule changed it
 * was "past", and a tombstone at the revision was in no generation that counts. */
uint32_t kvstore_choose(const struct kvstore *s, const struct kvkey *k, int64_t revision,
                        bool drop_tombstone)
{
    uint32_t n = kvstore_up_to(s, k, revision);
    uint32_t found;

    if (n == 0)
        return KVKEY_NONE;
    found = drop_tombstone ? n : tombstone_at(s, k, n, revision);
    if (found < n)
        return found;
    return kvrecords_at(&s->records, k->places[n - 1])->tombstone ? KVKEY_NONE : n - 1;
}

/* Lets go of all records up to the revision but the chosen one. */
static void trim(struct kvstore *s, struct kvkey *k, int64_t revision)
{
    uint32_t n = kvstore_up_to(s, k, revision);
    uint32_t keep =
        kvstore_choose(s, k, revision, s->options.drop_tombstone_at_compaction);

    for (uint32_t i = 0; i < n; i++)
        if (i != keep)
            kvrecords_at(&s->records, k->places[i])->key = NULL;
    if (keep != KVKEY_NONE) {
        k->places[n - 1] = k->places[keep];
        n--;
    }
    if (n > 0)
        kvkey_drop_oldest(k, n);
}

/* The newest record may have been among those (a delete and a put of one key in one
 * transaction, which etcd's API refuses). */
static void settle(struct kvstore *s, struct kvkey *k)
{
    bool alive =
        k->count > 0 && !kvrecords_at(&s->records, k->places[k->count - 1])->tombstone;

    if (!alive && k->lease != 0)
        kvstore_set_lease(s, k, 0);
    k->alive = alive;
}

static void forget(struct kvstore *s, struct kvkey *k)
{
    struct kvkeys_at at;

    kvkeys_find(&s->keys, kvkey_bytes(k), &at);
    kvkeys_remove(&s->keys, at);
    kvkey_free(k);
}

/* ---- all of them ------------------------------------------------------------------ */

/* Decides about the record's key when the record is the oldest of it; afterwards a record
 * without a key goes. */
static void decide(struct kvstore *s, uint32_t place, int64_t revision)
{
    struct kvkey *k = kvrecords_at(&s->records, place)->key;

    if (k == NULL || k->places[0] != place)
        return;
    trim(s, k, revision);
    settle(s, k);
    if (k->count == 0)
        forget(s, k);
}

/* Moves what stays of the oldest n records up to the ones behind them. */
static uint32_t pack(struct kvstore *s, uint32_t n)
{
    uint32_t to = n;

    for (uint32_t i = n; i-- > 0;) {
        struct kvrecord *r = kvrecords_nth(&s->records, i);

        if (r->key == NULL) {
            s->bytes -= kvrecord_bytes(r);
            kvrecord_release(r);
            continue;
        }
        to--;
        r->key->places[0] = s->records.first + to;
        if (to != i)
            *kvrecords_nth(&s->records, to) = *r;
    }
    return to;
}

void kvstore_compact_to(struct kvstore *s, int64_t revision)
{
    uint32_t n = kvrecords_below(&s->records, revision + 1);

    for (uint32_t i = 0; i < n; i++)
        decide(s, s->records.first + i, revision);
    kvrecords_drop_oldest(&s->records, pack(s, n));
    s->compacted = revision;
}

enum rc kvstore_compact(struct kvstore *s, int64_t revision, struct err *e)
{
    if (revision <= s->compacted)
        return err_set(e, RC_NOTFOUND,
                       "revision %" PRId64
                       " has been compacted, the last compaction was at %" PRId64,
                       revision, s->compacted);
    if (revision > s->revision)
        return err_set(e, RC_NOTFOUND,
                       "revision %" PRId64 " lies in the future, the newest is %" PRId64,
                       revision, s->revision);
    kvstore_compact_to(s, revision);
    return RC_OK;
}
