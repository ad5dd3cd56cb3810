#include "mvcc/stream_survey.h"

#include "tests/lib/case.h"
#include "tests/lib/fault.h"
#include "tests/unit/mvcc/story.h"
#include "util/mem.h"

#define BYTES(buf) ((struct bytes){ (buf).p, (buf).n })

/* The last sink of a chain: the bytes that came, and whether the facts were there when
 * it was finished. */
struct last {
    struct sink base;
    struct buf *got;
    const struct mvcc_facts *facts;
    int64_t *revision_seen;
};

static enum rc last_write(struct sink *s, const uint8_t *p, size_t n, struct err *e)
{
    return buf_add(((struct last *)s)->got, p, n, e);
}

static enum rc last_finish(struct sink *s, struct err *e)
{
    struct last *l = (struct last *)s;

    (void)e;
    *l->revision_seen = l->facts->revision;
    return RC_OK;
}

static const struct sink_ops last_ops = { .name = "last",
                                          .write = last_write,
                                          .finish = last_finish };

static struct sink *last_new(struct buf *got, const struct mvcc_facts *facts,
                             int64_t *revision_seen)
{
    struct err e = { 0 };
    struct last *l;

    OK(mem_new(&l, sizeof *l, "the last sink", &e), &e);
    *l = (struct last){ { .ops = &last_ops }, got, facts, revision_seen };
    return &l->base;
}

static void stream(struct bytes image, size_t piece, const struct mvcc_stream_options *o,
                   struct findings *f, struct mvcc_facts *x)
{
    AT_END(buf_clear) struct buf got = { 0 };
    OWNED(sink) chain = NULL;
    int64_t revision = -1;
    struct err e = { 0 };

    OK(mvcc_stream_sink_new(last_new(&got, x, &revision), o, f, x, &chain, &e), &e);
    for (size_t at = 0; at < image.n; at += piece)
        OK(sink_write(chain, image.p + at, piece < image.n - at ? piece : image.n - at,
                      &e),
           &e);
    OK(sink_finish(chain, &e), &e);
    cr_assert(bytes_equal(image, BYTES(got)), "all bytes are passed on");
    cr_assert_eq(revision, x->revision, "the facts come before the next sink's finish");
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* Numbers, and enough of the lists. */
static void same_facts(const struct mvcc_facts *a, const struct mvcc_facts *b,
                       const char *what, size_t piece)
{
#define SAME(field) \
    cr_assert_eq(a->field, b->field, "%s, pieces of %zu: " #field, what, piece)
    SAME(total_size);
    SAME(page_size);
    SAME(pages_complete);
    SAME(history_complete);
    SAME(pages.pages);
    SAME(pages.free_pages);
    SAME(pages.pairs);
    SAME(records);
    SAME(status_hash_known);
    SAME(status_hash);
    SAME(maintenance_hash);
    SAME(revision);
    SAME(compact_revision);
    SAME(scheduled_revision);
    SAME(last_main);
    SAME(key_records);
    SAME(tombstones);
    SAME(live_keys);
    SAME(indexed_keys);
    SAME(kubernetes);
    SAME(hashkv_known);
    SAME(hashkv.hash);
    SAME(hashkv.revision);
    SAME(hashkv.compact_revision);
    SAME(has_consistent_index);
    SAME(consistent_index);
    SAME(has_term);
    SAME(term);
    SAME(has_conf_state);
    SAME(conf_state.voters.count);
    SAME(member_count);
    SAME(removed_members.count);
    SAME(leases);
    SAME(auth_enabled);
    SAME(auth_revision);
    SAME(user_count);
    SAME(role_count);
    SAME(alarm_count);
#undef SAME
    cr_assert(same_text(a->storage_version, b->storage_version), "%s", what);
    cr_assert(same_text(a->cluster_version, b->cluster_version), "%s", what);
    cr_assert(same_text(a->writer, b->writer), "%s", what);
    for (size_t i = 0; i < a->member_count; i++)
        cr_assert(a->members[i].id == b->members[i].id &&
                  same_text(a->members[i].name, b->members[i].name));
}

static bool told(const struct findings *f, const struct finding *one)
{
    for (size_t i = 0; i < f->kept; i++)
        if (strcmp(f->items[i].code, one->code) == 0 &&
            strcmp(f->items[i].message, one->message) == 0 &&
            f->items[i].page == one->page)
            return true;
    return false;
}

static void same_findings(const struct findings *a, const struct findings *b,
                          const char *what)
{
    cr_assert(a->errors == b->errors && a->warnings == b->warnings &&
                  a->notes == b->notes,
              "%s: %s", what, findings_text(b));
    for (size_t i = 0; i < a->kept; i++)
        cr_assert(told(b, &a->items[i]), "%s: %s", what, a->items[i].message);
}

/* All facts in a temporary file, and three keys at hand. */
static const struct mvcc_stream_options sparing = { .resident = 1, .keys_max = 3 };

static void agree(struct bytes image, size_t piece, const struct mvcc_stream_options *o,
                  const char *what)
{
    AT_END(findings_clear) struct findings f = { 0 };
    AT_END(findings_clear) struct findings g = { 0 };
    AT_END(mvcc_facts_end) struct mvcc_facts x = { 0 };
    AT_END(mvcc_facts_end) struct mvcc_facts y = { 0 };

    image_survey(image, &f, &x);
    stream(image, piece, o, &g, &y);
    same_facts(&x, &y, what, piece);
    same_findings(&f, &g, what);
}

static void file_and_stream_agree(struct bytes image, size_t piece, const char *what)
{
    agree(image, piece, NULL, what);
    agree(image, piece, &sparing, what);
}

CASE(mvcc_stream_survey, tells_what_the_file_tells)
{
    static const size_t pieces[] = { 1, 2, 7, 4096, 65536, 1 << 24 };

    for (size_t i = 0; i < GOLDEN_COUNT; i++) {
        AT_END(buf_clear) struct buf db = golden_read(golden_names[i], "snapshot.db.zst");

        for (size_t p = 0; p < sizeof pieces / sizeof *pieces; p++)
            file_and_stream_agree(BYTES(db), pieces[p], golden_names[i]);
    }
}

CASE(mvcc_stream_survey, and_of_random_histories)
{
    for (unsigned seed = 400; seed < 430; seed++) {
        AT_END(database_clear) struct database db = { 0 };
        struct story s;

        story_make(&s, seed, 20 + seed % 50);
        story_pairs(&s, &db.buckets[MVCC_KEY]);
        database_meta(&db, s.finished, s.scheduled);
        AT_END(buf_clear) struct buf image = database_image(&db);

        file_and_stream_agree(BYTES(image), 1000, "story");
    }
}

static enum rc hash_at(struct bytes image, int64_t revision, struct mvcc_hashkv *out,
                       struct err *e)
{
    const struct mvcc_stream_options o = { .revision = revision };
    AT_END(findings_clear) struct findings f = { 0 };
    AT_END(mvcc_facts_end) struct mvcc_facts x = { 0 };
    OWNED(sink) chain = NULL;

    TRY(null_sink_new(&chain, e));
    TRY(mvcc_stream_sink_new(GIVE(chain), &o, &f, &x, &chain, e));
    TRY(sink_write(chain, image.p, image.n, e));
    TRY(sink_finish(chain, e));
    cr_assert(x.hashkv_known);
    *out = x.hashkv;
    return RC_OK;
}

/* At every revision, and as far as the file goes in both directions. */
CASE(mvcc_stream_survey, hashes_at_any_revision)
{
    for (unsigned seed = 500; seed < 520; seed++) {
        AT_END(database_clear) struct database db = { 0 };
        OWNED(bolt_file) file = NULL;
        static struct story s;
        struct err e = { 0 };

        story_make(&s, seed, 30);
        story_pairs(&s, &db.buckets[MVCC_KEY]);
        database_meta(&db, s.finished, s.scheduled);
        AT_END(buf_clear) struct buf image = database_image(&db);

        OK(image_open(BYTES(image), NULL, &file, &e), &e);
        for (int64_t r = -1; r <= s.revision + 2; r++) {
            struct mvcc_hashkv want = { 0 }, got = { 0 };
            struct err why = { 0 };
            enum rc rc = mvcc_hashkv_file(file, r, &want, &e);

            cr_assert_eq(hash_at(BYTES(image), r, &got, &why), rc, "%u at %lld", seed,
                         (long long)r);
            cr_assert_str_eq(rc == RC_OK ? "" : why.why, rc == RC_OK ? "" : e.why);
            cr_assert(got.hash == want.hash && got.revision == want.revision,
                      "%u at %lld", seed, (long long)r);
        }
    }
}

/* Records that are no clean ones, a lease that is missing, names like revisions. */
CASE(mvcc_stream_survey, and_of_odd_content)
{
    static const char user[] = "\x0a\x11username_12345678";
    AT_END(database_clear) struct database db = { 0 };

    database_meta(&db, -1, -1);
    database_change(&db, &(struct change){ 2, 0, "a", 2, 1, 99, "v" });
    database_change(&db, &(struct change){ 2, 1, "b", 2, -1, 0, "v" });
    database_change(&db, &(struct change){ 4, 0, "", 4, 1, 0, "v" });
    database_change(&db, &(struct change){ 5, 7, "c", 9, 1, 0, "v" });
    database_change(&db, &(struct change){ 6, 7, "c", 0, 0, 0, NULL });
    pairs_text(&db.buckets[MVCC_KEY], "\x7f not a revision", "at all");
    pairs_text(&db.buckets[MVCC_AUTH_USERS], "username_12345678", user);
    pairs_text(&db.buckets[MVCC_MEMBERS], "1", "{\"id\":2}");
    AT_END(buf_clear) struct buf image = database_image(&db);

    file_and_stream_agree(BYTES(image), 4096, "odd");
}

CASE(mvcc_stream_survey, and_of_damaged_leaves)
{
    AT_END(buf_clear) struct buf db = golden_read("etcd-3.6", "snapshot.db.zst");

    for (size_t page = 2; page < db.n / 4096; page += 3) {
        db.p[page * 4096 + 8] ^= 0x41;
        file_and_stream_agree(BYTES(db), 30000, "damaged");
        db.p[page * 4096 + 8] ^= 0x41;
    }
}

CASE(mvcc_stream_survey, says_so_when_memory_is_not_enough)
{
    AT_END(buf_clear) struct buf db = golden_read("etcd-3.6", "snapshot.db.zst");
    size_t enough = 0;

    for (size_t limit = 1; limit < 1 << 22; limit *= 2) {
        const struct mvcc_stream_options o = { .memory_max = limit };
        AT_END(findings_clear) struct findings f = { 0 };
        AT_END(mvcc_facts_end) struct mvcc_facts x = { 0 };

        stream(BYTES(db), 4096, &o, &f, &x);
        cr_assert_eq(x.total_size, db.n - 32);
        cr_assert_eq(f.errors, 0);
        cr_assert_eq(f.warnings > 0, !x.history_complete, "limit %zu", limit);
        cr_assert_eq(x.hashkv_known, x.history_complete);
        cr_assert_eq(x.status_hash_known, x.history_complete);
        if (!x.history_complete) {
            cr_assert_eq(enough, 0, "limit %zu", limit);
            cr_assert_not_null(findings_find(&f, "not-checked"));
            cr_assert(x.live_keys == 0 && x.revision == 0 && x.hashkv.hash == 0);
        } else if (enough == 0) {
            enough = limit;
        }
    }
    cr_assert(enough > 16 << 10 && enough < 1 << 22, "%zu", enough);
}

CASE(mvcc_stream_survey, of_a_stream_that_ends_early)
{
    AT_END(buf_clear) struct buf db = golden_read("etcd-3.5", "snapshot.db.zst");
    static const size_t sizes[] = { 0, 1, 4096, 8192, 70000, 300000 };

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        AT_END(findings_clear) struct findings f = { 0 };
        AT_END(mvcc_facts_end) struct mvcc_facts x = { 0 };

        stream((struct bytes){ db.p, sizes[i] }, 4096, NULL, &f, &x);
        cr_assert_gt(f.errors, 0, "%zu", sizes[i]);
        cr_assert_not(x.pages_complete || x.history_complete || x.hashkv_known);
        cr_assert_null(findings_find(&f, "bucket-missing"));
    }
}

CASE(mvcc_stream_survey, gives_up_cleanly_without_memory)
{
    AT_END(buf_clear) struct buf db = golden_read("etcd-3.6", "snapshot.db.zst");
    unsigned failed = 0;

    FAULT_SWEEP(FAULT_ALLOC, nth, 0) {
        AT_END(findings_clear) struct findings f = { 0 };
        AT_END(mvcc_facts_end) struct mvcc_facts x = { 0 };
        OWNED(sink) chain = NULL;
        OWNED(sink) end = NULL;
        struct err e = { 0 };
        enum rc rc = null_sink_new(&end, &e);

        if (rc == RC_OK)
            rc = mvcc_stream_sink_new(GIVE(end), &sparing, &f, &x, &chain, &e);
        for (size_t at = 0; rc == RC_OK && at < db.n; at += 65536)
            rc = sink_write(chain, db.p + at, db.n - at < 65536 ? db.n - at : 65536, &e);
        if (rc == RC_OK)
            rc = sink_finish(chain, &e);
        cr_assert(rc == RC_OK || rc == RC_NOMEM, "allocation %u: %s", nth, e.why);
        failed += rc != RC_OK;
    }
    cr_assert_gt(failed, 50);
}
