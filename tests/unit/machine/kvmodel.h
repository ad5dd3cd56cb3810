/* A key space the slow and plain way: an array of all records ever written, in order, of
 * which a compaction crosses some out. Shares nothing with src/machine. */
#ifndef TESTS_UNIT_MACHINE_KVMODEL_H
#define TESTS_UNIT_MACHINE_KVMODEL_H

#include <stdlib.h>

#include "machine/kvstore.h"
#include "tests/unit/machine/kvfixture.h"

enum { MODEL_KEYS = 14, MODEL_VERSIONS = 1 << 15 };

struct model_version {
    unsigned key;
    bool tombstone;
    int64_t main, sub, create, version, lease;
    size_t value; /* bytes, all of them the low byte of main */
};

struct model {
    struct bytes keys[MODEL_KEYS]; /* in order */
    struct model_version versions[MODEL_VERSIONS];
    size_t count;
    int64_t revision, compacted;
    bool drop_tombstone;
    int64_t leases[MODEL_KEYS]; /* as the store told of them */
    unsigned seed;
};

unsigned model_below(struct model *m, unsigned n);
struct model *model_new(unsigned seed);

/* The newest version up to `revision`; NULL when there is none, or it is a tombstone. */
const struct model_version *model_visible(const struct model *m, unsigned key,
                                          int64_t revision);
bool model_has(struct kvstore_span span, struct bytes key);

void model_put(struct model *m, unsigned key, int64_t sub, size_t value, int64_t lease);
bool model_delete(struct model *m, unsigned key, int64_t sub);
void model_compact(struct model *m, int64_t revision);

/* The pair that bucket `key` holds for it. */
void model_pair(const struct model *m, const struct model_version *v, struct buf *rev,
                struct buf *value);
struct pairs model_pairs(const struct model *m);

#endif
