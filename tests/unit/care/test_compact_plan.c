#include "care/compact_plan.h"

#include <string.h>

#include "tests/lib/case.h"

static enum rc plan(int64_t newest, int64_t compacted, struct care_compact_wish w,
                    struct care_compact_plan *p, struct err *e)
{
    *p = (struct care_compact_plan){ 0 };
    return care_compact_plan(newest, compacted, &w, p, e);
}

CASE(care_compact, the_table)
{
    static const int64_t protect[] = { 70, 40 };
    static const struct {
        int64_t newest, compacted;
        struct care_compact_wish wish;
        enum rc rc;
        int64_t target;
        bool nothing, protected;
    } rows[] = {
        { 100, 10, { .keeps = true, .number = 30 }, RC_OK, 70, false, false },
        { 100, 70, { .keeps = true, .number = 30 }, RC_OK, 70, true, false },
        { 100, 80, { .keeps = true, .number = 30 }, RC_OK, 70, true, false },
        { 100, -1, { .keeps = true, .number = 100 }, RC_OK, 0, true, false },
        { 100, -1, { .keeps = true, .number = INT64_MAX }, RC_OK, 0, true, false },
        { 100, 10, { .keeps = true, .number = 0 }, RC_REFUSED, 0, false, false },
        { 100, 10, { .number = 50 }, RC_OK, 50, false, false },
        { 100, 10, { .number = 99 }, RC_OK, 99, false, false },
        { 100, 10, { .number = 100 }, RC_REFUSED, 0, false, false },
        { 100, 10, { .number = 100, .allow_newest = true }, RC_OK, 100, false, false },
        { 100, 10, { .number = 101, .allow_newest = true }, RC_USAGE, 0, false, false },
        { 100,
          10,
          { .number = 90, .protect = protect, .protect_count = 2 },
          RC_OK,
          40,
          false,
          true },
        { 100,
          10,
          { .number = 40, .protect = protect, .protect_count = 2 },
          RC_OK,
          40,
          false,
          false },
        { 100,
          50,
          { .number = 90, .protect = protect, .protect_count = 2 },
          RC_OK,
          40,
          true,
          true },
        { 100,
          10,
          { .number = 100, .protect = protect, .protect_count = 1, .allow_newest = true },
          RC_OK,
          70,
          false,
          true },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct care_compact_plan p;
        struct err e = { 0 };

        cr_assert_eq(plan(rows[i].newest, rows[i].compacted, rows[i].wish, &p, &e),
                     rows[i].rc, "row %zu: %s", i, e.why);
        cr_assert_eq(p.target, rows[i].target, "row %zu", i);
        cr_assert_eq(p.nothing, rows[i].nothing, "row %zu", i);
        cr_assert_eq(p.protected, rows[i].protected, "row %zu", i);
    }
}

/* All small numbers: never past the newest, a protected one, or what was asked. */
CASE(care_compact, never_goes_too_far)
{
    for (int64_t newest = 1; newest <= 8; newest++)
        for (int64_t protect = 1; protect <= 9; protect++)
            for (int64_t number = 0; number <= 9; number++)
                for (int keeps = 0; keeps < 2; keeps++) {
                    struct care_compact_plan p;
                    struct err e = { 0 };
                    enum rc rc = plan(newest, 0,
                                      (struct care_compact_wish){ .keeps = keeps != 0,
                                                                  .number = number,
                                                                  .protect = &protect,
                                                                  .protect_count = 1 },
                                      &p, &e);

                    if (rc != RC_OK)
                        continue;
                    cr_assert(p.target < newest && p.target <= protect);
                    cr_assert(keeps ? newest - p.target >= number || p.target == 0
                                    : p.target <= number);
                }
}

CASE(care_compact, the_gain_is_a_share_of_what_is_in_use)
{
    struct care_compact_plan p = { .newest = 1000, .compacted = 0, .target = 500 };

    cr_assert_eq(care_compact_gain(&p, 0, 1000000), 500000);
    cr_assert_eq(care_compact_gain(&p, 1000, 1000000), 250000);
    p.nothing = true;
    cr_assert_eq(care_compact_gain(&p, 1000, 1000000), 0);
}
