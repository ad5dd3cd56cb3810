#include "snapshot/choose.h"

#include "tests/lib/case.h"

#define FOLLOWER(url, rev)                                                       \
    {                                                                            \
        .endpoint = url, .answered = true, .knows_leader = true, .revision = rev \
    }
#define LEADER(url, rev)                                                         \
    {                                                                            \
        .endpoint = url, .answered = true, .knows_leader = true, .leader = true, \
        .revision = rev                                                          \
    }

static size_t best(const struct snap_member *m, size_t n, enum snap_from from)
{
    struct snap_candidate order[8];
    struct err e = { 0 };
    size_t count = 0;

    OK(snap_choose(m, n, from, NULL, order, &count, &e), &e);
    cr_assert_gt(count, 0);
    return order[0].member;
}

CASE(snapshot_choose, a_follower_comes_before_the_leader)
{
    const struct snap_member m[] = { LEADER("a", 10), FOLLOWER("b", 10) };

    cr_assert_eq(best(m, 2, SNAP_FROM_ANY), 1);
    cr_assert_eq(best(m, 2, SNAP_FROM_LEADER), 0);
}

CASE(snapshot_choose, among_followers_the_newest)
{
    const struct snap_member m[] = { FOLLOWER("a", 10), FOLLOWER("b", 12),
                                     LEADER("c", 12) };
    struct snap_candidate order[3];
    struct err e = { 0 };
    size_t count = 0;

    OK(snap_choose(m, 3, SNAP_FROM_ANY, NULL, order, &count, &e), &e);
    cr_assert_eq(count, 3);
    cr_assert_eq(order[0].member, 1);
    cr_assert_eq(order[1].member, 0);
    cr_assert_eq(order[2].member, 2, "the leader is the last resort");
}

CASE(snapshot_choose, a_lagging_member_is_no_candidate)
{
    const struct snap_member m[] = { FOLLOWER("a", 10),
                                     LEADER("b", 10 + SNAP_LAG_MAX + 1) };
    const struct snap_member edge[] = { FOLLOWER("a", 10),
                                        LEADER("b", 10 + SNAP_LAG_MAX) };

    cr_assert_eq(best(m, 2, SNAP_FROM_ANY), 1);
    cr_assert_eq(best(edge, 2, SNAP_FROM_ANY), 0);
}

CASE(snapshot_choose, a_corrupt_member_or_learner_comes_after_everyone_else)
{
    struct snap_member m[] = { FOLLOWER("a", 9), FOLLOWER("b", 10), LEADER("c", 10) };

    m[0].learner = true;
    m[1].corrupt_alarm = true;
    cr_assert_eq(best(m, 3, SNAP_FROM_ANY), 2);
    m[2].answered = false;
    cr_assert_eq(best(m, 3, SNAP_FROM_ANY), 0);
}

CASE(snapshot_choose, refusals_say_why)
{
    struct snap_member m[] = { FOLLOWER("a", 10), LEADER("b", 5000) };
    struct snap_candidate order[2];
    struct err e = { 0 };
    size_t count = 0;

    cr_assert_eq(snap_choose(m, 2, SNAP_FROM_FOLLOWER, NULL, order, &count, &e),
                 RC_REFUSED);
    cr_assert_str_eq(e.why, "only members that lag more than 1000 revisions are left");
    cr_assert_eq(snap_choose(m, 1, SNAP_FROM_LEADER, NULL, order, &count, &e),
                 RC_NOTFOUND);
    cr_assert_eq(snap_choose(m, 2, SNAP_FROM_ENDPOINT, "z", order, &count, &e),
                 RC_NOTFOUND);
    OK(snap_choose(m, 2, SNAP_FROM_ENDPOINT, "a", order, &count, &e), &e);
    cr_assert(count == 1 && order[0].member == 0, "a named endpoint is taken as it is");
    m[0].answered = m[1].answered = false;
    cr_assert_eq(snap_choose(m, 2, SNAP_FROM_ANY, NULL, order, &count, &e), RC_NET);
    cr_assert_eq(snap_choose(m, 2, SNAP_FROM_ENDPOINT, "a", order, &count, &e), RC_NET);
}
