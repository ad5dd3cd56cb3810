/* Pairs of a leaf, packed for the time until somebody can say whether the leaf counts:
 * 48 bytes for a record of bucket key (and 8 for a lease), whatever its size; any other
 * pair, and a record that something is wrong with, as it is. */
#ifndef MVCC_PACK_H
#define MVCC_PACK_H

#include "mvcc/record.h"

/* Appends one pair. RC_NOMEM; RC_CORRUPT when the buffer's cap is passed. */
enum rc mvcc_pack_add(struct buf *b, const uint8_t seed[static SIPHASH_KEY_SIZE],
                      struct bytes key, struct bytes value, struct err *e);

struct mvcc_packed {
    bool reduced;              /* a record; else the pair */
    struct mvcc_record record; /* with crc; mod of a put is main */
    struct bytes key, value;   /* borrowed */
};

/* Takes the first pair off `rest`; false at the end. */
bool mvcc_pack_next(struct bytes *rest, struct mvcc_packed *out);

#endif
