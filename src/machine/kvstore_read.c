#include <inttypes.h>

#include "codec/crc32c.h"
#include "machine/kvstore_state.h"
#include "util/mem.h"

static bool endless(struct kvstore_span span)
{
    return span.end.n == 1 && span.end.p[0] == 0;
}

bool kvstore_span_has(struct kvstore_span span, struct bytes key)
{
    if (span.end.n == 0)
        return bytes_equal(span.key, key);
    return bytes_compare(span.key, key) <= 0 &&
           (endless(span) || bytes_compare(key, span.end) < 0);
}

/* ---- versions of one key ---------------------------------------------------------- */

static const struct kvrecord *nth(const struct kvstore *s, const struct kvkey *k,
                                  uint32_t i)
{
    return kvrecords_at(&s->records, k->places[i]);
}

uint32_t kvstore_up_to(const struct kvstore *s, const struct kvkey *k, int64_t revision)
{
    uint32_t low = 0, high = k->count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if ((int64_t)nth(s, k, middle)->main <= revision)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The newest put up to the revision, unless a tombstone followed; or NULL. */
static const struct kvrecord *visible(const struct kvstore *s, const struct kvkey *k,
                                      int64_t revision)
{
    const struct kvrecord *r;
    uint32_t n;

    if (revision == kvstore_newest(s))
        return k->alive ? nth(s, k, k->count - 1) : NULL;
    n = kvstore_up_to(s, k, revision);
    if (n == 0)
        return NULL;
    r = nth(s, k, n - 1);
    return r->tombstone ? NULL : r;
}

/* ---- reading ---------------------------------------------------------------------- */

/* As etcd's rangeKeys: zero and less is the newest. */
static enum rc resolve(const struct kvstore *s, int64_t *revision, struct err *e)
{
    int64_t newest = kvstore_newest(s);

    if (*revision > newest)
        return err_set(e, RC_NOTFOUND,
                       "revision %" PRId64 " lies in the future, the newest is %" PRId64,
                       *revision, newest);
    if (*revision <= 0)
        *revision = newest;
    if (*revision < s->compacted)
        return err_set(e, RC_NOTFOUND,
                       "revision %" PRId64
                       " has been compacted, the oldest one left is %" PRId64,
                       *revision, s->compacted);
    return RC_OK;
}

static struct kvstore_record show(const struct kvrecord *r)
{
    return (struct kvstore_record){
        .main = (int64_t)r->main,
        .sub = r->sub,
        .tombstone = r->tombstone,
        .stored = { r->stored, r->size },
    };
}

/* The next key of a span from `at` on; NULL when there is none. */
static const struct kvkey *span_key(const struct kvstore *s, struct kvstore_span span,
                                    struct kvkeys_at at)
{
    const struct kvkey *k = kvkeys_item(&s->keys, at);

    return k != NULL && kvstore_span_has(span, kvkey_bytes(k)) ? k : NULL;
}

enum rc kvstore_range(const struct kvstore *s, struct kvstore_span span, int64_t revision,
                      enum rc (*visit)(void *arg, struct bytes key,
                                       const struct kvstore_record *r, bool *stop,
                                       struct err *e),
                      void *arg, struct err *e)
{
    const struct kvkey *k;
    struct kvkeys_at at;
    bool stop = false;

    TRY(resolve(s, &revision, e));
    kvkeys_find(&s->keys, span.key, &at);
    for (; !stop && (k = span_key(s, span, at)) != NULL; kvkeys_next(&s->keys, &at)) {
        const struct kvrecord *r = visible(s, k, revision);
        struct kvstore_record shown;

        if (r == NULL)
            continue;
        shown = show(r);
        TRY(visit(arg, kvkey_bytes(k), &shown, &stop, e));
    }
    return RC_OK;
}

enum rc kvstore_count(const struct kvstore *s, struct kvstore_span span, int64_t revision,
                      uint64_t *out, struct err *e)
{
    const struct kvkey *k;
    struct kvkeys_at at;
    uint64_t count = 0;

    TRY(resolve(s, &revision, e));
    kvkeys_find(&s->keys, span.key, &at);
    for (; (k = span_key(s, span, at)) != NULL; kvkeys_next(&s->keys, &at))
        count += visible(s, k, revision) != NULL;
    *out = count;
    return RC_OK;
}

enum rc kvstore_get(const struct kvstore *s, struct bytes key, int64_t revision,
                    struct kvstore_record *out, bool *found, struct err *e)
{
    const struct kvrecord *r = NULL;
    struct kvkeys_at at;

    TRY(resolve(s, &revision, e));
    if (kvkeys_find(&s->keys, key, &at))
        r = visible(s, kvkeys_item(&s->keys, at), revision);
    *found = r != NULL;
    if (r != NULL)
        *out = show(r);
    return RC_OK;
}

enum rc kvstore_changes(const struct kvstore *s, int64_t from,
                        enum rc (*visit)(void *arg, const struct kvstore_record *r,
                                         bool *stop, struct err *e),
                        void *arg, struct err *e)
{
    uint32_t end = s->records.count - s->changes;
    bool stop = false;

    for (uint32_t i = kvrecords_below(&s->records, from); !stop && i < end; i++) {
        struct kvstore_record shown = show(kvrecords_nth(&s->records, i));

        TRY(visit(arg, &shown, &stop, e));
    }
    return RC_OK;
}

enum rc kvstore_dump(const struct kvstore *s,
                     enum rc (*pair)(void *arg, struct bytes rev, struct bytes value,
                                     struct err *e),
                     void *arg, struct err *e)
{
    for (uint32_t i = 0; i < s->records.count; i++) {
        const struct kvrecord *r = kvrecords_nth(&s->records, i);
        struct kvrev room;

        TRY(pair(arg, kvrecord_rev(r, &room), (struct bytes){ r->stored, r->size }, e));
    }
    return RC_OK;
}

/* ---- HashKV ----------------------------------------------------------------------- */

/* A bit for each record up to the compaction revision. */
static void mark(uint64_t *bits, uint32_t i)
{
    bits[i / 64] |= UINT64_C(1) << i % 64;
}

static bool marked(const uint64_t *bits, uint32_t i)
{
    return (bits[i / 64] >> i % 64 & 1) != 0;
}

/* etcd's keyIndex.keep: what a compaction would leave, but never a tombstone. Returns
 * whether any key keeps something. */
static bool mark_kept(const struct kvstore *s, int64_t revision, uint32_t filtered,
                      uint64_t *kept)
{
    bool any = false;

    for (struct kvkeys_at at = { 0 }; at.block < s->keys.count;
         kvkeys_next(&s->keys, &at)) {
        const struct kvkey *k = kvkeys_item(&s->keys, at);
        uint32_t i = kvstore_choose(s, k, revision, false);

        if (i == KVKEY_NONE || nth(s, k, i)->tombstone)
            continue;
        any = true;
        if (k->places[i] - s->records.first < filtered)
            mark(kept, k->places[i] - s->records.first);
    }
    return any;
}

static uint32_t hash_records(const struct kvstore *s, int64_t revision, uint32_t filtered,
                             const uint64_t *kept, bool any)
{
    uint32_t hash = crc32c_update(0, "key", 3);

    for (uint32_t i = 0; i < s->records.count; i++) {
        const struct kvrecord *r = kvrecords_nth(&s->records, i);
        struct kvrev room;
        struct bytes rev = kvrecord_rev(r, &room);

        if ((int64_t)r->main > revision)
            break;
        /* etcd filters only when it has a set to filter by, and in no case takes a
         * tombstone at the compaction: older versions have removed it. */
        if (i < filtered && any && !marked(kept, i))
            continue;
        if ((int64_t)r->main == s->compacted && r->tombstone)
            continue;
        hash = crc32c_update(hash, rev.p, rev.n);
        hash = crc32c_update(hash, r->stored, r->size);
    }
    return hash;
}

enum rc kvstore_hashkv(const struct kvstore *s, int64_t revision, struct mvcc_hashkv *out,
                       struct err *e)
{
    AT_END(mem_end) uint64_t *kept = NULL;
    uint32_t filtered = kvrecords_below(&s->records, s->compacted + 1);
    bool any;

    TRY(resolve(s, &revision, e));
    TRY(mem_new(&kept, ((size_t)filtered / 64 + 1) * sizeof *kept, "a hash", e));
    any = filtered > 0 && mark_kept(s, revision, filtered, kept);
    *out = (struct mvcc_hashkv){
        .hash = hash_records(s, revision, filtered, kept, any),
        .revision = revision,
        .compact_revision = s->compacted,
    };
    return RC_OK;
}
