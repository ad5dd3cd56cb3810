/* Hostile pairs: every reader of the schema, and a history told twice, from the pairs and
 * from what a stream keeps of them, which must come to the same end.
 *
 * Input: a byte that chooses marks and checks, then pairs: bucket, key size, value size
 * (a byte each), key, value. */
#include <assert.h>

#include "mvcc/collect.h"
#include "mvcc/pack.h"
#include "util/mem.h"

static bool take(struct bytes *rest, size_t n, struct bytes *out)
{
    if (n > rest->n)
        return false;
    *out = (struct bytes){ rest->p, n };
    *rest = (struct bytes){ rest->p + n, rest->n - n };
    return true;
}

static bool take_pair(struct bytes *rest, enum mvcc_bucket *bucket, struct bytes *key,
                      struct bytes *value)
{
    struct bytes head;

    if (!take(rest, 3, &head) || !take(rest, head.p[1], key) ||
        !take(rest, head.p[2], value))
        return false;
    *bucket = head.p[0] % MVCC_BUCKETS;
    return true;
}

static void must(enum rc rc)
{
    assert(rc == RC_OK);
}

/* Each side sees bucket key's pairs; the records must survive being packed. */
static void tell(struct mvcc_history *plain, struct mvcc_history *packed,
                 struct bytes key, struct bytes value)
{
    static const uint8_t seed[SIPHASH_KEY_SIZE] = { 7 };
    AT_END(buf_clear) struct buf b = { 0 };
    uint32_t crc = mvcc_pair_crc(key, value);
    struct mvcc_packed pair;
    struct bytes rest;
    struct err e;

    must(mvcc_pack_add(&b, seed, key, value, &e));
    rest = (struct bytes){ b.p, b.n };
    assert(mvcc_pack_next(&rest, &pair) && rest.n == 0);
    must(mvcc_history_pair(plain, key, value, crc, 1, &e));
    if (pair.reduced)
        must(mvcc_history_add(packed, &pair.record, 1, &e));
    else
        must(mvcc_history_pair(packed, pair.key, pair.value, crc, 1, &e));
}

static void history_new(const struct mvcc_history_options *o, struct findings *f,
                        struct mvcc_history **out)
{
    static const uint8_t seed[SIPHASH_KEY_SIZE] = { 7 };
    struct err e;

    must(mvcc_history_new(o, f, out, &e));
    mvcc_history_seed(*out, seed);
}

static void same(const struct mvcc_history_result *a, const struct mvcc_history_result *b)
{
    assert(a->revision == b->revision && a->records == b->records);
    assert(a->rejected == b->rejected && a->live_keys == b->live_keys);
    assert(a->indexed_keys == b->indexed_keys && a->tombstones == b->tombstones);
    assert(a->hash_known == b->hash_known && a->hashkv.hash == b->hashkv.hash);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AT_END(findings_clear) struct findings f = { 0 };
    AT_END(findings_clear) struct findings g = { 0 };
    AT_END(mvcc_facts_end) struct mvcc_facts facts = { 0 };
    AT_END(mvcc_collect_clear) struct mvcc_collect c = { .facts = &facts, .f = &f };
    OWNED(mvcc_history) plain = NULL;
    OWNED(mvcc_history) packed = NULL;
    struct mvcc_history_result r, s;
    struct bytes rest, key, value;
    enum mvcc_bucket bucket;
    struct err e;

    if (size == 0)
        return 0;
    const struct mvcc_history_options o = {
        .finished = data[0] % 8 - 1,
        .scheduled = data[0] / 8 % 8 - 1,
        .hash = true,
        .checks = true,
    };

    history_new(&o, &f, &plain);
    history_new(&o, &g, &packed);
    rest = (struct bytes){ data + 1, size - 1 };
    while (take_pair(&rest, &bucket, &key, &value)) {
        must(mvcc_collect_bucket(&c, bytes_str(mvcc_bucket_name(bucket)), &e));
        if (bucket == MVCC_KEY)
            tell(plain, packed, key, value);
        else
            must(mvcc_collect_pair(&c, key, value, 1, &e));
    }
    must(mvcc_history_finish(plain, NULL, &r, &e));
    must(mvcc_history_finish(packed, NULL, &s, &e));
    same(&r, &s);
    must(mvcc_collect_finish(&c, &e));
    return 0;
}
