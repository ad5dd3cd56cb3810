#include "membership/run.h"

#include "tests/lib/case.h"
#include "tests/unit/membership/sample.h"

static const char *words(const struct membership_look *l, enum member_step_kind kind,
                         uint64_t id, const struct membership_new *who)
{
    static char text[300];
    const struct member_step s = { .kind = kind, .id = id, .to = 2 };

    membership_describe(l, &s, who, text, sizeof text);
    return text;
}

CASE(run, every_step_has_its_sentence)
{
    AT_END(membership_look_clear) struct membership_look l;
    const struct membership_new who = { .name = "new\x1b" };

    sample_look(&l, 3);
    cr_assert_str_eq(words(&l, MEMBER_BACKUP, 0, NULL), "take a snapshot");
    cr_assert_str_eq(words(&l, MEMBER_MOVE_LEADER, 1, NULL), "move leadership to m1 (2)");
    cr_assert_str_eq(words(&l, MEMBER_REMOVE, 3, NULL), "remove m2 (3)");
    cr_assert_str_eq(words(&l, MEMBER_REMOVE, 9, NULL), "remove member 9");
    cr_assert_str_eq(words(&l, MEMBER_ADD_VOTER, 0, &who), "add new\\x1b");
    cr_assert_str_eq(words(&l, MEMBER_ADD_LEARNER, 0, NULL),
                     "add the new member as a learner");
    cr_assert_str_eq(words(&l, MEMBER_AWAIT, 0, &who),
                     "wait until new\\x1b has caught up");
    cr_assert_str_eq(words(&l, MEMBER_PROMOTE, 3, &who), "promote m2 (3) to a voter");
    cr_assert_str_eq(words(&l, MEMBER_UPDATE, 1, NULL),
                     "change the peer addresses of m0 (1)");
    cr_assert_str_eq(words(&l, MEMBER_COMPARE, 0, NULL), "compare what the voters hold");
}

static enum rc nobody(void *arg, const char *endpoint, struct wire_client **out,
                      struct err *e)
{
    unsigned *calls = arg;

    (void)endpoint;
    (*calls)++;
    *out = NULL;
    return err_set(e, RC_NET, "nobody answers");
}

/* A cluster that has gone away since the plan was made is not changed on its memory. */
CASE(run, nothing_is_done_to_a_cluster_that_does_not_answer)
{
    AT_END(membership_look_clear) struct membership_look l;
    AT_END(membership_run_clear) struct membership_run r = { 0 };
    unsigned calls = 0;
    const struct care_access a = { .connect = nobody, .arg = &calls };
    struct care_journal journal = { 0 };
    struct member_plan plan = { 0 };
    struct err e = { 0 };

    sample_look(&l, 3);
    OK(member_plan_remove(&l.table, 3, &plan, &e), &e);
    r.access = &a;
    r.journal = &journal;
    cr_assert_eq(membership_run(&r, &l, &plan, &e), RC_NET);
    cr_assert_eq(r.done, 0);
    cr_assert_eq(calls, 3, "each known member was asked once");
}
