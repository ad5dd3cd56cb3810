#include "boltdb/build.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "boltdb/page.h"
#include "boltdb/walk.h"
#include "tests/lib/case.h"
#include "tests/lib/fault.h"
#include "tests/unit/boltdb/both.h"
#include "tests/unit/boltdb/build_to.h"
#include "util/mem.h"
#include "util/os.h"
#include "util/str.h"

/* Walks and streams what was built; nothing may be found, not even an odd branch. */
static struct bolt_walk_result expect_clean(const struct image *db, struct totals *t,
                                            const char *what, unsigned n)
{
    AT_END(findings_clear) struct findings f = { 0 };
    struct bolt_walk_result r = image_walk(db->p, db->n, &f, t);
    char seen[2048];

    findings_print(&f, seen, sizeof seen);
    cr_assert_eq(f.errors + f.warnings + f.notes, 0, "%s, %u: %s", what, n, seen);
    cr_assert_eq(r.free_pages, 0, "%s, %u", what, n);
    return r;
}

static enum rc copy_bucket(void *arg, struct bytes name, struct err *e)
{
    return bolt_builder_bucket(arg, name, e);
}

static enum rc copy_pair(void *arg, struct bytes key, struct bytes value, uint64_t page,
                         struct err *e)
{
    (void)page;
    return bolt_builder_pair(arg, key, value, e);
}

static void rebuild(const struct image *from, const struct bolt_build_options *options,
                    struct image *to)
{
    const struct bolt_target target = target_of(to);
    struct bolt_visitor v = { .bucket = copy_bucket, .pair = copy_pair };
    OWNED(bolt_builder) b = NULL;
    OWNED(bolt_file) file = NULL;
    struct bolt_walk_result r;
    struct err e = { 0 };
    uint64_t size;

    OK(bolt_builder_new(&target, options, &b, &e), &e);
    OK(image_open(from->p, from->n, NULL, &file, &e), &e);
    v.arg = b;
    OK(bolt_walk(file, &v, NULL, &r, &e), &e);
    OK(bolt_builder_finish(b, &size, &e), &e);
    cr_assert_eq(size, to->n);
}

CASE(boltdb_build, keeps_every_pair_of_golden_files)
{
    static const struct bolt_build_options options[] = {
        { 0, 0, 0 },    { 4096, 100, 1 }, { 4096, 100, 100 }, { 512, 0, 0 },
        { 512, 10, 3 }, { 16384, 0, 0 },  { 65536, 100, 2 },
    };

    for (size_t i = 0; i < GOLDEN_COUNT; i++) {
        OWNED_IMAGE from = golden_load(golden_names[i]);
        AT_END(findings_clear) struct findings f = { 0 };
        struct totals before = { 0 };

        image_walk(from.p, from.n, &f, &before);
        for (size_t k = 0; k < sizeof options / sizeof options[0]; k++) {
            OWNED_IMAGE to = { 0 };
            struct totals after = { 0 };

            rebuild(&from, &options[k], &to);
            expect_clean(&to, &after, golden_names[i], (unsigned)k);
            cr_assert_eq(memcmp(&before, &after, sizeof before), 0, "%s, options %zu",
                         golden_names[i], k);
            cr_assert(!both_agree(to.p, to.n, 5000, golden_names[i], (unsigned)k));
        }
    }
}

CASE(boltdb_build, is_smaller_than_what_it_was_made_of)
{
    OWNED_IMAGE from = golden_load("etcd-3.5");
    OWNED_IMAGE to = { 0 };

    rebuild(&from, NULL, &to);
    cr_assert_lt(to.n, from.n * 3 / 4, "%zu of %zu", to.n, from.n);
}

CASE(boltdb_build, is_deterministic_and_pads_with_zeros)
{
    OWNED_IMAGE first = { 0 };
    OWNED_IMAGE second = { 0 };
    struct bolt_page page;
    struct err e = { 0 };

    OK(build_uniform(NULL, 3, 100, 333, &first, &e), &e);
    OK(build_uniform(NULL, 3, 100, 333, &second, &e), &e);
    cr_assert_eq(first.n, second.n);
    cr_assert_eq(memcmp(first.p, second.p, first.n), 0);
    for (uint64_t id = 2; id < first.n / 4096; id++) {
        const uint8_t *p = first.p + id * 4096;
        struct bytes last;

        OK(bolt_page_open((struct bytes){ p, first.n - id * 4096 }, id, 4096, &page, &e),
           &e);
        last = page.kind == BOLT_PAGE_LEAF
                   ? bolt_leaf_at(&page, (uint16_t)(page.count - 1)).value
                   : bolt_branch_key(&page, (uint16_t)(page.count - 1));
        for (const uint8_t *q = last.p + last.n; q < p + 4096; q++)
            cr_assert_eq(*q, 0, "page %llu", (unsigned long long)id);
    }
}

CASE(boltdb_build, writes_metas_that_the_next_commit_overwrites_rightly)
{
    OWNED_IMAGE db = { 0 };
    struct bolt_meta meta;
    struct err e = { 0 };

    OK(build_uniform(NULL, 1, 500, 100, &db, &e), &e);
    OK(bolt_meta_read((struct bytes){ db.p, 4096 }, &meta, &e), &e);
    cr_assert_eq(meta.txid, 2);
    cr_assert_eq(meta.freelist, BOLT_NO_FREELIST);
    cr_assert_eq(meta.high_water, db.n / 4096);
    OK(bolt_meta_read((struct bytes){ db.p + 4096, 4096 }, &meta, &e), &e);
    cr_assert_eq(meta.txid, 1);
    cr_assert_eq(le64(db.p), 0);
    cr_assert_eq(le64(db.p + 4096), 1);
    cr_assert_eq(le16(db.p + 8), BOLT_PAGE_META);
}

/* With pages that are full after two children, trees are as deep as they get; with 100 %
 * every number of children around a full branch comes by. */
static void every_count(unsigned fill, unsigned most)
{
    const struct bolt_build_options options = { .page_size = 512,
                                                .fill_percent = fill,
                                                .leaf_pages = 1 };

    for (unsigned leaves = 1; leaves <= most; leaves++) {
        OWNED_IMAGE db = { 0 };
        struct bolt_walk_result r;
        struct totals t = { 0 };
        struct err e = { 0 };

        OK(build_uniform(&options, 1, 2 * leaves, 200, &db, &e), &e);
        r = expect_clean(&db, &t, "leaves", leaves);
        cr_assert_eq(r.pairs, 2 * leaves, "%u leaves", leaves);
        cr_assert_eq(r.overflow_pages, 0, "%u leaves", leaves);
    }
}

CASE(boltdb_build, has_no_branch_of_one_child_at_any_count_when_sparse)
{
    every_count(10, 600);
}

CASE(boltdb_build, has_no_branch_of_one_child_at_any_count_when_dense)
{
    every_count(100, 3000);
}

CASE(boltdb_build, joins_three_children_of_which_two_fill_a_page)
{
    const struct bolt_build_options options = { .page_size = 512 };

    for (unsigned count = 1; count < 40; count++) {
        OWNED_IMAGE db = { 0 };
        const struct bolt_target target = target_of(&db);
        OWNED(bolt_builder) b = NULL;
        struct bolt_walk_result r;
        struct totals t = { 0 };
        struct err e = { 0 };
        char key[400];
        uint64_t size;

        OK(bolt_builder_new(&target, &options, &b, &e), &e);
        OK(bolt_builder_bucket(b, bytes_str("key"), &e), &e);
        for (unsigned i = 0; i < count; i++) {
            memset(key, 'k', sizeof key);
            snprintf(key, sizeof key, "%06u", i);
            OK(bolt_builder_pair(b, BYTES_OF(key), bytes_str("v"), &e), &e);
        }
        OK(bolt_builder_finish(b, &size, &e), &e);
        r = expect_clean(&db, &t, "long keys", count);
        cr_assert_eq(r.pairs, count);
    }
}

static struct bolt_walk_result one_pair(uint32_t page_size, size_t key, size_t value)
{
    const struct bolt_build_options options = { .page_size = page_size,
                                                .fill_percent = 100 };
    AT_END(mem_end) uint8_t *bytes = mem_zero(key + value);
    OWNED_IMAGE db = { 0 };
    const struct bolt_target target = target_of(&db);
    OWNED(bolt_builder) b = NULL;
    struct bolt_walk_result r;
    struct totals t = { 0 };
    struct err e = { 0 };
    uint64_t size;

    OK(bolt_builder_new(&target, &options, &b, &e), &e);
    OK(bolt_builder_bucket(b, bytes_str("b"), &e), &e);
    OK(bolt_builder_pair(b, (struct bytes){ bytes, key }, (struct bytes){ bytes, value },
                         &e),
       &e);
    OK(bolt_builder_finish(b, &size, &e), &e);
    r = expect_clean(&db, &t, "one pair", (unsigned)value);
    cr_assert(!both_agree(db.p, db.n, 1000, "one pair", (unsigned)value));
    return r;
}

CASE(boltdb_build, inlines_up_to_a_quarter_of_a_page)
{
    for (uint32_t page = 512; page <= 65536; page *= 2) {
        cr_assert_eq(one_pair(page, 3, page / 4 - 35).pages, 1, "page size %u", page);
        cr_assert_eq(one_pair(page, 3, page / 4 - 34).pages, 2, "page size %u", page);
    }
}

CASE(boltdb_build, adds_overflow_only_beyond_a_full_page)
{
    for (uint32_t page = 512; page <= 65536; page *= 2)
        for (uint32_t pages = 1; pages < 5; pages++) {
            size_t full = (size_t)pages * page - 16 - 16 - 3;

            cr_assert_eq(one_pair(page, 3, full).overflow_pages, pages - 1, "%u", page);
            cr_assert_eq(one_pair(page, 3, full + 1).overflow_pages, pages, "%u", page);
        }
    cr_assert_eq(one_pair(4096, 32768, 0).overflow_pages, 8);
    cr_assert_eq(one_pair(4096, 1, 5000000).overflow_pages, 1220);
}

static struct bolt_walk_result leaves_of(unsigned leaf_pages, unsigned pairs,
                                         size_t value)
{
    const struct bolt_build_options options = { .leaf_pages = leaf_pages };
    OWNED_IMAGE db = { 0 };
    struct totals t = { 0 };
    struct err e = { 0 };

    OK(build_uniform(&options, 1, pairs, value, &db, &e), &e);
    cr_assert(!both_agree(db.p, db.n, 1000, "uniform", (unsigned)value));
    return expect_clean(&db, &t, "uniform", (unsigned)value);
}

/* A pair takes 2514 bytes with its element. Two leave 3148 of two pages unused, eight
 * only 352 of five. */
CASE(boltdb_build, leaves_little_of_a_leaf_unused)
{
    const struct bolt_walk_result two = leaves_of(1, 800, 2480),
                                  eight = leaves_of(0, 800, 2480);

    cr_assert_eq(two.pages - two.overflow_pages, 400 + 4 + 1 + 1);
    cr_assert_eq(two.overflow_pages, 400);
    cr_assert_eq(eight.pages - eight.overflow_pages, 100 + 1 + 1);
    cr_assert_eq(eight.overflow_pages, 400);
}

/* Where pairs are small, a page has room for more all the same, and two large ones are as
 * many as a leaf must have. */
CASE(boltdb_build, needs_no_more_pages_for_small_pairs_or_large_ones)
{
    cr_assert_eq(leaves_of(0, 5000, 100).overflow_pages, 0);
    cr_assert_eq(leaves_of(0, 100, 20000).overflow_pages,
                 leaves_of(1, 100, 20000).overflow_pages);
}

/* Random trees: what went in comes out, in order, whatever the sizes. */
CASE(boltdb_build, keeps_random_trees)
{
    for (unsigned seed = 1; seed <= 60; seed++) {
        const struct bolt_build_options options = { .page_size = 512U << seed % 4,
                                                    .fill_percent = 10 + seed % 91,
                                                    .leaf_pages = seed % 10 };
        OWNED_IMAGE db = { 0 };
        const struct bolt_target target = target_of(&db);
        OWNED(bolt_builder) b = NULL;
        struct totals put = { 0 }, got = { 0 };
        const struct bolt_visitor v = totals_of(&put);
        struct err e = { 0 };
        unsigned random = seed, count = (unsigned)rand_r(&random) % 800;
        uint8_t value[9000] = { 0 };
        uint64_t size;

        OK(bolt_builder_new(&target, &options, &b, &e), &e);
        for (char name[3] = "a0"; name[0] < 'e'; name[0]++) {
            OK(bolt_builder_bucket(b, bytes_str(name), &e), &e);
            OK(v.bucket(v.arg, bytes_str(name), &e), &e);
            for (unsigned i = 0; i < count; i++) {
                unsigned limit = rand_r(&random) % 20 == 0 ? sizeof value : 60;
                struct bytes pair = { value, (size_t)rand_r(&random) % limit };
                char key[64];
                int n = snprintf(key, sizeof key, "%04u%.*s", i, rand_r(&random) % 30,
                                 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");

                value[(size_t)rand_r(&random) % sizeof value] ^= (uint8_t)i;
                OK(bolt_builder_pair(b, (struct bytes){ (uint8_t *)key, (size_t)n }, pair,
                                     &e),
                   &e);
                OK(v.pair(v.arg, (struct bytes){ (uint8_t *)key, (size_t)n }, pair, 0,
                          &e),
                   &e);
            }
            count = count * 3 / 4;
        }
        OK(bolt_builder_finish(b, &size, &e), &e);
        expect_clean(&db, &got, "seed", seed);
        cr_assert_eq(memcmp(&put, &got, sizeof put), 0, "seed %u", seed);
        cr_assert(!both_agree(db.p, db.n, 777, "random tree", seed));
    }
}

CASE(boltdb_build, holds_no_and_many_buckets)
{
    static const unsigned counts[] = { 0, 1, 2, 17, 300, 999 };

    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        OWNED_IMAGE db = { 0 };
        struct totals t = { 0 };
        struct err e = { 0 };

        OK(build_uniform(NULL, counts[i], (unsigned)i % 3, 300, &db, &e), &e);
        expect_clean(&db, &t, "buckets", counts[i]);
        cr_assert_eq(t.buckets, counts[i]);
        cr_assert(!both_agree(db.p, db.n, 4096, "buckets", counts[i]));
    }
}

CASE(boltdb_build, refuses_what_bbolt_could_not_read)
{
    static uint8_t long_key[BOLT_KEY_MAX + 1];
    OWNED_IMAGE db = { 0 };
    const struct bolt_target target = target_of(&db);
    OWNED(bolt_builder) b = NULL;
    struct bytes none = { long_key, 0 };
    struct err e = { 0 };

    OK(bolt_builder_new(&target, NULL, &b, &e), &e);
    cr_assert_eq(bolt_builder_pair(b, bytes_str("k"), none, &e), RC_INTERNAL);
    cr_assert_str_eq(e.why, "a pair outside of a bucket");
    cr_assert_eq(bolt_builder_bucket(b, none, &e), RC_INTERNAL);
    cr_assert_str_eq(e.why, "a bucket name of 0 bytes cannot be stored");
    OK(bolt_builder_bucket(b, bytes_str("key"), &e), &e);
    cr_assert_eq(bolt_builder_pair(b, none, none, &e), RC_INTERNAL);
    cr_assert_eq(bolt_builder_pair(b, BYTES_OF(long_key), none, &e), RC_INTERNAL);
    cr_assert_str_eq(e.why, "a key of 32769 bytes cannot be stored");
    OK(bolt_builder_pair(b, bytes_str("k"), none, &e), &e);
    cr_assert_eq(bolt_builder_pair(b, bytes_str("k"), none, &e), RC_INTERNAL);
    cr_assert_str_eq(e.why, "keys do not ascend");
    cr_assert_eq(
        bolt_builder_pair(b, bytes_str("l"), (struct bytes){ long_key, INT32_MAX }, &e),
        RC_INTERNAL);
    cr_assert_eq(bolt_builder_bucket(b, bytes_str("key"), &e), RC_INTERNAL);
    cr_assert_str_eq(e.why, "bucket names do not ascend");
}

/* Lends a few odd sizes in turn, the least of a single byte. */
struct lender {
    struct bolt_target to;
    uint8_t room[5000];
    size_t lent, turn;
};

static enum rc lend(void *arg, uint8_t **p, size_t *n, struct err *e)
{
    static const size_t sizes[] = { 1, 5000, 17, 4096 };
    struct lender *l = arg;

    (void)e;
    memset(l->room, 0xee, sizeof l->room);
    l->lent = *n = sizes[l->turn++ % 4];
    *p = l->room;
    return RC_OK;
}

static enum rc take_back(void *arg, const uint8_t *p, size_t n, struct err *e)
{
    const struct lender *l = arg;

    cr_assert(p == l->room && n <= l->lent, "%zu of %zu lent bytes", n, l->lent);
    return l->to.append(l->to.arg, p, n, e);
}

static enum rc patch_there(void *arg, const uint8_t *p, size_t n, struct err *e)
{
    const struct lender *l = arg;

    return l->to.patch(l->to.arg, p, n, e);
}

static enum rc build_three(const struct bolt_target *target, struct err *e)
{
    static const uint8_t value[9000] = { 1, 2, 3 };
    OWNED(bolt_builder) b = NULL;
    uint8_t key[18];
    uint64_t size;

    TRY(bolt_builder_new(target, NULL, &b, e));
    TRY(bolt_builder_bucket(b, bytes_str("key"), e));
    for (uint64_t i = 0; i < 3; i++)
        TRY(bolt_builder_pair(b, revision_key(key, i), (struct bytes){ value, 4000 * i },
                              e));
    return bolt_builder_finish(b, &size, e);
}

CASE(boltdb_build, makes_pages_in_what_the_target_lends)
{
    OWNED_IMAGE plain = { 0 };
    OWNED_IMAGE lent = { 0 };
    struct lender l = { .to = target_of(&lent) };
    const struct bolt_target own = target_of(&plain),
                             target = { &l, take_back, patch_there, lend };
    struct err e = { 0 };

    OK(build_three(&own, &e), &e);
    OK(build_three(&target, &e), &e);
    cr_assert_eq(plain.n, lent.n);
    cr_assert_eq(memcmp(plain.p, lent.p, lent.n), 0);
}

CASE(boltdb_build, refuses_odd_options)
{
    static const struct bolt_build_options bad[] = { { 511, 0, 0 },  { 256, 0, 0 },
                                                     { 5000, 0, 0 }, { 131072, 0, 0 },
                                                     { 0, 9, 0 },    { 0, 101, 0 } };
    const struct bolt_target target = { 0 };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct bolt_builder *b = NULL;
        struct err e = { 0 };

        cr_assert_eq(bolt_builder_new(&target, &bad[i], &b, &e), RC_USAGE, "%zu", i);
        cr_assert_null(b);
    }
}

CASE(boltdb_build, survives_every_failed_allocation)
{
    unsigned runs = 0;

    FAULT_SWEEP(FAULT_ALLOC, nth, 0) {
        OWNED_IMAGE db = { 0 };
        struct err e = { 0 };
        enum rc rc = build_uniform(NULL, 2, 200, 400, &db, &e);

        cr_assert(rc == RC_OK || rc == RC_NOMEM, "allocation %u: %s", nth, e.why);
        runs = nth;
    }
    cr_assert_gt(runs, 10);
}

static enum rc fail_append(void *arg, const uint8_t *p, size_t n, struct err *e)
{
    (void)arg;
    (void)p;
    return err_set(e, RC_STORAGE, "no space for %zu bytes", n);
}

CASE(boltdb_build, hands_the_targets_failure_up)
{
    OWNED_IMAGE db = { 0 };
    struct bolt_target target = target_of(&db);
    OWNED(bolt_builder) b = NULL;
    struct err e = { 0 };
    uint64_t size = 5;

    target.append = fail_append;
    OK(bolt_builder_new(&target, NULL, &b, &e), &e);
    cr_assert_eq(bolt_builder_finish(b, &size, &e), RC_STORAGE);
    cr_assert_str_eq(e.why, "no space for 12288 bytes");
    cr_assert_eq(size, 5);
}
