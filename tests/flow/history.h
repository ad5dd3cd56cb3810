/* A history to keep: keys with rewrites, deletes, transactions, leases, a compaction. */
#ifndef TESTS_FLOW_HISTORY_H
#define TESTS_FLOW_HISTORY_H

#include "wire/wire.h"

/* Random with a known seed, so that a failure can be run again. */
struct history_random {
    uint64_t state;
};
uint32_t history_below(struct history_random *r, uint32_t n);

enum { HISTORY_BATCH_MAX = 100 }; /* etcd allows 128 operations in a transaction */

/* `count` keys "PREFIX/000000" with values of `size` bytes, 100 in a transaction. */
void history_fill(struct wire_client *c, const char *prefix, unsigned count, size_t size);

/* So many random revisions over a few hundred keys: puts, rewrites, range deletes, and
 * transactions of them. `leases` of them, when not 0, hang keys on new leases. */
void history_grow(struct wire_client *c, struct history_random *r, unsigned revisions,
                  unsigned leases);

/* All that a restore must keep: history_fill, history_grow, binary and empty keys and
 * values, a value of 300 KiB, 5 leases, a physical compaction in the middle. Returns the
 * compacted revision. */
int64_t history_make(struct wire_client *c, uint64_t seed);

/* Two users and two roles beside root; root's password is "pw". */
void history_add_users(struct wire_client *c);

int64_t history_revision(struct wire_client *c);
void history_put(struct wire_client *c, const char *key, const char *value);

#endif
