/* Killed at any system call, or told that it failed: a backup is whole or none, a prune
 * is finished by the next, and nothing is left lying about. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/flow/scene.h"
#include "tests/lib/crash.h"
#include "tests/lib/fault.h"
#include "util/clock.h"

#define REPO(name) SCENE(repo_crash, name)

/* ---- kills ------------------------------------------------------------------------ */

/* strace counts each thread's calls by themselves: these end the main thread, or the one
 * that writes the object in the middle; what is left is ended by the clock. */
static const struct hit backup_hits[] = {
    { "linkat", 1, 2 },   { "renameat", 1, 1 },  { "fsync", 1, 8 },
    { "unlinkat", 1, 1 }, { "fdatasync", 1, 1 },
};

static struct words backup_words(void)
{
    struct words w = { 0 };

    SAY(&w, HOLDFAST_BIN, "backup", "--endpoints", fake_endpoint(scene.member));
    return w;
}

static void sweep_backup(const struct hit *hit)
{
    unsigned hits = 0;
    int status = -1;

    for (unsigned nth = hit->from; status != 0; nth++) {
        const struct words w = backup_words();
        AT_END(proc_end) struct proc p = { 0 };
        char note[160];
        size_t now;

        scene_back();
        status = killing_run(hit->call, "KILL", nth, &w, scene.v.env, &p);
        snprintf(note, sizeof note, "backup killed at %s %u: exit %d", hit->call, nth,
                 status);
        cr_assert(status == 0 || status == KILLED, "%s: %s", note, p.err);
        now = scene_consistent(note);
        cr_assert(now == 2 || (status == KILLED && now == 1), "%s: %zu", note, now);
        hits += status != 0;
    }
    cr_assert_geq(hits, hit->least, "%s: only %u", hit->call, hits);
}

/* At a part of the time that a whole run takes. */
static void kill_by_the_clock(unsigned part, unsigned parts, uint64_t whole_ms,
                              size_t *have)
{
    const struct words w = backup_words();
    pid_t pid = proc_start(path_in(scene.v.dir, "log"), w.argv);
    char note[80];
    size_t now;

    clock_sleep_ms(whole_ms * part / parts);
    proc_stop(pid, SIGKILL);
    snprintf(note, sizeof note, "backup killed at %u of %u", part, parts);
    now = scene_consistent(note);
    cr_assert(now == *have || now == *have + 1, "%s: %zu", note, now);
    *have = now;
}

REPO(a_backup_killed_at_any_time_leaves_none_or_a_whole_one)
{
    unsigned parts = golden_effort(12, 200);
    size_t have = 1;
    uint64_t began;

    vault_putenv(&scene.v);
    began = clock_ms();
    scene_back_up();
    began = clock_ms() - began;
    for (unsigned i = 1; i < parts; i++)
        kill_by_the_clock(i, parts, began, &have);
    scene_back_up();
    scene_tidy("after the last backup");
}

REPO(a_backup_killed_anywhere_leaves_none_or_a_whole_one)
{
    scene_back_up();
    scene_keep();
    for (size_t i = 0; i < sizeof backup_hits / sizeof backup_hits[0]; i++)
        sweep_backup(&backup_hits[i]);
}

/* The thread that writes the object, at each of its calls: the clock finds those only by
 * chance. */
static int back_up_body(void *arg)
{
    struct err e = { 0 };

    (void)arg;
    return scene_back_up_here(&e) == RC_OK ? 0 : 1;
}

static unsigned sweep_writer(bool after)
{
    unsigned nth = 1;

    for (bool killed = true; killed; nth++) {
        char note[80];
        size_t now;

        scene_back();
        killed = crash_run_elsewhere(nth, after, back_up_body, NULL);
        snprintf(note, sizeof note, "killed %s call %u of the writing thread",
                 after ? "after" : "before", nth);
        now = scene_consistent(note);
        cr_assert_eq(now, killed ? 1 : 2, "%s: %zu", note, now);
        scene_back_up();
        cr_assert_eq(scene_consistent(note), now + 1, "%s", note);
    }
    return nth - 2;
}

REPO(a_backup_whose_writer_is_killed_leaves_none)
{
    unsigned kills;

    scene_back_up();
    scene_keep();
    kills = sweep_writer(false);
    cr_assert_geq(kills, 4, "only %u calls", kills);
    cr_assert_eq(sweep_writer(true), kills);
    scene_tidy("after all of them");
}

static void sweep_prune(const struct hit *hit)
{
    const struct words w = scene_prune();
    unsigned hits = 0;
    int status = -1;

    for (unsigned nth = hit->from; status != 0; nth++) {
        AT_END(proc_end) struct proc p = { 0 };
        AT_END(proc_end) struct proc again = { 0 };
        char note[160];
        size_t now;

        scene_back();
        status = killing_run(hit->call, "KILL", nth, &w, scene.v.env, &p);
        snprintf(note, sizeof note, "prune killed at %s %u: exit %d", hit->call, nth,
                 status);
        cr_assert(status == 0 || status == KILLED, "%s: %s", note, p.err);
        now = scene_consistent(note);
        cr_assert(now == 3 || now == 1, "%s: %zu are left", note, now);
        cr_assert_eq(killing_run("", "", 0, &w, scene.v.env, &again), 0, "%s, again: %s",
                     note, again.err);
        cr_assert_eq(scene_consistent(note), 1, "%s", note);
        scene_tidy(note);
        hits += status != 0;
    }
    cr_assert_geq(hits, hit->least, "%s: only %u", hit->call, hits);
}

REPO(a_prune_killed_anywhere_is_finished_by_the_next)
{
    static const struct hit hits[] = { { "linkat", 1, 2 }, { "unlinkat", 1, 6 } };

    for (int i = 0; i < 3; i++)
        scene_back_up();
    scene_keep();
    for (size_t i = 0; i < sizeof hits / sizeof hits[0]; i++)
        sweep_prune(&hits[i]);
}

/* ---- every call that can fail ----------------------------------------------------- */

struct fault {
    enum fault_point point;
    int error;
    const char *name;
    unsigned least;
};

static void sweep_calls(const struct fault *f, size_t *have)
{
    unsigned dense = golden_effort(8, 500), nth;
    bool fired = true;

    for (nth = 1; fired; nth += nth < dense ? 1 : 1 + nth / golden_effort(3, 50)) {
        struct err e = { 0 };
        char note[200];
        size_t now;
        enum rc rc;

        fault_arm(f->point, nth, f->error);
        rc = scene_back_up_here(&e);
        fired = fault_disarm();
        snprintf(note, sizeof note, "%s, call %u: %s: %.80s", f->name, nth, rc_name(rc),
                 e.why);
        cr_assert(fired || rc == RC_OK, "%s without a fault", note);
        cr_assert_neq(rc, RC_INTERNAL, "%s", note);
        now = scene_consistent(note);
        cr_assert(now == *have + 1 || (rc != RC_OK && now == *have), "%s: %zu", note,
                  now);
        *have = now;
    }
    cr_assert_gt(nth, f->least, "%s: only %u calls", f->name, nth);
}

REPO(whichever_call_fails_a_backup_is_whole_or_none)
{
    static const struct fault faults[] = {
        { FAULT_WRITE, ENOSPC, "ENOSPC in write", 4 },
        { FAULT_WRITE, 0, "a short write", 4 },
        { FAULT_FSYNC, EIO, "EIO in fsync", 8 },
        { FAULT_RENAME, ENOSPC, "ENOSPC in the step that publishes", 3 },
        { FAULT_MKDIR, ENOSPC, "ENOSPC in mkdir", 2 },
        { FAULT_READ, EIO, "EIO in read", 4 },
        { FAULT_OPEN, EMFILE, "EMFILE in open", 8 },
        { FAULT_ALLOC, ENOMEM, "no memory", 100 },
    };
    size_t have = 0;

    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        sweep_calls(&faults[i], &have);
    scene_back_up();
    scene_tidy("after all of them");
}
