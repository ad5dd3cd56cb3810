#include "care/vote.h"

#include <string.h>

#include "tests/lib/case.h"

/* A row: per voter a hash, or 0 for no answer, and its compact revision. */
struct row {
    const char *what;
    uint32_t hash[5];
    int64_t compact[5];
    size_t n;
    enum care_vote_verdict verdict;
    const char *words; /* one letter a voter: a(grees) o(dd) s(plit) u(nknown) */
};

static const struct row rows[] = {
    { "one voter has nobody to contradict it", { 7 }, { 3 }, 1, CARE_VOTE_EQUAL, "a" },
    { "all the same", { 7, 7, 7 }, { 3, 3, 3 }, 3, CARE_VOTE_EQUAL, "aaa" },
    { "the second is odd", { 7, 8, 7 }, { 3, 3, 3 }, 3, CARE_VOTE_DIVERGENT, "aoa" },
    { "the first is odd", { 8, 7, 7 }, { 3, 3, 3 }, 3, CARE_VOTE_DIVERGENT, "oaa" },
    { "two of five", { 7, 8, 7, 9, 7 }, { 0 }, 5, CARE_VOTE_DIVERGENT, "aoaoa" },
    { "two voters cannot say who", { 7, 8 }, { 3, 3 }, 2, CARE_VOTE_DIVERGENT, "ss" },
    { "nor two against two", { 7, 8, 8, 7 }, { 0 }, 4, CARE_VOTE_DIVERGENT, "ssss" },
    { "nor three that all differ", { 7, 8, 9 }, { 0 }, 3, CARE_VOTE_DIVERGENT, "sss" },
    { "another compact revision is no contradiction",
      { 7, 8, 7 },
      { 3, 2, 3 },
      3,
      CARE_VOTE_UNKNOWN,
      "aua" },
    { "nor is it agreement", { 7, 7, 7 }, { 3, 2, 3 }, 3, CARE_VOTE_UNKNOWN, "aua" },
    { "three compact revisions", { 7, 8, 9 }, { 1, 2, 3 }, 3, CARE_VOTE_UNKNOWN, "uuu" },
    { "one does not answer", { 7, 0, 7 }, { 3, 3, 3 }, 3, CARE_VOTE_UNKNOWN, "aua" },
    { "two agree, one does not answer and one is odd",
      { 7, 0, 8, 7 },
      { 0 },
      4,
      CARE_VOTE_DIVERGENT,
      "auoa" },
    { "two answer, and differ", { 7, 0, 8 }, { 0 }, 3, CARE_VOTE_DIVERGENT, "sus" },
    { "nobody answers", { 0, 0, 0 }, { 0 }, 3, CARE_VOTE_UNKNOWN, "uuu" },
    { "two pairs with two compact revisions, one contradiction",
      { 7, 7, 8, 9 },
      { 1, 1, 2, 2 },
      4,
      CARE_VOTE_DIVERGENT,
      "aass" },
    { "nobody at all", { 0 }, { 0 }, 0, CARE_VOTE_UNKNOWN, "" },
};

static void fill(struct care_ballot *ballots, const struct row *row)
{
    for (size_t k = 0; k < row->n; k++) {
        ballots[k].told = row->hash[k] != 0;
        ballots[k].hash.hash = row->hash[k];
        ballots[k].hash.compact_revision = row->compact[k];
    }
}

static void check(const struct care_vote *v, const struct row *row)
{
    cr_assert_eq(v->verdict, row->verdict, "%s: %s", row->what,
                 care_vote_name(v->verdict));
    for (size_t k = 0; k < row->n; k++)
        cr_assert_eq(care_ballot_name(v->items[k].word)[0], row->words[k],
                     "%s: voter %zu", row->what, k);
}

CASE(care_vote, the_table)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct row *row = &rows[i];
        struct care_ballot ballots[5] = { 0 };
        struct care_vote v = { .items = ballots, .count = row->n, .revision = 10 };

        fill(ballots, row);
        care_vote_count(&v);
        check(&v, row);
    }
}

/* 3.6 says of which revision its answer is; a cache may answer for another one. */
CASE(care_vote, another_hash_revision_is_no_contradiction)
{
    struct care_ballot b[3] = {
        { .told = true, .hash = { .hash = 7, .hash_revision = 10 } },
        { .told = true, .hash = { .hash = 8, .hash_revision = 9 } },
        { .told = true, .hash = { .hash = 7, .hash_revision = 0 } },
    };
    struct care_vote v = { .items = b, .count = 3, .revision = 10 };

    care_vote_count(&v);
    cr_assert_eq(v.verdict, CARE_VOTE_UNKNOWN);
    cr_assert_eq(b[1].word, CARE_BALLOT_UNKNOWN);
    cr_assert_eq(b[2].word, CARE_BALLOT_AGREES, "3.5 beside 3.6");
}

CASE(care_vote, the_sentence_names_the_odd_ones)
{
    struct care_ballot b[3] = {
        { .name = "m0", .endpoint = "a", .word = CARE_BALLOT_AGREES },
        { .name = "", .endpoint = "http://b", .word = CARE_BALLOT_ODD },
        { .name = "m2", .endpoint = "c", .word = CARE_BALLOT_ODD },
    };
    struct care_vote v = { b, 3, 10, 1, CARE_VOTE_DIVERGENT };
    struct err e = { 0 };

    cr_assert_eq(care_vote_result(&v, &e), RC_DEGRADED);
    cr_assert(strstr(e.why, "data of http://b, m2 differs") != NULL, "%s", e.why);
    b[1].word = b[2].word = CARE_BALLOT_SPLIT;
    cr_assert_eq(care_vote_result(&v, &e), RC_DEGRADED);
    cr_assert(strstr(e.why, "no side is more than half") != NULL, "%s", e.why);
    v.verdict = CARE_VOTE_UNKNOWN;
    b[1].word = CARE_BALLOT_UNKNOWN;
    cr_assert_eq(care_vote_result(&v, &e), RC_NET);
    cr_assert(strstr(e.why, "http://b") != NULL, "%s", e.why);
    v.verdict = CARE_VOTE_EQUAL;
    OK(care_vote_result(&v, &e), &e);
}

/* The copy has hash 7 at revision 10, compacted at 3. */
static const struct row copies[] = {
    { "all voters hold it", { 7, 7, 7 }, { 3, 3, 3 }, 3, CARE_VOTE_EQUAL, "aaa" },
    { "two of three do", { 7, 0, 7 }, { 3, 3, 3 }, 3, CARE_VOTE_EQUAL, "aua" },
    { "one of three does", { 7, 0, 0 }, { 3, 3, 3 }, 3, CARE_VOTE_UNKNOWN, "auu" },
    { "half is no majority", { 7, 7, 0, 0 }, { 3, 3 }, 4, CARE_VOTE_UNKNOWN, "aauu" },
    { "one contradicts", { 7, 7, 8 }, { 3, 3, 3 }, 3, CARE_VOTE_DIVERGENT, "aao" },
    { "all contradict", { 8, 8, 8 }, { 3, 3, 3 }, 3, CARE_VOTE_DIVERGENT, "ooo" },
    { "compacted since", { 8, 8, 8 }, { 5, 5, 5 }, 3, CARE_VOTE_UNKNOWN, "uuu" },
    { "the only voter", { 7 }, { 3 }, 1, CARE_VOTE_EQUAL, "a" },
    { "nobody at all", { 0 }, { 0 }, 0, CARE_VOTE_UNKNOWN, "" },
};

CASE(care_vote, about_a_copy)
{
    const struct mvcc_hashkv copy = { .hash = 7, .revision = 10, .compact_revision = 3 };

    for (size_t i = 0; i < sizeof copies / sizeof *copies; i++) {
        const struct row *row = &copies[i];
        struct care_ballot ballots[5] = { 0 };
        struct care_vote v = { .items = ballots, .count = row->n, .revision = 10 };

        fill(ballots, row);
        care_vote_count_on(&copy, &v);
        check(&v, row);
        cr_assert_eq(care_vote_overtaken(&v, &copy),
                     strcmp(row->what, "compacted since") == 0, "%s", row->what);
    }
}

CASE(care_vote, a_copy_is_not_judged_by_another_revision)
{
    const struct mvcc_hashkv copy = { .hash = 7, .revision = 10, .compact_revision = 3 };
    struct care_ballot b = {
        .told = true,
        .hash = { .hash = 8, .compact_revision = 3, .hash_revision = 9 },
    };
    struct care_vote v = { .items = &b, .count = 1, .revision = 10 };

    care_vote_count_on(&copy, &v);
    cr_assert_eq(b.word, CARE_BALLOT_UNKNOWN);
    b.hash.hash_revision = 10;
    care_vote_count_on(&copy, &v);
    cr_assert_eq(b.word, CARE_BALLOT_ODD);
}
