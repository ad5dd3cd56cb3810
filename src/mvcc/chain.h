/* A CRC over many pieces whose own CRCs are known: what etcd computes by feeding a hash
 * record after record (HashKV, snapshot status), computed without the bytes, and so also
 * when their order or their relevance is known only later.
 *
 * Appending costs a few multiplications of polynomials instead of crc32c_combine's sixty:
 * the powers of x that lengths below 4 GiB call for come
 * from a table. */
#ifndef MVCC_CHAIN_H
#define MVCC_CHAIN_H

#include <stdint.h>

#include "util/bytes.h"

struct mvcc_chain {
    uint32_t crc;    /* CRC32C of all so far */
    uint64_t length; /* bytes so far */
};

/* 4 KiB; shared by all chains of a survey. */
struct mvcc_powers {
    uint32_t of[4][256]; /* of[i][b]: x to the power 8 * b * 256^i */
};

void mvcc_powers_init(struct mvcc_powers *powers);

/* A piece of `length` bytes with the CRC32C `crc` follows. */
void mvcc_chain_add(struct mvcc_chain *chain, const struct mvcc_powers *powers,
                    uint32_t crc, uint64_t length);

/* Bytes that are at hand follow. */
void mvcc_chain_bytes(struct mvcc_chain *chain, struct bytes b);

/* CRC32C of key and value as they lie in the bucket: the piece that a pair is. */
uint32_t mvcc_pair_crc(struct bytes key, struct bytes value);

#endif
