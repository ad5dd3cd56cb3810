/* Inside of a store, shared by kvstore*.c only. */
#ifndef MACHINE_KVSTORE_STATE_H
#define MACHINE_KVSTORE_STATE_H

#include "machine/kvstore.h"
#include "machine/kvstore_records.h"
#include "util/siphash.h"

/* Revisions beyond this are refused: etcd cannot get there, and below it sums are safe.
 */
#define KVSTORE_REVISION_MAX (INT64_C(1) << 62)

/* A record waits until some more are there, while the table's slot for its key is being
 * loaded; without that most of the time would go by waiting for memory. */
enum { KVLOAD_QUEUE = 8 };

struct kvload_record {
    struct mvcc_rev rev;
    struct mvcc_kv kv;
    struct bytes value;
    uint64_t hash; /* of the user key */
};

/* While a file is being loaded: its keys, in no order. */
struct kvload {
    struct kvload_slot {
        uint64_t hash;
        struct kvkey *key; /* NULL: free; owned until the end of the load */
    } * slots;
    size_t capacity, count; /* a power of two, at most three quarters used */
    uint8_t seed[SIPHASH_KEY_SIZE];
    struct kvload_record next[KVLOAD_QUEUE]; /* given, and not yet taken in */
    unsigned queued, first;
    struct mvcc_rev last;
    bool begun;
};

struct kvstore {
    struct kvstore_options options;
    struct kvkeys keys;
    struct kvrecords records;
    uint64_t bytes;
    int64_t revision, compacted;
    uint32_t changes; /* of the write under way */
    struct kvload load;
};

/* What a reader of the newest state means: inside a write its own revision. */
static inline int64_t kvstore_newest(const struct kvstore *s)
{
    return s->revision + (s->changes > 0);
}

/* A new record as the last one, of key `k` unless that is NULL. Fills main, sub,
 * tombstone and takes `stored` as it is. RC_NOMEM changes nothing. */
struct kvstore_pair {
    int64_t main;
    uint32_t sub;
    bool tombstone, owned;
    struct bytes stored;
};
enum rc kvstore_append(struct kvstore *s, struct kvkey *k, const struct kvstore_pair *p,
                       struct err *e);

/* Bytes of a record in bucket key. */
static inline uint64_t kvrecord_bytes(const struct kvrecord *r)
{
    return (r->tombstone ? MVCC_TOMBSTONE_SIZE : MVCC_REV_SIZE) + (uint64_t)r->size;
}

/* The bucket key of a record. */
struct kvrev {
    uint8_t bytes[MVCC_TOMBSTONE_SIZE];
};
struct bytes kvrecord_rev(const struct kvrecord *r, struct kvrev *room);

/* How many of a key's records have a main up to `revision`. */
uint32_t kvstore_up_to(const struct kvstore *s, const struct kvkey *k, int64_t revision);

#define KVKEY_NONE UINT32_MAX

/* Which of a key's records a compaction at `revision` leaves of those up to it: an index
 * into its places, or KVKEY_NONE (formats of etcd's keyIndex.compact). */
uint32_t kvstore_choose(const struct kvstore *s, const struct kvkey *k, int64_t revision,
                        bool drop_tombstone);

void kvstore_set_lease(struct kvstore *s, struct kvkey *k, int64_t lease);

/* The compaction itself, without the question whether it may be. */
void kvstore_compact_to(struct kvstore *s, int64_t revision);

void kvload_clear(struct kvload *load);

#endif
