#include "machine/kvstore.h"

#include <stdio.h>

#include "tests/lib/case.h"
#include "tests/lib/fault.h"
#include "tests/unit/machine/kvfixture.h"

/* ---- helpers ---------------------------------------------------------------------- */

static void put(struct kvstore *s, const char *key, const char *value)
{
    struct err e = { 0 };

    kvstore_begin(s);
    OK(kvstore_put(s, KV(key), KV(value), 0, &e), &e);
    kvstore_end(s);
}

static uint64_t del(struct kvstore *s, struct kvstore_span span)
{
    struct err e = { 0 };
    uint64_t deleted = 0;

    kvstore_begin(s);
    OK(kvstore_delete(s, span, &deleted, &e), &e);
    kvstore_end(s);
    return deleted;
}

static struct kvstore *empty(void)
{
    const struct kvstore_options plain = { 0 };
    struct kvstore *s = NULL;
    struct err e = { 0 };

    OK(kvstore_new(&plain, &s, &e), &e);
    return s;
}

/* "key=value@mod.version key=..." of a range, in a static buffer. */
struct line {
    char *p;
    size_t n, room, stop_after;
};

static enum rc tell(void *arg, struct bytes key, const struct kvstore_record *r,
                    bool *stop, struct err *e)
{
    struct line *line = arg;
    struct mvcc_kv kv;

    TRY(mvcc_kv_read(r->stored, &kv, e));
    cr_assert(bytes_equal(kv.key, key));
    cr_assert(!r->tombstone);
    line->n += (size_t)snprintf(
        line->p + line->n, line->room - line->n, "%s%.*s=%.*s@%lld.%lld",
        line->n > 0 ? " " : "", (int)kv.key.n, (const char *)kv.key.p, (int)kv.value.n,
        (const char *)kv.value.p, (long long)kv.mod, (long long)kv.version);
    *stop = line->stop_after > 0 && --line->stop_after == 0;
    return RC_OK;
}

static const char *range(const struct kvstore *s, struct kvstore_span span,
                         int64_t revision)
{
    static char text[4096];
    struct line line = { .p = text, .room = sizeof text };
    uint64_t count = 0, seen = 0;
    struct err e = { 0 };

    text[0] = '\0';
    OK(kvstore_range(s, span, revision, tell, &line, &e), &e);
    OK(kvstore_count(s, span, revision, &count, &e), &e);
    for (const char *p = text; *p != '\0'; p++)
        seen += *p == '=';
    cr_assert_eq(count, seen, "%s", text);
    return text;
}

/* ---- semantics one by one ------------------------------------------------------------
 */

CASE(kvstore, begins_at_revision_1_and_is_never_compacted)
{
    OWNED(kvstore) s = empty();
    struct kvstore_record r;
    struct mvcc_hashkv h;
    struct err e = { 0 };
    bool found = true;

    cr_assert_eq(kvstore_revision(s), 1);
    cr_assert_eq(kvstore_compacted(s), MVCC_NEVER_COMPACTED);
    cr_assert_eq(kvstore_records(s), 0);
    cr_assert_eq(kvstore_bytes(s), 0);
    cr_assert_str_empty(range(s, kv_from(""), 0));
    OK(kvstore_get(s, KV("a"), 1, &r, &found, &e), &e);
    cr_assert_not(found);
    OK(kvstore_hashkv(s, 0, &h, &e), &e);
    cr_assert_eq(h.compact_revision, -1);
    cr_assert_eq(del(s, kv_from("")), 0);
    cr_assert_eq(kvstore_revision(s), 1);
}

CASE(kvstore, versions_and_creation_count_within_a_generation)
{
    OWNED(kvstore) s = empty();

    put(s, "a", "1");
    put(s, "b", "1");
    put(s, "a", "2");
    cr_assert_str_eq(range(s, kv_from(""), 0), "a=2@4.2 b=1@3.1");
    cr_assert_str_eq(range(s, kv_from(""), 3), "a=1@2.1 b=1@3.1");
    cr_assert_str_eq(range(s, kv_key("a"), 2), "a=1@2.1");
    cr_assert_eq(del(s, kv_key("a")), 1);
    cr_assert_eq(del(s, kv_key("a")), 0);
    cr_assert_eq(kvstore_revision(s), 5);
    cr_assert_str_eq(range(s, kv_from(""), 0), "b=1@3.1");
    cr_assert_str_eq(range(s, kv_key("a"), 4), "a=2@4.2");
    put(s, "a", "3");
    cr_assert_str_eq(range(s, kv_from(""), -1), "a=3@6.1 b=1@3.1");
    cr_assert_str_eq(range(s, kv_from(""), 5), "b=1@3.1");
}

CASE(kvstore, ranges_end_as_etcd_writes_them)
{
    OWNED(kvstore) s = empty();

    for (const char *k = "abcd"; *k != '\0'; k++)
        put(s, (const char[]){ *k, '\0' }, "");
    cr_assert_str_eq(range(s, kv_span("b", "d"), 0), "b=@3.1 c=@4.1");
    cr_assert_str_eq(range(s, kv_from("c"), 0), "c=@4.1 d=@5.1");
    cr_assert_str_eq(range(s, kv_span("c", "c"), 0), "");
    cr_assert_str_eq(range(s, kv_span("d", "a"), 0), "");
    cr_assert_str_eq(range(s, kv_key("bb"), 0), "");
    cr_assert_str_eq(range(s, kv_span("bb", "cc"), 0), "c=@4.1");
    cr_assert_str_eq(range(s, kv_span("e", "f"), 0), "");
    cr_assert(kvstore_span_has(kv_span("b", "d"), KV("c\xff")));
    cr_assert_not(kvstore_span_has(kv_span("b", "d"), KV("d")));
    cr_assert(kvstore_span_has(kv_key("b"), KV("b")));
    cr_assert_not(kvstore_span_has(kv_key("b"), KV("ba")));
    cr_assert_not(kvstore_span_has(kv_from("b"), KV("a")));
    cr_assert_eq(del(s, kv_span("b", "d")), 2);
    cr_assert_str_eq(range(s, kv_from(""), 0), "a=@2.1 d=@5.1");
}

CASE(kvstore, a_visitor_ends_a_range)
{
    OWNED(kvstore) s = empty();
    char text[64] = "";
    struct line line = { .p = text, .room = sizeof text, .stop_after = 2 };
    struct err e = { 0 };

    for (const char *k = "abcd"; *k != '\0'; k++)
        put(s, (const char[]){ *k, '\0' }, "");
    OK(kvstore_range(s, kv_from(""), 0, tell, &line, &e), &e);
    cr_assert_str_eq(text, "a=@2.1 b=@3.1");
}

static enum rc list(void *arg, const struct kvstore_record *r, bool *stop, struct err *e)
{
    struct line *line = arg;
    struct mvcc_kv kv;

    TRY(mvcc_kv_read(r->stored, &kv, e));
    line->n +=
        (size_t)snprintf(line->p + line->n, line->room - line->n, "%s%lld/%lld%s%.*s",
                         line->n > 0 ? " " : "", (long long)r->main, (long long)r->sub,
                         r->tombstone ? "-" : "+", (int)kv.key.n, (const char *)kv.key.p);
    *stop = line->stop_after > 0 && --line->stop_after == 0;
    return RC_OK;
}

static const char *changes(const struct kvstore *s, int64_t from, size_t most)
{
    static char text[4096];
    struct line line = { .p = text, .room = sizeof text, .stop_after = most };
    struct err e = { 0 };

    text[0] = '\0';
    OK(kvstore_changes(s, from, list, &line, &e), &e);
    return text;
}

CASE(kvstore, a_write_sees_itself_and_watchers_do_not)
{
    OWNED(kvstore) s = empty();
    struct err e = { 0 };
    uint64_t deleted;

    put(s, "a", "1");
    put(s, "b", "1");
    kvstore_begin(s);
    cr_assert_not(kvstore_changed(s));
    OK(kvstore_put(s, KV("a"), KV("2"), 0, &e), &e);
    OK(kvstore_put(s, KV("c"), KV("1"), 0, &e), &e);
    OK(kvstore_delete(s, kv_key("b"), &deleted, &e), &e);
    OK(kvstore_put(s, KV("a"), KV("3"), 0, &e), &e);
    cr_assert(kvstore_changed(s));
    cr_assert_str_eq(range(s, kv_from(""), 0), "a=3@4.3 c=1@4.1");
    cr_assert_str_eq(range(s, kv_from(""), 4), "a=3@4.3 c=1@4.1");
    cr_assert_str_eq(range(s, kv_from(""), 3), "a=1@2.1 b=1@3.1");
    cr_assert_eq(kvstore_count(s, kv_from(""), 5, &deleted, &e), RC_NOTFOUND);
    cr_assert_eq(kvstore_revision(s), 3);
    cr_assert_str_eq(changes(s, 2, 0), "2/0+a 3/0+b");
    cr_assert_eq(kvstore_end(s), 4);
    cr_assert_str_eq(changes(s, 3, 0), "3/0+b 4/0+a 4/1+c 4/2-b 4/3+a");
    cr_assert_str_eq(changes(s, 4, 2), "4/0+a 4/1+c");
    cr_assert_str_eq(changes(s, 5, 0), "");
    cr_assert_str_eq(changes(s, -7, 1), "2/0+a");
}

CASE(kvstore, records_are_encoded_as_etcd_does)
{
    /* put k "v" with lease 0x1122 as the first write, then its deletion. */
    static const uint8_t record[] = { 0x0a, 1,    'k', 0x10, 2,    0x18, 2,   0x20,
                                      1,    0x2a, 1,   'v',  0x30, 0xa2, 0x22 };
    static const uint8_t tombstone[] = { 0x0a, 1, 'k' };
    OWNED(kvstore) s = empty();
    AT_END(pairs_clear) struct pairs want = { 0 };
    struct err e = { 0 };

    pairs_add(&want,
              (struct bytes){ (const uint8_t *)"\0\0\0\0\0\0\0\2_\0\0\0\0\0\0\0\0", 17 },
              BYTES_OF(record));
    pairs_add(&want,
              (struct bytes){ (const uint8_t *)"\0\0\0\0\0\0\0\3_\0\0\0\0\0\0\0\0t", 18 },
              BYTES_OF(tombstone));
    kvstore_begin(s);
    OK(kvstore_put(s, KV("k"), KV("v"), 0x1122, &e), &e);
    kvstore_end(s);
    del(s, kv_key("k"));
    AT_END(pairs_clear) struct pairs got = kv_dump(s);

    kv_same(&want, &got, "put and delete");
    cr_assert_eq(kvstore_bytes(s), 17 + sizeof record + 18 + sizeof tombstone);
}

/* ---- compaction ----------------------------------------------------------------------
 */

CASE(kvstore, compaction_has_etcds_limits)
{
    OWNED(kvstore) s = empty();
    struct err e = { 0 };
    uint64_t n;

    put(s, "a", "1");
    put(s, "a", "2");
    put(s, "a", "3");
    cr_assert_eq(kvstore_compact(s, 5, &e), RC_NOTFOUND);
    cr_assert_eq(kvstore_compact(s, -1, &e), RC_NOTFOUND);
    cr_assert_eq(kvstore_records(s), 3);
    OK(kvstore_compact(s, 3, &e), &e);
    cr_assert_eq(kvstore_compact(s, 3, &e), RC_NOTFOUND);
    cr_assert_eq(kvstore_compacted(s), 3);
    cr_assert_str_eq(changes(s, 0, 0), "3/0+a 4/0+a");
    cr_assert_str_eq(range(s, kv_key("a"), 3), "a=2@3.2");
    cr_assert_eq(kvstore_count(s, kv_key("a"), 2, &n, &e), RC_NOTFOUND);
    OK(kvstore_compact(s, 4, &e), &e);
    cr_assert_str_eq(changes(s, 0, 0), "4/0+a");
    put(s, "a", "4");
    cr_assert_str_eq(range(s, kv_key("a"), 0), "a=4@5.4");
}

CASE(kvstore, a_tombstone_at_the_compaction_stays_by_the_new_rule_only)
{
    for (int drop = 0; drop < 2; drop++) {
        const struct kvstore_options options = { .drop_tombstone_at_compaction = drop };
        OWNED(kvstore) s = NULL;
        struct mvcc_hashkv before, after;
        struct err e = { 0 };

        OK(kvstore_new(&options, &s, &e), &e);
        put(s, "a", "1");
        put(s, "b", "1");
        del(s, kv_key("a"));
        put(s, "c", "1");
        OK(kvstore_compact(s, 4, &e), &e);
        cr_assert_str_eq(changes(s, 0, 0), drop ? "3/0+b 5/0+c" : "3/0+b 4/0-a 5/0+c");
        OK(kvstore_hashkv(s, 0, &before, &e), &e);
        OK(kvstore_compact(s, 5, &e), &e);
        cr_assert_str_eq(changes(s, 0, 0), "3/0+b 5/0+c");
        OK(kvstore_hashkv(s, 0, &after, &e), &e);
        cr_assert_eq(before.hash, after.hash);
        put(s, "a", "2");
        cr_assert_str_eq(range(s, kv_from(""), 0), "a=2@6.1 b=1@3.1 c=1@5.1");
    }
}

/* ---- odd histories -------------------------------------------------------------------
 */

static struct pairs story_of(const struct change *changes)
{
    struct pairs pairs = { 0 };

    for (; changes->key != NULL; changes++) {
        AT_END(buf_clear) struct buf key = { 0 };
        AT_END(buf_clear) struct buf value = { 0 };

        change_pair(changes, &key, &value);
        if (changes->key[0] == '\0') /* what a revision bump leaves */
            key.n = MVCC_REV_SIZE, value.n = 0;
        pairs_add(&pairs, (struct bytes){ key.p, key.n },
                  (struct bytes){ value.p, value.n });
    }
    return pairs;
}

CASE(kvstore, odd_tombstones_are_carried_and_not_indexed)
{
    /* A tombstone first, and one upon another. */
    static const struct change odd[] = {
        { 3, 0, "a", 0, 0, 0, NULL }, { 4, 0, "a", 0, 0, 0, NULL },
        { 5, 0, "b", 5, 1, 0, "1" },  { 6, 0, "b", 0, 0, 0, NULL },
        { 7, 0, "b", 0, 0, 0, NULL }, { 8, 0, "b", 8, 1, 0, "2" },
        { 9, 0, "a", 9, 1, 0, "1" },  { 0 },
    };
    AT_END(pairs_clear) struct pairs pairs = story_of(odd);
    OWNED(kvstore) s = kv_load(NULL, &pairs, -1, -1);
    AT_END(pairs_clear) struct pairs again = kv_dump(s);
    struct err e = { 0 };

    kv_same(&pairs, &again, "odd");
    cr_assert_str_eq(changes(s, 0, 0), "3/0-a 4/0-a 5/0+b 6/0-b 7/0-b 8/0+b 9/0+a");
    cr_assert_str_eq(range(s, kv_from(""), 7), "");
    cr_assert_str_eq(range(s, kv_from(""), 5), "b=1@5.1");
    cr_assert_str_eq(range(s, kv_from(""), 0), "a=1@9.1 b=2@8.1");
    OK(kvstore_compact(s, 4, &e), &e);
    cr_assert_str_eq(changes(s, 0, 0), "5/0+b 6/0-b 7/0-b 8/0+b 9/0+a");
    OK(kvstore_compact(s, 7, &e), &e);
    cr_assert_str_eq(changes(s, 0, 0), "8/0+b 9/0+a");
    put(s, "b", "3");
    cr_assert_str_eq(range(s, kv_from(""), 0), "a=1@9.1 b=3@10.2");
}

CASE(kvstore, a_bump_counts_as_the_key_without_a_name)
{
    static const struct change bumped[] = {
        { 2, 0, "a", 2, 1, 0, "1" },
        { 3, 0, "a", 2, 2, 0, "2" },
        { 1000, 0, "", 0, 0, 0, NULL },
        { 0 },
    };
    AT_END(pairs_clear) struct pairs pairs = story_of(bumped);
    OWNED(kvstore) s = kv_load(NULL, &pairs, -1, 1000);
    struct kvstore_record r;
    struct err e = { 0 };
    bool found = false;

    cr_assert_eq(kvstore_revision(s), 1000);
    cr_assert_eq(kvstore_compacted(s), 1000);
    cr_assert_str_eq(changes(s, 0, 0), "3/0+a 1000/0+");
    OK(kvstore_get(s, KV(""), 0, &r, &found, &e), &e);
    cr_assert(found);
    cr_assert_eq(r.stored.n, 0);
    put(s, "a", "3");
    cr_assert_str_eq(range(s, kv_from("a"), 0), "a=3@1001.3");
    OK(kvstore_compact(s, 1001, &e), &e);
    cr_assert_str_eq(changes(s, 0, 0), "1000/0+ 1001/0+a");
}

CASE(kvstore, the_revision_may_be_known_from_the_marks_alone)
{
    AT_END(pairs_clear) struct pairs pairs = { 0 };
    OWNED(kvstore) finished = kv_load(NULL, &pairs, 12, 12);
    OWNED(kvstore) scheduled = kv_load(NULL, &pairs, -1, 13);
    OWNED(kvstore) neither = kv_load(NULL, &pairs, -1, -1);

    cr_assert_eq(kvstore_revision(finished), 12);
    cr_assert_eq(kvstore_compacted(finished), 12);
    cr_assert_eq(kvstore_revision(scheduled), 13);
    cr_assert_eq(kvstore_compacted(scheduled), 13);
    cr_assert_eq(kvstore_revision(neither), 1);
    cr_assert_eq(kvstore_compacted(neither), -1);
}

CASE(kvstore, what_cannot_be_a_bucket_is_refused)
{
    static const uint8_t bad[] = { 0x0a, 5, 'a' };
    uint8_t rev[MVCC_REV_SIZE];
    OWNED(kvstore) s = empty();
    struct err e = { 0 };

    mvcc_rev_write(rev, 5, 1);
    cr_assert_eq(kvstore_load(s, KV("short"), KV(""), &e), RC_CORRUPT);
    cr_assert_eq(kvstore_load(s, BYTES_OF(rev), BYTES_OF(bad), &e), RC_CORRUPT);
    OK(kvstore_load(s, BYTES_OF(rev), KV(""), &e), &e);
    cr_assert_eq(kvstore_load(s, BYTES_OF(rev), KV(""), &e), RC_CORRUPT);
    mvcc_rev_write(rev, 5, 0);
    cr_assert_eq(kvstore_load(s, BYTES_OF(rev), KV(""), &e), RC_CORRUPT);
    mvcc_rev_write(rev, INT64_MAX, 0);
    cr_assert_eq(kvstore_load(s, BYTES_OF(rev), KV(""), &e), RC_CORRUPT);
    mvcc_rev_write(rev, 6, INT64_C(1) << 32);
    cr_assert_eq(kvstore_load(s, BYTES_OF(rev), KV(""), &e), RC_CORRUPT);
    cr_assert_eq(kvstore_load_end(s, INT64_MAX, -1, &e), RC_CORRUPT);
    OK(kvstore_load_end(s, -1, -1, &e), &e);
    cr_assert_eq(kvstore_records(s), 1);
}

/* ---- leases ---------------------------------------------------------------------------
 */

static void note(void *arg, struct bytes key, int64_t before, int64_t after)
{
    struct line *line = arg;

    line->n += (size_t)snprintf(line->p + line->n, line->room - line->n,
                                "%s%.*s:%lld>%lld", line->n > 0 ? " " : "", (int)key.n,
                                (const char *)key.p, (long long)before, (long long)after);
}

CASE(kvstore, tells_when_a_lease_changes)
{
    static const struct change bound[] = {
        { 2, 0, "z", 2, 1, 3, "" },   { 3, 0, "b", 3, 1, 3, "" },
        { 4, 0, "a", 4, 1, 4, "" },   { 5, 0, "b", 3, 2, 5, "" },
        { 6, 0, "a", 0, 0, 0, NULL }, { 0 },
    };
    char text[256] = "";
    struct line line = { .p = text, .room = sizeof text };
    const struct kvstore_options options = { .lease = note, .lease_arg = &line };
    AT_END(pairs_clear) struct pairs pairs = story_of(bound);
    OWNED(kvstore) s = kv_load(&options, &pairs, -1, -1);
    struct err e = { 0 };

    cr_assert_str_eq(text, "b:0>5 z:0>3");
    line.n = 0;
    kvstore_begin(s);
    OK(kvstore_put(s, KV("a"), KV(""), 0, &e), &e);
    OK(kvstore_put(s, KV("a"), KV(""), 9, &e), &e);
    OK(kvstore_put(s, KV("a"), KV(""), 9, &e), &e);
    OK(kvstore_put(s, KV("b"), KV(""), 0, &e), &e);
    kvstore_end(s);
    del(s, kv_from("a"));
    cr_assert_str_eq(text, "a:0>9 b:5>0 a:9>0 z:3>0");
}

/* No client can write this: a delete and a put of one key in one transaction. etcd's rule
 * for compactions then takes the tombstone and loses the put. */
CASE(kvstore, a_generation_that_ends_at_the_compaction_is_the_one_that_counts)
{
    static const struct change odd[] = {
        { 2, 0, "a", 2, 1, 7, "1" },
        { 3, 0, "a", 0, 0, 0, NULL },
        { 3, 1, "a", 3, 1, 7, "2" },
        { 0 },
    };
    AT_END(pairs_clear) struct pairs pairs = story_of(odd);
    char text[256] = "";
    struct line line = { .p = text, .room = sizeof text };
    const struct kvstore_options options = { .lease = note, .lease_arg = &line };
    OWNED(kvstore) s = kv_load(&options, &pairs, -1, -1);
    struct err e = { 0 };

    cr_assert_str_eq(range(s, kv_key("a"), 0), "a=2@3.1");
    OK(kvstore_compact(s, 3, &e), &e);
    cr_assert_str_eq(changes(s, 0, 0), "3/0-a");
    cr_assert_str_eq(text, "a:0>7 a:7>0");
    cr_assert_str_eq(range(s, kv_key("a"), 0), "");
    put(s, "a", "3");
    cr_assert_str_eq(range(s, kv_key("a"), 0), "a=3@4.1");
}

/* ---- memory ---------------------------------------------------------------------------
 */

static enum rc live(struct kvstore *s, struct err *e)
{
    uint64_t deleted;
    struct mvcc_hashkv h;

    for (unsigned i = 0; i < 12; i++) {
        char key[] = { 'a', (char)('a' + i % 3), '\0' };

        kvstore_begin(s);
        TRY(kvstore_put(s, KV(key), KV("value"), i % 2, e));
        if (i % 5 == 4)
            TRY(kvstore_delete(s, kv_from("ab"), &deleted, e));
        kvstore_end(s);
    }
    TRY(kvstore_compact(s, 8, e));
    return kvstore_hashkv(s, 0, &h, e);
}

static enum rc load_and_live(const struct pairs *pairs, struct err *e)
{
    const struct kvstore_options plain = { 0 };
    OWNED(kvstore) s = NULL;
    const uint8_t *p = pairs->bytes.p;

    TRY(kvstore_new(&plain, &s, e));
    for (size_t i = 0; i < pairs->count; i++) {
        size_t n[2];

        memcpy(n, p, sizeof n);
        p += sizeof n;
        TRY(kvstore_load(s, (struct bytes){ p, n[0] }, (struct bytes){ p + n[0], n[1] },
                         e));
        p += n[0] + n[1];
    }
    TRY(kvstore_load_end(s, -1, 3, e));
    return live(s, e);
}

CASE(kvstore, any_allocation_may_fail)
{
    static const struct change some[] = {
        { 2, 0, "a", 2, 1, 0, "1" },
        { 3, 0, "b", 3, 1, 0, "1" },
        { 4, 0, "a", 2, 2, 0, "2" },
        { 0 },
    };
    AT_END(pairs_clear) struct pairs pairs = story_of(some);
    unsigned failed = 0;

    FAULT_SWEEP(FAULT_ALLOC, nth, 1) {
        struct err e = { 0 };
        enum rc rc = load_and_live(&pairs, &e);

        cr_assert(rc == RC_OK || rc == RC_NOMEM, "%s", e.why);
        failed += rc == RC_NOMEM;
    }
    cr_assert_gt(failed, 30);
}
