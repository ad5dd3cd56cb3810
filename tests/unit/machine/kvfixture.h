/* Key spaces in tests: filled from pairs, and put into pairs again. */
#ifndef TESTS_UNIT_MACHINE_KVFIXTURE_H
#define TESTS_UNIT_MACHINE_KVFIXTURE_H

#include "machine/kvstore.h"
#include "tests/unit/mvcc/story.h"

/* The pairs must outlive the store. `options` may be NULL. */
struct kvstore *kv_load(const struct kvstore_options *options, const struct pairs *pairs,
                        int64_t finished, int64_t scheduled);

/* What bucket `key` is to hold; pairs_clear ends it. */
struct pairs kv_dump(const struct kvstore *s);
void kv_same(const struct pairs *a, const struct pairs *b, const char *what);

/* HashKV by mvcc/history.h of the same pairs. */
uint32_t kv_history_hash(const struct pairs *pairs, int64_t compacted, int64_t revision);

#define KV(text) bytes_str(text)
static inline struct kvstore_span kv_key(const char *key)
{
    return (struct kvstore_span){ .key = bytes_str(key) };
}
static inline struct kvstore_span kv_span(const char *key, const char *end)
{
    return (struct kvstore_span){ bytes_str(key), bytes_str(end) };
}
/* From `key` on. */
static inline struct kvstore_span kv_from(const char *key)
{
    return (struct kvstore_span){ bytes_str(key), { (const uint8_t *)"", 1 } };
}

#endif
