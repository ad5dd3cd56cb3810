/* The distinct user keys of a history: one small entry each, side by side in the order
 * of their first record, and found through an open-addressing table of 8 bytes a slot.
 * Most lookups miss the cache once, in the table, which is small; a table of the entries
 * themselves was twice as slow. Entries move when there are more, so a pointer lives only
 * until the next mvcc_keys_at. */
#ifndef MVCC_KEYS_H
#define MVCC_KEYS_H

#include "mvcc/record.h"

enum mvcc_key_flag {
    MVCC_KEY_SEEN = 1,        /* an earlier record named it */
    MVCC_KEY_ALIVE = 2,       /* its newest record is a put */
    MVCC_KEY_CHOSEN = 4,      /* its generation for HashKV is settled */
    MVCC_KEY_KEEP = 8,        /* one of its records is in HashKV's keep set */
    MVCC_KEY_KUBERNETES = 16, /* it begins with /registry/ */
};

#define MVCC_KEY_NOT_KEPT UINT32_MAX
#define MVCC_KEY_VERSION_MAX (((int64_t)1 << 55) - 1)

/* 40 bytes. */
struct mvcc_key {
    uint64_t id_a; /* struct mvcc_key_id, flat for want of padding */
    uint32_t id_b;
    uint32_t kept;          /* place of the record to keep, or MVCC_KEY_NOT_KEPT */
    int64_t create, lease;  /* of the newest put; the lease is 0 when deleted */
    uint64_t version_flags; /* version << 8 | enum mvcc_key_flag */
};

static inline int64_t mvcc_key_version(const struct mvcc_key *k)
{
    return (int64_t)(k->version_flags >> 8);
}

static inline bool mvcc_key_is(const struct mvcc_key *k, enum mvcc_key_flag flag)
{
    return (k->version_flags & flag) != 0;
}

static inline void mvcc_key_set(struct mvcc_key *k, enum mvcc_key_flag flag)
{
    k->version_flags |= flag;
}

static inline void mvcc_key_unset(struct mvcc_key *k, enum mvcc_key_flag flag)
{
    k->version_flags &= ~(uint64_t)flag;
}

/* Zero-initialise, end with mvcc_keys_clear. */
struct mvcc_keys {
    struct mvcc_key *items;
    size_t count, room;
    uint64_t *table; /* 0: free; else half of the hash, and the item's place plus 1 */
    size_t capacity; /* slots: a power of two, at most three quarters used */
};

/* This key will be asked for soon: begins to load its slot. */
static inline void mvcc_keys_soon(const struct mvcc_keys *keys, struct mvcc_key_id id)
{
    if (keys->capacity > 0)
        __builtin_prefetch(&keys->table[(uint32_t)id.a & (keys->capacity - 1)]);
}

/* The entry of a key, a fresh one when it is new. RC_NOMEM. */
enum rc mvcc_keys_at(struct mvcc_keys *keys, struct mvcc_key_id id, struct mvcc_key **out,
                     struct err *e);

/* Keys fall into 2^shift parts of about the same size. */
static inline uint32_t mvcc_key_part(uint32_t id_b, unsigned shift)
{
    return id_b & ((UINT32_C(1) << shift) - 1);
}

/* Only keys of this part stay; none do when it is UINT32_MAX. The memory stays, too. */
void mvcc_keys_retain(struct mvcc_keys *keys, unsigned shift, uint32_t part);
void mvcc_keys_clear(struct mvcc_keys *keys);

#endif
