/* Ended from outside, politely or not, at any system call: nothing that etcd could start
 * from, no half file under a final name, and the next run puts it right. */
#include "tests/flow/golden.h"
#include "tests/flow/killing.h"
#include "tests/lib/fakeetcd.h"
#include "tests/lib/proc.h"
#include "util/clock.h"

static struct buf snapshot;
static char file[512]; /* the snapshot to restore */

static void set_up(void)
{
    golden_in_memory();
    snapshot = golden_snapshot("3.6");
    snprintf(file, sizeof file, "%s", path_in(tmpdir_new(), "s.db"));
    golden_write(file, snapshot.p, snapshot.n);
}

static void tear_down(void)
{
    buf_clear(&snapshot);
}

#define KILL(name) CASE(kill, name, .init = set_up, .fini = tear_down)

/* ---- restore --------------------------------------------------------------------------
 */

enum way { BESIDE, INSIDE, APART, WAYS }; /* data absent, data empty, a log apart */
static const char *const way_names[WAYS] = { "absent", "empty", "log apart" };

static struct words restore_words(const char *dir, enum way way)
{
    struct words w = { 0 };

    SAY(&w, HOLDFAST_BIN, "restore", file, "--data-dir", path_in(dir, "data"),
        "--bump-revision", "0");
    if (way == APART)
        SAY(&w, "--wal-dir", path_in(dir, "wal"));
    return w;
}

/* Everything but finished work has names that nobody takes for a data directory. */
static bool is_leftover(const char *listing)
{
    return listing[0] == '\0' || strncmp(listing, ".data.holdfast-", 15) == 0 ||
           strncmp(listing, ".wal.holdfast-", 14) == 0 ||
           strncmp(listing, ".holdfast-", 10) == 0;
}

static bool is_restored(const char *dir)
{
    return access(path_in(dir, "data/member"), F_OK) == 0;
}

static void check_interrupted(const char *dir, enum way way, int status, const char *note)
{
    if (is_restored(dir)) {
        golden_check_restored(dir, way == APART, note);
        return;
    }
    cr_assert_neq(status, 0, "%s", note);
    if (way == INSIDE)
        cr_assert(is_leftover(dir_listing(path_in(dir, "data"))), "%s", note);
    else
        cr_assert_neq(access(path_in(dir, "data"), F_OK), 0, "%s", note);
    if (status == KILLED)
        return;
    cr_assert_str_eq(dir_listing(path_in(dir, "data")), "", "%s", note);
    cr_assert_str_eq(dir_listing(dir), way == INSIDE ? "data" : "", "%s", note);
}

/* The same command again: done, or refused because it was done; no leftovers. */
static void check_again(const char *dir, enum way way, const char *note)
{
    bool done = is_restored(dir);
    struct words w = restore_words(dir, way);
    AT_END(proc_end) struct proc p = { 0 };
    struct err e = { 0 };

    cr_assert_eq(killing_run("", "", 0, &w, NULL, &p), done ? 5 : 0,
                 "%s, again: exit %d: %s", note, p.status, p.err);
    golden_check_restored(dir, way == APART, note);
    cr_assert_str_eq(dir_listing(path_in(dir, "data")), "member", "%s", note);
    cr_assert_str_eq(dir_listing(dir), way == APART ? "data wal" : "data", "%s", note);
    OK(os_remove_tree(AT_FDCWD, path_in(dir, "data"), &e), &e);
    OK(os_remove_tree(AT_FDCWD, path_in(dir, "wal"), &e), &e);
}

static const struct hit restore_hits[] = {
    { "openat", 42, 15 }, { "mkdirat", 1, 4 },   { "pwrite64", 1, 3 },
    { "fsync", 1, 8 },    { "fallocate", 1, 1 }, { "renameat2", 1, 1 },
    { "unlinkat", 1, 1 }, { "fchmod", 1, 3 },
};

static void sweep_restore(const struct hit *hit, const char *signal, enum way way)
{
    const char *dir = tmpdir_new();
    unsigned nth = getenv("HOLDFAST_LONG") != NULL ? 1 : hit->from, hits = 0;
    int status = -1;

    for (; status != 0; nth++) {
        struct words w = restore_words(dir, way);
        AT_END(proc_end) struct proc p = { 0 };
        char note[160];

        if (way == INSIDE)
            cr_assert_eq(mkdir(path_in(dir, "data"), 0700), 0);
        status = killing_run(hit->call, signal, nth, &w, NULL, &p);
        snprintf(note, sizeof note, "%s at %s %u, data dir %s: exit %d", signal,
                 hit->call, nth, way_names[way], status);
        cr_assert(status == 0 || status == KILLED || status == TERMINATED ||
                      status == INTERRUPTED,
                  "%s: %s", note, p.err);
        check_interrupted(dir, way, status, note);
        check_again(dir, way, note);
        hits += status != 0;
    }
    cr_assert_geq(hits, hit->least, "%s: only %u", hit->call, hits);
}

KILL(a_restore_killed_anywhere_leaves_nothing_to_start_from)
{
    for (size_t i = 0; i < sizeof restore_hits / sizeof restore_hits[0]; i++)
        sweep_restore(&restore_hits[i], "KILL", BESIDE);
}

KILL(a_restore_into_an_empty_directory_killed_anywhere_too)
{
    for (size_t i = 1; i < sizeof restore_hits / sizeof restore_hits[0]; i++)
        sweep_restore(&restore_hits[i], "KILL", INSIDE);
}

KILL(a_restore_with_a_log_apart_killed_anywhere_too)
{
    for (size_t i = 1; i < sizeof restore_hits / sizeof restore_hits[0]; i++)
        sweep_restore(&restore_hits[i], "KILL", APART);
}

/* At the last calls it may be too late to stop, then it is done. */
KILL(a_restore_told_to_stop_leaves_nothing_at_all)
{
    static const struct hit hits[] = { { "fsync", 1, 4 }, { "pwrite64", 1, 3 } };

    for (int way = 0; way < WAYS; way++)
        for (size_t i = 0; i < sizeof hits / sizeof hits[0]; i++)
            sweep_restore(&hits[i], "TERM", (enum way)way);
}

/* ---- save -----------------------------------------------------------------------------
 */

static struct words save_words(const char *dir, struct fake *f, const char *name)
{
    struct words w = { 0 };

    SAY(&w, HOLDFAST_BIN, "snapshot", "save", path_in(dir, name), "--endpoints",
        fake_endpoint(f), "--allow-same-filesystem");
    return w;
}

static struct fake_script whole_script(void)
{
    return (struct fake_script){
        .db = snapshot.p,
        .db_size = snapshot.n - GOLDEN_TRAILER,
        .revision = 56,
    };
}

/* An unnamed file goes by itself, so nothing is left even by SIGKILL. */
static void sweep_save(struct fake *f, const struct hit *hit, const char *signal)
{
    const char *dir = tmpdir_new();
    unsigned nth = hit->from, hits = 0;
    int status = -1;

    for (; status != 0; nth++) {
        struct words w = save_words(dir, f, "x.db");
        AT_END(proc_end) struct proc p = { 0 };
        char note[160];

        status = killing_run(hit->call, signal, nth, &w, NULL, &p);
        snprintf(note, sizeof note, "%s at %s %u: exit %d", signal, hit->call, nth,
                 status);
        cr_assert(status == 0 || status == KILLED || status == INTERRUPTED, "%s: %s",
                  note, p.err);
        if (status == 0 || dir_listing(dir)[0] != '\0') {
            cr_assert_str_eq(dir_listing(dir), "x.db", "%s", note);
            cr_assert(golden_same(path_in(dir, "x.db"), snapshot), "%s", note);
            unlink(path_in(dir, "x.db"));
        }
        hits += status != 0;
    }
    cr_assert_geq(hits, hit->least, "%s: only %u", hit->call, hits);
}

static const struct hit save_hits[] = {
    { "fsync", 1, 2 },  { "linkat", 1, 1 },   { "pwrite64", 1, 1 },
    { "fchmod", 1, 1 }, { "recvfrom", 1, 8 }, { "fallocate", 1, 1 },
};

KILL(a_save_killed_anywhere_leaves_nothing_or_all)
{
    struct fake_script script = whole_script();
    FAKE f = fake_start(&script);

    for (size_t i = 0; i < sizeof save_hits / sizeof save_hits[0]; i++)
        sweep_save(f, &save_hits[i], "KILL");
}

/* When all bytes have arrived it is too late to stop: then it is done. */
KILL(a_save_told_to_stop_leaves_nothing_or_all)
{
    static const struct hit early = { "recvfrom", 4, 4 };
    struct fake_script script = whole_script();
    FAKE f = fake_start(&script);

    sweep_save(f, &early, "TERM");
}

/* ---- salvage --------------------------------------------------------------------------
 */

/* A lost meta page that the digest proves: nothing is missing, and status 0 is the end.
 */
static int salvage_once(const char *dir, const struct hit *hit, unsigned nth)
{
    struct words w = { 0 };
    AT_END(proc_end) struct proc p = { 0 };

    SAY(&w, HOLDFAST_BIN, "snapshot", "salvage", path_in(dir, "../damaged.db"), "-o",
        path_in(dir, "x.db"), "--allow-same-filesystem");
    killing_run(hit->call, "KILL", nth, &w, NULL, &p);
    cr_assert(p.status == 0 || p.status == KILLED, "%s %u: exit %d: %s", hit->call, nth,
              p.status, p.err);
    return p.status;
}

static void sweep_salvage(const char *dir, const struct hit *hit, struct buf want)
{
    unsigned nth = hit->from, hits = 0;
    int status = -1;

    for (; status != 0; nth++) {
        status = salvage_once(dir, hit, nth);
        if (status == 0 || dir_listing(dir)[0] != '\0') {
            cr_assert_str_eq(dir_listing(dir), "x.db", "%s %u", hit->call, nth);
            cr_assert(golden_same(path_in(dir, "x.db"), want), "%s %u", hit->call, nth);
            unlink(path_in(dir, "x.db"));
        }
        hits += status != 0;
    }
    cr_assert_geq(hits, hit->least, "%s: only %u", hit->call, hits);
}

KILL(a_salvage_killed_anywhere_leaves_nothing_or_all)
{
    static const struct hit hits[] = {
        { "fsync", 1, 2 },  { "linkat", 1, 1 },    { "pwrite64", 1, 1 },
        { "fchmod", 1, 1 }, { "fallocate", 1, 1 },
    };
    const struct hit none = { .call = "" };
    const char *above = tmpdir_new(), *dir = path_in(above, "out");
    char out[512];

    snprintf(out, sizeof out, "%s", dir);
    cr_assert_eq(mkdir(out, 0700), 0);
    memset(snapshot.p, 0, 4096);
    golden_write(path_in(above, "damaged.db"), snapshot.p, snapshot.n);
    cr_assert_eq(salvage_once(out, &none, 0), 0);

    AT_END(buf_clear) struct buf want = golden_file(path_in(out, "x.db"));

    unlink(path_in(out, "x.db"));
    for (size_t i = 0; i < sizeof hits / sizeof hits[0]; i++)
        sweep_salvage(out, &hits[i], want);
}

/* Within two seconds, be it that nothing arrives or that it must not arrive faster. */
static void stop_slow(int signal, const char *name, const char *rate)
{
    static const struct fake_step steps[] = { { .what = FAKE_DATA, .n = 65536 },
                                              { .what = FAKE_STALL } };
    struct fake_script script = whole_script();
    const char *dir = tmpdir_new(), *log = path_in(tmpdir_new(), "log");
    uint64_t asked;
    pid_t pid;

    if (strcmp(rate, "0") == 0) {
        script.steps = steps;
        script.step_count = 2;
    }
    FAKE f = fake_start(&script);
    struct words w = save_words(dir, f, name);

    SAY(&w, "--rate", rate);
    pid = proc_start(log, w.argv);
    for (int i = 0; i < 600 && fake_calls(f, "Maintenance/Snapshot") == 0; i++)
        clock_sleep_ms(50);
    clock_sleep_ms(200);
    asked = clock_ms();
    cr_assert_eq(proc_stop(pid, signal), INTERRUPTED, "signal %d, rate %s", signal, rate);
    cr_assert_lt(clock_ms() - asked, 2000, "signal %d, rate %s", signal, rate);
    cr_assert_str_eq(dir_listing(dir), "", "signal %d, rate %s", signal, rate);
}

KILL(a_slow_save_stops_within_two_seconds)
{
    stop_slow(SIGTERM, "x.db", "0");
    stop_slow(SIGINT, "x.db.zst", "0");
    stop_slow(SIGHUP, "x.db", "0");
    stop_slow(SIGTERM, "x.db", "1000");
}
