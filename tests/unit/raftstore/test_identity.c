#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "raftstore/home.h"
#include "raftstore/identity.h"
#include "tests/lib/case.h"
#include "tests/lib/fault.h"
#include "tests/lib/tmpdir.h"
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

/* A member at rest, as a start finds it. */
struct found {
    struct home home;
    struct bolt_file *file;
    struct machine *m;
};

static void found_end(struct found *f)
{
    machine_free(f->m);
    bolt_file_free(f->file);
    home_close(&f->home);
}
#define FOUND AT_END(found_end) struct found

static enum rc look(const struct node_options *o, struct found *f, struct err *e)
{
    f->home.db = -1;
    return home_open(o->data_dir, o->minor, &f->home, &f->file, &f->m, e);
}

CASE(identity, ids_are_etcds_and_stay)
{
    const struct node_options o = at(path_in(tmpdir_new(), "m0"));
    uint64_t id;
    struct err e = { 0 };

    OK(wal_member_id((const char *const[]){ M0 }, 1, "t", &id, &e), &e);
    for (int start = 0; start < 2; start++) {
        FOUND f = { 0 };

        OK(identity_establish(&o, &e), &e);
        OK(look(&o, &f, &e), &e);
        cr_assert_eq(f.home.member, id);
    }
}

CASE(identity, a_cluster_begins_with_its_members)
{
    const struct node_options o = at(path_in(tmpdir_new(), "m0"));
    FOUND f = { 0 };
    size_t count;
    struct err e = { 0 };

    OK(identity_establish(&o, &e), &e);
    OK(look(&o, &f, &e), &e);
    machine_members(f.m, &count);
    cr_assert_eq(count, 2);
    cr_assert_eq(f.home.index, 2, "one entry each, as etcd's log begins");
    cr_assert_eq(f.home.term, 1);
    cr_assert_eq(f.home.found->log->last_index, 2);
    cr_assert_eq(f.home.found->log->state.commit, 2);
}

CASE(identity, refuses_a_name_that_is_not_there)
{
    struct node_options o = at(path_in(tmpdir_new(), "m0"));
    struct err e = { 0 };

    o.name = "m7";
    cr_assert_eq(identity_establish(&o, &e), RC_USAGE);
    o.name = "m0";
    o.initial_cluster = "m0=" M0 ",m0=";
    cr_assert_eq(identity_establish(&o, &e), RC_USAGE);
    cr_assert_not(home_is_there(o.data_dir));
}

CASE(identity, a_joiner_finds_nobody)
{
    struct node_options o = at(path_in(tmpdir_new(), "m0"));
    struct err e = { 0 };

    o.existing = true;
    cr_assert_eq(identity_establish(&o, &e), RC_NET);
    cr_assert_not(home_is_there(o.data_dir));
}

CASE(identity, one_process_at_a_time)
{
    const struct node_options o = at(path_in(tmpdir_new(), "m0"));
    FOUND f = { 0 };
    FOUND other = { 0 };
    struct err e = { 0 };

    OK(identity_establish(&o, &e), &e);
    OK(look(&o, &f, &e), &e);
    cr_assert_eq(look(&o, &other, &e), RC_LOCKED);
}

/* Whatever call fails, the next start finds a whole directory or none. */
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
            FOUND f = { 0 };
            struct err e = { 0 };

            snprintf(name, sizeof name, "m%zu.%u", i, ++nth);
            const struct node_options o = at(path_in(dir, name));

            fault_arm(faults[i].point, nth, faults[i].error);
            (void)!identity_establish(&o, &e);
            went_off = fault_disarm();
            OK(identity_establish(&o, &e), &e);
            OK(look(&o, &f, &e), &e);
        }
        cr_assert_gt(nth, 1, "fault %zu never went off", i);
    }
}
