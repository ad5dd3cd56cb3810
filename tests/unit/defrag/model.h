/* Random histories, and the slow and plain way to compact them: an index of keys with
 * their generations, as etcd builds it, and its rule looked up in it. Shares nothing with
 * src/defrag. */
#ifndef TESTS_UNIT_DEFRAG_MODEL_H
#define TESTS_UNIT_DEFRAG_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/bytes.h"

enum { MODEL_KEYS = 6, MODEL_RECORDS = 400 };

struct model_record {
    int64_t main, sub, create, version;
    unsigned key;
    bool tombstone;
};

struct model {
    struct model_record records[MODEL_RECORDS];
    size_t count;
    int64_t revision; /* of the newest record, at least 1 */
    int64_t finished; /* compacted here; -1: never */
    uint64_t seed;
};

/* So many transactions that an etcd could have run. */
void model_make(struct model *m, uint64_t seed, unsigned steps);

/* Any records in the right order: tombstones of keys that do not exist, a put and a
 * delete in one transaction. What the rule says about them, it says too. */
void model_make_wild(struct model *m, uint64_t seed, unsigned steps);

/* stays[i] for each record. `drops`: the rule before 3.4.34 and 3.5.16. */
void model_keep(const struct model *m, int64_t revision, bool drops,
                bool stays[static MODEL_RECORDS]);

/* The records that stay, and the mark. */
void model_compact(struct model *m, int64_t revision, bool drops);

/* Record i as it lies in bucket key; append to empty buffers. */
void model_pair(const struct model *m, size_t i, struct buf *key, struct buf *value);

/* The whole database, with a bucket that no etcd knows; with a snapshot's SHA-256 at its
 * end, or without. */
struct buf model_image(const struct model *m, bool trailer);

uint64_t model_random(uint64_t *seed, uint64_t below);

#endif
