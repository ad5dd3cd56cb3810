#include "raftstore/fsm.h"
#include "tests/lib/case.h"
#include "tests/lib/tmpdir.h"
#include "tests/unit/raftstore/world.h"

static void expect_all_equal(struct world *w, int64_t revision)
{
    world_settle(w);
    for (unsigned i = 0; i < w->count; i++) {
        if (!raft_fixture_alive(&w->fx, i))
            continue;
        cr_assert_eq(world_revision(w, i), revision, "member %u", i);
        cr_assert_eq(world_hash(w, i), world_hash(w, world_leader(w)), "member %u", i);
        cr_assert_eq(machine_index(w->fsm[i].machine),
                     machine_index(w->fsm[world_leader(w)].machine), "member %u", i);
    }
}

CASE(fsm, all_members_come_to_the_same_state)
{
    WORLD w;

    world_begin(&w, 3);
    for (int i = 0; i < 20; i++)
        world_put(&w, i % 2 == 0 ? "a" : "b", "some value");
    expect_all_equal(&w, 21);
}

CASE(fsm, rafts_index_is_etcds)
{
    WORLD w;

    world_begin(&w, 3);
    world_put(&w, "a", "1");
    world_settle(&w);
    for (unsigned i = 0; i < 3; i++) {
        const struct fsm *f = &w.fsm[i];

        cr_assert_eq(machine_index(f->machine), 4, "behind the three members");
        cr_assert_eq(machine_index(f->machine), raft_last_applied(f->raft));
    }
}

CASE(fsm, another_member_leads_and_nothing_is_lost)
{
    WORLD w;
    unsigned first;

    world_begin(&w, 3);
    world_put(&w, "a", "1");
    first = world_leader(&w);
    raft_fixture_kill(&w.fx, first);
    cr_assert(raft_fixture_step_until_has_no_leader(&w.fx, 60000));
    cr_assert_neq(world_leader(&w), first);
    world_put(&w, "b", "2");
    expect_all_equal(&w, 3);
    raft_fixture_revive(&w.fx, first);
    expect_all_equal(&w, 3);
}

CASE(fsm, without_a_majority_nobody_leads_for_long)
{
    WORLD w;
    unsigned leader;

    world_begin(&w, 3);
    world_put(&w, "a", "1");
    leader = world_leader(&w);
    raft_fixture_disconnect(&w.fx, leader, (leader + 1) % 3);
    raft_fixture_disconnect(&w.fx, (leader + 1) % 3, leader);
    raft_fixture_kill(&w.fx, (leader + 2) % 3);
    cr_assert(raft_fixture_step_until_has_no_leader(&w.fx, 60000));
    raft_fixture_step_until_elapsed(&w.fx, 20000);
    cr_assert_neq(raft_state(raft_fixture_get(&w.fx, leader)), RAFT_LEADER);
    cr_assert_neq(raft_state(raft_fixture_get(&w.fx, (leader + 1) % 3)), RAFT_LEADER);
}

/* The trap that etcd's restore avoids with its .snap file: a member that is added later
 * must get the state from before the log's first entry, too. */
CASE(fsm, a_joiner_gets_what_was_there_before_the_log)
{
    WORLD w;
    unsigned joiner;
    size_t count;

    world_begin(&w, 3);
    for (int i = 0; i < 5; i++)
        world_put(&w, "a", "1");
    world_settle(&w);
    joiner = world_grow(&w);
    world_assign(&w, joiner, RAFT_SPARE);
    world_assign(&w, joiner, RAFT_STANDBY);
    expect_all_equal(&w, 6);
    machine_members(w.fsm[joiner].machine, &count);
    cr_assert_eq(count, 3, "the members were in no entry of the log");
    world_put(&w, "b", "2");
    expect_all_equal(&w, 7);
    world_assign(&w, joiner, RAFT_VOTER);
    world_put(&w, "c", "3");
    expect_all_equal(&w, 8);
}

CASE(fsm, a_member_far_behind_gets_a_snapshot)
{
    WORLD w;
    unsigned leader, behind;

    world_begin(&w, 3);
    leader = world_leader(&w);
    behind = (leader + 1) % 3;
    for (unsigned i = 0; i < 3; i++) {
        raft_set_snapshot_threshold(raft_fixture_get(&w.fx, i), 5);
        raft_set_snapshot_trailing(raft_fixture_get(&w.fx, i), 1);
    }
    raft_fixture_kill(&w.fx, behind);
    for (int i = 0; i < 30; i++)
        world_put(&w, "a", "value");
    cr_assert_eq(world_revision(&w, behind), 1);
    raft_fixture_revive(&w.fx, behind);
    expect_all_equal(&w, 31);
    cr_assert_gt(raft_fixture_n_send(&w.fx, leader, RAFT_IO_INSTALL_SNAPSHOT), 0);
}

struct seen {
    uint64_t ids[8];
    size_t count;
};

static bool on_wanted(void *arg, uint64_t id)
{
    (void)arg;
    return id == 2;
}

static void on_applied(void *arg, const struct payload *p, struct machine_outcome *o)
{
    struct seen *s = arg;

    cr_assert_eq(o->code, 0);
    cr_assert_eq(o->reply.n > 0, false, "a put has nothing to say but its header");
    s->ids[s->count++] = p->id;
}

CASE(fsm, whoever_waits_is_told_in_order)
{
    WORLD w;
    struct seen seen[3] = { 0 };

    world_begin(&w, 3);
    for (unsigned i = 0; i < 3; i++)
        w.fsm[i].hooks = (struct fsm_hooks){ .arg = &seen[i],
                                             .wanted = on_wanted,
                                             .applied = on_applied };
    for (int i = 0; i < 3; i++)
        world_put(&w, "a", "1");
    world_settle(&w);
    for (unsigned i = 0; i < 3; i++) {
        cr_assert_eq(seen[i].count, 3);
        for (uint64_t k = 0; k < 3; k++)
            cr_assert_eq(seen[i].ids[k], k + 1);
    }
}

CASE(fsm, refuses_a_snapshot_of_another_kind)
{
    const struct machine_options options = { .minor = 6 };
    struct machine *m = NULL;
    struct fsm f;
    struct err e = { 0 };
    uint8_t other[64] = "no database";

    OK(machine_new(&options, &m, &e), &e);
    fsm_init(&f, NULL, 6, tmpdir_new(), m, NULL);
    cr_assert_eq(fsm_take_snapshot(&f, BYTES_OF(other), &e), RC_CORRUPT);
    cr_assert_eq(f.machine, m, "the old state stays");
    fsm_clear(&f);
}
