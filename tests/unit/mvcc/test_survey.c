#include "mvcc/survey.h"

#include <stdlib.h>

#include "crypto/base64.h"
#include "tests/lib/case.h"
#include "tests/lib/fault.h"
#include "tests/unit/mvcc/story.h"
#include "util/mem.h"
#include "util/stop.h"

#define BYTES(buf) ((struct bytes){ (buf).p, (buf).n })

static uint64_t number(const struct json *j, const char *field)
{
    uint64_t n = 0;

    cr_assert(json_get_u64(j, field, &n), "%s", field);
    return n;
}

/* ---- what real etcd wrote --------------------------------------------------------- */

CASE(mvcc_survey, tells_what_etcd_told_of_its_database)
{
    for (size_t i = 0; i < GOLDEN_COUNT; i++) {
        AT_END(buf_clear) struct buf db = golden_read(golden_names[i], "snapshot.db.zst");
        OWNED(json) facts = golden_json(golden_names[i], "facts.json");
        OWNED(json) status = golden_json(golden_names[i], "snapstatus.json");
        AT_END(findings_clear) struct findings f = { 0 };
        AT_END(mvcc_facts_end) struct mvcc_facts x = { 0 };

        image_survey(BYTES(db), &f, &x);
        cr_assert_eq(f.errors + f.warnings + f.notes, 0, "%s: %s", golden_names[i],
                     findings_text(&f));
        cr_assert(x.pages_complete && x.history_complete && x.hashkv_known);
        cr_assert_eq((uint64_t)x.revision, number(facts, "revision"));
        cr_assert_eq(x.live_keys, number(facts, "live_keys"));
        cr_assert_eq(x.hashkv.hash, number(facts, "hashkv"));
        cr_assert_eq((uint64_t)x.hashkv.compact_revision,
                     number(facts, "compact_revision"));
        cr_assert_eq(x.leases, json_count(json_get(facts, "leases")));
        cr_assert(x.status_hash_known);
        cr_assert_eq(x.status_hash, number(status, "hash"));
        cr_assert_eq((uint64_t)x.last_main, number(status, "revision"));
        cr_assert_eq(x.total_size, number(status, "totalSize"));
        cr_assert_eq(i < 2 ? x.records : x.indexed_keys, number(status, "totalKey"));
        if (i >= 2)
            cr_assert_str_eq(x.storage_version, json_get_str(status, "version"));
        cr_assert_str_eq(x.writer, golden_names[i] + 5);
        cr_assert(x.kubernetes);
    }
}

CASE(mvcc_survey, lists_leases_users_and_members)
{
    for (size_t i = 0; i < GOLDEN_COUNT; i++) {
        AT_END(buf_clear) struct buf db = golden_read(golden_names[i], "snapshot.db.zst");
        OWNED(json) status = golden_json(golden_names[i], "status.json");
        const struct json *header =
            json_get(json_get(json_at(status, 0), "Status"), "header");
        AT_END(findings_clear) struct findings f = { 0 };
        AT_END(mvcc_facts_end) struct mvcc_facts x = { 0 };

        image_survey(BYTES(db), &f, &x);
        cr_assert_eq(x.member_count, 1);
        cr_assert_eq(x.members[0].id, number(header, "member_id"), "%s", golden_names[i]);
        cr_assert_str_eq(x.members[0].name, "tricky");
        cr_assert_eq(x.members[0].peer_urls.count, 1);
        cr_assert_eq(x.user_count, 1);
        cr_assert_str_eq(x.users[0].name, "backup");
        cr_assert_str_eq(x.users[0].roles.items[0], "reader");
        cr_assert_eq(x.role_count, 1);
        cr_assert_eq(x.roles[0].count, 1);
        cr_assert(bytes_is(x.roles[0].permissions[0].key, "/registry"));
        cr_assert_not(x.auth_enabled);
        cr_assert_eq(x.alarm_count + x.removed_members.count, 0);
        cr_assert_eq(x.has_conf_state, i > 0);
        cr_assert_eq(x.has_term, i > 0);
    }
}

struct lease_list {
    char text[64];
    size_t count;
};

static enum rc take_lease(void *arg, const struct mvcc_lease *lease, struct err *e)
{
    struct lease_list *l = arg;

    cr_assert(lease->ttl == 7200 || lease->ttl == 86400);
    l->count++;
    return l->count < 2 ? RC_OK : err_set(e, RC_REFUSED, "enough leases");
}

CASE(mvcc_survey, shows_each_lease_until_that_fails)
{
    AT_END(buf_clear) struct buf db = golden_read("etcd-3.5", "snapshot.db.zst");
    AT_END(findings_clear) struct findings f = { 0 };
    struct mvcc_facts x = { .revision = 77 };
    struct lease_list list = { .count = 0 };
    struct mvcc_survey_options o = { .lease = take_lease, .lease_arg = &list };
    OWNED(bolt_file) file = NULL;
    struct err e = { 0 };

    OK(image_open(BYTES(db), &f, &file, &e), &e);
    cr_assert_eq(mvcc_survey_file(file, &o, &f, &x, &e), RC_REFUSED);
    cr_assert_eq(list.count, 2);
    cr_assert_eq(x.revision, 77, "outputs are not touched on failure");
}

CASE(mvcc_survey, pages_level_knows_less)
{
    AT_END(buf_clear) struct buf db = golden_read("etcd-3.6", "snapshot.db.zst");
    const struct mvcc_survey_options o = { .level = MVCC_PAGES, .status_hash = true };
    OWNED(json) status = golden_json("etcd-3.6", "snapstatus.json");
    AT_END(findings_clear) struct findings f = { 0 };
    AT_END(mvcc_facts_end) struct mvcc_facts x = { 0 };
    OWNED(bolt_file) file = NULL;
    struct err e = { 0 };

    OK(image_open(BYTES(db), &f, &file, &e), &e);
    OK(mvcc_survey_file(file, &o, &f, &x, &e), &e);
    cr_assert_eq(x.status_hash, number(status, "hash"));
    cr_assert_eq(x.indexed_keys, number(status, "totalKey"));
    cr_assert(x.history_complete);
    cr_assert_not(x.hashkv_known);
    cr_assert_eq(x.hashkv.hash, 0);
}

struct key_copy {
    struct pairs pairs;
    bool inside;
};

static enum rc copy_bucket(void *arg, struct bytes name, struct err *e)
{
    (void)e;
    ((struct key_copy *)arg)->inside = bytes_is(name, "key");
    return RC_OK;
}

static enum rc copy_pair(void *arg, struct bytes key, struct bytes value, uint64_t page,
                         struct err *e)
{
    struct key_copy *copy = arg;

    (void)page;
    (void)e;
    if (copy->inside)
        pairs_add(&copy->pairs, key, value);
    return RC_OK;
}

static void key_pairs(const struct bolt_file *file, struct pairs *out)
{
    struct key_copy copy = { 0 };
    const struct bolt_visitor v = { &copy, copy_bucket, copy_pair };
    struct bolt_walk_result walk;
    struct err e = { 0 };

    OK(bolt_walk(file, &v, NULL, &walk, &e), &e);
    *out = copy.pairs;
}

/* The record of this key at this revision. */
struct lookup {
    struct bytes key;
    int64_t mod;
    struct mvcc_kv kv;
    unsigned found;
};

static void look(void *arg, struct bytes key, struct bytes value)
{
    struct lookup *l = arg;
    struct mvcc_kv kv;
    struct mvcc_rev rev;
    struct err e = { 0 };

    OK(mvcc_rev_read(key, &rev, &e), &e);
    OK(mvcc_kv_read(value, &kv, &e), &e);
    if (rev.tombstone || rev.main != l->mod || !bytes_equal(kv.key, l->key))
        return;
    l->kv = kv;
    l->found++;
}

/* A line of keys.tsv: key and value in base64, mod, create, version and lease, as a
 * client got them from the server. */
static void check_line(char *line, const struct pairs *pairs)
{
    static uint8_t room[2][1 << 17];
    const char *field[6] = { NULL };
    struct bytes raw[2];
    struct lookup l = { 0 };

    for (size_t i = 0; i < 6; i++)
        field[i] = strsep(&line, "\t");
    for (size_t i = 0; i < 2; i++) {
        raw[i].p = room[i];
        cr_assert_lt(strlen(field[i]), sizeof room[i]);
        cr_assert(base64_decode_padded(bytes_str(field[i]), room[i], &raw[i].n));
    }
    l.key = raw[0];
    l.mod = atoll(field[2]);
    pairs_each(pairs, look, &l);
    cr_assert_eq(l.found, 1, "%s at %s", field[0], field[2]);
    cr_assert(bytes_equal(l.kv.value, raw[1]), "%s", field[0]);
    cr_assert_eq(l.kv.create, atoll(field[3]));
    cr_assert_eq(l.kv.version, atoll(field[4]));
    /* jq, which wrote the line, knows only doubles. */
    cr_assert(l.kv.lease == 0 || (double)l.kv.lease == atof(field[5]), "%s", field[0]);
    cr_assert_eq(l.kv.lease == 0, atof(field[5]) == 0);
}

CASE(mvcc_survey, what_a_client_got_is_in_the_file)
{
    for (size_t i = 0; i < GOLDEN_COUNT; i++) {
        AT_END(buf_clear) struct buf db = golden_read(golden_names[i], "snapshot.db.zst");
        AT_END(buf_clear) struct buf keys = golden_read(golden_names[i], "keys.tsv.zst");
        AT_END(pairs_clear) struct pairs pairs = { 0 };
        OWNED(bolt_file) file = NULL;
        struct err e = { 0 };
        char *rest, *line;
        unsigned lines = 0;

        OK(image_open(BYTES(db), NULL, &file, &e), &e);
        key_pairs(file, &pairs);
        OK(buf_add(&keys, "", 1, &e), &e);
        for (rest = (char *)keys.p; (line = strsep(&rest, "\n")) != NULL && *line != 0;
             lines++)
            check_line(line, &pairs);
        cr_assert_eq(lines, 341);
    }
}

CASE(mvcc_survey, hashkv_agrees_with_the_reference_at_every_revision)
{
    struct reference *ref = mem_zero(sizeof *ref);

    for (size_t i = 0; i < GOLDEN_COUNT; i++) {
        AT_END(buf_clear) struct buf db = golden_read(golden_names[i], "snapshot.db.zst");
        AT_END(pairs_clear) struct pairs pairs = { 0 };
        OWNED(bolt_file) file = NULL;
        struct mvcc_hashkv got;
        struct err e = { 0 };
        int64_t from, to;

        OK(image_open(BYTES(db), NULL, &file, &e), &e);
        OK(mvcc_hashkv_file(file, 0, &got, &e), &e);
        from = got.compact_revision;
        to = got.revision;
        key_pairs(file, &pairs);
        pairs_reference(&pairs, from, ref);
        cr_assert_gt(to, from + 5);
        for (int64_t at = from; at <= to; at++) {
            OK(mvcc_hashkv_file(file, at, &got, &e), &e);
            cr_assert_eq(got.hash, reference_hashkv(ref, at), "%s at %lld",
                         golden_names[i], (long long)at);
            cr_assert(got.revision == at && got.compact_revision == from);
        }
        cr_assert_eq(mvcc_hashkv_file(file, from - 1, &got, &e), RC_NOTFOUND);
        cr_assert_eq(mvcc_hashkv_file(file, to + 1, &got, &e), RC_NOTFOUND);
    }
    mem_free(ref);
}

/* ---- invented databases ----------------------------------------------------------- */

CASE(mvcc_survey, tells_what_happened_in_random_histories)
{
    for (unsigned seed = 300; seed < 320; seed++) {
        AT_END(database_clear) struct database db = { 0 };
        AT_END(findings_clear) struct findings f = { 0 };
        AT_END(mvcc_facts_end) struct mvcc_facts x = { 0 };
        struct story s;

        story_make(&s, seed, 60);
        story_pairs(&s, &db.buckets[MVCC_KEY]);
        database_meta(&db, s.finished, s.scheduled);
        AT_END(buf_clear) struct buf image = database_image(&db);

        image_survey(BYTES(image), &f, &x);
        cr_assert_eq(f.errors + f.warnings, 0, "seed %u: %s", seed, findings_text(&f));
        cr_assert(x.revision == s.revision && x.live_keys == s.live, "seed %u", seed);
        cr_assert_eq(x.compact_revision, s.finished);
        cr_assert_eq(x.scheduled_revision, s.scheduled);
        cr_assert_eq(x.key_records, s.count);
    }
}

CASE(mvcc_survey, of_an_empty_database)
{
    AT_END(database_clear) struct database db = { 0 };
    AT_END(findings_clear) struct findings f = { 0 };
    AT_END(mvcc_facts_end) struct mvcc_facts x = { 0 };
    AT_END(buf_clear) struct buf image = database_image(&db);

    image_survey(BYTES(image), &f, &x);
    cr_assert_eq(f.errors + f.warnings + f.notes, 0, "%s", findings_text(&f));
    cr_assert_eq(x.revision, 1);
    cr_assert_eq(x.hashkv.hash, 1084519789);
    cr_assert_eq(x.hashkv.compact_revision, -1);
    cr_assert_eq(x.status_hash, x.maintenance_hash);
    cr_assert_str_eq(x.writer, "");
    cr_assert_not(x.has_consistent_index);
}

CASE(mvcc_survey, maintenance_hash_leaves_out_what_members_differ_in)
{
    static const char *const keys[] = { MVCC_CONSISTENT_INDEX, "termination" };
    uint32_t status[2], maintenance[2];

    for (size_t i = 0; i < 2; i++) {
        AT_END(database_clear) struct database db = { 0 };
        AT_END(findings_clear) struct findings f = { 0 };
        AT_END(mvcc_facts_end) struct mvcc_facts x = { 0 };

        pairs_text(&db.buckets[MVCC_META], keys[i], "12345678");
        AT_END(buf_clear) struct buf image = database_image(&db);

        image_survey(BYTES(image), &f, &x);
        status[i] = x.status_hash;
        maintenance[i] = x.maintenance_hash;
    }
    cr_assert_neq(status[0], maintenance[0]);
    cr_assert_eq(status[1], maintenance[1]);
    cr_assert_neq(maintenance[0], maintenance[1]);
}

CASE(mvcc_survey, damaged_pages_leave_numbers_unknown)
{
    AT_END(buf_clear) struct buf db = golden_read("etcd-3.5", "snapshot.db.zst");
    AT_END(findings_clear) struct findings f = { 0 };
    AT_END(mvcc_facts_end) struct mvcc_facts x = { 0 };
    OWNED(bolt_file) file = NULL;
    struct mvcc_hashkv hash;
    struct err e = { 0 };
    unsigned damaged = 0;

    /* Another page's id in every leaf with more than 20 elements. */
    for (size_t at = 2 * 4096; at + 4096 < db.n; at += 4096)
        if (le64(db.p + at) == at / 4096 && le16(db.p + at + 8) == 2 &&
            le16(db.p + at + 10) > 20) {
            db.p[at] ^= 1;
            damaged++;
        }
    cr_assert_gt(damaged, 1);
    image_survey(BYTES(db), &f, &x);
    cr_assert_gt(f.errors, 0);
    cr_assert_not(x.pages_complete || x.history_complete || x.hashkv_known ||
                  x.status_hash_known);
    cr_assert_null(findings_find(&f, "lease-missing"));
    OK(image_open(BYTES(db), NULL, &file, &e), &e);
    cr_assert_eq(mvcc_hashkv_file(file, 0, &hash, &e), RC_CORRUPT);
}

/* Whether flipping the bit leads to an error (2), to another hash (1) or is not noticed,
 * as in a page that nobody uses (0). */
static int flip(struct bytes db, uint8_t *at, unsigned bit, uint32_t want)
{
    AT_END(findings_clear) struct findings f = { 0 };
    AT_END(mvcc_facts_end) struct mvcc_facts x = { 0 };

    at[bit / 8] ^= (uint8_t)(1 << bit % 8);
    image_survey(db, &f, &x);
    at[bit / 8] ^= (uint8_t)(1 << bit % 8);
    return f.errors > 0 ? 2 : x.hashkv.hash != want;
}

CASE(mvcc_survey, a_flipped_bit_is_an_error_or_another_hash)
{
    static const char value[] = "rewrite 3 of 90";
    AT_END(buf_clear) struct buf db = golden_read("etcd-3.6", "snapshot.db.zst");
    OWNED(json) facts = golden_json("etcd-3.6", "facts.json");
    uint32_t want = (uint32_t)number(facts, "hashkv");
    uint8_t *at = memmem(db.p, db.n, value, sizeof value - 1);
    unsigned seen[3] = { 0 };

    /* The first ones may lie in pages that are free. */
    while (at != NULL && flip(BYTES(db), at, 0, want) == 0)
        at = memmem(at + 1, (size_t)(db.p + db.n - at - 1), value, sizeof value - 1);
    cr_assert_not_null(at);
    at -= 64; /* into the record before, its value and our key */
    for (unsigned bit = 0; bit < 8 * (64 + sizeof value - 1); bit++)
        seen[flip(BYTES(db), at, bit, want)]++;
    cr_assert_eq(seen[0], 0);
    cr_assert(seen[1] > 200 && seen[2] > 50, "%u hashes, %u errors", seen[1], seen[2]);
}

CASE(mvcc_survey, bad_marks_leave_the_hash_unknown)
{
    AT_END(database_clear) struct database db = { 0 };
    AT_END(findings_clear) struct findings f = { 0 };
    AT_END(mvcc_facts_end) struct mvcc_facts x = { 0 };
    OWNED(bolt_file) file = NULL;
    struct mvcc_hashkv hash;
    struct err e = { 0 };

    pairs_text(&db.buckets[MVCC_META], MVCC_FINISHED_COMPACT, "five");
    AT_END(buf_clear) struct buf image = database_image(&db);

    image_survey(BYTES(image), &f, &x);
    cr_assert_eq(f.errors, 1);
    cr_assert_str_eq(f.items[0].code, "compact-revision");
    cr_assert_str_eq(f.items[0].message,
                     "bucket 'meta': a revision key has 17 or 18 bytes, not 4");
    cr_assert(x.pages_complete && x.status_hash_known);
    cr_assert_not(x.history_complete || x.hashkv_known);
    OK(image_open(BYTES(image), NULL, &file, &e), &e);
    cr_assert_eq(mvcc_hashkv_file(file, 0, &hash, &e), RC_CORRUPT);
    cr_assert_str_eq(e.why,
                     "the compaction marks in bucket 'meta' of 'image' cannot be read");
}

CASE(mvcc_survey, stops_when_asked_to)
{
    AT_END(buf_clear) struct buf db = golden_read("etcd-3.5", "snapshot.db.zst");
    const struct mvcc_survey_options o = { .level = MVCC_FULL };
    OWNED(bolt_file) file = NULL;
    struct mvcc_facts x;
    struct err e = { 0 };

    OK(image_open(BYTES(db), NULL, &file, &e), &e);
    stop_request();
    cr_assert_eq(mvcc_survey_file(file, &o, NULL, &x, &e), RC_INTERRUPTED);
    stop_reset();
}

CASE(mvcc_survey, gives_up_cleanly_without_memory)
{
    AT_END(buf_clear) struct buf db = golden_read("etcd-3.6", "snapshot.db.zst");
    const struct mvcc_survey_options o = { .level = MVCC_FULL, .status_hash = true };
    OWNED(bolt_file) file = NULL;
    struct err e = { 0 };
    unsigned failed = 0;

    OK(image_open(BYTES(db), NULL, &file, &e), &e);
    FAULT_SWEEP(FAULT_ALLOC, nth, 0) {
        AT_END(findings_clear) struct findings f = { 0 };
        AT_END(mvcc_facts_end) struct mvcc_facts x = { 0 };
        enum rc rc = mvcc_survey_file(file, &o, &f, &x, &e);

        cr_assert(rc == RC_OK || rc == RC_NOMEM, "allocation %u: %s", nth, e.why);
        failed += rc != RC_OK;
    }
    cr_assert_gt(failed, 20);
}

/* ---- few keys at hand ------------------------------------------------------------- */

struct key_feed {
    struct mvcc_history *history;
    bool inside;
};

static enum rc feed_bucket(void *arg, struct bytes name, struct err *e)
{
    (void)e;
    ((struct key_feed *)arg)->inside = bytes_is(name, "key");
    return RC_OK;
}

static enum rc feed_pair(void *arg, struct bytes key, struct bytes value, uint64_t page,
                         struct err *e)
{
    const struct key_feed *k = arg;

    return k->inside ? mvcc_history_pair(k->history, key, value,
                                         mvcc_pair_crc(key, value), page, e)
                     : RC_OK;
}

static void hash_with_few_keys(const struct bolt_file *file, int64_t compacted,
                               struct mvcc_history_result *out)
{
    const struct mvcc_history_options o = { compacted, compacted, 0, true, true };
    OWNED(mvcc_history) h = NULL;
    struct bolt_walk_result walk;
    struct err e = { 0 };

    OK(mvcc_history_new(&o, NULL, &h, &e), &e);
    mvcc_history_bound(h, 3);

    struct key_feed k = { .history = h };
    const struct bolt_visitor v = { &k, feed_bucket, feed_pair };

    OK(bolt_walk(file, &v, NULL, &walk, &e), &e);
    OK(mvcc_history_repeat(h, file, NULL, &e), &e);
    OK(mvcc_history_finish(h, NULL, out, &e), &e);
}

CASE(mvcc_survey, walks_again_for_keys_that_did_not_fit)
{
    for (size_t i = 0; i < GOLDEN_COUNT; i++) {
        AT_END(buf_clear) struct buf db = golden_read(golden_names[i], "snapshot.db.zst");
        AT_END(mvcc_facts_clear) struct mvcc_facts x = { 0 };
        AT_END(findings_clear) struct findings f = { 0 };
        OWNED(bolt_file) file = NULL;
        struct mvcc_history_result r;
        struct err e = { 0 };

        image_survey((struct bytes){ db.p, db.n }, &f, &x);
        OK(image_open((struct bytes){ db.p, db.n }, NULL, &file, &e), &e);
        hash_with_few_keys(file, x.compact_revision, &r);
        cr_assert(r.hash_known);
        cr_assert_eq(r.hashkv.hash, x.hashkv.hash, "%s", golden_names[i]);
        cr_assert_eq(r.live_keys, x.live_keys, "%s", golden_names[i]);
        cr_assert_eq(r.records, x.key_records, "%s", golden_names[i]);
    }
}
