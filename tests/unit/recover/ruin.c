#include "tests/unit/recover/ruin.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "datadir/save.h"
#include "recover/survey.h"
#include "snapshot/verify.h"
#include "tests/unit/datadir/den.h"
#include "util/mem.h"

/* ---- hands --------------------------------------------------------------------------
 */

static enum rc running(void *arg, bool *out, struct err *e)
{
    struct ruin *r = arg;

    (void)e;
    *out = r->running;
    return RC_OK;
}

static enum rc stop(void *arg, struct err *e)
{
    struct ruin *r = arg;

    (void)e;
    r->stops++;
    r->running = false;
    return RC_OK;
}

static enum rc start(void *arg, bool *by_hand, struct err *e)
{
    struct ruin *r = arg;

    (void)e;
    r->starts++;
    *by_hand = r->by_hand;
    r->running = !r->by_hand;
    return RC_OK;
}

static enum rc join(void *arg, bool *by_hand, struct err *e)
{
    struct ruin *r = arg;

    r->joins++;
    return start(arg, by_hand, e);
}

static enum rc look(void *arg, bool revisions, struct recover_sightings *out,
                    struct err *e)
{
    const struct ruin *r = arg;

    (void)revisions;
    TRY(mem_new(&out->items, (r->seen.count + 1) * sizeof *out->items, "sightings", e));
    out->count = r->seen.count;
    for (size_t i = 0; i < r->seen.count; i++)
        out->items[i] = r->seen.items[i];
    return RC_OK;
}

static enum rc check(void *arg, const struct recover_journal *facts,
                     enum recover_health *out, struct err *e)
{
    struct ruin *r = arg;

    (void)facts;
    (void)e;
    r->checks++;
    *out = r->health;
    return RC_OK;
}

/* ---- the ruin -----------------------------------------------------------------------
 */

void ruin_plan(struct ruin *r, enum recover_shape shape, bool live)
{
    struct recover_copy *c = &r->copies.items[0];
    struct recover_seat seats[3] = {
        { .id = c->member_id,
          .name = c->name,
          .voter = true,
          .copy = c,
          .presence = live ? RECOVER_IN_USE : RECOVER_STOPPED },
        { .id = 2, .name = "second", .voter = true, .presence = RECOVER_MISSING },
        { .id = 3, .name = "third", .voter = true, .presence = RECOVER_MISSING },
    };
    struct recover_ranked ranked = { .copy = c, .standing = RECOVER_CANDIDATE };
    const struct recover_verdict v = { .state = RECOVER_LOST,
                                       .cluster_id = c->cluster_id,
                                       .seats = seats,
                                       .seat_count = 3,
                                       .ranked = &ranked,
                                       .ranked_count = 1,
                                       .reference = c,
                                       .best = c,
                                       .now = quorum_of(3, 0) };
    AT_END(recover_source_clear)
    struct recover_source s = { .live = live,
                                .kind = RECOVER_DIRECTORY,
                                .file = mem_str(live ? "" : r->source),
                                .path = mem_str(r->data),
                                .member_name = mem_str(c->name),
                                .member_id = c->member_id,
                                .term_known = true,
                                .term = c->term,
                                .index = c->index,
                                .revision = recover_revision(c) };
    char members[200];

    snprintf(members, sizeof members,
             "%s=http://10.0.0.1:2380,second=http://10.0.0.2:2380,third=http://"
             "10.0.0.3:2380",
             c->name);
    memcpy(s.database, r->plan.source.database, SHA256_SIZE);
    recover_plan_clear(&r->plan);
    OK(recover_plan_make(&(struct recover_wish){ .verdict = &v,
                                                 .chosen = c,
                                                 .source = &s,
                                                 .shape = shape,
                                                 .layout = HOST_PLAIN,
                                                 .members = members,
                                                 .bump = RESTORE_BUMP_AUTO,
                                                 .data_dir = r->data,
                                                 .id = "0123456789abcdef",
                                                 .token = "token" },
                         &r->plan, &r->e),
       &r->e);
    r->job.member = recover_plan_first(&r->plan)->name;
}

static void take_source(struct ruin *r)
{
    AT_END(datadir_saved_clear) struct datadir_saved saved = { 0 };
    AT_END(snap_verdict_clear) struct snap_verdict v = { 0 };
    const struct datadir_save_options o = {
        .from = { .dir = r->data },
        .store = { .file = r->source, .allow_same_filesystem = true },
    };
    const struct snap_verify_options trailer = { .file = r->source,
                                                 .level = SNAP_LEVEL_TRAILER };

    OK(datadir_save(&o, &saved, &r->e), &r->e);
    OK(snap_verify(&trailer, &v, &r->e), &r->e);
    memcpy(r->plan.source.database, v.trailer.database, SHA256_SIZE);
}

void ruin_make(struct ruin *r)
{
    DEN den;

    if (access("/dev/shm", W_OK) == 0) /* thousands of fsyncs would be most of the time */
        setenv("TMPDIR", "/dev/shm", 1);
    den_golden(&den, "3.6");
    *r = (struct ruin){ .dir = tmpdir_new(), .health = RECOVER_HEALTH_WAITS };
    snprintf(r->data, sizeof r->data, "%s", path_in(r->dir, "data"));
    snprintf(r->source, sizeof r->source, "%s", path_in(r->dir, "source.db"));
    cr_assert_eq(renameat(AT_FDCWD, den.dir, AT_FDCWD, r->data), 0);
    OK(recover_survey_directory(&r->copies, r->data, NULL, &r->e), &r->e);
    take_source(r);
    ruin_plan(r, RECOVER_ALL_AT_ONCE, false);
    r->job.plan = &r->plan;
    r->job.data_dir = r->data;
    r->job.hands = (struct recover_hands){ .running = running,
                                           .stop = stop,
                                           .start = start,
                                           .look = look,
                                           .join = join,
                                           .check = check,
                                           .arg = r };
}

void ruin_clear(struct ruin *r)
{
    recover_outcome_clear(&r->out);
    recover_plan_clear(&r->plan);
    recover_copies_clear(&r->copies);
}

enum rc ruin_apply(struct ruin *r)
{
    recover_outcome_clear(&r->out);
    r->e = (struct err){ 0 };
    return recover_apply(&r->job, &r->out, &r->e);
}

enum rc ruin_back(struct ruin *r)
{
    recover_outcome_clear(&r->out);
    r->e = (struct err){ 0 };
    return recover_rollback(&r->job, &r->out, &r->e);
}

/* ---- looking ------------------------------------------------------------------------
 */

const char *ruin_aside(const struct ruin *r)
{
    static char path[600];

    snprintf(path, sizeof path, "%s.before-%s", r->data, r->plan.id);
    return path;
}

/* The cluster tells which one it is, and a survey that it is whole. */
char ruin_is(const struct ruin *r, const char *path)
{
    AT_END(recover_copies_clear) struct recover_copies l = { 0 };
    const struct recover_copy *old = &r->copies.items[0], *c;
    struct err e = { 0 };

    if (!recover_exists(path))
        return '-';
    OK(recover_survey_directory(&l, path, NULL, &e), &e);
    c = &l.items[0];
    if (!c->readable || !c->ok)
        return '?';
    if (c->cluster_id == old->cluster_id && c->index == old->index)
        return 'o';
    return c->cluster_id == r->plan.cluster_id &&
                   recover_revision(c) == r->plan.bump.revision
               ? 'n'
               : '?';
}

void ruin_reset(struct ruin *r)
{
    static const char *const left[] = { ".recovery-0123456789abcdef",
                                        ".recovered-0123456789abcdef" };
    char path[600];

    if (recover_exists(ruin_aside(r))) {
        OK(os_remove_tree(AT_FDCWD, r->data, &r->e), &r->e);
        OK(recover_move(ruin_aside(r), r->data, &r->e), &r->e);
    }
    for (size_t i = 0; i < sizeof left / sizeof *left; i++) {
        snprintf(path, sizeof path, "%s%s", r->data, left[i]);
        OK(os_remove_tree(AT_FDCWD, path, &r->e), &r->e);
    }
    r->running = false;
    r->stops = r->starts = r->joins = r->checks = 0;
}
