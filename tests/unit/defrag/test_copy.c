/* One walk that writes the database again, and the proof of what it wrote. */
#include <inttypes.h>
#include <sys/mman.h>

#include "codec/pb.h"
#include "defrag/copy.h"
#include "mvcc/survey.h"
#include "tests/flow/golden.h"
#include "tests/lib/image.h"
#include "tests/unit/defrag/model.h"

static struct bolt_file *image_open(const void *p, size_t n)
{
    OWNED_FD int fd = memfd_create("image", MFD_CLOEXEC);
    struct bolt_file *file = NULL;
    struct err e = { 0 };

    OK(os_write_full(fd, p, n, "image", &e), &e);
    OK(bolt_file_open_fd(fd, "image", NULL, &file, &e), &e);
    return file;
}

static struct bolt_file *model_open(const struct model *m)
{
    AT_END(buf_clear) struct buf image = model_image(m, false);

    return image_open(image.p, image.n);
}

/* The copy of `from`, and what is told about it. */
static struct bolt_file *copy(const struct bolt_file *from, const struct defrag_keep *k,
                              struct defrag_copied *out)
{
    AT_END(buf_clear) struct buf image = { 0 };
    const struct bolt_target to = image_target(&image);
    struct err e = { 0 };

    OK(defrag_copy(from, k, &to, NULL, out, &e), &e);
    cr_assert_eq(out->size, image.n);
    return image_open(image.p, image.n);
}

static uint32_t hashkv(const struct bolt_file *f, int64_t revision)
{
    struct mvcc_hashkv h;
    struct err e = { 0 };

    OK(mvcc_hashkv_file(f, revision, &h, &e), &e);
    return h.hash;
}

CASE(copy, holds_all_that_etcd_wrote)
{
    for (size_t i = 0; i < GOLDEN_VERSIONS; i++) {
        AT_END(buf_clear) struct buf image = golden_snapshot(golden_versions[i]);
        OWNED(bolt_file) from = image_open(image.p, image.n);
        struct defrag_copied told, counted;
        OWNED(bolt_file) to = copy(from, NULL, &told);
        struct err e = { 0 };

        OK(defrag_prove(to, &told, false, &e), &e);
        cr_assert_eq(hashkv(from, 0), hashkv(to, 0), "%s", golden_versions[i]);
        cr_assert_lt(told.size, image.n, "%s", golden_versions[i]);
        cr_assert_eq(told.records_dropped, 0);
        OK(defrag_copy(from, NULL, NULL, NULL, &counted, &e), &e);
        cr_assert_eq(counted.size, told.size, "the dry run is exact");
    }
}

/* The same file comes out whether records are dropped by the engine or were never there.
 */
static void compact_as_the_model(struct model *m, uint64_t seed, int64_t at, bool drops)
{
    OWNED(bolt_file) from = model_open(m);
    OWNED(defrag_keep) keep = NULL;
    struct defrag_copied told, expected;
    size_t before = m->count;
    struct err e = { 0 };

    OK(defrag_decide(from, &(struct defrag_keep_rule){ at, drops }, &keep, &e), &e);

    OWNED(bolt_file) got = copy(from, keep, &told);

    OK(defrag_prove(got, &told, true, &e), &e);
    model_compact(m, at, drops);

    OWNED(bolt_file) model = model_open(m);
    OWNED(bolt_file) want = copy(model, NULL, &expected);

    cr_assert(bytes_equal(bolt_file_bytes(got), bolt_file_bytes(want)),
              "seed %" PRIu64 " at %" PRId64 ", drops %d", seed, at, drops);
    cr_assert_eq(told.records_dropped, before - m->count, "seed %" PRIu64, seed);
}

CASE(copy, compacts_as_the_model_does)
{
    static struct model m;

    for (uint64_t seed = 0; seed < 60; seed++) {
        int64_t at;

        model_make(&m, seed, 10 + (unsigned)seed);
        at = 1 + (int64_t)model_random(&m.seed, (uint64_t)m.revision);
        compact_as_the_model(&m, seed, at, seed % 2 == 0);
        /* And once more: now there are marks to replace. */
        if (at < m.revision)
            compact_as_the_model(&m, seed, m.revision, false);
    }
}

/* ---- more keys than are held at once ---------------------------------------------- */

enum { CROWD = MVCC_KEYS_BESIDE + 30000, REWRITTEN = 1000 };

/* A KeyValue of an eight-byte key, in revision order: the first ones are written twice.
 */
static void put_crowd(struct bolt_builder *b)
{
    for (uint64_t i = 0; i < CROWD + REWRITTEN; i++) {
        AT_END(buf_clear) struct buf value = { 0 };
        uint64_t number = i % CROWD, version = i / CROWD + 1;
        uint8_t rev[MVCC_REV_SIZE], key[8];
        struct err e = { 0 };

        mvcc_rev_write(rev, (int64_t)i + 2, 0);
        put_be64(key, number);
        OK(pb_put_bytes(&value, 1, BYTES_OF(key), &e), &e);
        OK(pb_put_u64(&value, 2, number + 2, &e), &e);
        OK(pb_put_u64(&value, 3, i + 2, &e), &e);
        OK(pb_put_u64(&value, 4, version, &e), &e);
        OK(bolt_builder_pair(b, BYTES_OF(rev), (struct bytes){ value.p, value.n }, &e),
           &e);
    }
}

static struct bolt_file *crowd_open(void)
{
    static const uint8_t index[8] = { [7] = 9 };
    AT_END(buf_clear) struct buf image = { 0 };
    const struct bolt_target to = image_target(&image);
    OWNED(bolt_builder) b = NULL;
    struct err e = { 0 };
    uint64_t size;

    OK(bolt_builder_new(&to, NULL, &b, &e), &e);
    for (enum mvcc_bucket bucket = 0; bucket < MVCC_BUCKETS; bucket++) {
        OK(bolt_builder_bucket(b, bytes_str(mvcc_bucket_name(bucket)), &e), &e);
        if (bucket == MVCC_KEY)
            put_crowd(b);
    }
    OK(bolt_builder_pair(b, bytes_str(MVCC_CONSISTENT_INDEX), BYTES_OF(index), &e), &e);
    OK(bolt_builder_finish(b, &size, &e), &e);
    return image_open(image.p, image.n);
}

/* Both the decision and the history go through it in several passes here; hashkv() holds
 * twice as many keys and does not. */
CASE(copy, of_more_keys_than_are_held_at_once)
{
    const struct defrag_keep_rule rule = { CROWD + REWRITTEN + 1, false };
    OWNED(bolt_file) from = crowd_open();
    OWNED(defrag_keep) keep = NULL;
    struct defrag_copied all, told;
    struct err e = { 0 };

    OWNED(bolt_file) whole = copy(from, NULL, &all);

    cr_assert_eq(all.sums.history.hashkv.hash, hashkv(from, 0));
    cr_assert_eq(all.sums.history.live_keys, CROWD);
    OK(defrag_prove(whole, &all, false, &e), &e);
    OK(defrag_decide(from, &rule, &keep, &e), &e);

    OWNED(bolt_file) to = copy(from, keep, &told);

    cr_assert_eq(told.records_dropped, REWRITTEN);
    cr_assert_eq(told.sums.history.live_keys, CROWD);
    cr_assert_eq(told.sums.history.hashkv.hash, hashkv(to, 0));
    OK(defrag_prove(to, &told, true, &e), &e);
}

/* Old servers drop the tombstone at the compaction, new ones keep it: one HashKV. */
CASE(copy, hashes_the_same_by_both_rules)
{
    static struct model keeps, drops;
    unsigned differ = 0;

    for (uint64_t seed = 0; seed < 40; seed++) {
        int64_t at;

        model_make(&keeps, seed, 30);
        drops = keeps;
        at = 1 + (int64_t)model_random(&keeps.seed, (uint64_t)keeps.revision);
        model_compact(&keeps, at, false);
        model_compact(&drops, at, true);
        differ += keeps.count != drops.count;

        OWNED(bolt_file) a = model_open(&keeps);
        OWNED(bolt_file) b = model_open(&drops);

        for (int64_t r = at; r <= keeps.revision; r++)
            cr_assert_eq(hashkv(a, r), hashkv(b, r),
                         "seed %" PRIu64 ", compacted at %" PRId64 ", at %" PRId64, seed,
                         at, r);
    }
    cr_assert_gt(differ, 3, "tombstones at the compaction's revision");
}

static void differs(const struct model *from, const struct model *to, bool compacted,
                    const char *why)
{
    OWNED(bolt_file) a = model_open(from);
    OWNED(bolt_file) b = model_open(to);
    struct defrag_copied told;
    struct err e = { 0 };

    OK(defrag_copy(a, NULL, NULL, NULL, &told, &e), &e);
    cr_assert_neq(defrag_prove(b, &told, compacted, &e), RC_OK, "%s", why);
    cr_assert_not_null(strstr(e.why, why), "%s: %s", why, e.why);
}

CASE(proof, fails_for_anything_else)
{
    static struct model m, other;

    model_make(&m, 5, 40);
    other = m;
    other.count--;
    differs(&m, &other, false, "something else than the old one: key");
    other = m;
    other.records[3].key = (m.records[3].key + 1) % MODEL_KEYS;
    differs(&m, &other, false, "something else than the old one: key");
    other = m;
    other.finished = 3;
    differs(&m, &other, false, "something else than the old one: meta");
    other = m;
    other.finished = m.revision;
    differs(&other, &other, true, "left what it should have dropped");
}

CASE(copy, takes_etcd_databases_only)
{
    AT_END(buf_clear) struct buf image = { 0 };
    const struct bolt_target to = image_target(&image);
    const struct bolt_build_options options = { 0 };
    OWNED(bolt_builder) b = NULL;
    struct defrag_copied told;
    struct err e = { 0 };
    uint64_t size;

    OK(bolt_builder_new(&to, &options, &b, &e), &e);
    OK(bolt_builder_bucket(b, bytes_str("mine"), &e), &e);
    OK(bolt_builder_finish(b, &size, &e), &e);

    OWNED(bolt_file) file = image_open(image.p, image.n);

    cr_assert_eq(defrag_copy(file, NULL, NULL, NULL, &told, &e), RC_CORRUPT);
    cr_assert_str_eq(
        e.why, "'image' is a bbolt database, but not of etcd: it has no bucket 'key'");
}
