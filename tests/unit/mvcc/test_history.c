#include "mvcc/history.h"

#include "tests/lib/case.h"
#include "tests/lib/fault.h"
#include "tests/unit/mvcc/story.h"
#include "util/mem.h"

/* ---- helpers ---------------------------------------------------------------------- */

static void feed(void *arg, struct bytes key, struct bytes value)
{
    struct err e = { 0 };

    OK(mvcc_history_pair(arg, key, value, mvcc_pair_crc(key, value), 5, &e), &e);
}

/* With `keys_max` keys at hand at once; 0: all. */
static void tell_bounded(const struct pairs *pairs, struct mvcc_history_options o,
                         size_t keys_max, const struct mvcc_lease_ids *leases,
                         struct findings *f, struct mvcc_history_result *out)
{
    OWNED(mvcc_history) h = NULL;
    struct err e = { 0 };
    bool again = true;

    OK(mvcc_history_new(&o, f, &h, &e), &e);
    mvcc_history_bound(h, keys_max);
    while (again) {
        pairs_each(pairs, feed, h);
        OK(mvcc_history_again(h, leases, &again, &e), &e);
    }
    OK(mvcc_history_finish(h, leases, out, &e), &e);
}

static void expect_findings(const struct findings *want, const struct findings *got)
{
    cr_assert_eq(want->kept, got->kept, "%s", findings_text(got));
    for (size_t i = 0; i < want->kept; i++) {
        size_t k = 0;

        while (k < got->kept &&
               (strcmp(want->items[i].code, got->items[k].code) != 0 ||
                want->items[i].severity != got->items[k].severity ||
                strcmp(want->items[i].message, got->items[k].message) != 0))
            k++;
        cr_assert_lt(k, got->kept, "%s is not in\n%s", want->items[i].message,
                     findings_text(got));
    }
}

/* However few keys are held at once, the same comes out. */
static void tell_with(const struct pairs *pairs, struct mvcc_history_options o,
                      const struct mvcc_lease_ids *leases, struct findings *f,
                      struct mvcc_history_result *out)
{
    static size_t turn;
    AT_END(findings_clear) struct findings again = { 0 };
    struct mvcc_history_result r;

    tell_bounded(pairs, o, 0, leases, f, out);
    tell_bounded(pairs, o, 2 + turn++ % 3, leases, f == NULL ? NULL : &again, &r);
    cr_assert_eq(memcmp(&r, out, sizeof r), 0, "other facts in several passes");
    if (f != NULL)
        expect_findings(f, &again);
}

static void tell(const struct pairs *pairs, struct mvcc_history_options o,
                 struct findings *f, struct mvcc_history_result *out)
{
    tell_with(pairs, o, NULL, f, out);
}

static const struct mvcc_history_options uncompacted = {
    .finished = -1, .scheduled = -1, .hash = true, .checks = true
};

/* What one list of changes leads to. The last has main 0. */
static void judge(const struct change *changes, int64_t finished, int64_t scheduled,
                  struct findings *f, struct mvcc_history_result *out)
{
    AT_END(database_clear) struct database db = { 0 };
    struct mvcc_history_options o = uncompacted;

    o.finished = finished;
    o.scheduled = scheduled;
    for (; changes->key != NULL; changes++)
        database_change(&db, changes);
    tell(&db.buckets[MVCC_KEY], o, f, out);
}

/* ---- HashKV ----------------------------------------------------------------------- */

CASE(mvcc_history, hash_of_the_recorded_vector)
{
    /* put x, put y=1, put y=2, del x, compact 5, put q=1 on etcd 3.5.16. */
    static const struct change changes[] = {
        { 4, 0, "y", 3, 2, 0, "2" },
        { 5, 0, "x", 0, 0, 0, NULL },
        { 6, 0, "q", 6, 1, 0, "1" },
        { 0 },
    };
    static const struct change without_tombstone[] = {
        { 4, 0, "y", 3, 2, 0, "2" },
        { 6, 0, "q", 6, 1, 0, "1" },
        { 0 },
    };
    const struct change *both[] = { changes, without_tombstone };

    for (size_t i = 0; i < 2; i++) {
        AT_END(findings_clear) struct findings f = { 0 };
        struct mvcc_history_result r;

        judge(both[i], 5, 5, &f, &r);
        cr_assert(r.hash_known);
        cr_assert_eq(r.hashkv.hash, 3455526276, "%zu", i);
        cr_assert_eq(r.hashkv.revision, 6);
        cr_assert_eq(r.hashkv.compact_revision, 5);
        cr_assert_eq(r.live_keys, 2);
        cr_assert_eq(f.errors + f.warnings + f.notes, 0, "%s", findings_text(&f));
    }
}

static void compare_all(const struct story *s, const struct pairs *pairs, unsigned seed)
{
    struct reference *ref = mem_zero(sizeof *ref);
    int64_t compact = s->scheduled > s->finished ? s->scheduled : s->finished;
    int64_t first = compact < 1 ? 1 : compact;

    cr_assert_not_null(ref);
    pairs_reference(pairs, compact, ref);
    for (int64_t at = first; at <= s->revision; at++) {
        struct mvcc_history_options o = { s->finished, s->scheduled, at, true, false };
        struct mvcc_history_result r;

        tell(pairs, o, NULL, &r);
        cr_assert_eq(r.hashkv.hash, reference_hashkv(ref, at),
                     "seed %u, revision %lld of %lld, compacted at %lld", seed,
                     (long long)at, (long long)s->revision, (long long)compact);
    }
    mem_free(ref);
}

CASE(mvcc_history, agrees_with_the_reference_on_random_histories)
{
    unsigned compacted = 0, interrupted = 0, bumped = 0;

    for (unsigned seed = 1; seed <= 200; seed++) {
        AT_END(pairs_clear) struct pairs pairs = { 0 };
        AT_END(findings_clear) struct findings f = { 0 };
        struct mvcc_history_options o = uncompacted;
        struct mvcc_history_result r;
        struct story s;

        story_make(&s, seed, 20 + seed % 30);
        story_pairs(&s, &pairs);
        o.finished = s.finished;
        o.scheduled = s.scheduled;
        tell(&pairs, o, &f, &r);
        cr_assert_eq(f.errors + f.warnings, 0, "seed %u: %s", seed, findings_text(&f));
        cr_assert_eq(r.revision, s.revision, "seed %u", seed);
        cr_assert_eq(r.live_keys, s.live, "seed %u", seed);
        cr_assert_eq(r.indexed_keys, s.live + s.bumped, "seed %u", seed);
        compare_all(&s, &pairs, seed);
        compacted += s.finished > 0;
        interrupted += s.scheduled > s.finished;
        bumped += s.bumped;
    }
    cr_assert_gt(compacted, 50);
    cr_assert_gt(interrupted, 20);
    cr_assert_gt(bumped, 10);
}

CASE(mvcc_history, a_compaction_changes_no_hash_while_it_runs)
{
    /* Two keys with three versions each and one deleted; compacted at 8, record by
     * record as etcd goes about it. */
    static const struct change changes[] = {
        { 2, 0, "a", 2, 1, 0, "1" },
        { 3, 0, "b", 3, 1, 0, "1" },
        { 4, 0, "a", 2, 2, 0, "2" },
        { 5, 0, "c", 5, 1, 0, "1" },
        { 6, 0, "b", 3, 2, 0, "2" },
        { 7, 0, "a", 2, 3, 0, "3" },
        { 8, 0, "c", 0, 0, 0, NULL },
        { 9, 0, "b", 3, 3, 0, "3" },
        { 0 },
    };
    static const bool goes[] = { true, true, true, true, false, false, true, false };
    struct change left[9];
    uint32_t hash = 0;

    memcpy(left, changes, sizeof left);
    for (size_t removed = 0, at = 0; at <= 8; at++) {
        AT_END(findings_clear) struct findings f = { 0 };
        struct mvcc_history_result r;

        judge(left, at == 8 ? 8 : -1, 8, &f, &r);
        cr_assert_eq(f.errors + f.warnings, 0, "%zu: %s", at, findings_text(&f));
        cr_assert_eq(r.hashkv.compact_revision, 8);
        cr_assert(at == 0 || r.hashkv.hash == hash, "%zu removed", removed);
        hash = r.hashkv.hash;
        if (at < 8 && goes[at]) {
            memmove(&left[at - removed], &left[at - removed + 1],
                    (8 - at) * sizeof *left);
            removed++;
        }
    }
}

CASE(mvcc_history, an_empty_store_is_at_revision_1)
{
    AT_END(findings_clear) struct findings f = { 0 };
    struct mvcc_history_result r;

    judge(&(struct change){ 0 }, -1, -1, &f, &r);
    cr_assert_eq(r.revision, 1);
    cr_assert_eq(r.last_main, 0);
    cr_assert_eq(r.hashkv.hash, 1084519789, "what every empty etcd answers");
    cr_assert_eq(f.errors + f.warnings + f.notes, 0);
}

CASE(mvcc_history, refuses_revisions_that_are_not_there)
{
    struct mvcc_history_options o = { 5, 5, 4, true, false };
    OWNED(mvcc_history) h = NULL;
    struct mvcc_history_result r = { .revision = 77 };
    struct err e = { 0 };

    cr_assert_eq(mvcc_history_new(&o, NULL, &h, &e), RC_NOTFOUND);
    cr_assert_str_eq(e.why, "revision 4 has been compacted, the oldest one left is 5");
    cr_assert_str_eq(e.hint, "an older snapshot may still have it");
    o.revision = -1;
    cr_assert_eq(mvcc_history_new(&o, NULL, &h, &e), RC_USAGE);
    cr_assert_str_eq(e.why, "revision -1 is negative");
    o.revision = 6;
    OK(mvcc_history_new(&o, NULL, &h, &e), &e);
    cr_assert_eq(mvcc_history_finish(h, NULL, &r, &e), RC_NOTFOUND);
    cr_assert_str_eq(e.why, "revision 6 lies in the future, the database is at "
                            "revision 5");
    cr_assert_str_eq(e.hint, "leave the revision out for the newest");
    cr_assert_eq(r.revision, 77, "outputs are not touched on failure");
}

/* ---- checks ----------------------------------------------------------------------- */

struct forged {
    const char *code; /* NULL: nothing is found */
    enum finding_severity severity;
    int64_t finished, scheduled;
    struct change changes[5];
    const char *message;
};

/* clang-format off */
static const struct forged forgeries[] = {
    { "revision-gap", FINDING_ERROR, -1, -1,
      { { 2, 0, "a", 2, 1, 0, NULL }, { 4, 0, "b", 4, 1, 0, NULL } },
      "revision 4/0: 1 revisions before it are missing" },
    { "revision-gap", FINDING_ERROR, -1, -1, { { 3, 0, "a", 3, 1, 0, NULL } }, NULL },
    { "revision-gap", FINDING_ERROR, 5, 5, { { 7, 0, "a", 7, 1, 0, NULL } }, NULL },
    { NULL, 0, 5, 5, { { 2, 3, "a", 2, 1, 0, NULL }, { 4, 1, "b", 3, 7, 0, NULL } }, NULL },
    { "revision-sub", FINDING_ERROR, -1, -1, { { 2, 1, "a", 2, 1, 0, NULL } },
      "revision 2/1: the changes before it in its transaction are missing" },
    { "revision-sub", FINDING_ERROR, -1, -1,
      { { 2, 0, "a", 2, 1, 0, NULL }, { 2, 2, "b", 2, 1, 0, NULL } },
      "revision 2/2: the change before it is 0" },
    { "revision-order", FINDING_ERROR, -1, -1,
      { { 2, 0, "a", 2, 1, 0, NULL }, { 2, 0, "a", 0, 0, 0, NULL } },
      "revision 2/0 is there as a put and as a tombstone" },
    { "revision-low", FINDING_ERROR, -1, -1, { { 1, 0, "a", 1, 1, 0, NULL } },
      "revision 1/0: the first change of a store is revision 2" },
    { "create-revision", FINDING_ERROR, -1, -1, { { 2, 0, "a", 3, 1, 0, NULL } },
      "revision 2/0: created at revision 3" },
    { "create-revision", FINDING_ERROR, -1, -1, { { 2, 0, "a", 0, 1, 0, NULL } }, NULL },
    { "create-revision", FINDING_ERROR, -1, -1,
      { { 2, 0, "a", 2, 1, 0, NULL }, { 3, 0, "a", 3, 2, 0, NULL } },
      "revision 3/0: version 2 of a key created at 3" },
    { "create-revision", FINDING_ERROR, 3, 3,
      { { 3, 0, "a", 2, 2, 0, NULL }, { 4, 0, "a", 1, 3, 0, NULL } },
      "revision 4/0: created at revision 1, the version before says 2" },
    { "create-revision", FINDING_WARN, 9, 9, { { 8, 0, "a", 5, 1, 0, NULL } },
      "revision 8/0: version 1 of a key created at 5" },
    { "version", FINDING_ERROR, -1, -1,
      { { 2, 0, "a", 2, 1, 0, NULL }, { 3, 0, "a", 2, 3, 0, NULL } },
      "revision 3/0: version 3 follows version 1" },
    { "version", FINDING_ERROR, -1, -1, { { 2, 0, "a", 2, -4, 0, NULL } },
      "revision 2/0: version -4" },
    { "history-start", FINDING_ERROR, 5, 5, { { 6, 0, "a", 3, 4, 0, NULL } },
      "revision 6/0: version 4 of a key without a record of version 3" },
    { "history-start", FINDING_ERROR, -1, -1,
      { { 2, 0, "a", 2, 1, 0, NULL }, { 3, 0, "a", 0, 0, 0, NULL },
        { 4, 0, "a", 2, 2, 0, NULL } }, NULL },
    { NULL, 0, 2, 5, { { 3, 0, "a", 2, 4, 0, NULL }, { 5, 0, "b", 2, 4, 0, NULL } }, NULL },
    { "tombstone", FINDING_ERROR, -1, -1, { { 2, 0, "a", 0, 0, 0, NULL } },
      "revision 2/0: a tombstone for a key that does not exist" },
    { "tombstone", FINDING_ERROR, -1, -1,
      { { 2, 0, "a", 2, 1, 0, NULL }, { 3, 0, "a", 0, 0, 0, NULL },
        { 4, 0, "a", 0, 0, 0, NULL } }, NULL },
    { NULL, 0, 5, 5, { { 5, 0, "a", 0, 0, 0, NULL } }, NULL },
    { "compaction-leftover", FINDING_WARN, 5, 5,
      { { 3, 0, "a", 2, 2, 0, NULL }, { 5, 0, "a", 2, 3, 0, NULL } },
      "revision 5/0: the compaction at 5 left more of its key than the newest record" },
    { "compaction-leftover", FINDING_WARN, 5, 5, { { 4, 0, "a", 0, 0, 0, NULL } }, NULL },
    { "compaction-unfinished", FINDING_NOTE, 2, 5,
      { { 3, 0, "a", 2, 2, 0, NULL }, { 5, 0, "a", 2, 3, 0, NULL } },
      "the compaction at 5 has not finished, the next boot goes on with it" },
    { "compaction-marks", FINDING_WARN, 5, 3, { { 5, 0, "a", 5, 1, 0, NULL } },
      "a compaction at 5 is finished, but the last one scheduled is 3" },
    { "revision-from-compaction", FINDING_NOTE, 5, 5, { { 4, 0, "a", 4, 1, 0, NULL } },
      "revision 5 is known from the compaction mark, the newest record is of 4" },
};
/* clang-format on */

CASE(mvcc_history, names_what_no_etcd_wrote)
{
    for (size_t i = 0; i < sizeof forgeries / sizeof *forgeries; i++) {
        const struct forged *forged = &forgeries[i];
        AT_END(findings_clear) struct findings f = { 0 };
        struct mvcc_history_result r;
        const struct finding *found;

        judge(forged->changes, forged->finished, forged->scheduled, &f, &r);
        if (forged->code == NULL) {
            cr_assert_eq(f.errors + f.warnings, 0, "%zu: %s", i, findings_text(&f));
            continue;
        }
        found = findings_find(&f, forged->code);
        cr_assert_not_null(found, "%zu: want %s, got\n%s", i, forged->code,
                           findings_text(&f));
        cr_assert_eq(found->severity, forged->severity, "%zu %s", i, forged->code);
        cr_assert_eq(f.errors > 0, forged->severity == FINDING_ERROR, "%zu: %s", i,
                     findings_text(&f));
        if (forged->message != NULL)
            cr_assert_str_eq(found->message, forged->message);
    }
}

/* Pairs that change_pair cannot express. */
static void judge_pair(struct bytes key, struct bytes value, struct findings *f,
                       struct mvcc_history_result *out)
{
    AT_END(pairs_clear) struct pairs pairs = { 0 };

    pairs_add(&pairs, key, value);
    tell(&pairs, uncompacted, f, out);
}

CASE(mvcc_history, counts_records_it_cannot_read)
{
    static const uint8_t rev[] = "\0\0\0\0\0\0\0\2_\0\0\0\0\0\0\0\0t";
    static const uint8_t minus[] = "\377\0\0\0\0\0\0\2_\0\0\0\0\0\0\0\0";
    static const struct {
        struct bytes key, value;
        const char *code, *message;
    } bad[] = {
        { { rev, 16 },
          { rev, 0 },
          "revision-key",
          "a record of page 5: a revision key has 17 or 18 bytes, not 16" },
        { { rev + 1, 17 },
          { rev, 0 },
          "revision-key",
          "a record of page 5: byte 8 of the revision key is 0x00, not '_'" },
        { { minus, 17 },
          { rev, 0 },
          "revision-key",
          "a record of page 5: negative revision -72057594037927934/0" },
        { { rev, 17 },
          { (const uint8_t *)"\x0a\x05yy", 4 },
          "key-value",
          "revision 2/0: malformed protobuf field at byte 0 of 4" },
        { { rev, 17 },
          { (const uint8_t *)"\x10\x02", 2 },
          "key-value",
          "revision 2/0: the record names no key" },
        { { rev, 18 }, { rev, 0 }, "key-value", "revision 2/0: the record names no key" },
        { { rev, 17 },
          { (const uint8_t *)"\x08\x02", 2 },
          "key-value",
          "revision 2/0: field 1 has the wire type 0" },
    };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        AT_END(findings_clear) struct findings f = { 0 };
        struct mvcc_history_result r;

        judge_pair(bad[i].key, bad[i].value, &f, &r);
        cr_assert_eq(f.errors, 1, "%zu", i);
        cr_assert_str_eq(f.items[0].code, bad[i].code, "%zu", i);
        cr_assert_str_eq(f.items[0].message, bad[i].message, "%zu", i);
        cr_assert_eq(f.items[0].page, 5);
        cr_assert_eq(r.rejected, 1);
        cr_assert_eq(r.records, 0);
        cr_assert_not(r.hash_known);
    }
}

CASE(mvcc_history, checks_modification_and_tombstone_values)
{
    static const uint8_t rev[] = "\0\0\0\0\0\0\0\2_\0\0\0\0\0\0\0\0t";
    AT_END(findings_clear) struct findings f = { 0 };
    struct mvcc_history_result r;

    judge_pair((struct bytes){ rev, 17 },
               (struct bytes){ (const uint8_t *)"\x0a\x01x\x10\x02\x18\x03\x20\x01", 9 },
               &f, &r);
    cr_assert_str_eq(f.items[0].code, "mod-revision");
    cr_assert_str_eq(f.items[0].message,
                     "revision 2/0: the record says it was modified at 3");
    findings_clear(&f);
    judge_pair((struct bytes){ rev, 18 },
               (struct bytes){ (const uint8_t *)"\x0a\x01x\x10\x02", 5 }, &f, &r);
    cr_assert_not_null(findings_find(&f, "tombstone-value"), "%s", findings_text(&f));
}

CASE(mvcc_history, an_early_error_ends_it_without_findings)
{
    struct mvcc_history_options o = uncompacted;
    OWNED(mvcc_history) h = NULL;
    struct err e = { 0 };

    OK(mvcc_history_new(&o, NULL, &h, &e), &e);
    cr_assert_eq(mvcc_history_pair(h, bytes_str("short"), bytes_str(""), 0, 9, &e),
                 RC_CORRUPT);
    cr_assert_str_eq(e.why, "page 9: a revision key has 17 or 18 bytes, not 5");
}

CASE(mvcc_history, tells_ten_of_a_kind_and_counts_the_rest)
{
    static const struct {
        size_t bad, errors;
    } cases[] = { { 9, 9 }, { 10, 10 }, { 11, 11 }, { 25, 11 } };

    for (size_t i = 0; i < 4; i++) {
        AT_END(findings_clear) struct findings f = { 0 };
        AT_END(pairs_clear) struct pairs pairs = { 0 };
        struct mvcc_history_result r;

        for (size_t n = 0; n < cases[i].bad; n++)
            pairs_text(&pairs, "bad", "");
        tell(&pairs, uncompacted, &f, &r);
        cr_assert_eq(f.errors, cases[i].errors, "%zu", cases[i].bad);
        cr_assert_eq(r.rejected, cases[i].bad);
        cr_assert_str_eq(f.items[f.kept - 1].code, "revision-key");
        if (cases[i].bad == 25)
            cr_assert_str_eq(f.items[10].message, "15 more of this kind");
    }
}

CASE(mvcc_history, follows_leases_of_live_keys_only)
{
    static const int64_t ids[] = { 5, 7, -3 };
    const struct mvcc_lease_ids leases = { ids, 3 };
    AT_END(findings_clear) struct findings f = { 0 };
    AT_END(database_clear) struct database db = { 0 };
    struct mvcc_history_result r;

    database_change(&db, &(struct change){ 2, 0, "a", 2, 1, 5, NULL });
    database_change(&db, &(struct change){ 3, 0, "b", 3, 1, 99, NULL });
    database_change(&db, &(struct change){ 4, 0, "b", 0, 0, 0, NULL });
    database_change(&db, &(struct change){ 5, 0, "c", 5, 1, 98, NULL });
    database_change(&db, &(struct change){ 6, 0, "c", 5, 2, 7, NULL });
    database_change(&db, &(struct change){ 7, 0, "d", 7, 1, -3, NULL });
    database_change(&db, &(struct change){ 8, 0, "e", 8, 1, 97, NULL });
    tell_with(&db.buckets[MVCC_KEY], uncompacted, &leases, &f, &r);
    cr_assert_eq(f.warnings, 1, "%s", findings_text(&f));
    cr_assert_str_eq(f.items[0].message,
                     "a key created at revision 8 has the lease 0000000000000061, which "
                     "does not exist");
}

/* Four million keys of one record, all compacted but the last tenth. */
enum { MANY = 4000000, COMPACTED = MANY / 10 * 9 };

static void feed_many(struct mvcc_history *h, size_t *most)
{
    struct mvcc_record r = { .version = 1, .length = 30 };
    struct err e = { 0 };

    for (int i = 0; i < MANY; i++) {
        uint64_t id = (uint64_t)(i + 1) * 0x9E3779B97F4A7C15;

        r.main = r.mod = r.create = i + 2;
        r.crc = (uint32_t)id;
        r.key = (struct mvcc_key_id){ .a = id, .b = (uint32_t)(id >> 32) };
        OK(mvcc_history_add(h, &r, 1, &e), &e);
        if (i % 1000 == 0 && mvcc_history_memory(h) > *most)
            *most = mvcc_history_memory(h);
    }
}

static unsigned hash_many(size_t keys_max, size_t *most, struct mvcc_history_result *out)
{
    const struct mvcc_history_options o = { COMPACTED, COMPACTED, 0, true, true };
    OWNED(mvcc_history) h = NULL;
    struct err e = { 0 };
    unsigned passes = 0;
    bool again = true;

    OK(mvcc_history_new(&o, NULL, &h, &e), &e);
    mvcc_history_bound(h, keys_max);
    for (; again; passes++) {
        feed_many(h, most);
        OK(mvcc_history_again(h, NULL, &again, &e), &e);
    }
    OK(mvcc_history_finish(h, NULL, out, &e), &e);
    return passes;
}

CASE(mvcc_history, stays_within_64_mib_however_many_keys)
{
    struct mvcc_history_result bounded, unbounded;
    size_t most = 0, all = 0;

    cr_assert_eq(hash_many(MVCC_KEYS_AT_HAND, &most, &bounded), 8 + 1);
    cr_assert_eq(hash_many(0, &all, &unbounded), 1);
    cr_assert_lt(most, (size_t)56 << 20);
    cr_assert_gt(all, (size_t)200 << 20, "the bound would not be needed");
    cr_assert_eq(memcmp(&bounded, &unbounded, sizeof bounded), 0);
}

/* Records that come to more, or to fewer, than the first time. */
CASE(mvcc_history, notices_records_that_changed_between_passes)
{
    const struct mvcc_history_options o = { 9, 9, 0, true, false };

    for (int fewer = 0; fewer < 2; fewer++) {
        OWNED(mvcc_history) h = NULL;
        struct mvcc_record r = { .main = 2, .version = 1, .create = 2, .mod = 2 };
        struct err e = { 0 };
        enum rc rc = RC_OK;
        bool again;

        OK(mvcc_history_new(&o, NULL, &h, &e), &e);
        mvcc_history_bound(h, 4);
        for (r.key.b = 0; r.key.b < 40; r.key.b++, r.key.a += 77)
            OK(mvcc_history_add(h, &r, 1, &e), &e);
        OK(mvcc_history_again(h, NULL, &again, &e), &e);
        cr_assert(again);
        for (r.key.b = 0; rc == RC_OK && r.key.b < (fewer ? 39 : 4000); r.key.b++)
            rc = mvcc_history_add(h, &r, 1, &e);
        if (rc == RC_OK)
            rc = mvcc_history_again(h, NULL, &again, &e);
        cr_assert_eq(rc, RC_CORRUPT);
        cr_assert_str_eq(e.why, "the records changed while they were read");
    }
}

CASE(mvcc_history, says_when_memory_runs_out)
{
    AT_END(pairs_clear) struct pairs pairs = { 0 };
    unsigned runs = 0;
    struct story s;

    story_make(&s, 3, 40);
    story_pairs(&s, &pairs);
    FAULT_SWEEP(FAULT_ALLOC, nth, 0) {
        OWNED(mvcc_history) h = NULL;
        struct mvcc_record r = { .main = 2, .create = 2, .mod = 2, .version = 1 };
        struct mvcc_history_options o = { 5, 5, 0, true, false };
        struct err e = { 0 };
        enum rc rc = mvcc_history_new(&o, NULL, &h, &e);

        runs = nth;
        for (unsigned i = 0; rc == RC_OK && i < 3000; i++) {
            r.key.a = i * 77;
            rc = mvcc_history_add(h, &r, 1, &e);
        }
        if (rc == RC_OK)
            rc = mvcc_history_finish(h, NULL, &(struct mvcc_history_result){ 0 }, &e);
        cr_assert(rc == RC_OK || rc == RC_NOMEM, "allocation %u: %s", nth, e.why);
    }
    cr_assert_eq(runs, 11, "history, 3 tables, 3 + 3 lists, 1 clean run, not %u", runs);
}
