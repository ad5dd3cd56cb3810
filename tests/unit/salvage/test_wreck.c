/* Damage beyond one page, other lives, and files that are no databases. */
#include "codec/pb.h"
#include "mvcc/keys.h"
#include "salvage/shape.h"
#include "tests/lib/fault.h"
#include "tests/unit/salvage/forgery.h"
#include "tests/unit/salvage/wreck.h"

/* How many of the original's records of bucket key are there; none that is not. */
static size_t kept(const struct wreck *w, const struct saved *s)
{
    size_t n = 0;

    for (size_t i = 0; i < s->count; i++) {
        const struct cargo *c = &s->cargo[i], *was;

        if (c->bucket != MVCC_KEY)
            continue;
        was = cargo_find(w->cargo, w->count, MVCC_KEY, c->key);
        cr_assert(was != NULL && bytes_equal(was->value, c->value),
                  "revision %ld was not there", (long)be64(c->key.p));
        n++;
    }
    return n;
}

static size_t records(const struct wreck *w)
{
    size_t n = 0;

    for (size_t i = 0; i < w->count; i++)
        n += w->cargo[i].bucket == MVCC_KEY;
    return n;
}

static bool opens(const struct wreck *w, uint64_t id, struct bolt_page *out)
{
    struct err ignored;

    return bolt_page_open(
               (struct bytes){ wreck_page(w, id), (w->pages - id) * w->page_size }, id,
               w->page_size, out, &ignored) == RC_OK;
}

static bool is_root(const struct wreck *w, uint64_t id)
{
    struct bolt_page page;

    return opens(w, id, &page) && salvage_shape_root(&page);
}

static bool is_branch(const struct wreck *w, uint64_t id)
{
    struct bolt_page page;

    return opens(w, id, &page) && page.kind == BOLT_PAGE_BRANCH;
}

CASE(wreck, without_metas_the_trees_are_found)
{
    for (size_t i = 0; i < GOLDEN_VERSIONS; i++) {
        WRECK w;
        SAVED s = { 0 };
        struct err e = { 0 };

        wreck_of_golden(&w, golden_versions[i]);
        memset(w.damaged.p, 0, 2 * (size_t)w.page_size);
        OK(wreck_salvage(&w, &s, &e), &e);
        cr_assert_eq(s.result.root, SALVAGE_ROOT_FOUND);
        cr_assert_eq(s.result.metas_bad, 2);
        cr_assert_eq(s.result.image.page_size, w.page_size);
        cr_assert_eq(kept(&w, &s), records(&w));
        cr_assert(!s.result.whole);
    }
}

/* Nothing is lost, but only a digest can prove that there was no newer commit. */
CASE(wreck, with_one_meta_all_is_there)
{
    for (size_t i = 0; i < 2 * (size_t)GOLDEN_VERSIONS; i++) {
        WRECK w;
        SAVED s = { 0 };
        struct err e = { 0 };

        wreck_of_golden(&w, golden_versions[i / 2]);
        memset(wreck_page(&w, i % 2), 0xff, w.page_size);
        OK(wreck_salvage(&w, &s, &e), &e);
        cr_assert(s.result.root == SALVAGE_ROOT_IN_FORCE && s.result.metas_bad == 1);
        cr_assert(s.result.base_whole && !s.result.newest_commit && !s.result.whole);
        cr_assert_eq(s.count, w.count);
    }
}

/* A snapshot's metas are made of one: the digest tells whether that was so here. */
CASE(wreck, a_digest_proves_the_lost_meta)
{
    for (size_t i = 0; i < 4 * (size_t)GOLDEN_VERSIONS; i++) {
        AT_END(salvage_result_clear) struct salvage_result r = { 0 };
        AT_END(buf_clear) struct buf file = golden_snapshot(golden_versions[i / 4]);
        const char *path = path_in(tmpdir_new(), "file");
        bool also = i % 4 > 1;
        OWNED_FD int fd = -1;
        struct err e = { 0 };
        uint64_t size;

        memset(file.p + i % 2 * (size_t)4096, 0, 4096);
        if (also)
            file.p[file.n - GOLDEN_TRAILER - 1] ^= 1;
        golden_write(path, file.p, file.n);
        OK(os_open_regular(path, &fd, &size, &e), &e);
        OK(salvage_read(fd, "file", &(struct salvage_how){ 0 }, &r, &e), &e);
        cr_assert_eq(r.meta_proved, !also);
        cr_assert_eq(r.whole, !also);
        cr_assert_eq(r.digest_wrong, also);
    }
}

/* Metas and every root page: only what the pages look like is left. */
CASE(wreck, without_any_root_the_records_are_found)
{
    const struct forgery_options o = {
        .keys = 40, .steps = 100, .value_max = 900, .compacted = 60, .seed = 5
    };
    WRECK w;
    SAVED s = { 0 };
    struct err e = { 0 };

    wreck_of(&w, forgery_make(&o));
    memset(w.damaged.p, 0, 2 * (size_t)w.page_size);
    for (uint64_t id = 2; id < w.pages; id++)
        if (is_root(&w, id))
            memset(wreck_page(&w, id), 0, w.page_size);
    OK(wreck_salvage(&w, &s, &e), &e);
    cr_assert_eq(s.result.root, SALVAGE_ROOT_NONE);
    cr_assert(s.result.key_root_found && !s.result.marks_known);
    cr_assert_eq(kept(&w, &s) + s.result.history.cut.count, records(&w));
}

/* Nothing points to any leaf: all of them are taken, not only the last. */
CASE(wreck, without_any_branch_the_leaves_are_found)
{
    for (unsigned compacted = 0; compacted <= 60; compacted += 60) {
        const struct forgery_options o = {
            .keys = 40, .steps = 100, .value_max = 900, .compacted = compacted, .seed = 9
        };
        WRECK w;
        SAVED s = { 0 };
        struct err e = { 0 };

        wreck_of(&w, forgery_make(&o));
        memset(w.damaged.p, 0, 2 * (size_t)w.page_size);
        for (uint64_t id = 2; id < w.pages; id++)
            if (is_root(&w, id) || is_branch(&w, id))
                memset(wreck_page(&w, id), 0, w.page_size);
        OK(wreck_salvage(&w, &s, &e), &e);
        cr_assert_eq(s.result.root, SALVAGE_ROOT_NONE);
        cr_assert_eq(kept(&w, &s) + s.result.history.cut.count, records(&w), "%zu of %zu",
                     kept(&w, &s), records(&w));
    }
}

/* Of pages `from` to `to`, the leaf of bucket key that reaches furthest. */
static uint64_t last_leaf(const struct wreck *w, uint64_t from, uint64_t to)
{
    struct bytes newest = { 0 };
    uint64_t found = 0;

    for (uint64_t id = from; id <= to; id++) {
        struct bolt_page page;
        struct bytes last;

        if (!opens(w, id, &page) || page.kind != BOLT_PAGE_LEAF ||
            salvage_shape_of(&page) != MVCC_KEY)
            continue;
        last = bolt_leaf_at(&page, (uint16_t)(page.count - 1)).key;
        if (newest.n == 0 || bytes_compare(last, newest) > 0) {
            newest = last;
            found = id;
        }
    }
    cr_assert_neq(found, 0);
    return found;
}

/* A page of an earlier commit that was written again by the last one makes that commit
 * look as new, with everything in between left out. */
CASE(wreck, an_earlier_tree_with_a_newer_leaf_is_not_taken)
{
    const struct forgery_options o = {
        .keys = 40, .steps = 60, .value_max = 60, .next = 40, .seed = 8
    };
    WRECK w;
    SAVED s = { 0 };
    struct err e = { 0 };
    uint64_t end, reused;

    wreck_of(&w, forgery_make(&o));
    end = le64(wreck_page(&w, 0) + 32); /* the earlier root, its last page */
    reused = last_leaf(&w, 2, end);
    memcpy(wreck_page(&w, reused), wreck_page(&w, last_leaf(&w, end + 1, w.pages - 1)),
           w.page_size);
    put_le64(wreck_page(&w, reused), reused);
    memset(w.damaged.p, 0, 2 * (size_t)w.page_size);
    for (uint64_t id = end + 1; id < w.pages; id++)
        if (is_root(&w, id))
            memset(wreck_page(&w, id), 0, w.page_size);
    OK(wreck_salvage(&w, &s, &e), &e);
    cr_assert_eq(s.result.root, SALVAGE_ROOT_FOUND);
    cr_assert(s.result.key_root_found);
    cr_assert_eq(kept(&w, &s), records(&w), "%zu of %zu", kept(&w, &s), records(&w));
}

/* A version beyond what an index counts to is damage like any other. */
CASE(wreck, no_key_has_a_version_without_bound)
{
    const int64_t versions[] = { 1, MVCC_KEY_VERSION_MAX, MVCC_KEY_VERSION_MAX + 1,
                                 INT64_MAX };
    uint8_t rev[MVCC_REV_SIZE];

    mvcc_rev_write(rev, 7, 0);
    for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
        AT_END(buf_clear) struct buf value = { 0 };
        struct err e = { 0 };

        OK(pb_put_bytes(&value, 1, bytes_str("k"), &e), &e);
        OK(pb_put_u64(&value, 2, 5, &e), &e);
        OK(pb_put_u64(&value, 3, 7, &e), &e);
        OK(pb_put_u64(&value, 4, (uint64_t)versions[i], &e), &e);
        cr_assert_eq(salvage_shape_fits(MVCC_KEY, (struct bytes){ rev, sizeof rev },
                                        (struct bytes){ value.p, value.n }),
                     versions[i] <= MVCC_KEY_VERSION_MAX);
    }
}

/* The newest pages are cut off; what is left is what an index could hold of them. */
CASE(wreck, cut_off_anywhere, .timeout = 60)
{
    const struct forgery_options o = {
        .keys = 40, .steps = 100, .value_max = 900, .compacted = 60, .seed = 6
    };
    WRECK w;

    wreck_of(&w, forgery_make(&o));
    for (uint64_t pages = 0; pages < w.pages; pages++) {
        SAVED s = { 0 };
        struct err e = { 0 };

        wreck_repair(&w);
        w.damaged.n = pages * w.page_size + 100 * (pages % 2);
        if (wreck_salvage(&w, &s, &e) != RC_OK) {
            cr_assert_eq(e.code, RC_CORRUPT);
            continue;
        }
        kept(&w, &s);
        cr_assert(!s.result.whole);
        cr_assert(s.result.truncated || s.result.metas_bad > 0);
    }
}

/* Leaves of a cluster that went on elsewhere claim revisions that are others here. */
CASE(wreck, another_life_is_not_mixed_in, .timeout = 60)
{
    const struct forgery_options o = {
        /* No overflow pages: damage inside a value would show as a difference. */
        .keys = 40, .steps = 80, .value_max = 100, .fork = true, .past = true, .seed = 7
    };
    unsigned mixed = 0;
    WRECK w;

    wreck_of(&w, forgery_make(&o));
    for (uint64_t id = 0; id < w.pages; id++) {
        SAVED s = { 0 };
        struct err e = { 0 };

        wreck_repair(&w);
        memset(wreck_page(&w, id), 0, w.page_size);
        OK(wreck_salvage(&w, &s, &e), &e);
        mixed += s.result.buckets[MVCC_KEY].doubtful.count > 0;
        if (s.result.root == SALVAGE_ROOT_IN_FORCE && !s.result.key_root_found)
            kept(&w, &s);
    }
    cr_assert_gt(mixed, 0, "the other life was there to be mixed in");
}

CASE(wreck, no_database_is_refused)
{
    static uint8_t zeros[3 * 4096];
    const struct {
        const void *p;
        size_t n;
        const char *why;
    } files[] = {
        { "", 0, "holds no page" },
        { "hello", 5, "holds no page" },
        { zeros, sizeof zeros, "holds no page" },
    };

    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        OWNED_FD int fd = -1;
        AT_END(salvage_result_clear) struct salvage_result r = { 0 };
        const char *path = path_in(tmpdir_new(), "file");
        struct err e = { 0 };
        uint64_t size;

        golden_write(path, files[i].p, files[i].n);
        OK(os_open_regular(path, &fd, &size, &e), &e);
        cr_assert_eq(salvage_read(fd, "file", &(struct salvage_how){ 0 }, &r, &e),
                     RC_CORRUPT);
        cr_assert_not_null(strstr(e.why, files[i].why), "%s", e.why);
    }
}

/* Whatever the bytes are, a clean database comes out, or a refusal. */
CASE(wreck, survives_random_damage, .timeout = 300)
{
    const struct forgery_options o = { .keys = 40,
                                       .steps = 60,
                                       .value_max = 900,
                                       .compacted = 30,
                                       .past = true,
                                       .seed = 8 };
    uint64_t seed = 3;
    WRECK w;

    wreck_of(&w, forgery_make(&o));
    for (unsigned run = 0; run < golden_effort(1500, 20000); run++) {
        SAVED s = { 0 };
        struct err e = { 0 };

        wreck_repair(&w);
        for (unsigned n = 0; n < 1 + run % 60; n++)
            w.damaged.p[golden_random(&seed) % w.damaged.n] =
                (uint8_t)(golden_random(&seed) % (run % 2 == 0 ? 4 : 256));
        if (wreck_salvage(&w, &s, &e) != RC_OK)
            cr_assert_eq(e.code, RC_CORRUPT, "run %u: %s", run, e.why);
    }
}

CASE(wreck, any_failed_allocation_is_told, .timeout = 120)
{
    const struct forgery_options o = { .keys = 20,
                                       .steps = 25,
                                       .value_max = 900,
                                       .compacted = 10,
                                       .past = true,
                                       .seed = 9 };
    unsigned runs = 0;
    WRECK w;

    wreck_of(&w, forgery_make(&o));
    memset(wreck_page(&w, 3), 0, w.page_size);

    const char *path = path_in(tmpdir_new(), "file");

    golden_write(path, w.damaged.p, w.damaged.n);
    FAULT_SWEEP(FAULT_ALLOC, nth, 0) {
        OWNED_FD int fd = -1;
        AT_END(salvage_result_clear) struct salvage_result r = { 0 };
        struct err e = { 0 };
        enum rc rc;

        fd = open(path, O_RDONLY | O_CLOEXEC);
        rc = salvage_read(fd, "file", &(struct salvage_how){ 0 }, &r, &e);
        cr_assert(rc == RC_OK || rc == RC_NOMEM, "allocation %u: %s", nth, e.why);
        runs = nth;
    }
    cr_assert_gt(runs, 20);
}
