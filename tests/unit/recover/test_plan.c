#include "recover/plan.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "recover/kubernetes.h"
#include "recover/planfile.h"
#include "tests/lib/fault.h"
#include "tests/lib/tmpdir.h"
#include "tests/unit/recover/estate.h"
#include "util/mem.h"
#include "util/os.h"

/* What a plan is made from, all of it said. */
struct desk {
    struct estate s;
    struct recover_source source;
    struct recover_wish w;
    struct recover_plan p;
    struct err e;
};

static void desk_clear(struct desk *d)
{
    recover_plan_clear(&d->p);
    recover_source_clear(&d->source);
    estate_clear(&d->s);
}
#define DESK [[gnu::cleanup(desk_clear)]] struct desk

#define MEMBERS "m1=http://10.0.0.1:2380,m2=http://10.0.0.2:2380,m3=http://10.0.0.3:2380"

static void take_source(struct desk *d, const struct recover_copy *c)
{
    recover_source_clear(&d->source);
    d->source = (struct recover_source){ .kind = c->kind,
                                         .live = c->in_use,
                                         .file = mem_str(c->in_use ? "" : "plan.db"),
                                         .path = mem_str(c->path),
                                         .member_name = mem_str(c->name),
                                         .member_id = c->member_id,
                                         .term_known = c->term_known,
                                         .term = c->term,
                                         .index = c->index,
                                         .revision = recover_revision(c),
                                         .kubernetes = c->kubernetes };
}

/* The best copy of what lies there, and a wish for it. */
static void sit_down(struct desk *d)
{
    const struct recover_copy *best;

    estate_judge(&d->s);
    OK(recover_choose(&d->s.v, NULL, &best, &d->e), &d->e);
    take_source(d, best);
    d->w = (struct recover_wish){ .verdict = &d->s.v,
                                  .chosen = best,
                                  .source = &d->source,
                                  .layout = HOST_PLAIN,
                                  .members = MEMBERS,
                                  .data_dir = "/var/lib/etcd",
                                  .id = "0123456789abcdef",
                                  .token = "token" };
}

static enum rc make(struct desk *d)
{
    recover_plan_clear(&d->p);
    d->e = (struct err){ 0 };
    return recover_plan_make(&d->w, &d->p, &d->e);
}

/* ---- may it be? ---------------------------------------------------------------------
 */

/* Of every cluster from one to seven voters, with every number of directories left: a
 * plan only when no majority of them is. */
CASE(plan, only_when_no_majority_is_left)
{
    for (size_t voters = 1; voters <= 7; voters++)
        for (size_t left = 1; left <= voters; left++) {
            const struct recover_copy *best = NULL;
            struct err e = { 0 };
            ESTATE s = { 0 };
            enum rc rc;

            for (size_t i = 0; i < left; i++)
                estate_directory(&s, i + 1, voters, 2, 50 + i);
            estate_judge(&s);
            rc = recover_choose(&s.v, NULL, &best, &e);
            if (left > voters / 2) {
                cr_assert_eq(rc, RC_REFUSED, "%zu of %zu", left, voters);
                estate_says(e.why, "build no new cluster");
                cr_assert_neq(e.hint[0], '\0');
            } else {
                OK(rc, &e);
                cr_assert_eq(best->member_id, left, "not the newest");
            }
        }
}

CASE(plan, who_may_be_alive_can_be_vouched_for)
{
    const struct recover_copy *best = NULL;
    struct err e = { 0 };
    ESTATE s = { 0 };

    estate_directory(&s, 1, 3, 2, 50);
    estate_look(&s, 3);
    estate_freeze(&s, 0);
    s.view.items[1].state = CARE_BARRED;
    estate_judge(&s);
    cr_assert_eq(recover_choose(&s.v, NULL, &best, &e), RC_REFUSED);
    estate_says(e.why, "m2 may be alive");
    estate_says(e.hint, "--assume-off NAME");
}

CASE(plan, another_copy_when_it_is_asked_for)
{
    const struct recover_copy *c = NULL;
    struct err e = { 0 };
    ESTATE s = { 0 };

    estate_directory(&s, 1, 5, 2, 50);
    estate_directory(&s, 2, 5, 2, 60);
    estate_directory(&s, 3, 5, 2, 70)->cluster_id = ESTATE_OTHER;
    estate_judge(&s);
    OK(recover_choose(&s.v, "d1", &c, &e), &e);
    cr_assert_str_eq(c->path, "d1");
    cr_assert_eq(recover_choose(&s.v, "d3", &c, &e), RC_REFUSED);
    estate_says(e.why, "it is foreign");
    cr_assert_eq(recover_choose(&s.v, "d9", &c, &e), RC_USAGE);
}

CASE(plan, a_copy_on_another_host)
{
    const struct recover_copy *c = NULL;
    struct recover_copy *far;
    struct err e = { 0 };
    ESTATE s = { 0 };

    far = estate_directory(&s, 1, 3, 2, 50);
    far->statement = mem_str("one.json");
    mem_free(far->host);
    far->host = mem_str("alpha");
    estate_judge(&s);
    cr_assert_eq(recover_choose(&s.v, NULL, &c, &e), RC_USAGE);
    estate_says(e.why, "'d1' on host alpha");
    estate_says(e.hint, "holdfast recover --plan FILE d1");
}

CASE(plan, nothing_sound_is_left)
{
    const struct recover_copy *c = NULL;
    struct recover_copy *bad;
    struct err e = { 0 };
    ESTATE s = { 0 };

    bad = estate_directory(&s, 1, 3, 2, 50);
    bad->ok = bad->startable = false;
    estate_judge(&s);
    cr_assert_eq(recover_choose(&s.v, NULL, &c, &e), RC_CORRUPT);
    estate_says(e.hint, "holdfast snapshot from-data-dir d1 --allow-damaged-wal");
}

/* One that runs without a quorum is stopped by the plan, if it is the one to build on;
 * any other must be stopped, and looked at, first. */
CASE(plan, whoever_runs)
{
    const struct recover_copy *c = NULL;
    struct recover_copy *survivor;
    struct err e = { 0 };
    ESTATE s = { 0 };

    survivor = estate_directory(&s, 1, 3, 2, 50);
    survivor->in_use = true;
    survivor->startable = false;
    estate_judge(&s);
    OK(recover_choose(&s.v, NULL, &c, &e), &e);
    OK(recover_check_running(&s.v, c, &e), &e);
    estate_clear(&s);
    s = (struct estate){ 0 };

    estate_directory(&s, 1, 5, 2, 50);
    estate_look(&s, 5);
    estate_freeze(&s, 0);
    s.view.items[2].answered = true;
    s.view.items[2].state = CARE_FROZEN;
    estate_judge(&s);
    OK(recover_choose(&s.v, NULL, &c, &e), &e);
    cr_assert_eq(recover_check_running(&s.v, c, &e), RC_REFUSED);
    estate_says(e.why, "m3 of the old cluster still runs, at http://10.0.0.3:2379");
}

/* ---- what it says -------------------------------------------------------------------
 */

CASE(plan, its_ids_are_its_own)
{
    uint64_t first;
    DESK d = { 0 };

    estate_directory(&d.s, 2, 3, 2, 50);
    sit_down(&d);
    OK(make(&d), &d.e);
    cr_assert_eq(d.p.old_cluster, ESTATE_CLUSTER);
    cr_assert_neq(d.p.cluster_id, ESTATE_CLUSTER);
    cr_assert_eq(d.p.members.count, 3);
    cr_assert_eq(d.p.old_count, 3);
    cr_assert_str_eq(recover_plan_first(&d.p)->name, "m2", "the survivor begins");
    cr_assert_neq(recover_plan_member(&d.p, "m3")->id, 0);
    first = d.p.cluster_id;
    sit_down(&d);
    d.w.token = "another";
    OK(make(&d), &d.e);
    cr_assert_neq(d.p.cluster_id, first);
}

CASE(plan, a_cluster_of_one_that_the_others_join)
{
    DESK d = { 0 };

    estate_directory(&d.s, 2, 3, 2, 50);
    sit_down(&d);
    d.w.shape = RECOVER_RE_BOOTSTRAP;
    OK(make(&d), &d.e);
    cr_assert_neq(recover_plan_member(&d.p, "m2")->id, 0);
    cr_assert_eq(recover_plan_member(&d.p, "m1")->id, 0, "the cluster will choose it");
    cr_assert(recover_plan_builds(&d.p, "m2") && !recover_plan_builds(&d.p, "m3"));
}

CASE(plan, who_begins)
{
    DESK d = { 0 };

    estate_directory(&d.s, 2, 3, 2, 50);
    sit_down(&d);
    d.w.here = "m1";
    OK(make(&d), &d.e);
    cr_assert_str_eq(recover_plan_first(&d.p)->name, "m1", "where the plan lies");
    sit_down(&d);
    d.w.here = "elsewhere";
    OK(make(&d), &d.e);
    cr_assert_str_eq(recover_plan_first(&d.p)->name, "m2", "the survivor's");
    sit_down(&d);
    d.w.here = "m1";
    d.w.first = "m3";
    OK(make(&d), &d.e);
    cr_assert_str_eq(recover_plan_first(&d.p)->name, "m3");
    cr_assert_str_eq(d.p.members.items[d.p.order[1]].name, "m1");
    sit_down(&d);
    d.w.first = "m7";
    cr_assert_eq(make(&d), RC_USAGE);
    sit_down(&d);
    d.w.members = NULL; /* the estate's members have no peer URLs */
    cr_assert_eq(make(&d), RC_USAGE);
    estate_says(d.e.hint, "--members");
}

CASE(plan, a_survivor_that_runs_is_for_one_host_only)
{
    DESK d = { 0 };

    estate_directory(&d.s, 2, 3, 2, 50)->in_use = true;
    sit_down(&d);
    cr_assert_eq(make(&d), RC_REFUSED);
    estate_says(d.e.hint, "--shape re-bootstrap");
    d.w.shape = RECOVER_RE_BOOTSTRAP;
    OK(make(&d), &d.e);
    cr_assert(d.p.source.live);
}

/* ---- the revision -------------------------------------------------------------------
 */

CASE(plan, the_revision_goes_up_under_kubernetes)
{
    DESK d = { 0 };

    estate_directory(&d.s, 1, 3, 2, 50);
    sit_down(&d);
    OK(make(&d), &d.e);
    cr_assert_eq(d.p.bump.revision, 40);
    sit_down(&d);
    d.source.kubernetes = true;
    OK(make(&d), &d.e);
    cr_assert_eq(d.p.bump.revision, 1000000040);
    cr_assert(d.p.bump.mark_compacted);
    sit_down(&d);
    d.w.bump = RESTORE_BUMP_BY;
    d.source.kubernetes = true;
    OK(make(&d), &d.e);
    cr_assert_eq(d.p.bump.revision, 40, "turned off");
}

/* A damaged copy that went further, a backup, an operator who knows: all have seen
 * revisions that must not be used again. */
CASE(plan, past_everything_that_was_seen)
{
    struct recover_copy *further;
    DESK d = { 0 };

    estate_directory(&d.s, 1, 5, 2, 50);
    further = estate_directory(&d.s, 2, 5, 2, 90);
    further->ok = further->startable = false;
    sit_down(&d);
    OK(make(&d), &d.e);
    cr_assert_eq(d.p.high_water, 80);
    cr_assert_gt(d.p.bump.revision, 80);
    cr_assert(d.p.bump.mark_compacted);
    estate_says(d.p.lost.items[0], "revisions 41 to 80 are known to have been");
    sit_down(&d);
    d.w.high_water = 5000;
    OK(make(&d), &d.e);
    cr_assert_eq(d.p.high_water, 5000);
    cr_assert_gt(d.p.bump.revision, 5000);
}

/* What is lost cannot be known as long as a majority may have had more. */
CASE(plan, what_may_be_lost)
{
    for (size_t left = 1; left <= 2; left++) {
        DESK d = { 0 };

        for (size_t i = 0; i < left; i++)
            estate_directory(&d.s, i + 1, 5, 2, 50);
        sit_down(&d);
        OK(make(&d), &d.e);
        cr_assert_eq(d.p.lost.count, 1);
        estate_says(d.p.lost.items[0], left == 1 ? "4 of 5 voters" : "3 of 5 voters");
    }
    DESK d = { 0 };

    estate_snapshot(&d.s, 3, 2, 50);
    sit_down(&d);
    OK(make(&d), &d.e);
    estate_says(d.p.lost.items[0], "after the snapshot was taken");
}

/* It has a copy here, whether or not it answers. */
CASE(plan, a_survivor_that_runs_is_not_among_the_lost)
{
    for (int answers = 0; answers < 2; answers++) {
        DESK d = { 0 };

        estate_directory(&d.s, 3, 3, 2, 50)->in_use = true;
        if (answers) {
            estate_look(&d.s, 3);
            estate_freeze(&d.s, 0);
        }
        sit_down(&d);
        d.w.shape = RECOVER_RE_BOOTSTRAP;
        OK(make(&d), &d.e);
        estate_says(d.p.lost.items[0], "(2 of 3 voters)");
    }
}

/* Without its database no etcd starts on it, and its log has all of it. */
CASE(plan, what_does_not_start_is_not_lost)
{
    DESK d = { 0 };

    estate_directory(&d.s, 1, 1, 2, 50)->startable = false;
    sit_down(&d);
    OK(make(&d), &d.e);
    cr_assert_eq(d.p.lost.count, 0);
}

/* ---- the steps ----------------------------------------------------------------------
 */

/* "m2:stop m2:build ..." */
static const char *steps_of(struct desk *d)
{
    AT_END(recover_steps_clear) struct recover_steps s = { 0 };
    static char text[2000];
    size_t used = 0;

    OK(recover_steps_make(&d->p, "plan.json", &s, &d->e), &d->e);
    text[0] = '\0';
    for (size_t i = 0; i < s.count; i++) {
        const struct recover_step *one = &s.items[i];

        cr_assert(one->action[0] != '\0' && one->command[0] != '\0' &&
                      one->check[0] != '\0' && one->undo[0] != '\0',
                  "step %zu says nothing", i + 1);
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s:%s",
                                 used == 0 ? "" : " ", one->host,
                                 recover_step_name(one->kind));
    }
    return text;
}

#define BUILDS(m) m ":stop " m ":build " m ":aside " m ":publish " m ":start " m ":check"
#define JOINS(m) m ":bring " m ":stop " m ":aside " m ":join " m ":check"

CASE(plan, steps_by_host)
{
    DESK d = { 0 };

    estate_directory(&d.s, 2, 3, 2, 50);
    sit_down(&d);
    OK(make(&d), &d.e);
    cr_assert_str_eq(steps_of(&d),
                     BUILDS("m2") " m1:bring " BUILDS("m1") " m3:bring " BUILDS("m3"));
    sit_down(&d);
    d.w.shape = RECOVER_RE_BOOTSTRAP;
    d.source.live = true;
    OK(make(&d), &d.e);
    cr_assert_str_eq(steps_of(&d), "m2:stop m2:export m2:build m2:aside m2:publish "
                                   "m2:start m2:check " JOINS("m1") " " JOINS("m3"));
}

CASE(plan, distributions_are_reset_by_their_own_commands)
{
    static const enum host_layout layouts[] = { HOST_K3S, HOST_RKE2 };

    for (size_t i = 0; i < 2; i++) {
        AT_END(recover_steps_clear) struct recover_steps s = { 0 };
        bool reset = false;
        DESK d = { 0 };

        estate_directory(&d.s, 1, 3, 2, 50);
        sit_down(&d);
        d.w.layout = layouts[i];
        OK(make(&d), &d.e);
        OK(recover_steps_make(&d.p, "plan.json", &s, &d.e), &d.e);
        for (size_t k = 0; k < s.count; k++) {
            reset = reset || strstr(s.items[k].command, "--cluster-reset") != NULL;
            cr_assert_neq(s.items[k].kind, RECOVER_STEP_PUBLISH);
        }
        cr_assert(reset);
    }
}

CASE(plan, kubernetes_needs_more)
{
    static const enum host_layout layouts[] = { HOST_STATIC_POD, HOST_K3S, HOST_RKE2 };
    DESK d = { 0 };

    estate_directory(&d.s, 1, 3, 2, 50)->kubernetes = true;
    sit_down(&d);
    d.w.layout = HOST_STATIC_POD;
    OK(make(&d), &d.e);
    estate_says(steps_of(&d), "m1:after");
    for (size_t i = 0; i < 3; i++) {
        size_t count = 0;
        const struct recover_chore *chores = recover_chores(layouts[i], &count);

        cr_assert_geq(count, 5);
        for (size_t k = 0; k < count; k++)
            cr_assert(chores[k].what[0] != '\0' && chores[k].command[0] != '\0' &&
                      chores[k].why[0] != '\0');
    }
}

/* ---- the file -----------------------------------------------------------------------
 */

static const char *write_plan(struct desk *d, const char *dir)
{
    AT_END(mem_end) char *text = NULL;
    static char path[512];
    OWNED(json) o = NULL;
    OWNED_FD int fd = -1;

    snprintf(path, sizeof path, "%s", path_in(dir, "plan.json"));
    OK(recover_planfile_json(&d->p, "plan.json", &o, &d->e), &d->e);
    OK(json_render(o, true, &text, &d->e), &d->e);
    OK(os_open(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, 0600, &fd, &d->e), &d->e);
    OK(os_write_full(fd, text, strlen(text), path, &d->e), &d->e);
    return path;
}

static char *text_of(struct recover_plan *p)
{
    struct err e = { 0 };
    OWNED(json) o = NULL;
    char *text = NULL;

    OK(recover_planfile_json(p, "plan.json", &o, &e), &e);
    OK(json_render(o, false, &text, &e), &e);
    return text;
}

CASE(plan, the_same_after_it_was_read)
{
    static const enum recover_shape shapes[] = { RECOVER_ALL_AT_ONCE,
                                                 RECOVER_RE_BOOTSTRAP };

    for (size_t i = 0; i < 2; i++) {
        AT_END(recover_plan_clear) struct recover_plan back = { 0 };
        AT_END(mem_end) char *before = NULL;
        AT_END(mem_end) char *after = NULL;
        DESK d = { 0 };

        estate_directory(&d.s, 2, 3, 2, 50)->kubernetes = true;
        sit_down(&d);
        d.w.shape = shapes[i];
        d.w.wal_dir = "/var/lib/wal";
        OK(make(&d), &d.e);
        OK(recover_planfile_load(write_plan(&d, tmpdir_new()), &back, &d.e), &d.e);
        before = text_of(&d.p);
        after = text_of(&back);
        cr_assert_str_eq(before, after);
    }
}

/* Every digit and letter of it counts. */
CASE(plan, one_that_was_altered_is_refused)
{
    const char *dir = tmpdir_new(), *path;
    AT_END(mem_end) uint8_t *text = NULL;
    unsigned tried = 0;
    DESK d = { 0 };
    size_t n = 0;

    estate_directory(&d.s, 2, 3, 2, 50);
    sit_down(&d);
    OK(make(&d), &d.e);
    path = write_plan(&d, dir);
    OK(os_read_file(path, 1 << 20, &text, &n, &d.e), &d.e);
    for (size_t i = 0; i < n; i += 7) {
        AT_END(recover_plan_clear) struct recover_plan back = { 0 };
        OWNED_FD int fd = -1;
        uint8_t was = text[i];

        if (was < '0' || was > '8')
            continue;
        text[i]++;
        OK(os_open(AT_FDCWD, path, O_WRONLY | O_TRUNC, 0600, &fd, &d.e), &d.e);
        OK(os_write_full(fd, text, n, path, &d.e), &d.e);
        d.e = (struct err){ 0 };
        cr_assert_neq(recover_planfile_load(path, &back, &d.e), RC_OK,
                      "byte %zu of %zu was changed", i, n);
        tried++;
        text[i] = was;
    }
    cr_assert_geq(tried, 50);
}

CASE(plan, one_that_was_cut_is_refused)
{
    const char *dir = tmpdir_new(), *path;
    AT_END(mem_end) uint8_t *text = NULL;
    DESK d = { 0 };
    size_t n = 0;

    estate_directory(&d.s, 2, 3, 2, 50);
    sit_down(&d);
    OK(make(&d), &d.e);
    path = write_plan(&d, dir);
    OK(os_read_file(path, 1 << 20, &text, &n, &d.e), &d.e);
    for (size_t cut = 0; cut < n - 1; cut += 97) {
        AT_END(recover_plan_clear) struct recover_plan back = { 0 };
        OWNED_FD int fd = -1;

        OK(os_open(AT_FDCWD, path, O_WRONLY | O_TRUNC, 0600, &fd, &d.e), &d.e);
        OK(os_write_full(fd, text, cut, path, &d.e), &d.e);
        d.e = (struct err){ 0 };
        cr_assert_eq(recover_planfile_load(path, &back, &d.e), RC_CORRUPT, "%zu", cut);
    }
}

/* One allocation fails; the next time the next. */
static bool fails_at(struct desk *d, unsigned nth)
{
    AT_END(recover_steps_clear) struct recover_steps s = { 0 };
    enum rc rc;
    bool fired;

    sit_down(d);
    fault_arm(FAULT_ALLOC, nth, 0);
    rc = make(d);
    if (rc == RC_OK)
        rc = recover_steps_make(&d->p, "plan.json", &s, &d->e);
    fired = fault_disarm();
    cr_assert_eq(rc, fired ? RC_NOMEM : RC_OK, "%u: %s", nth, d->e.why);
    return fired;
}

CASE(plan, no_memory_at_any_point)
{
    unsigned nth = 1;
    DESK d = { 0 };

    estate_directory(&d.s, 2, 3, 2, 50)->kubernetes = true;
    while (fails_at(&d, nth))
        nth++;
    cr_assert_geq(nth, 100);
}
