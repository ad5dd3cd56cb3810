#include "recover/apply.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/crash.h"
#include "tests/lib/fault.h"
#include "tests/lib/proc.h"
#include "tests/lib/tmpdir.h"
#include "tests/unit/recover/ruin.h"
#include "util/mem.h"

enum {
    ALL = 1 << RECOVER_STEP_STOP | 1 << RECOVER_STEP_BUILD | 1 << RECOVER_STEP_ASIDE |
          1 << RECOVER_STEP_PUBLISH | 1 << RECOVER_STEP_START | 1 << RECOVER_STEP_CHECK
};

static void says(const struct ruin *r, const char *part)
{
    cr_assert(strstr(r->e.why, part) != NULL, "'%s' is not in: %s", part, r->e.why);
}

static void refused(struct ruin *r, enum rc want, const char *part)
{
    cr_assert_eq(ruin_apply(r), want, "%s", r->e.why);
    says(r, part);
    cr_assert_eq(ruin_is(r, r->data), 'o', "something was changed");
    cr_assert_eq(ruin_is(r, ruin_aside(r)), '-');
}

/* ---- the way through ----------------------------------------------------------------
 */

CASE(apply, all_steps_of_a_host)
{
    RUIN r;

    ruin_make(&r);
    r.running = true;
    OK(ruin_apply(&r), &r.e);
    cr_assert_eq(r.out.taken, ALL, "%x", r.out.taken);
    cr_assert_eq(r.stops, 1);
    cr_assert_eq(r.starts, 1);
    cr_assert_eq(r.checks, 1);
    cr_assert_eq(ruin_is(&r, r.data), 'n');
    cr_assert_eq(ruin_is(&r, ruin_aside(&r)), 'o');
    cr_assert_str_eq(r.out.aside, ruin_aside(&r));
    cr_assert_eq(r.out.revision, r.plan.bump.revision);
    cr_assert(!r.out.resumed);
}

CASE(apply, again_only_starts_and_checks)
{
    RUIN r;

    ruin_make(&r);
    OK(ruin_apply(&r), &r.e);
    OK(ruin_apply(&r), &r.e);
    cr_assert_eq(r.out.taken, 1 << RECOVER_STEP_START | 1 << RECOVER_STEP_CHECK);
    cr_assert(r.out.resumed);
    cr_assert_eq(r.stops, 1);
    cr_assert_eq(ruin_is(&r, ruin_aside(&r)), 'o');
}

CASE(apply, a_person_starts_etcd)
{
    RUIN r;

    ruin_make(&r);
    r.by_hand = true;
    OK(ruin_apply(&r), &r.e);
    cr_assert(r.out.by_hand);
    cr_assert_eq(r.checks, 0);
    r.by_hand = false;
    OK(ruin_apply(&r), &r.e);
    cr_assert_eq(r.checks, 1);
}

CASE(apply, a_host_that_lost_its_disk)
{
    RUIN r;

    ruin_make(&r);
    r.job.member = "second";
    OK(os_remove_tree(AT_FDCWD, r.data, &r.e), &r.e);
    OK(ruin_apply(&r), &r.e);
    cr_assert_eq(ruin_is(&r, r.data), 'n');
    cr_assert_null(r.out.aside);
    OK(ruin_back(&r), &r.e);
    cr_assert_eq(ruin_is(&r, r.data), '-');
    cr_assert_eq(ruin_is(&r, r.out.aside), 'n');
}

/* The plan stops it, and only then takes what it holds. */
CASE(apply, a_survivor_that_runs)
{
    RUIN r;

    ruin_make(&r);
    ruin_plan(&r, RECOVER_RE_BOOTSTRAP, true);
    r.running = true;
    OK(ruin_apply(&r), &r.e);
    cr_assert_eq(r.out.taken, ALL | 1 << RECOVER_STEP_EXPORT, "%x", r.out.taken);
    cr_assert_eq(ruin_is(&r, r.data), 'n');
    cr_assert_eq(ruin_is(&r, ruin_aside(&r)), 'o');
}

CASE(apply, a_host_that_joins)
{
    RUIN r;

    ruin_make(&r);
    ruin_plan(&r, RECOVER_RE_BOOTSTRAP, false);
    r.job.member = "third";
    r.plan.old[0].id++; /* so that the directory is nobody's whom the plan knows */
    r.running = true;
    OK(ruin_apply(&r), &r.e);
    cr_assert_eq(r.out.taken, 1 << RECOVER_STEP_STOP | 1 << RECOVER_STEP_ASIDE |
                                  1 << RECOVER_STEP_JOIN | 1 << RECOVER_STEP_CHECK);
    cr_assert_eq(r.joins, 1);
    cr_assert_eq(ruin_is(&r, r.data), '-');
    cr_assert_eq(ruin_is(&r, ruin_aside(&r)), 'o');
    OK(ruin_apply(&r), &r.e);
    cr_assert_eq(r.joins, 1);
    cr_assert_eq(ruin_back(&r), RC_REFUSED);
    says(&r, "has joined the new cluster");
}

/* The directory becomes a file system of its own, for this process. False: not allowed.
 */
static bool mount_data(const struct ruin *r)
{
    char plain[500], member[520];

    snprintf(plain, sizeof plain, "%s.plain", r->data);
    snprintf(member, sizeof member, "%s/member", plain);
    if (unshare(CLONE_NEWNS) != 0 ||
        mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        return false;
    cr_assert_eq(rename(r->data, plain), 0);
    cr_assert_eq(mkdir(r->data, 0700), 0);
    if (mount("none", r->data, "tmpfs", 0, NULL) != 0)
        return false;
    RUN(p, "cp", "-a", member, r->data);
    return p.status == 0;
}

/* It cannot be renamed, so that all of it happens inside. */
CASE(apply, a_mount_point)
{
    RUIN r;

    ruin_make(&r);
    if (!mount_data(&r))
        cr_skip_test("nothing can be mounted here");
    OK(ruin_apply(&r), &r.e);
    cr_assert_eq(ruin_is(&r, r.data), 'n');
    cr_assert_str_eq(r.out.aside, path_in(r.data, "member.before-0123456789abcdef"));
    OK(ruin_back(&r), &r.e);
    cr_assert_eq(ruin_is(&r, r.data), 'o');
    umount2(r.data, MNT_DETACH);
}

/* ---- ended at every call that changes something -------------------------------------
 */

/* Neither the old nor the new is ever lost, and what etcd would start on is whole. */
static void nothing_is_lost(struct ruin *r, unsigned nth)
{
    char here = ruin_is(r, r->data), aside = ruin_is(r, ruin_aside(r));

    cr_assert((here == 'o' && aside == '-') || (here == '-' && aside == 'o') ||
                  (here == 'n' && aside == 'o'),
              "ended at call %u: data is '%c', aside '%c'", nth, here, aside);
}

static int apply_child(void *arg)
{
    return ruin_apply(arg) == RC_OK ? 0 : 1;
}

static int back_child(void *arg)
{
    return ruin_back(arg) == RC_OK ? 0 : 1;
}

/* At every call with HOLDFAST_LONG, else at every `step`th. */
static unsigned stride(unsigned step)
{
    return getenv("HOLDFAST_LONG") != NULL ? 1 : step;
}

static void resumed_everywhere(struct ruin *r, bool after, unsigned step)
{
    unsigned nth = 1;

    for (; crash_run(nth, after, apply_child, r); nth += step) {
        nothing_is_lost(r, nth);
        OK(ruin_apply(r), &r->e);
        cr_assert_eq(ruin_is(r, r->data), 'n', "resumed after call %u", nth);
        cr_assert_eq(ruin_is(r, ruin_aside(r)), 'o', "resumed after call %u", nth);
        ruin_reset(r);
    }
    cr_assert_geq(nth, 30, "only %u calls", nth);
}

CASE(apply, killed_before_any_call_and_resumed, .timeout = 240)
{
    RUIN r;

    ruin_make(&r);
    resumed_everywhere(&r, false, 1);
}

CASE(apply, killed_behind_any_call_and_resumed, .timeout = 240)
{
    RUIN r;

    ruin_make(&r);
    ruin_plan(&r, RECOVER_RE_BOOTSTRAP, true);
    resumed_everywhere(&r, true, stride(4));
}

CASE(apply, killed_anywhere_and_rolled_back, .timeout = 240)
{
    RUIN r;

    ruin_make(&r);
    for (unsigned nth = 1; crash_run(nth, true, apply_child, &r); nth += stride(3)) {
        enum rc rc = ruin_back(&r);

        cr_assert(rc == RC_OK || rc == RC_REFUSED, "%u: %s", nth, r.e.why);
        if (rc == RC_REFUSED)
            says(&r, "nothing of this plan was done");
        cr_assert_eq(ruin_is(&r, r.data), 'o', "call %u", nth);
        cr_assert_eq(ruin_is(&r, ruin_aside(&r)), '-', "call %u", nth);
        ruin_reset(&r);
    }
}

CASE(apply, a_rollback_killed_anywhere_goes_on, .timeout = 240)
{
    unsigned nth = 0;
    bool killed = true;
    RUIN r;

    ruin_make(&r);
    while (killed) {
        OK(ruin_apply(&r), &r.e);
        killed = crash_run(++nth, false, back_child, &r);
        OK(ruin_back(&r), &r.e);
        cr_assert_eq(ruin_is(&r, r.data), 'o', "call %u", nth);
        cr_assert_eq(ruin_is(&r, r.out.aside), 'n', "call %u", nth);
        ruin_reset(&r);
    }
    cr_assert_geq(nth, 8, "only %u calls", nth);
}

/* A call that fails is an error and no more: the same again goes on. */
static void fails_everywhere(enum fault_point point, int error)
{
    unsigned failed = 0;
    RUIN r;

    ruin_make(&r);
    FAULT_SWEEP(point, nth, error) {
        enum rc rc = ruin_apply(&r);
        bool fired = fault_disarm();

        if (!fired)
            OK(rc, &r.e);
        failed += rc != RC_OK;
        if (rc != RC_OK)
            nothing_is_lost(&r, nth);
        OK(ruin_apply(&r), &r.e);
        cr_assert_eq(ruin_is(&r, r.data), 'n', "after a failure of call %u", nth);
        ruin_reset(&r);
        if (!fired)
            break;
    }
    cr_assert_geq(failed, 2);
}

CASE(apply, a_sync_that_fails, .timeout = 240)
{
    fails_everywhere(FAULT_FSYNC, EIO);
}

CASE(apply, a_rename_that_fails, .timeout = 240)
{
    fails_everywhere(FAULT_RENAME, EACCES);
}

CASE(apply, a_directory_that_cannot_be_made, .timeout = 240)
{
    fails_everywhere(FAULT_MKDIR, ENOSPC);
}

/* ---- what speaks against it ---------------------------------------------------------
 */

CASE(apply, two_operators_at_once)
{
    struct recover_site held = { .lock = -1 };
    RUIN r;

    ruin_make(&r);
    OK(recover_site_name(r.data, NULL, "ffffffffffffffff", &held, &r.e), &r.e);
    OK(recover_site_lock(&held, &r.e), &r.e);
    refused(&r, RC_LOCKED, "another recovery is at work");
    recover_site_clear(&held);
    OK(ruin_apply(&r), &r.e);
}

CASE(apply, what_is_refused_leaves_nothing_behind)
{
    AT_END(mem_end) char *before = NULL;
    RUIN r;

    ruin_make(&r);
    before = mem_str(dir_listing(r.dir));
    r.plan.old_cluster++;
    refused(&r, RC_REFUSED, "and the plan is for");
    cr_assert_str_eq(dir_listing(r.dir), before);
}

CASE(apply, a_plan_that_is_stale)
{
    RUIN r;

    ruin_make(&r);
    r.plan.source.index++;
    refused(&r, RC_REFUSED, "the plan is stale");
    r.plan.source.index -= 2;
    refused(&r, RC_REFUSED, "the plan is stale");
}

CASE(apply, a_plan_for_another_cluster)
{
    RUIN r;

    ruin_make(&r);
    r.plan.old_cluster++;
    refused(&r, RC_REFUSED, "and the plan is for");
}

/* Another member's directory that nobody had looked at when the plan was made. */
CASE(apply, a_directory_that_is_newer_than_the_source)
{
    RUIN r;

    ruin_make(&r);
    r.plan.source.member_id++;
    r.plan.old[0].id++;
    r.plan.source.index--;
    r.plan.known_count = 0;
    r.job.member = "second";
    refused(&r, RC_REFUSED, "newer than the copy that the plan builds on");
    r.plan.known_count = 1; /* the plan's maker knew, and chose otherwise */
    OK(ruin_apply(&r), &r.e);
}

CASE(apply, another_members_directory)
{
    const char *first;
    RUIN r;

    ruin_make(&r);
    first = r.job.member;
    r.job.member = "second";
    refused(&r, RC_REFUSED, "and not of 'second'");
    r.job.member = first;
    OK(ruin_apply(&r), &r.e);
    r.job.member = "second";
    cr_assert_eq(ruin_apply(&r), RC_REFUSED);
    says(&r, "is not of plan");
}

CASE(apply, a_member_that_the_plan_does_not_have)
{
    RUIN r;

    ruin_make(&r);
    r.job.member = "fourth";
    refused(&r, RC_USAGE, "has no member 'fourth'");
}

CASE(apply, an_old_member_that_still_runs)
{
    struct recover_sighting s = { .name = "second",
                                  .url = "http://10.0.0.2:2380",
                                  .peer = true,
                                  .answer = RECOVER_KNOWN };
    RUIN r;

    ruin_make(&r);
    s.cluster_id = r.plan.old_cluster;
    r.seen = (struct recover_sightings){ &s, 1 };
    refused(&r, RC_REFUSED, "second of the old cluster still runs");
    s.cluster_id = 5;
    refused(&r, RC_REFUSED, "a member of another cluster answers");
    s.cluster_id = r.plan.cluster_id;
    OK(ruin_apply(&r), &r.e);
}

CASE(apply, a_member_that_runs_already_is_not_built_twice)
{
    struct recover_sighting s = { .url = "http://10.0.0.1:2380",
                                  .peer = true,
                                  .answer = RECOVER_KNOWN };
    RUIN r;

    ruin_make(&r);
    s.name = r.job.member;
    s.cluster_id = r.plan.cluster_id;
    r.seen = (struct recover_sightings){ &s, 1 };
    refused(&r, RC_REFUSED, " of the new cluster runs already");
    r.seen = (struct recover_sightings){ 0 };
    OK(ruin_apply(&r), &r.e);
    r.seen = (struct recover_sightings){ &s, 1 };
    OK(ruin_apply(&r), &r.e);
}

/* It is stopped, and its directory is elsewhere or gone; the others know of it. */
CASE(apply, a_member_that_has_run_is_not_built_twice)
{
    struct recover_sighting s = { .name = "second",
                                  .url = "http://10.0.0.2:2380",
                                  .peer = true,
                                  .answer = RECOVER_KNOWN,
                                  .has_run = true };

    for (int shape = RECOVER_ALL_AT_ONCE; shape <= RECOVER_RE_BOOTSTRAP; shape++) {
        RUIN r;

        ruin_make(&r);
        ruin_plan(&r, (enum recover_shape)shape, false);
        r.job.member = "third";
        r.plan.old[0].id++; /* so that the directory is nobody's whom the plan knows */
        s.has_run = true;
        s.cluster_id = r.plan.cluster_id;
        r.seen = (struct recover_sightings){ &s, 1 };
        refused(&r, RC_REFUSED, " has run in the new cluster already");
        cr_assert(strstr(r.e.hint, "holdfast member replace ") != NULL, "%s", r.e.hint);
        s.has_run = false;
        OK(ruin_apply(&r), &r.e);
        s.has_run = true;
        OK(ruin_apply(&r), &r.e);
    }
}

/* It was stopped, and something started it again before its directory was moved. */
CASE(apply, an_etcd_that_comes_back)
{
    RUIN r;

    ruin_make(&r);
    OK(ruin_apply(&r), &r.e);
    cr_assert_eq(mkdir(ruin_aside(&r), 0700), -1);
    ruin_reset(&r);
    cr_assert_eq(mkdir(ruin_aside(&r), 0700), 0);
    cr_assert_eq(ruin_apply(&r), RC_REFUSED);
    says(&r, "are both there");
    cr_assert_eq(ruin_is(&r, r.data), 'o');
}

/* ---- back ---------------------------------------------------------------------------
 */

CASE(apply, back_and_started_if_it_ran)
{
    RUIN r;

    ruin_make(&r);
    r.running = true;
    OK(ruin_apply(&r), &r.e);
    OK(ruin_back(&r), &r.e);
    cr_assert_eq(ruin_is(&r, r.data), 'o');
    cr_assert_eq(ruin_is(&r, r.out.aside), 'n');
    cr_assert_eq(r.starts, 2);
    cr_assert(r.running);
    cr_assert_eq(ruin_apply(&r), RC_REFUSED);
    says(&r, "rolled back here");
    OK(ruin_back(&r), &r.e);
    cr_assert_eq(ruin_is(&r, r.data), 'o');
}

CASE(apply, no_way_back_after_a_write)
{
    struct recover_sighting s = { .name = "second",
                                  .url = "http://10.0.0.2:2379",
                                  .answer = RECOVER_KNOWN };
    RUIN r;

    ruin_make(&r);
    OK(ruin_apply(&r), &r.e);
    s.cluster_id = r.plan.cluster_id;
    s.revision = r.plan.bump.revision + 1;
    r.seen = (struct recover_sightings){ &s, 1 };
    cr_assert_eq(ruin_back(&r), RC_REFUSED);
    says(&r, "has been written to");
    cr_assert_eq(r.stops, 1);
    cr_assert_eq(ruin_is(&r, r.data), 'n');
    s.revision--;
    OK(ruin_back(&r), &r.e);
}

CASE(apply, nothing_to_take_back)
{
    RUIN r;

    ruin_make(&r);
    cr_assert_eq(ruin_back(&r), RC_REFUSED);
    says(&r, "nothing of this plan was done");
}
