#include "membership/look.h"

#include <string.h>

#include "tests/lib/case.h"
#include "tests/unit/membership/sample.h"

CASE(look, says_who_takes_part)
{
    AT_END(membership_look_clear) struct membership_look l;
    struct quorum q;

    sample_look(&l, 5);
    q = member_quorum(&l.table);
    cr_assert(q.voters == 5 && q.up == 5);
    cr_assert(l.table.seats[0].leader && !l.table.seats[1].leader);
    l.view.items[1].state = CARE_DOWN;
    l.view.items[1].answered = false;
    l.view.items[2].state = CARE_FROZEN;
    l.view.items[2].read = RC_NET;
    l.view.items[3].state = CARE_BARRED;
    l.view.items[3].answered = false;
    sample_tabulate(&l);
    cr_assert_eq(member_quorum(&l.table).up, 2);
}

/* Nobody finishes a read: the view calls no one frozen then, and still nobody counts but
 * the one that leads. */
CASE(look, without_reads_there_is_no_quorum)
{
    AT_END(membership_look_clear) struct membership_look l;

    sample_look(&l, 3);
    for (size_t i = 0; i < 3; i++) {
        l.view.items[i].state = CARE_FROZEN;
        l.view.items[i].read = RC_NET;
        l.view.items[i].status.leader = 0;
    }
    sample_tabulate(&l);
    cr_assert_eq(member_quorum(&l.table).up, 0);
}

CASE(look, a_learner_at_the_beginning_of_a_short_log_is_not_in_sync)
{
    AT_END(membership_look_clear) struct membership_look l;

    sample_look(&l, 2);
    for (size_t i = 0; i < 2; i++)
        l.view.items[i].status.raft_index = l.view.items[i].status.raft_applied_index =
            100;
    l.view.items[1].learner = l.list.items[1].is_learner = true;
    l.view.items[1].status.is_learner = true;
    sample_tabulate(&l);
    cr_assert(l.table.seats[1].alive && l.table.seats[1].in_sync);
    l.view.items[1].status.raft_applied_index = 89;
    sample_tabulate(&l);
    cr_assert(l.table.seats[1].alive && !l.table.seats[1].in_sync);
    l.view.items[0].status.raft_index = l.view.items[0].status.raft_applied_index =
        1000000;
    l.view.items[1].status.raft_applied_index = 998999;
    sample_tabulate(&l);
    cr_assert(!l.table.seats[1].in_sync);
    l.view.items[1].status.raft_applied_index = 999000;
    sample_tabulate(&l);
    cr_assert(l.table.seats[1].in_sync);
}

CASE(look, members_have_names_and_ids)
{
    AT_END(membership_look_clear) struct membership_look l;
    struct err e = { 0 };
    uint64_t id = 0;

    sample_look(&l, 3);
    OK(membership_find(&l, "m1", &id, &e), &e);
    cr_assert_eq(id, 2);
    OK(membership_find(&l, "3", &id, &e), &e);
    cr_assert_eq(id, 3);
    cr_assert_eq(membership_find(&l, "m9", &id, &e), RC_NOTFOUND);
    cr_assert_eq(membership_find(&l, "", &id, &e), RC_NOTFOUND);
    sample_name(&l, 0, "m1");
    cr_assert_eq(membership_find(&l, "m1", &id, &e), RC_USAGE);
    cr_assert(strstr(e.why, "1 and 2") != NULL, "%s", e.why);
    sample_name(&l, 0, "\x1b[31mred");
    cr_assert_str_eq(l.table.seats[0].name, "\\x1b[31mred");
    sample_name(&l, 0, "");
    cr_assert(!l.table.seats[0].started);
    cr_assert_str_eq(l.table.seats[0].name, "1");
}

CASE(look, an_address_belongs_to_one)
{
    AT_END(membership_look_clear) struct membership_look l;
    AT_END(str_list_clear) struct str_list urls = { 0 };
    struct err e = { 0 };

    sample_look(&l, 3);
    OK(str_list_add(&urls, "http://10.0.0.9:2380", &e), &e);
    cr_assert_null(membership_at(&l, &urls));
    OK(str_list_add(&urls, "http://10.0.0.2:2380", &e), &e);
    cr_assert_eq(membership_at(&l, &urls)->id, 2);
    cr_assert_null(membership_of(&l, 4));
}

CASE(look, none_is_added_while_a_voter_is_down)
{
    AT_END(membership_look_clear) struct membership_look l;
    struct err e = { 0 };

    sample_look(&l, 3);
    OK(membership_may_add(&l, 0, &e), &e);
    l.view.items[1].state = CARE_DOWN;
    l.view.items[1].answered = false;
    sample_tabulate(&l);
    cr_assert_eq(membership_may_add(&l, 0, &e), RC_REFUSED);
    cr_assert(strstr(e.hint, "member replace m1") != NULL, "%s", e.hint);
    OK(membership_may_add(&l, 2, &e), &e);
    l.list.items[1].is_learner = true;
    sample_tabulate(&l);
    OK(membership_may_add(&l, 0, &e), &e);
}

CASE(look, a_list_without_end_is_refused)
{
    AT_END(membership_look_clear) struct membership_look l;
    struct err e = { 0 };

    sample_look(&l, MEMBER_SEATS_MAX);
    l.list.count++;
    cr_assert_eq(membership_tabulate(&l, &e), RC_REFUSED);
    l.list.count--;
}
