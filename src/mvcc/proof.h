/* Proof of a database that is being built (boltdb/build.h), from the bytes as they come
 * back from its disk, while the rest is still being written: every page is checked, every
 * record of bucket key surveyed and HashKV computed, as a walk over the finished file
 * would. What a builder writes goes by in key order, so nothing but each page's place in
 * the tree is kept until the end; there the tree is put together, and must have what went
 * by for its leaves, in that order.
 *
 * Memory: 44 bytes a leaf, 24 for each of a bucket other than key, and a history's up to
 * MVCC_PROOF_HISTORY: whoever writes the file holds one at the same time. */
#ifndef MVCC_PROOF_H
#define MVCC_PROOF_H

#include "mvcc/chain.h"
#include "mvcc/history.h"
#include "mvcc/schema.h"

/* What a database holds: two with the same sums hold the same pairs, in the same buckets.
 */
struct mvcc_sums {
    struct {
        uint64_t pairs;
        struct mvcc_chain chain; /* over the bucket's name and all pairs */
    } buckets[MVCC_BUCKETS +
              1];   /* the last one: all that no etcd from 3.4 to 3.7 knows */
    uint64_t pairs; /* in all buckets */
    struct mvcc_history_result history; /* HashKV at the newest revision */
};

#define MVCC_PROOF_HISTORY ((size_t)24 << 20) /* 400 000 distinct keys */

struct mvcc_proof_options {
    uint32_t page_size;
    int64_t finished, scheduled; /* compaction marks by which the history is judged */
    struct findings *findings;   /* about the history; NULL: the first error ends it */
    size_t history_max;          /* 0: MVCC_PROOF_HISTORY */
};

struct mvcc_proof;

enum rc mvcc_proof_new(const struct mvcc_proof_options *options, struct mvcc_proof **out,
                       struct err *e);
void mvcc_proof_free(struct mvcc_proof *p);
OWN_DEFINE(mvcc_proof)

/* The next bytes of the file, from its first on, in pieces of any size; what stands in
 * the first two pages does not matter. `proof` is a struct mvcc_proof: this is for a
 * readback_observer. */
enum rc mvcc_proof_take(void *proof, const uint8_t *p, size_t n, struct err *e);

/* All has gone by; `head` is what the first two pages hold now. Records beyond the
 * revision `newest` are no part of the history: a bump adds one, as the last. RC_CORRUPT
 * for any damage. *known is false when this cannot tell (a bucket key with names that are
 * no revisions, a page of more than BOLT_STREAM_EXTENT_MAX, more keys than history_max):
 * the file must then be walked, and `out` means nothing. Call once. */
enum rc mvcc_proof_finish(struct mvcc_proof *p, struct bytes head, int64_t newest,
                          struct mvcc_sums *out, bool *known, struct err *e);

#endif
