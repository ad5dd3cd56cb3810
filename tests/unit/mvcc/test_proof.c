/* A built database proved as it goes by: against the survey of the same file. */
#include "mvcc/proof.h"

#include <stdio.h>

#include "boltdb/stream.h"
#include "tests/lib/case.h"
#include "tests/lib/fault.h"
#include "tests/unit/mvcc/story.h"

#define BYTES(buf) ((struct bytes){ (buf).p, (buf).n })

enum { HEAD = 2 * 4096 };

/* What came of it. */
struct verdict {
    enum rc rc;
    bool known;
    struct mvcc_sums sums;
    struct err e;
};

static enum rc feed(struct mvcc_proof *p, struct bytes image, size_t piece, struct err *e)
{
    static const uint8_t zeros[HEAD];

    TRY(mvcc_proof_take(p, zeros, HEAD < image.n ? HEAD : image.n, e));
    for (size_t at = HEAD; at < image.n; at += piece)
        TRY(mvcc_proof_take(p, image.p + at, piece < image.n - at ? piece : image.n - at,
                            e));
    return RC_OK;
}

static enum rc run(const struct mvcc_proof_options *o, struct bytes image, size_t piece,
                   int64_t newest, struct verdict *v)
{
    OWNED(mvcc_proof) p = NULL;

    TRY(mvcc_proof_new(o, &p, &v->e));
    TRY(feed(p, image, piece, &v->e));
    return mvcc_proof_finish(p,
                             (struct bytes){ image.p, HEAD < image.n ? HEAD : image.n },
                             newest, &v->sums, &v->known, &v->e);
}

static struct mvcc_proof_options by_marks(int64_t finished, int64_t scheduled)
{
    return (struct mvcc_proof_options){ .page_size = 4096,
                                        .finished = finished,
                                        .scheduled = scheduled };
}

static struct verdict prove(struct bytes image, size_t piece, int64_t finished,
                            int64_t scheduled, int64_t newest)
{
    const struct mvcc_proof_options o = by_marks(finished, scheduled);
    struct verdict v = { 0 };

    v.rc = run(&o, image, piece, newest, &v);
    return v;
}

static struct buf story_image(const struct story *s)
{
    struct database db = { 0 };

    story_pairs(s, &db.buckets[MVCC_KEY]);
    database_meta(&db, s->finished, s->scheduled);
    pairs_text(&db.buckets[MVCC_CLUSTER], "clusterVersion", "3.5.0");

    struct buf image = database_image(&db);

    database_clear(&db);
    return image;
}

static void same_as_survey(struct bytes image, const struct verdict *v, const char *what)
{
    AT_END(findings_clear) struct findings f = { 0 };
    AT_END(mvcc_facts_end) struct mvcc_facts x = { 0 };

    image_survey(image, &f, &x);
    cr_assert(v->rc == RC_OK && v->known, "%s: %s", what, v->e.why);
    cr_assert(v->sums.history.hash_known);
    cr_assert_eq(v->sums.history.hashkv.hash, x.hashkv.hash, "%s", what);
    cr_assert_eq(v->sums.history.revision, x.revision, "%s", what);
    cr_assert_eq(v->sums.history.live_keys, x.live_keys, "%s", what);
    cr_assert_eq(v->sums.pairs, x.records, "%s", what);
    cr_assert_eq(v->sums.buckets[MVCC_KEY].pairs, x.key_records, "%s", what);
}

CASE(proof, agrees_with_the_survey_of_any_history)
{
    static const size_t pieces[] = { 1, 777, 4096, 1 << 20 };
    static struct story s;

    for (unsigned seed = 0; seed < 60; seed++) {
        story_make(&s, seed, seed);
        AT_END(buf_clear) struct buf image = story_image(&s);
        struct verdict v =
            prove(BYTES(image), pieces[seed % 4], s.finished, s.scheduled, INT64_MAX);

        same_as_survey(BYTES(image), &v, "a story");
    }
}

/* Overflow pages whose content looks like pages, several levels of branches, and leases
 * that have leaves of their own. */
static void large_database(struct database *db, unsigned records)
{
    char value[9000];

    for (unsigned i = 0; i < sizeof value; i++)
        value[i] = (char)(i % 4096 == 8 ? 2 : 'v');
    for (unsigned i = 0; i < records; i++) {
        char key[32];
        unsigned id = i + 128; /* a varint of two bytes */
        uint8_t lease[8] = { [6] = (uint8_t)(id >> 8), (uint8_t)id };
        uint8_t granted[] = { 8, (uint8_t)(id | 0x80), (uint8_t)(id >> 7), 16, 60 };

        value[i % 50 == 0 ? sizeof value - 1 : 100] = '\0';
        snprintf(key, sizeof key, "/registry/%u", i);
        database_change(db, &(struct change){ i + 2, 0, key, i + 2, 1, 0, value });
        pairs_add(&db->buckets[MVCC_LEASE], BYTES_OF(lease), BYTES_OF(granted));
        value[i % 50 == 0 ? sizeof value - 1 : 100] = 'v';
    }
    database_meta(db, -1, -1);
}

static struct buf large_image(unsigned records)
{
    struct database db = { 0 };

    large_database(&db, records);

    struct buf image = database_image(&db);

    database_clear(&db);
    return image;
}

CASE(proof, agrees_about_large_values_and_deep_trees)
{
    AT_END(buf_clear) struct buf image = large_image(12000);
    const size_t pieces[] = { 513, 1 << 20 };

    for (size_t i = 0; i < 2; i++) {
        struct verdict v = prove(BYTES(image), pieces[i], -1, -1, INT64_MAX);

        same_as_survey(BYTES(image), &v, "12000 records");
        cr_assert_eq(v.sums.buckets[MVCC_LEASE].pairs, 12000);
    }
}

/* A bump's record is written and is no part of the history that was there before. */
CASE(proof, leaves_out_the_record_of_a_bump)
{
    struct database db = { 0 };
    uint8_t rev[MVCC_REV_SIZE];

    large_database(&db, 500);
    AT_END(buf_clear) struct buf before = database_image(&db);

    mvcc_rev_write(rev, 1000000, 0);
    pairs_add(&db.buckets[MVCC_KEY], BYTES_OF(rev), (struct bytes){ rev, 0 });
    AT_END(buf_clear) struct buf after = database_image(&db);

    database_clear(&db);

    struct verdict v = prove(BYTES(before), 4096, -1, -1, 501);
    struct verdict w = prove(BYTES(after), 4096, -1, -1, 501);
    struct verdict all = prove(BYTES(after), 4096, -1, -1, INT64_MAX);

    cr_assert(v.known && w.known && all.known);
    cr_assert_eq(v.sums.history.hashkv.hash, w.sums.history.hashkv.hash);
    cr_assert_eq(v.sums.history.live_keys, w.sums.history.live_keys);
    cr_assert_eq(w.sums.history.revision, 501);
    cr_assert_eq(all.sums.history.revision, 1000000);
    cr_assert_neq(all.sums.history.hashkv.hash, w.sums.history.hashkv.hash);
}

/* Is it told, or is it where nobody looks: padding, the free bytes of a header? */
static bool harmless(struct bytes image, const struct mvcc_sums *sound)
{
    AT_END(findings_clear) struct findings f = { 0 };
    AT_END(mvcc_facts_end) struct mvcc_facts x = { 0 };

    image_survey(image, &f, &x);
    return f.errors == 0 && x.hashkv_known && x.hashkv.hash == sound->history.hashkv.hash;
}

static bool same_sums(const struct mvcc_sums *a, const struct mvcc_sums *b)
{
    for (int i = 0; i <= MVCC_BUCKETS; i++)
        if (a->buckets[i].chain.crc != b->buckets[i].chain.crc ||
            a->buckets[i].chain.length != b->buckets[i].chain.length)
            return false;
    return a->history.hashkv.hash == b->history.hashkv.hash;
}

CASE(proof, no_changed_byte_goes_unseen)
{
    AT_END(buf_clear) struct buf image = large_image(400);
    struct verdict sound = prove(BYTES(image), 4096, -1, -1, INT64_MAX);
    unsigned seen = 0, tried = 0;

    cr_assert(sound.known);
    for (size_t at = HEAD; at < image.n; at += 601, tried++) {
        uint8_t was = image.p[at];

        image.p[at] ^= 0x41;

        struct verdict v = prove(BYTES(image), 1 << 20, -1, -1, INT64_MAX);
        bool told = v.rc != RC_OK || !v.known || !same_sums(&v.sums, &sound.sums);

        cr_assert(told || harmless(BYTES(image), &sound.sums), "offset %zu", at);
        seen += told;
        image.p[at] = was;
    }
    cr_assert_gt(seen, tried / 4, "%u of %u", seen, tried);
}

CASE(proof, damage_is_corruption)
{
    AT_END(buf_clear) struct buf image = large_image(2000);
    struct verdict v =
        prove((struct bytes){ image.p, image.n - 4096 }, 4096, -1, -1, INT64_MAX);

    cr_assert_eq(v.rc, RC_CORRUPT);
    cr_assert_not_null(strstr(v.e.why, "truncated"), "%s", v.e.why);
    image.p[image.n - 4096 + 8] = 0;
    v = prove(BYTES(image), 4096, -1, -1, INT64_MAX);
    cr_assert_eq(v.rc, RC_CORRUPT);
    cr_assert_not_null(strstr(v.e.why, "is of kind 0x0"), "%s", v.e.why);
    memset(image.p, 0, HEAD);
    v = prove(BYTES(image), 4096, -1, -1, INT64_MAX);
    cr_assert_eq(v.rc, RC_CORRUPT);
    cr_assert_not_null(strstr(v.e.why, "no valid meta page"), "%s", v.e.why);
}

/* Two leaves of bucket key in each other's place: each is sound, and the tree is not. */
CASE(proof, leaves_out_of_order_are_corruption)
{
    AT_END(buf_clear) struct buf image = large_image(2000);
    uint8_t page[4096], *a = image.p + 6 * 4096, *b = image.p + 7 * 4096;

    memcpy(page, a, sizeof page);
    memcpy(a, b, sizeof page);
    memcpy(b, page, sizeof page);
    a[0] = 6;
    b[0] = 7;
    cr_assert_eq(prove(BYTES(image), 4096, -1, -1, INT64_MAX).rc, RC_CORRUPT);
}

/* It does not guess: names in bucket key that are no revisions, names elsewhere that look
 * like some. The walk over the file decides. */
CASE(proof, says_when_it_cannot_tell)
{
    for (int where = 0; where < 3; where++) {
        struct database db = { 0 };
        enum mvcc_bucket bucket = where == 0 ? MVCC_KEY : MVCC_MEMBERS;
        char value[2000];
        uint8_t rev[MVCC_REV_SIZE];

        memset(value, 'v', sizeof value);
        large_database(&db, 300);
        for (int i = 0; i < 3; i++) {
            mvcc_rev_write(rev, 1000 + i, 0);
            rev[0] = where == 0 ? 0xff : rev[0];
            rev[8] = where == 1 ? '_' : '-';
            pairs_add(&db.buckets[bucket], BYTES_OF(rev), BYTES_OF(value));
        }
        AT_END(buf_clear) struct buf image = database_image(&db);

        database_clear(&db);

        struct verdict v = prove(BYTES(image), 4096, -1, -1, INT64_MAX);

        cr_assert_eq(v.rc, RC_OK, "%s", v.e.why);
        cr_assert_eq(v.known, where == 2, "%d", where);
    }
}

/* A file with free pages and history is none of a builder's: it is never taken for
 * proved with another hash than its own. */
CASE(proof, does_not_misjudge_what_etcd_wrote)
{
    for (size_t i = 0; i < GOLDEN_COUNT; i++) {
        AT_END(buf_clear)
        struct buf image = golden_read(golden_names[i], "snapshot.db.zst");
        AT_END(findings_clear) struct findings f = { 0 };
        AT_END(mvcc_facts_end) struct mvcc_facts x = { 0 };

        image_survey(BYTES(image), &f, &x);

        struct verdict v = prove(BYTES(image), 4096, x.compact_revision,
                                 x.scheduled_revision, INT64_MAX);

        cr_assert(v.rc == RC_CORRUPT || !v.known ||
                      v.sums.history.hashkv.hash == x.hashkv.hash,
                  "%s", golden_names[i]);
    }
}

CASE(proof, another_page_size_is_refused)
{
    AT_END(buf_clear) struct buf image = large_image(10);
    struct mvcc_proof_options o = by_marks(-1, -1);
    struct verdict v = { 0 };

    o.page_size = 8192;
    cr_assert_eq(run(&o, BYTES(image), 4096, INT64_MAX, &v), RC_CORRUPT);
    cr_assert_str_eq(v.e.why, "page size 4096, but it was built with 8192");
}

CASE(proof, survives_every_failed_allocation)
{
    AT_END(buf_clear) struct buf image = large_image(3000);
    unsigned runs = 0;

    FAULT_SWEEP(FAULT_ALLOC, nth, 0) {
        struct verdict v = prove(BYTES(image), 65536, -1, -1, INT64_MAX);

        cr_assert(v.rc == RC_NOMEM || (v.rc == RC_OK && v.known), "allocation %u: %s",
                  nth, v.e.why);
        runs = nth;
    }
    cr_assert_gt(runs, 10, "%u", runs);
}

/* A database of many small keys is left to the walk, whatever else is right with it. */
CASE(proof, leaves_more_keys_than_it_may_hold_to_the_walk)
{
    AT_END(buf_clear) struct buf image = large_image(3000);

    for (size_t memory = 1 << 10; memory <= 1 << 20; memory *= 32) {
        struct mvcc_proof_options o = by_marks(-1, -1);
        struct verdict v = { 0 };

        o.history_max = memory;
        OK(run(&o, BYTES(image), 65536, INT64_MAX, &v), &v.e);
        cr_assert_eq(v.known, memory == 1 << 20, "%zu bytes", memory);
    }
}
