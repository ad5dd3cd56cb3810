#include "member/quorum.h"

#include <string.h>

#include "tests/lib/case.h"

CASE(member_quorum, the_table_of_one_to_nine)
{
    static const struct {
        size_t voters, needed, tolerance;
    } rows[] = {
        { 1, 1, 0 }, { 2, 2, 0 }, { 3, 2, 1 }, { 4, 3, 1 }, { 5, 3, 2 },
        { 6, 4, 2 }, { 7, 4, 3 }, { 8, 5, 3 }, { 9, 5, 4 },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct quorum q = quorum_of(rows[i].voters, rows[i].voters);

        cr_assert_eq(q.needed, rows[i].needed, "%zu voters", rows[i].voters);
        cr_assert_eq(q.tolerance, rows[i].tolerance, "%zu voters", rows[i].voters);
        cr_assert_eq(q.tolerates, rows[i].tolerance, "%zu voters", rows[i].voters);
        cr_assert(q.has);
    }
}

/* Counted out instead of computed: two groups that cannot see each other never both have
 * a quorum, and one member more than `tolerates` may not fail. */
CASE(member_quorum, two_halves_never_both_have_it)
{
    for (size_t voters = 1; voters <= 9; voters++)
        for (size_t up = 0; up <= voters; up++) {
            struct quorum q = quorum_of(voters, up);

            cr_assert_eq(q.has, 2 * up > voters, "%zu of %zu", up, voters);
            cr_assert(!(q.has && quorum_of(voters, voters - up).has));
            if (!q.has) {
                cr_assert_eq(q.tolerates, 0);
                continue;
            }
            cr_assert(quorum_of(voters, up - q.tolerates).has);
            cr_assert(!quorum_of(voters, up - q.tolerates - 1).has);
        }
}

CASE(member_quorum, nobody_is_no_quorum_and_more_than_all_is_all)
{
    cr_assert(!quorum_of(0, 0).has);
    cr_assert_eq(quorum_of(0, 0).tolerance, 0);
    cr_assert_eq(quorum_of(3, 7).up, 3);
    cr_assert(!quorum_minus(quorum_of(1, 1), true).has);
    cr_assert(!quorum_minus(quorum_of(0, 0), true).has);
}

CASE(member_quorum, a_voter_more_or_less)
{
    cr_assert(!quorum_plus(quorum_of(1, 1), false).has, "the second, while it is down");
    cr_assert(!quorum_plus(quorum_of(3, 2), false).has, "a fourth, with one down");
    cr_assert(quorum_plus(quorum_of(3, 2), true).has);
    cr_assert(quorum_minus(quorum_of(4, 2), false).has,
              "removing the dead brings it back");
    cr_assert(!quorum_minus(quorum_of(3, 2), true).has);
}

CASE(member_quorum, even_sizes_are_explained_and_odd_ones_are_not)
{
    char text[160];

    for (size_t voters = 0; voters <= 9; voters++)
        cr_assert_eq(quorum_trap(voters, text, sizeof text) != NULL,
                     voters > 0 && voters % 2 == 0, "%zu", voters);
    cr_assert(strstr(quorum_trap(2, text, sizeof text), "both") != NULL);
    cr_assert_str_eq(quorum_trap(4, text, sizeof text),
                     "4 voters bear 1 failure, no more than 3 do, and are more to fail; "
                     "add one or remove one");
    cr_assert(strstr(quorum_trap(6, text, sizeof text), "bear 2 failures") != NULL);
}
