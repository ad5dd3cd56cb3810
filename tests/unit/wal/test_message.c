#include "wal/message.h"

#include "tests/lib/case.h"
#include "tests/lib/fault.h"

static struct bytes of(const struct buf *b)
{
    return (struct bytes){ b->p, b->n };
}

CASE(wal_message, entries_and_changes_survive_a_round_trip)
{
    struct wal_change change = { .id = 3,
                                 .node_id = UINT64_MAX,
                                 .type = WAL_CHANGE_ADD_LEARNER,
                                 .context = bytes_str("{}") };
    struct wal_entry entry = { .type = WAL_ENTRY_CONF_CHANGE, .term = 5, .index = 6 };
    struct buf b = { 0 }, c = { 0 };
    struct err e = { 0 };

    OK(wal_change_put(&c, &change, &e), &e);
    entry.data = of(&c);
    OK(wal_entry_put(&b, &entry, &e), &e);
    struct wal_entry got_entry;
    struct wal_change got;

    OK(wal_entry_parse(of(&b), &got_entry, &e), &e);
    cr_assert(got_entry.type == entry.type && got_entry.term == 5 &&
              got_entry.index == 6);
    OK(wal_change_parse(got_entry.data, &got, &e), &e);
    cr_assert(got.id == 3 && got.node_id == UINT64_MAX && got.type == change.type);
    cr_assert(bytes_is(got.context, "{}"));
    buf_clear(&b);
    buf_clear(&c);
}

CASE(wal_message, marks_keep_voters_and_learners)
{
    uint64_t voters[] = { 1, 2, UINT64_MAX }, learners[] = { 9 };
    struct wal_mark mark = { .index = 7,
                             .term = 8,
                             .has_conf = true,
                             .conf = { .voters = voters,
                                       .voter_count = 3,
                                       .learners = learners,
                                       .learner_count = 1 } },
                    got;
    struct buf b = { 0 };
    struct err e = { 0 };

    OK(wal_mark_put(&b, &mark, &e), &e);
    OK(wal_mark_parse(of(&b), &got, &e), &e);
    cr_assert(got.index == 7 && got.term == 8 && got.has_conf && !got.conf.joint);
    cr_assert(got.conf.voter_count == 3 && got.conf.voters[2] == UINT64_MAX);
    cr_assert(got.conf.learner_count == 1 && got.conf.learners[0] == 9);
    wal_mark_clear(&got);
    buf_clear(&b);
}

CASE(wal_message, a_joint_configuration_is_recognised)
{
    struct wal_mark got;
    struct err e = { 0 };

    OK(wal_mark_parse(bytes_str("\x1a\x04\x08\x01\x18\x02"), &got, &e), &e);
    cr_assert(got.conf.joint && got.conf.voter_count == 1);
    wal_mark_clear(&got);
}

static enum rc parse(unsigned kind, struct bytes p, struct err *e)
{
    struct wal_metadata metadata;
    struct wal_state state;
    struct wal_entry entry;
    struct wal_change change;
    struct wal_mark mark = { 0 };
    struct wal_snapshot snapshot = { 0 };
    enum rc rc = RC_OK;

    switch (kind) {
    case 0:
        return wal_metadata_parse(p, &metadata, e);
    case 1:
        return wal_state_parse(p, &state, e);
    case 2:
        return wal_entry_parse(p, &entry, e);
    case 3:
        return wal_change_parse(p, &change, e);
    case 4:
        rc = wal_mark_parse(p, &mark, e);
        wal_mark_clear(&mark);
        return rc;
    default:
        rc = wal_snapshot_parse(p, &snapshot, e);
        wal_snapshot_clear(&snapshot);
        return rc;
    }
}

CASE(wal_message, what_does_not_belong_is_refused_with_its_place)
{
    static const struct {
        unsigned kind;
        const char *p, *why;
    } rows[] = {
        { 0, "\x08\x01\x18\x01", "no valid METADATA: byte 2 of 4" },
        { 0, "\x0a\x01x", "no valid METADATA: byte 0 of 3" },
        { 0, "\x08", "no valid METADATA: byte 0 of 1" },
        { 1, "\x08\x01\x20\x01", "no valid STATE: byte 2 of 4" },
        { 2, "\x08\x03", "no valid ENTRY: byte 0 of 2" },
        { 2, "\x08\x01\x1a\x01x", "no valid ENTRY: byte 2 of 5" },
        { 2, "\x22\x05x", "no valid ENTRY: byte 0 of 3" },
        { 3, "\x10\x04", "no valid member change: byte 0 of 2" },
        { 3, "\x28\x01", "no valid member change: byte 0 of 2" },
        { 3, "\x22\x05x", "no valid member change: byte 0 of 3" },
        { 4, "\x20\x01", "no valid SNAPSHOT: byte 0 of 2" },
        { 4, "\x08", "no valid SNAPSHOT: byte 0 of 1" },
        { 4, "\x1a\x02\x30\x01", "no valid ConfState: byte 0 of 2" },
        { 4, "\x1a\x01\x08", "no valid ConfState: byte 0 of 1" },
        { 5, "\x12\x01\x08", "no valid snapshot metadata: byte 0 of 1" },
        { 5, "\x0a\x09", "no valid snapshot: byte 0 of 2" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct err e = { 0 };

        cr_assert_eq(parse(rows[i].kind, bytes_str(rows[i].p), &e), RC_CORRUPT, "row %zu",
                     i);
        cr_assert_str_eq(e.why, rows[i].why);
    }
}

CASE(wal_message, a_configuration_of_thousands_is_refused)
{
    struct buf conf = { 0 }, b = { 0 };
    struct err e = { 0 };

    for (int i = 0; i <= WAL_MEMBERS_MAX; i++)
        OK(buf_add(&conf, "\x08\x01", 2, &e), &e);
    OK(buf_add(&b, "\x1a\x82\x10", 3, &e), &e);
    OK(buf_add(&b, conf.p, conf.n, &e), &e);
    cr_assert_eq(parse(4, of(&b), &e), RC_CORRUPT);
    cr_assert_str_eq(e.why, "no valid ConfState: more than 1024 members");
    buf_clear(&conf);
    buf_clear(&b);
}

CASE(wal_message, no_memory_leaves_nothing_behind)
{
    unsigned runs = 0;

    FAULT_SWEEP(FAULT_ALLOC, nth, 0) {
        struct bytes p = bytes_str("\x1a\x0a\x08\x01\x08\x02\x08\x03\x10\x04\x10\x05");
        struct err e = { 0 };

        runs = nth;
        if (parse(4, p, &e) != RC_OK)
            cr_assert_eq(e.code, RC_NOMEM, "allocation %u", nth);
    }
    cr_assert_eq(runs, 6, "1, 2 and 4 voters, 1 and 2 learners, a clean run");
}
