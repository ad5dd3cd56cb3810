/* Which records of bucket key a compaction keeps: the decision of etcd's keyIndex.compact
 * (server/storage/mvcc/key_index.go), made while the records go by in order.
 *
 * Of each user key the first generation that ends at or after the revision, else its last
 * one, keeps its newest record up to the revision; a generation ends with its tombstone.
 * Whatever lies above the revision stays, so only records up to it are looked at.
 *
 * Memory while deciding: an entry of mvcc/keys.h for each key that has such a record, and
 * one bit for each such record. Afterwards the bits are all that is left. Whoever can
 * give the records again bounds the keys, as in mvcc/history.h. */
#ifndef DEFRAG_KEEP_H
#define DEFRAG_KEEP_H

#include "mvcc/record.h"

struct defrag_keep_rule {
    int64_t revision;
    /* etcd before 3.4.34 and 3.5.16 removed the tombstone of a key that was deleted by
     * the compaction's very revision; all later ones leave it to the next compaction.
     * HashKV is the same either way. */
    bool drops_tombstone;
};

struct defrag_keep;

enum rc defrag_keep_new(const struct defrag_keep_rule *rule, struct defrag_keep **out,
                        struct err *e);
void defrag_keep_free(struct defrag_keep *k);
OWN_DEFINE(defrag_keep)

/* The next pair of bucket key. RC_CORRUPT when it cannot be read. */
enum rc defrag_keep_add(struct defrag_keep *k, struct bytes key, struct bytes value,
                        struct err *e);

/* Before the first pair: so many keys are held at once; for those that do not fit all
 * pairs must be given again, as often as defrag_keep_again asks, or RC_CORRUPT when they
 * are not the same. Call it then whenever all were given. */
void defrag_keep_bound(struct defrag_keep *k, size_t keys_max);
enum rc defrag_keep_again(struct defrag_keep *k, bool *again, struct err *e);

/* All pairs are in: gives back the memory of the keys. */
void defrag_keep_settle(struct defrag_keep *k);

/* Does pair number `ordinal` (from 0) stay? */
bool defrag_keep_has(const struct defrag_keep *k, uint64_t ordinal);

const struct defrag_keep_rule *defrag_keep_rule(const struct defrag_keep *k);

#endif
