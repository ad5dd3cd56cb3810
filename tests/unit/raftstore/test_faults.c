#include "raftstore/faults.h"
#include "tests/lib/case.h"

CASE(faults, a_cut_is_one_way_or_both)
{
    struct faults f = { 0 };

    cr_assert(faults_pass(&f, 1, FAULT_IN) && faults_pass(&f, 1, FAULT_OUT));
    cr_assert(faults_cut(&f, 1, FAULT_OUT));
    cr_assert(faults_pass(&f, 1, FAULT_IN) && !faults_pass(&f, 1, FAULT_OUT));
    cr_assert(faults_cut(&f, 1, FAULT_IN | FAULT_OUT));
    cr_assert(!faults_pass(&f, 1, FAULT_IN) && !faults_pass(&f, 1, FAULT_OUT));
    cr_assert(faults_pass(&f, 2, FAULT_IN));
    cr_assert(faults_cut(&f, 1, 0));
    cr_assert(faults_pass(&f, 1, FAULT_IN) && faults_pass(&f, 1, FAULT_OUT));
}

CASE(faults, there_is_room_for_some_links_and_it_is_used_again)
{
    struct faults f = { 0 };

    for (uint64_t peer = 1; peer <= FAULTS_LINKS; peer++)
        cr_assert(faults_cut(&f, peer, FAULT_IN));
    cr_assert_not(faults_cut(&f, 99, FAULT_IN));
    cr_assert(faults_pass(&f, 99, FAULT_IN));
    cr_assert(faults_cut(&f, 5, 0));
    cr_assert(faults_cut(&f, 99, FAULT_IN));
    cr_assert_not(faults_pass(&f, 99, FAULT_IN));
    cr_assert_not(faults_pass(&f, 4, FAULT_IN));
}
