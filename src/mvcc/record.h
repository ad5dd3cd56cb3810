/* One record of bucket key, reduced to the facts that its meaning hangs on. A record may
 * be a megabyte; its facts are small enough to keep for all of them. */
#ifndef MVCC_RECORD_H
#define MVCC_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "mvcc/schema.h"
#include "util/siphash.h"

/* 96 bits of a keyed hash stand for a user key: with a random seed, two keys of one
 * database share them once in 2^50 databases of 8 million keys. */
struct mvcc_key_id {
    uint64_t a;
    uint32_t b;
};

struct mvcc_record {
    int64_t main, sub;
    int64_t create, mod, version, lease;
    struct mvcc_key_id key; /* of the user key */
    uint32_t crc;           /* CRC32C of bucket key and value; 0 when nobody asked */
    uint64_t length;        /* bytes of both */
    bool tombstone;
    bool padded;     /* a tombstone whose value holds more than the user key */
    bool bump;       /* the empty value that a revision bump leaves at a restore */
    bool kubernetes; /* the user key begins with /registry/ */
};

/* Facts of the pair whose bucket key reads as `rev`. RC_CORRUPT when the value is no
 * KeyValue, or names no user key. crc is left 0. */
enum rc mvcc_record_read(const uint8_t seed[static SIPHASH_KEY_SIZE],
                         const struct mvcc_rev *rev, struct bytes value,
                         struct mvcc_record *out, struct err *e);

#endif
