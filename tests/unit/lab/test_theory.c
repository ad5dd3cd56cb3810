#include "lab/table.h"
#include "tests/lib/case.h"

/* By hand: how many of 1 to 7 must be up. */
CASE(lab_theory, a_majority_decides_and_one_alone_remembers)
{
    static const size_t needed[] = { 0, 1, 2, 2, 3, 3, 4, 4 };

    for (size_t n = 1; n <= LAB_MEMBERS_MAX; n++)
        for (size_t failed = 0; failed <= n; failed++)
            for (enum lab_failure how = LAB_KILLED; how <= LAB_PAUSED; how++) {
                struct lab_expected x = lab_theory((struct lab_case){ n, failed, how });
                bool quorum = n - failed >= needed[n];

                cr_assert_eq(x.quorum.needed, needed[n]);
                cr_assert_eq(x.quorum.tolerance, n - needed[n]);
                cr_assert_eq(x.up, n - failed);
                cr_assert(x.can_write == quorum && x.can_read_linearizable == quorum &&
                          x.has_leader == quorum);
                cr_assert_eq(x.can_read_serializable, failed < n);
            }
}

CASE(lab_theory, a_survivor_made_a_cluster_of_its_own_decides_alone)
{
    struct lab_expected x = lab_theory((struct lab_case){ 2, 1, LAB_RECOVERED });

    cr_assert(x.can_write && x.can_read_linearizable && x.can_read_serializable);
    cr_assert(x.quorum.needed == 1 && x.quorum.tolerance == 0 && x.up == 1);
}

CASE(lab_theory, ways_have_names)
{
    cr_assert_str_eq(lab_failure_name(LAB_KILLED), "kill");
    cr_assert_str_eq(lab_failure_name(LAB_CUT_OFF), "partition");
    cr_assert_str_eq(lab_failure_name(LAB_PAUSED), "pause");
    cr_assert_str_eq(lab_failure_name(LAB_RECOVERED), "recover");
}
