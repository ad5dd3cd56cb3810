#include "care/view.h"

#include <string.h>

#include "tests/lib/case.h"
#include "tests/unit/care/sample.h"

#define VIEW [[gnu::cleanup(care_view_clear)]] struct care_view

CASE(care_view, alarms_are_read_out_of_errors)
{
    struct wire_alarm a;

    cr_assert(care_alarm_parse("memberID:10276657743932975437 alarm:NOSPACE ", &a));
    cr_assert(a.member_id == 10276657743932975437U && a.type == WIRE_ALARM_NOSPACE);
    cr_assert(care_alarm_parse("memberID:1  alarm:CORRUPT", &a));
    cr_assert(a.member_id == 1 && a.type == WIRE_ALARM_CORRUPT);
    cr_assert(!care_alarm_parse("etcdserver: no leader", &a));
    cr_assert(!care_alarm_parse("memberID:", &a));
    cr_assert(!care_alarm_parse("memberID:-1 alarm:NOSPACE", &a));
    cr_assert(!care_alarm_parse("memberID:1 alarm:NOSPACE2", &a));
    cr_assert(!care_alarm_parse("memberID:1 alarm:", &a));
    cr_assert(!care_alarm_parse("", &a));
}

CASE(care_view, a_healthy_cluster_is_fine)
{
    struct err e = { 0 };
    VIEW v = sample_view(3);

    OK(care_view_verdict(&v, &e), &e);
    cr_assert_eq(v.leader, 1);
    cr_assert_eq(v.revision, 100);
    cr_assert_eq(care_quorum(&v).tolerates, 1);
    cr_assert_str_eq(care_role(&v, &v.items[0]), "leader");
    cr_assert_str_eq(care_role(&v, &v.items[1]), "follower");
    cr_assert_eq(care_free_percent(&v.items[0]), 10);
    cr_assert_eq(v.items[2].quota_from, CARE_FROM_STATUS);
}

CASE(care_view, a_member_that_is_down_degrades_it)
{
    struct err e = { 0 };
    VIEW v = sample_view(3);

    sample_fail(&v, 1, CARE_DOWN, "connection refused");
    cr_assert_eq(care_view_verdict(&v, &e), RC_DEGRADED);
    cr_assert_str_eq(e.why, "m1 is down: connection refused");
    cr_assert_eq(care_quorum(&v).tolerates, 0);
}

CASE(care_view, when_nobody_answers_it_is_the_first_failure)
{
    struct err e = { 0 };
    VIEW v = sample_view(2);

    sample_fail(&v, 0, CARE_BARRED, "permission denied");
    sample_fail(&v, 1, CARE_DOWN, "connection refused");
    cr_assert_eq(care_view_verdict(&v, &e), RC_AUTH);
    cr_assert_str_eq(e.why, "permission denied");
}

CASE(care_view, no_leader_is_told_before_anything_else)
{
    struct err e = { 0 };
    VIEW v = sample_view(3);

    sample_fail(&v, 2, CARE_DOWN, "connection refused");
    v.leader = 0;
    cr_assert_eq(care_view_verdict(&v, &e), RC_DEGRADED);
    cr_assert_str_eq(e.why, "the cluster has no leader");
}

/* Who has seen a newer term knows better who leads. */
CASE(care_view, the_newest_term_names_the_leader)
{
    VIEW v = sample_view(3);

    v.items[2].status.raft_term = 3;
    v.items[2].status.leader = 3;
    care_view_derive(&v);
    cr_assert_eq(v.leader, 3);
    v.items[1].status.raft_term = 4;
    v.items[1].status.leader = 0;
    care_view_derive(&v);
    cr_assert_eq(v.leader, 0, "an election is on");
}

CASE(care_view, a_member_that_is_cut_off_does_not_hide_the_leader)
{
    VIEW v = sample_view(3);

    v.items[2].status.raft_term = 40;
    v.items[2].status.leader = 0;
    care_view_derive(&v);
    cr_assert_eq(v.leader, 1);
    sample_fail(&v, 1, CARE_DOWN, "connection refused");
    care_view_derive(&v);
    cr_assert_eq(v.leader, 0, "one follower is no majority");
}

CASE(care_view, alarms_belong_to_their_member)
{
    struct err e = { 0 };
    char names[24];
    VIEW v = sample_view(3);

    OK(str_list_add(&v.items[0].status.errors, "memberID:2 alarm:NOSPACE ", &e), &e);
    OK(str_list_add(&v.items[0].status.errors, "memberID:2 alarm:CORRUPT ", &e), &e);
    care_view_derive(&v);
    care_alarm_names(v.items[1].alarms, names, sizeof names);
    cr_assert_str_eq(names, "NOSPACE CORRUPT");
    cr_assert_eq(v.items[0].alarms, 0);
    cr_assert_eq(care_view_verdict(&v, &e), RC_DEGRADED);
    cr_assert_str_eq(e.why, "the alarm NOSPACE CORRUPT is raised for m1");
}

CASE(care_view, an_alarm_of_a_member_that_is_gone_is_not_lost)
{
    struct err e = { 0 };
    VIEW v = sample_view(1);

    OK(str_list_add(&v.items[0].status.errors, "memberID:77 alarm:NOSPACE", &e), &e);
    care_view_derive(&v);
    cr_assert_eq(v.foreign_alarms, 1U << WIRE_ALARM_NOSPACE);
    cr_assert_eq(care_view_verdict(&v, &e), RC_DEGRADED);
}

CASE(care_view, lag_is_what_is_committed_and_not_applied)
{
    VIEW v = sample_view(2);

    v.items[0].status.raft_index = 1000;
    v.items[0].status.raft_applied_index = 999;
    care_view_derive(&v);
    cr_assert_eq(care_lag(&v, &v.items[0]), 1);
    cr_assert_eq(care_lag(&v, &v.items[1]), 800);
    sample_fail(&v, 1, CARE_DOWN, "gone");
    cr_assert_eq(care_lag(&v, &v.items[1]), 0);
}

CASE(care_view, learners_and_unlisted_endpoints_do_not_vote)
{
    VIEW v = sample_view(4);

    v.items[2].learner = true;
    v.items[3].listed = false;
    cr_assert_eq(care_quorum(&v).voters, 2);
    cr_assert_str_eq(care_role(&v, &v.items[2]), "learner");
}

CASE(care_view, a_name_with_escapes_is_made_printable)
{
    char name[80];
    VIEW v = sample_view(1);

    cr_assert_str_eq(care_called(&v.items[0], name), "m0");
    v.items[0].name[0] = '\x1b';
    cr_assert(strchr(care_called(&v.items[0], name), '\x1b') == NULL);
    v.items[0].name[0] = '\0';
    cr_assert_str_eq(care_called(&v.items[0], name), "http://10.0.0.1:2379");
    v.items[0].endpoint[0] = '\0';
    cr_assert_str_eq(care_called(&v.items[0], name), "member 1");
}

CASE(care_view, the_quota_of_older_servers_comes_from_their_metrics)
{
    VIEW v = sample_view(2);

    v.items[0].status.db_size_quota = v.items[1].status.db_size_quota = 0;
    v.items[0].quota_from = v.items[1].quota_from = CARE_UNKNOWN;
    v.items[0].metrics_known = v.items[1].metrics_known = true;
    v.items[0].metrics.quota = 1e9;
    v.items[1].metrics.quota = -1;
    care_view_derive(&v);
    cr_assert_eq(v.items[0].quota, 1000000000);
    cr_assert_eq(v.items[0].quota_from, CARE_FROM_METRICS);
    cr_assert_eq(v.items[1].quota_from, CARE_UNKNOWN);
}

CASE(care_view, who_cannot_read_for_want_of_a_quorum_is_not_frozen)
{
    VIEW v = sample_view(3);

    v.items[0].state = CARE_FROZEN;
    care_view_derive(&v);
    cr_assert_eq(v.items[0].state, CARE_FROZEN, "the others could serve it");
    sample_fail(&v, 1, CARE_DOWN, "gone");
    care_view_derive(&v);
    cr_assert_eq(v.items[0].state, CARE_FROZEN);
    sample_fail(&v, 2, CARE_SILENT, "gone");
    care_view_derive(&v);
    cr_assert_eq(v.items[0].state, CARE_UP);
    cr_assert_eq(care_quorum(&v).up, 1);
}

CASE(care_view, a_quorum_that_answers_and_does_not_read_is_electing)
{
    VIEW v = sample_view(3);
    VIEW all = sample_view(3);

    care_view_derive(&v);
    cr_assert(!care_is_electing(&v));
    v.items[0].state = CARE_FROZEN;
    care_view_derive(&v);
    cr_assert(!care_is_electing(&v), "two of three read");
    sample_fail(&v, 1, CARE_DOWN, "gone");
    care_view_derive(&v);
    cr_assert(care_is_electing(&v), "two answer, one of them reads");
    sample_fail(&v, 2, CARE_DOWN, "gone");
    care_view_derive(&v);
    cr_assert(!care_is_electing(&v), "one alone elects nobody");
    all.items[0].state = all.items[1].state = all.items[2].state = CARE_FROZEN;
    care_view_derive(&all);
    cr_assert(care_is_electing(&all));
}

CASE(care_view, when_nobody_finishes_a_read_it_is_the_cluster)
{
    struct err e = { 0 };
    VIEW v = sample_view(3);
    VIEW one = sample_view(1);

    v.items[0].state = v.items[1].state = v.items[2].state = CARE_FROZEN;
    care_view_derive(&v);
    cr_assert(v.reads_hang && v.items[1].state == CARE_UP);
    cr_assert_eq(care_view_verdict(&v, &e), RC_DEGRADED);
    cr_assert_str_eq(e.why, "no member finishes a linearizable read");
    one.items[0].state = CARE_FROZEN;
    care_view_derive(&one);
    cr_assert(!one.reads_hang && one.items[0].state == CARE_FROZEN);
}
