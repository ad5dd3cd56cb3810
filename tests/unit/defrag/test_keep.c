/* The decision about each record, against the slow and plain one. */
#include <inttypes.h>

#include "defrag/keep.h"
#include "tests/lib/case.h"
#include "tests/lib/fault.h"
#include "tests/unit/defrag/model.h"

static enum rc give(const struct model *m, size_t count, struct defrag_keep *k,
                    struct err *e)
{
    for (size_t i = 0; i < count; i++) {
        AT_END(buf_clear) struct buf key = { 0 };
        AT_END(buf_clear) struct buf value = { 0 };

        model_pair(m, i, &key, &value);
        TRY(defrag_keep_add(k, (struct bytes){ key.p, key.n },
                            (struct bytes){ value.p, value.n }, e));
    }
    return RC_OK;
}

/* With all keys at hand, or a few. */
static enum rc decide(const struct model *m, struct defrag_keep_rule rule,
                      struct defrag_keep **out, struct err *e)
{
    static const size_t bounds[] = { 0, 2, 3, 4 };
    static size_t turn;
    OWNED(defrag_keep) k = NULL;
    bool again = true;

    TRY(defrag_keep_new(&rule, &k, e));
    defrag_keep_bound(k, bounds[turn++ % 4]);
    while (again) {
        TRY(give(m, m->count, k, e));
        TRY(defrag_keep_again(k, &again, e));
    }
    defrag_keep_settle(k);
    *out = GIVE(k);
    return RC_OK;
}

static void same_records(const struct model *m, uint64_t seed,
                         struct defrag_keep_rule rule)
{
    OWNED(defrag_keep) k = NULL;
    bool stays[MODEL_RECORDS];
    struct err e = { 0 };

    OK(decide(m, rule, &k, &e), &e);
    model_keep(m, rule.revision, rule.drops_tombstone, stays);
    for (size_t i = 0; i < m->count; i++)
        cr_assert(defrag_keep_has(k, i) == stays[i],
                  "seed %" PRIu64 ", at %" PRId64 ", drops %d: record %zu (%" PRId64
                  "/%" PRId64 " of key %u, tombstone %d) %s",
                  seed, rule.revision, rule.drops_tombstone, i, m->records[i].main,
                  m->records[i].sub, m->records[i].key, m->records[i].tombstone,
                  stays[i] ? "should stay" : "should go");
}

CASE(keep, is_what_the_index_of_generations_says)
{
    static struct model m;

    for (uint64_t seed = 0; seed < 300; seed++) {
        int64_t at;

        (seed % 2 == 0 ? model_make : model_make_wild)(&m, seed, 5 + (unsigned)seed % 60);
        at = 1 + (int64_t)model_random(&m.seed, (uint64_t)m.revision);
        same_records(&m, seed, (struct defrag_keep_rule){ at, false });
        same_records(&m, seed, (struct defrag_keep_rule){ at, true });
        same_records(&m, seed, (struct defrag_keep_rule){ m.revision, seed % 3 == 0 });
    }
}

/* One compaction after another comes to the same as the last one alone. */
CASE(keep, of_a_compacted_history_is_the_same)
{
    static struct model once, twice;

    for (uint64_t seed = 0; seed < 60; seed++) {
        int64_t early, late;

        model_make(&once, seed, 40);
        twice = once;
        early = 1 + (int64_t)model_random(&once.seed, (uint64_t)once.revision);
        late = early +
               (int64_t)model_random(&once.seed, (uint64_t)(once.revision - early + 1));
        model_compact(&twice, early, false);
        same_records(&twice, seed, (struct defrag_keep_rule){ late, false });
        model_compact(&twice, late, false);
        model_compact(&once, late, false);
        cr_assert_eq(once.count, twice.count, "seed %" PRIu64, seed);
    }
}

CASE(keep, beyond_the_revision_everything_stays)
{
    static struct model m;
    OWNED(defrag_keep) k = NULL;
    struct err e = { 0 };

    model_make(&m, 1, 30);
    OK(decide(&m, (struct defrag_keep_rule){ 1, false }, &k, &e), &e);
    for (uint64_t i = 0; i < m.count + 100; i++)
        cr_assert(defrag_keep_has(k, i), "record %" PRIu64, i);
}

CASE(keep, notices_records_that_changed_between_passes)
{
    static struct model m;

    model_make(&m, 7, 60);
    for (int fewer = 0; fewer < 2; fewer++) {
        OWNED(defrag_keep) k = NULL;
        struct err e = { 0 };
        bool again;

        OK(defrag_keep_new(&(struct defrag_keep_rule){ m.revision, false }, &k, &e), &e);
        defrag_keep_bound(k, 2);
        OK(give(&m, m.count - !fewer, k, &e), &e);
        OK(defrag_keep_again(k, &again, &e), &e);
        cr_assert(again);
        cr_assert_eq(fewer ? give(&m, m.count - 1, k, &e) : RC_OK, RC_OK);
        cr_assert_eq(fewer ? defrag_keep_again(k, &again, &e) : give(&m, m.count, k, &e),
                     RC_CORRUPT);
        cr_assert_str_eq(e.why, "the records changed while they were read");
    }
}

CASE(keep, takes_no_record_that_it_cannot_read)
{
    static const uint8_t rev[MVCC_REV_SIZE] = { [7] = 2, [8] = '_' };
    OWNED(defrag_keep) k = NULL;
    struct err e = { 0 };

    OK(defrag_keep_new(&(struct defrag_keep_rule){ 9, false }, &k, &e), &e);
    cr_assert_eq(defrag_keep_add(k, bytes_str("short"), bytes_str(""), &e), RC_CORRUPT);
    cr_assert_eq(defrag_keep_add(k, BYTES_OF(rev), bytes_str("\xff\xff"), &e),
                 RC_CORRUPT);
    OK(defrag_keep_add(k, BYTES_OF(rev), bytes_str(""), &e), &e);
    cr_assert(defrag_keep_has(k, 0), "the empty record of a revision bump");
}

static enum rc keep_one(struct defrag_keep **out, struct err *e)
{
    static const uint8_t rev[MVCC_REV_SIZE] = { [7] = 2, [8] = '_' };

    TRY(defrag_keep_new(&(struct defrag_keep_rule){ 9, false }, out, e));
    return defrag_keep_add(*out, BYTES_OF(rev), bytes_str(""), e);
}

CASE(keep, survives_a_lack_of_memory)
{
    unsigned failed = 0;

    FAULT_SWEEP(FAULT_ALLOC, nth, 0) {
        OWNED(defrag_keep) k = NULL;
        struct err e = { 0 };
        enum rc rc = keep_one(&k, &e);

        cr_assert(rc == RC_OK || rc == RC_NOMEM, "allocation %u: %s", nth, e.why);
        failed += rc != RC_OK;
    }
    cr_assert_geq(failed, 3, "the struct, the bits, the keys");
}
