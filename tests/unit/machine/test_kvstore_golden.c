/* Files that real etcd wrote, and histories that it could have written. */
#include "boltdb/walk.h"
#include "tests/lib/case.h"
#include "tests/unit/machine/kvfixture.h"
#include "util/mem.h"

struct golden {
    struct pairs pairs; /* of bucket key */
    int64_t compacted, revision;
    bool inside;
};

static void golden_end(struct golden *g)
{
    pairs_clear(&g->pairs);
}

static enum rc on_bucket(void *arg, struct bytes name, struct err *e)
{
    (void)e;
    ((struct golden *)arg)->inside = mvcc_bucket_find(name) == MVCC_KEY;
    return RC_OK;
}

static enum rc on_pair(void *arg, struct bytes key, struct bytes value, uint64_t page,
                       struct err *e)
{
    struct golden *g = arg;

    (void)page;
    (void)e;
    if (g->inside)
        pairs_add(&g->pairs, key, value);
    return RC_OK;
}

static uint64_t number(const struct json *j, const char *field)
{
    uint64_t out = 0;

    cr_assert(json_get_u64(j, field, &out), "%s", field);
    return out;
}

static struct golden golden(const char *name)
{
    AT_END(buf_clear) struct buf db = golden_read(name, "snapshot.db.zst");
    OWNED(json) facts = golden_json(name, "facts.json");
    OWNED(bolt_file) file = NULL;
    struct golden g = { .compacted = (int64_t)number(facts, "compact_revision"),
                        .revision = (int64_t)number(facts, "revision") };
    const struct bolt_visitor visitor = { .arg = &g,
                                          .bucket = on_bucket,
                                          .pair = on_pair };
    struct bolt_walk_result walk;
    struct err e = { 0 };

    OK(image_open((struct bytes){ db.p, db.n }, NULL, &file, &e), &e);
    OK(bolt_walk(file, &visitor, NULL, &walk, &e), &e);
    cr_assert_gt(g.pairs.count, 300, "%s", name);
    return g;
}

CASE(kvstore_golden, golden_files_come_out_as_they_went_in)
{
    for (size_t i = 0; i < GOLDEN_COUNT; i++) {
        AT_END(golden_end) struct golden g = golden(golden_names[i]);
        OWNED(kvstore) s = kv_load(NULL, &g.pairs, g.compacted, g.compacted);
        AT_END(pairs_clear) struct pairs again = kv_dump(s);

        kv_same(&g.pairs, &again, golden_names[i]);
        cr_assert_eq(kvstore_revision(s), g.revision);
        cr_assert_eq(kvstore_compacted(s), g.compacted);
        cr_assert_eq(kvstore_bytes(s),
                     g.pairs.bytes.n - g.pairs.count * 2 * sizeof(size_t));
    }
}

CASE(kvstore_golden, golden_files_hash_as_etcd_answered)
{
    for (size_t i = 0; i < GOLDEN_COUNT; i++) {
        AT_END(golden_end) struct golden g = golden(golden_names[i]);
        OWNED(kvstore) s = kv_load(NULL, &g.pairs, g.compacted, g.compacted);
        OWNED(json) facts = golden_json(golden_names[i], "facts.json");
        struct mvcc_hashkv h;
        struct err e = { 0 };
        uint64_t live = 0;

        for (int64_t at = g.compacted; at <= g.revision; at++) {
            OK(kvstore_hashkv(s, at, &h, &e), &e);
            cr_assert_eq(h.hash, kv_history_hash(&g.pairs, g.compacted, at), "%s at %lld",
                         golden_names[i], (long long)at);
            cr_assert_eq(h.revision, at);
            cr_assert_eq(h.compact_revision, g.compacted);
        }
        OK(kvstore_hashkv(s, 0, &h, &e), &e);
        cr_assert_eq(h.revision, g.revision);
        cr_assert_eq(h.hash, number(facts, "hashkv"));
        OK(kvstore_count(s, kv_from(""), 0, &live, &e), &e);
        cr_assert_eq(live, number(facts, "live_keys"));
        cr_assert_eq(kvstore_hashkv(s, g.revision + 1, &h, &e), RC_NOTFOUND);
        cr_assert_eq(kvstore_hashkv(s, g.compacted - 1, &h, &e), RC_NOTFOUND);
    }
}

/* ---- random histories ---------------------------------------------------------------
 */

CASE(kvstore_golden, random_histories_hash_as_the_reference)
{
    for (unsigned seed = 1; seed <= 100; seed++) {
        AT_END(pairs_clear) struct pairs pairs = { 0 };
        struct reference *ref = mem_zero(sizeof *ref);
        struct err e = { 0 };
        struct story story;

        cr_assert_not_null(ref);
        story_make(&story, seed, 20 + seed % 30);
        story_pairs(&story, &pairs);
        OWNED(kvstore) s = kv_load(NULL, &pairs, story.finished, story.scheduled);
        AT_END(pairs_clear) struct pairs left = kv_dump(s);

        cr_assert_eq(kvstore_revision(s), story.revision);
        cr_assert_eq(kvstore_compacted(s),
                     story.scheduled > story.finished ? story.scheduled : story.finished);
        pairs_reference(&left, kvstore_compacted(s), ref);
        for (int64_t at = kvstore_compacted(s) < 1 ? 1 : kvstore_compacted(s);
             at <= story.revision; at++) {
            struct mvcc_hashkv h;

            OK(kvstore_hashkv(s, at, &h, &e), &e);
            cr_assert_eq(h.hash, reference_hashkv(ref, at), "seed %u at %lld", seed,
                         (long long)at);
        }
        mem_free(ref);
    }
}
