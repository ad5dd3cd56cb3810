/* HashKV the slow and plain way, as etcd computes it: an index of keys with generations
 * is built from the records, the keep set is looked up in it, and the bytes are hashed.
 * Shares nothing with src/mvcc but the CRC. */
#ifndef TESTS_UNIT_MVCC_REFERENCE_H
#define TESTS_UNIT_MVCC_REFERENCE_H

#include "util/bytes.h"

/* Big enough for every history of the tests. */
enum { REFERENCE_RECORDS = 4096 };

struct reference_record {
    struct bytes key, value, user_key; /* borrowed */
    int64_t main, sub;
    bool tombstone;
};

struct reference {
    struct reference_record records[REFERENCE_RECORDS];
    size_t count;
    int64_t compact; /* finished, or -1 */
};

/* The next pair of bucket key, in order. */
void reference_add(struct reference *r, struct bytes key, struct bytes value);

uint32_t reference_hashkv(const struct reference *r, int64_t revision);

#endif
