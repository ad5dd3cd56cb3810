#include "mvcc/chain.h"

#include "codec/crc32c.h"

static const uint32_t ONE = 0x80000000; /* x^0 */

void mvcc_powers_init(struct mvcc_powers *powers)
{
    uint32_t step = ONE >> 8;

    for (unsigned i = 0; i < 4; i++) {
        powers->of[i][0] = ONE;
        for (unsigned b = 1; b < 256; b++)
            powers->of[i][b] = crc32c_multiply(powers->of[i][b - 1], step);
        step = crc32c_multiply(powers->of[i][255], step);
    }
}

void mvcc_chain_add(struct mvcc_chain *chain, const struct mvcc_powers *powers,
                    uint32_t crc, uint64_t length)
{
    uint32_t moved = chain->crc;

    chain->length += length;
    if (length > UINT32_MAX) {
        chain->crc = crc32c_combine(moved, crc, length);
        return;
    }
    for (unsigned i = 0; length > 0; i++, length >>= 8)
        if ((length & 0xff) != 0)
            moved = crc32c_multiply(moved, powers->of[i][length & 0xff]);
    chain->crc = moved ^ crc;
}

void mvcc_chain_bytes(struct mvcc_chain *chain, struct bytes b)
{
    chain->crc = crc32c_update(chain->crc, b.p, b.n);
    chain->length += b.n;
}

uint32_t mvcc_pair_crc(struct bytes key, struct bytes value)
{
    /* bbolt stores the value right behind its key. */
    if (key.p + key.n == value.p)
        return crc32c_update(0, key.p, key.n + value.n);
    return crc32c_update(crc32c_update(0, key.p, key.n), value.p, value.n);
}
