#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "raftstore/identity.h"
#include "tests/lib/case.h"
#include "tests/lib/fault.h"
#include "tests/lib/tmpdir.h"
#include "util/os.h"
#include "wal/raft_ids.h"

#define M0 "http://127.0.0.1:1"
#define M1 "http://127.0.0.1:2"

static const struct node_options two = {
    .name = "m0",
    .advertise_peer = M0,
    .initial_cluster = "m0=" M0 ",m1=" M1,
    .token = "t",
    .minor = 6,
};

static struct node_options at(const char *dir)
{
    struct node_options o = two;

    o.data_dir = dir;
    return o;
}

static void begin_log(const struct identity *me)
{
    char path[600];
    FILE *f;

    snprintf(path, sizeof path, "%s/metadata1", me->raft_dir);
    f = fopen(path, "w");
    cr_assert_not_null(f);
    fclose(f);
}

CASE(identity, ids_are_etcds_and_stay)
{
    const struct node_options o = at(path_in(tmpdir_new(), "m0"));
    struct identity me, again;
    uint64_t id;
    struct err e = { 0 };

    OK(identity_establish(&o, &me, &e), &e);
    OK(wal_member_id((const char *const[]){ M0 }, 1, "t", &id, &e), &e);
    cr_assert_eq(me.member, id);
    cr_assert_not(me.joined || me.started);
    begin_log(&me);
    OK(identity_started(&me, &e), &e);
    identity_close(&me);
    OK(identity_establish(&o, &again, &e), &e);
    cr_assert_eq(again.member, me.member);
    cr_assert_eq(again.cluster, me.cluster);
    cr_assert(again.started);
    identity_close(&again);
    OK(identity_open(o.data_dir, &again, &e), &e);
    cr_assert_eq(again.member, me.member);
    identity_close(&again);
}

CASE(identity, the_base_has_the_members)
{
    const struct node_options o = at(path_in(tmpdir_new(), "m0"));
    struct identity me;
    struct bolt_file *file = NULL;
    struct machine *m = NULL;
    size_t count;
    struct err e = { 0 };

    OK(identity_establish(&o, &me, &e), &e);
    OK(identity_base(&o, &me, &file, &m, &e), &e);
    machine_members(m, &count);
    cr_assert_eq(count, 2);
    cr_assert_eq(machine_index(m), 2, "one entry each, as etcd's log begins");
    machine_free(m);
    bolt_file_free(file);
    identity_close(&me);
}

CASE(identity, refuses_a_name_that_is_not_there)
{
    struct node_options o = at(path_in(tmpdir_new(), "m0"));
    struct identity me;
    struct err e = { 0 };

    o.name = "m7";
    cr_assert_eq(identity_establish(&o, &me, &e), RC_USAGE);
    o.name = "m0";
    o.initial_cluster = "m0=" M0 ",m0=";
    cr_assert_eq(identity_establish(&o, &me, &e), RC_USAGE);
}

CASE(identity, a_joiner_finds_nobody)
{
    struct node_options o = at(path_in(tmpdir_new(), "m0"));
    struct identity me;
    struct err e = { 0 };

    o.existing = true;
    cr_assert_eq(identity_establish(&o, &me, &e), RC_NET);
    cr_assert_eq(identity_open(o.data_dir, &me, &e), RC_NOTFOUND);
}

CASE(identity, one_process_at_a_time)
{
    const struct node_options o = at(path_in(tmpdir_new(), "m0"));
    struct identity me, other;
    struct err e = { 0 };

    OK(identity_establish(&o, &me, &e), &e);
    cr_assert_eq(identity_establish(&o, &other, &e), RC_LOCKED);
    cr_assert_eq(identity_open(o.data_dir, &other, &e), RC_LOCKED);
    identity_close(&me);
}

CASE(identity, a_log_that_is_gone_is_not_begun_again)
{
    const struct node_options o = at(path_in(tmpdir_new(), "m0"));
    struct identity me;
    struct err e = { 0 };

    OK(identity_establish(&o, &me, &e), &e);
    OK(identity_started(&me, &e), &e);
    identity_close(&me);
    cr_assert_eq(identity_establish(&o, &me, &e), RC_CORRUPT);
}

/* Whatever call fails, the next start finds a whole identity or none. */
CASE(identity, each_failing_write_leaves_a_directory_that_starts)
{
    static const struct {
        enum fault_point point;
        int error;
    } faults[] = { { FAULT_WRITE, ENOSPC },
                   { FAULT_FSYNC, EIO },
                   { FAULT_RENAME, EIO },
                   { FAULT_MKDIR, ENOSPC },
                   { FAULT_ALLOC, ENOMEM } };

    const char *dir = tmpdir_new();

    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        bool went_off = true;
        unsigned nth = 0;

        while (went_off) {
            char name[32];
            struct identity me = { 0 };
            struct err e = { 0 };

            snprintf(name, sizeof name, "m%zu.%u", i, ++nth);
            const struct node_options o = at(path_in(dir, name));

            fault_arm(faults[i].point, nth, faults[i].error);
            if (identity_establish(&o, &me, &e) == RC_OK)
                identity_close(&me);
            went_off = fault_disarm();
            OK(identity_establish(&o, &me, &e), &e);
            identity_close(&me);
        }
        cr_assert_gt(nth, 1, "fault %zu never went off", i);
    }
}
