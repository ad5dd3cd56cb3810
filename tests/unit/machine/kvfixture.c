#include "tests/unit/machine/kvfixture.h"

#include "mvcc/history.h"
#include "tests/lib/case.h"

static void load_one(void *arg, struct bytes key, struct bytes value)
{
    struct err e = { 0 };

    OK(kvstore_load(arg, key, value, &e), &e);
}

struct kvstore *kv_load(const struct kvstore_options *options, const struct pairs *pairs,
                        int64_t finished, int64_t scheduled)
{
    static const struct kvstore_options plain = { 0 };
    struct kvstore *s = NULL;
    struct err e = { 0 };

    OK(kvstore_new(options == NULL ? &plain : options, &s, &e), &e);
    pairs_each(pairs, load_one, s);
    OK(kvstore_load_end(s, finished, scheduled, &e), &e);
    return s;
}

static enum rc dump_one(void *arg, struct bytes rev, struct bytes value, struct err *e)
{
    (void)e;
    pairs_add(arg, rev, value);
    return RC_OK;
}

struct pairs kv_dump(const struct kvstore *s)
{
    struct pairs pairs = { .bytes = { .cap_max = (size_t)1 << 31 } };
    struct err e = { 0 };

    OK(kvstore_dump(s, dump_one, &pairs, &e), &e);
    cr_assert_eq(pairs.count, kvstore_records(s));
    return pairs;
}

void kv_same(const struct pairs *a, const struct pairs *b, const char *what)
{
    cr_assert_eq(a->count, b->count, "%s: %zu and %zu pairs", what, a->count, b->count);
    cr_assert_eq(a->bytes.n, b->bytes.n, "%s", what);
    cr_assert_eq(a->bytes.n == 0 ? 0 : memcmp(a->bytes.p, b->bytes.p, a->bytes.n), 0,
                 "%s: the bytes differ", what);
}

static void hash_one(void *arg, struct bytes key, struct bytes value)
{
    struct err e = { 0 };

    OK(mvcc_history_pair(arg, key, value, mvcc_pair_crc(key, value), 0, &e), &e);
}

uint32_t kv_history_hash(const struct pairs *pairs, int64_t compacted, int64_t revision)
{
    struct mvcc_history_options o = {
        .finished = compacted, .scheduled = compacted, .revision = revision, .hash = true
    };
    OWNED(mvcc_history) h = NULL;
    struct mvcc_history_result r;
    struct err e = { 0 };

    OK(mvcc_history_new(&o, NULL, &h, &e), &e);
    pairs_each(pairs, hash_one, h);
    OK(mvcc_history_finish(h, NULL, &r, &e), &e);
    return r.hashkv.hash;
}
