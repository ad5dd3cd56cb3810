/* The user keys of a store in order, each with the places of its records. Internal to
 * kvstore*.c.
 *
 * An array of blocks of up to 512 pointers, both levels sorted. A search is two binary
 * searches, an insert moves half a block on average (2 KiB), and a range runs along
 * arrays; a balanced tree needs as many cache misses to find a key, more to walk, and 32
 * bytes of links where this needs about 10. */
#ifndef MACHINE_KVSTORE_KEYS_H
#define MACHINE_KVSTORE_KEYS_H

#include <stdbool.h>
#include <stdint.h>

#include "util/bytes.h"
#include "util/own.h"

/* etcd's keyIndex. Its generations are not cut apart: each ends with its tombstone, and
 * only the last one needs what etcd keeps of a generation. A tombstone that follows a
 * tombstone belongs to no key and is not among the places. */
struct kvkey {
    uint32_t *places;        /* of the records, oldest first; &one while room is 0 */
    uint32_t one;            /* most keys of most stores have one */
    uint32_t count, room;    /* count 0: only while it is made or dropped */
    uint32_t size : 31;      /* of bytes[] */
    uint32_t alive : 1;      /* the newest record is a put */
    int64_t create, version; /* of the last generation, while alive */
    int64_t lease;           /* of the newest record */
    uint8_t bytes[];
};

static inline struct bytes kvkey_bytes(const struct kvkey *k)
{
    return (struct bytes){ k->bytes, k->size };
}

/* RC_NOMEM, also for a key of 2 GiB. */
enum rc kvkey_new(struct bytes key, struct kvkey **out, struct err *e);
void kvkey_free(struct kvkey *k);
OWN_DEFINE(kvkey)

/* Room for one more place, then the place itself. */
enum rc kvkey_reserve(struct kvkey *k, struct err *e);
void kvkey_append(struct kvkey *k, uint32_t place);

/* The oldest n places go. Memory that is then mostly unused is given back. */
void kvkey_drop_oldest(struct kvkey *k, uint32_t n);

enum { KVKEYS_BLOCK = 512 };

struct kvkeys_block {
    uint32_t count; /* never 0 */
    struct kvkey *items[KVKEYS_BLOCK];
};

/* Zero-initialise, end with kvkeys_clear, which frees the keys as well. */
struct kvkeys {
    struct kvkeys_block **blocks;
    size_t count, room; /* of blocks */
};

void kvkeys_clear(struct kvkeys *keys);

/* Where a key is. At the end block is keys->count. */
struct kvkeys_at {
    size_t block;
    uint32_t item;
};

static inline struct kvkey *kvkeys_item(const struct kvkeys *keys, struct kvkeys_at at)
{
    return at.block == keys->count ? NULL : keys->blocks[at.block]->items[at.item];
}

static inline void kvkeys_next(const struct kvkeys *keys, struct kvkeys_at *at)
{
    if (++at->item == keys->blocks[at->block]->count)
        *at = (struct kvkeys_at){ .block = at->block + 1 };
}

/* The first key that is not less than `key`; true when it is the same. */
bool kvkeys_find(const struct kvkeys *keys, struct bytes key, struct kvkeys_at *at);

/* Owns `k` once it is in. `at` is where kvkeys_find said. RC_NOMEM. */
enum rc kvkeys_insert(struct kvkeys *keys, struct kvkeys_at at, struct kvkey *k,
                      struct err *e);

/* Takes the key out; it is the caller's again. */
void kvkeys_remove(struct kvkeys *keys, struct kvkeys_at at);

/* Fills an empty set with keys that are sorted already, and owns them if that succeeds.
 */
enum rc kvkeys_fill(struct kvkeys *keys, struct kvkey **sorted, size_t n, struct err *e);

/* Sorts distinct keys. RC_NOMEM. In kvstore_sort.c. */
enum rc kvkeys_sort(struct kvkey **items, size_t n, struct err *e);

#endif
