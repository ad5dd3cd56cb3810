#include "datadir/judge.h"

#include <inttypes.h>

#include "tests/lib/case.h"

CASE(judge, every_rule)
{
    static const struct {
        const char *what;
        struct datadir_view v;
        enum datadir_verdict want;
        uint64_t first, last;
    } cases[] = {
        { "the log goes on",
          { true, true, 10, 2, WAL_CLEAN, 1, 15, 2, false },
          DATADIR_WHOLE,
          11,
          15 },
        { "nothing to apply",
          { true, true, 15, 2, WAL_CLEAN, 1, 15, 2, false },
          DATADIR_WHOLE,
          16,
          15 },
        { "a torn end",
          { true, true, 10, 2, WAL_TORN_TAIL, 1, 15, 2, false },
          DATADIR_TORN,
          11,
          15 },
        { "begins right behind",
          { true, true, 10, 2, WAL_CLEAN, 11, 15, 0, false },
          DATADIR_WHOLE,
          11,
          15 },
        { "begins one too late",
          { true, true, 10, 2, WAL_CLEAN, 12, 15, 0, false },
          DATADIR_GAP,
          11,
          10 },
        { "a gap and a torn end",
          { true, true, 10, 2, WAL_TORN_TAIL, 12, 15, 0, false },
          DATADIR_GAP,
          11,
          10 },
        { "only a mark, ahead",
          { true, true, 10, 2, WAL_CLEAN, 16, 15, 0, false },
          DATADIR_GAP,
          11,
          10 },
        { "only a mark, right there",
          { true, true, 15, 2, WAL_CLEAN, 16, 15, 2, false },
          DATADIR_WHOLE,
          16,
          15 },
        { "ends too early",
          { true, true, 16, 2, WAL_CLEAN, 1, 15, 0, false },
          DATADIR_BEHIND,
          17,
          16 },
        { "an older term in the log",
          { true, true, 10, 3, WAL_CLEAN, 1, 15, 2, false },
          DATADIR_FOREIGN,
          11,
          10 },
        { "3.4 on a database of 3.5",
          { true, true, 10, 2, WAL_CLEAN, 1, 15, 3, false },
          DATADIR_WHOLE,
          11,
          15 },
        { "a database without a term",
          { true, true, 10, 0, WAL_CLEAN, 1, 15, 3, false },
          DATADIR_WHOLE,
          11,
          15 },
        { "damaged behind",
          { true, true, 10, 2, WAL_DAMAGED, 1, 15, 2, false },
          DATADIR_DAMAGED,
          11,
          15 },
        { "damaged before",
          { true, true, 10, 2, WAL_DAMAGED, 1, 5, 0, false },
          DATADIR_DAMAGED,
          11,
          10 },
        { "damaged, and a gap",
          { true, true, 10, 2, WAL_DAMAGED, 13, 15, 0, false },
          DATADIR_DAMAGED,
          11,
          10 },
        { "no log", { .has_db = true, .applied = 10 }, DATADIR_NO_LOG, 11, 10 },
        { "young: no index yet",
          { true, true, 0, 0, WAL_CLEAN, 1, 4, 0, false },
          DATADIR_WHOLE,
          1,
          4 },
        { "only a log",
          { false, true, 0, 0, WAL_CLEAN, 1, 15, 0, false },
          DATADIR_WHOLE,
          1,
          15 },
        { "only a torn log",
          { false, true, 0, 0, WAL_TORN_TAIL, 1, 15, 0, false },
          DATADIR_TORN,
          1,
          15 },
        { "only a damaged log",
          { false, true, 0, 0, WAL_DAMAGED, 1, 15, 0, false },
          DATADIR_DAMAGED,
          1,
          15 },
        { "only a log, cut in front",
          { false, true, 0, 0, WAL_CLEAN, 2, 15, 0, false },
          DATADIR_NO_DATA,
          1,
          0 },
        { "only a restore's log",
          { false, true, 0, 0, WAL_CLEAN, 1, 15, 0, true },
          DATADIR_NO_DATA,
          1,
          0 },
        { "only an empty log",
          { false, true, 0, 0, WAL_CLEAN, 1, 0, 0, false },
          DATADIR_NO_DATA,
          1,
          0 },
        { "nothing", { 0 }, DATADIR_NO_DATA, 1, 0 },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t first, last;
        enum datadir_verdict got = datadir_judge(&cases[i].v, &first, &last);

        cr_assert_eq(got, cases[i].want, "%s: %s", cases[i].what,
                     datadir_verdict_name(got));
        cr_assert(first == cases[i].first && last == cases[i].last,
                  "%s: %" PRIu64 " to %" PRIu64, cases[i].what, first, last);
    }
}

CASE(judge, a_verdict_has_a_name)
{
    for (int v = DATADIR_WHOLE; v <= DATADIR_NO_DATA; v++)
        cr_assert_not_null(datadir_verdict_name((enum datadir_verdict)v));
    cr_assert_str_eq(datadir_verdict_name(DATADIR_TORN), "torn-tail");
}
