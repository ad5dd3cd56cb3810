/* The repository under attack and under crashes. The cluster is a scripted one, so that
 * runs are short; the repository is a directory in memory. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "repo/audit.h"
#include "repo/verify.h"
#include "tests/flow/golden.h"
#include "tests/flow/killing.h"
#include "tests/flow/vault.h"
#include "tests/flow/waiting.h"
#include "tests/lib/fakeetcd.h"
#include "util/clock.h"

static struct buf snapshot;
static struct vault v;
static struct fake *member;

/* What the golden snapshot of 3.6 is, as its member would say (facts.json). */
static struct fake_script whole_script(void)
{
    return (struct fake_script){
        .db = snapshot.p,
        .db_size = snapshot.n - GOLDEN_TRAILER,
        .revision = 56,
        .compact_revision = 21,
        .hash = GOLDEN_HASHKV,
        .version = "3.6.0",
    };
}

static void set_up(void)
{
    struct fake_script script;

    golden_in_memory();
    snapshot = golden_snapshot("3.6");
    script = whole_script();
    member = fake_start(&script);
    vault_make(&v, vault_directory(), NULL);
}

static void tear_down(void)
{
    fake_stop(member);
    buf_clear(&snapshot);
}

#define REPO(name) \
    CASE(repo_faults, name, .init = set_up, .fini = tear_down, .timeout = FLOW_TIMEOUT_S)

static void back_up(void)
{
    VAULT(p, &v, 0, "backup", "--endpoints", fake_endpoint(member));
}

static void shell(const char *script, const char *a, const char *b)
{
    PEER(p, "sh", "-ec", script, "sh", a, b);
}

/* ---- consistency, as a library sees it -------------------------------------------- */

/* Every record genuine and on the chain, every object there and unchanged; how many. */
static size_t check_consistent(const char *note)
{
    AT_END(repo_audit_clear) struct repo_audit a = { 0 };
    OWNED(care_store) state = NULL;
    OWNED(repo) r = NULL;
    struct err e = { 0 };

    OK(care_store_open(v.state, &state, &e), &e);

    const struct repo_options o = { .store = { .url = v.url,
                                               .allow_same_filesystem = true },
                                    .cluster = "prod",
                                    .state = state };

    OK(repo_open(&o, &r, &e), &e);
    OK(repo_audit(r, NULL, 0, &a, &e), &e);
    cr_assert_eq(a.findings.errors, 0, "%s: %s", note, a.findings.items[0].message);
    for (size_t i = 0; i < a.log->count; i++)
        if (chain_is_backup(&a.log->items[i]))
            OK(repo_verify(r, a.log->items[i].record, REPO_LEVEL_STORED, NULL, &e), &e);
    return a.backups;
}

/* Nothing but what belongs there. */
static void check_tidy(const char *note)
{
    char uploads[800];

    snprintf(uploads, sizeof uploads, "%s/prod/uploads", v.url);
    cr_assert_str_eq(dir_listing(uploads), "", "%s: an upload is left", note);
    VAULT(p, &v, 0, "audit", "--json");
    cr_assert_null(strstr(p.out, "object-unnamed"), "%s: %s", note, p.out);
    cr_assert_null(strstr(p.out, "log-unfinished"), "%s: %s", note, p.out);
}

/* A repository and what this host remembers of it, to come back to. */
static char kept[512];

static void keep_base(void)
{
    snprintf(kept, sizeof kept, "%s", tmpdir_new());
    shell("cp -a \"$1\" \"$2/repo\"", v.url, kept);
    shell("cp -a \"$1\" \"$2/state\"", v.state, kept);
}

static void back_to_base(void)
{
    shell("find \"$1\" -mindepth 1 -delete; cp -a \"$2\"/repo/. \"$1\"", v.url, kept);
    shell("find \"$1\" -mindepth 1 -delete; cp -a \"$2\"/state/. \"$1\"", v.state, kept);
}

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

    SAY(&w, HOLDFAST_BIN, "backup", "--endpoints", fake_endpoint(member));
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

        back_to_base();
        status = killing_run(hit->call, "KILL", nth, &w, v.env, &p);
        snprintf(note, sizeof note, "backup killed at %s %u: exit %d", hit->call, nth,
                 status);
        cr_assert(status == 0 || status == KILLED, "%s: %s", note, p.err);
        now = check_consistent(note);
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
    pid_t pid = proc_start(path_in(v.dir, "log"), w.argv);
    char note[80];
    size_t now;

    clock_sleep_ms(whole_ms * part / parts);
    proc_stop(pid, SIGKILL);
    snprintf(note, sizeof note, "backup killed at %u of %u", part, parts);
    now = check_consistent(note);
    cr_assert(now == *have || now == *have + 1, "%s: %zu", note, now);
    *have = now;
}

REPO(a_backup_killed_at_any_time_leaves_none_or_a_whole_one)
{
    unsigned parts = golden_effort(12, 200);
    size_t have = 1;
    uint64_t began;

    vault_putenv(&v);
    began = clock_ms();
    back_up();
    began = clock_ms() - began;
    for (unsigned i = 1; i < parts; i++)
        kill_by_the_clock(i, parts, began, &have);
    back_up();
    check_tidy("after the last backup");
}

REPO(a_backup_killed_anywhere_leaves_none_or_a_whole_one)
{
    back_up();
    keep_base();
    for (size_t i = 0; i < sizeof backup_hits / sizeof backup_hits[0]; i++)
        sweep_backup(&backup_hits[i]);
}

static struct words prune_words(void)
{
    struct words w = { 0 };

    SAY(&w, HOLDFAST_BIN, "prune", "--keep-last", "1", "--protect", "1", "--max-percent",
        "100", "--yes");
    return w;
}

static void sweep_prune(const struct hit *hit)
{
    const struct words w = prune_words();
    unsigned hits = 0;
    int status = -1;

    for (unsigned nth = hit->from; status != 0; nth++) {
        AT_END(proc_end) struct proc p = { 0 };
        AT_END(proc_end) struct proc again = { 0 };
        char note[160];
        size_t now;

        back_to_base();
        status = killing_run(hit->call, "KILL", nth, &w, v.env, &p);
        snprintf(note, sizeof note, "prune killed at %s %u: exit %d", hit->call, nth,
                 status);
        cr_assert(status == 0 || status == KILLED, "%s: %s", note, p.err);
        now = check_consistent(note);
        cr_assert(now == 3 || now == 1, "%s: %zu are left", note, now);
        cr_assert_eq(killing_run("", "", 0, &w, v.env, &again), 0, "%s, again: %s", note,
                     again.err);
        cr_assert_eq(check_consistent(note), 1, "%s", note);
        check_tidy(note);
        hits += status != 0;
    }
    cr_assert_geq(hits, hit->least, "%s: only %u", hit->call, hits);
}

REPO(a_prune_killed_anywhere_is_finished_by_the_next)
{
    static const struct hit hits[] = { { "linkat", 1, 2 }, { "unlinkat", 1, 6 } };

    for (int i = 0; i < 3; i++)
        back_up();
    keep_base();
    for (size_t i = 0; i < sizeof hits / sizeof hits[0]; i++)
        sweep_prune(&hits[i]);
}

/* ---- what a hostile store can do -------------------------------------------------- */

/* Paths in the repository, by the order in which backups were made. */
static const char *object_of(unsigned backup)
{
    static char path[2][1200];
    static unsigned turn;
    char number[16];
    OWNED(json) o = NULL;

    snprintf(number, sizeof number, "%u", backup);
    VAULT(p, &v, 0, "info", number, "--json");
    flow_json(&p, &o);
    turn ^= 1;
    snprintf(path[turn], sizeof path[turn], "%s/%s", v.url, flow_text(o, "key"));
    return path[turn];
}

static const char *record_of(unsigned sequence)
{
    static char path[1200];

    snprintf(path, sizeof path, "%s/prod/records/%012u.json", v.url, sequence);
    return path;
}

static const char flip[] =
    "printf '\\377' | dd of=\"$1\" bs=1 seek=200 conv=notrunc status=none";
static const char cut[] = "truncate -s -1 \"$1\"";
static const char delete[] = "rm \"$1\"";
static const char swap[] = "mv \"$1\" \"$1.x\"; mv \"$2\" \"$1\"; mv \"$1.x\" \"$2\"";

/* After that deed each of the commands, a blank-separated list, ends with exit status 3.
 */
static void noticed(const char *what, const char *deed, const char *a, const char *b,
                    const char *commands)
{
    char first[1200], second[1200];

    snprintf(first, sizeof first, "%s", a);
    snprintf(second, sizeof second, "%s", b);
    shell(deed, first, second);
    if (strstr(commands, "verify") != NULL) {
        VAULT(p, &v, 3, "verify", "--all");
    }
    if (strstr(commands, "audit") != NULL) {
        VAULT(p, &v, 3, "audit");
    }
    if (strstr(commands, "list") != NULL) {
        VAULT(p, &v, 3, "list");
    }
    if (strstr(commands, "backup") != NULL) {
        VAULT(p, &v, 3, "backup", "--endpoints", fake_endpoint(member));
    }
    cr_log_info("%s: noticed", what);
    back_to_base();
}

static void make_three(void)
{
    for (int i = 0; i < 3; i++)
        back_up();
    keep_base();
}

REPO(whatever_is_done_to_an_object_is_noticed)
{
    make_three();
    noticed("a flipped byte", flip, object_of(2), "", "verify");
    noticed("a byte less", cut, object_of(1), "", "verify audit");
    noticed("gone", delete, object_of(3), "", "verify audit");
    noticed("two of them swapped", swap, object_of(1), object_of(2), "verify");
    VAULT(p, &v, 0, "verify", "--all");
}

REPO(whatever_is_done_to_the_log_is_noticed)
{
    make_three();
    noticed("an altered record", "sed -i s/56/57/ \"$1\"", record_of(2), "",
            "audit list backup verify");
    noticed("a record less", delete, record_of(2), "", "audit list backup");
    noticed("the newest hidden", delete, record_of(3), "", "audit list backup");
    noticed("a signature less", "rm \"$1\"/prod/records/000000000002.*.minisig", v.url,
            "", "audit list backup");
    noticed("another holdfast.json", "sed -i s/false/true/ \"$1\"/holdfast.json", v.url,
            "", "audit list backup verify");
    noticed("all of it", "rm -r \"$1\"/prod", v.url, "", "audit list backup");
    VAULT(p, &v, 0, "audit");
}

/* A host that never saw the newer state cannot know, and says so. */
REPO(a_rollback_is_known_where_it_was_seen)
{
    char mark[200];
    OWNED(json) o = NULL;

    back_up();
    keep_base();
    back_up();
    VAULT(before, &v, 0, "audit", "--json");
    flow_json(&before, &o);
    snprintf(mark, sizeof mark, "%s", flow_text(o, "head"));
    shell("find \"$1\" -mindepth 1 -delete; cp -a \"$2\"/repo/. \"$1\"", v.url, kept);
    VAULT(here, &v, 3, "audit");
    vault_forget(&v);
    VAULT(elsewhere, &v, 0, "audit", "--json");
    cr_assert_not_null(strstr(elsewhere.out, "unknown-head"));
    VAULT(told, &v, 3, "audit", "--mark", mark);
}

REPO(another_repository_in_its_place_is_not_believed)
{
    struct vault other;

    make_three();
    vault_make(&other, vault_directory(), NULL);
    shell("find \"$1\" -mindepth 1 -delete; cp -a \"$2\"/. \"$1\"", v.url, other.url);
    VAULT(list, &v, 3, "list");
    VAULT(backup, &v, 3, "backup", "--endpoints", fake_endpoint(member));
    shell("find \"$1\" -mindepth 1 -delete", v.url, "");
    VAULT(gone, &v, 10, "backup", "--endpoints", fake_endpoint(member));
}

REPO(a_bad_newest_backup_is_walked_back_from)
{
    const char *file = path_in(v.dir, "x.db");

    make_three();
    shell(flip, object_of(3), "");
    VAULT(p, &v, 0, "fetch", "latest", "-o", file, "-i", v.key);
    cr_assert_not_null(strstr(p.err, "going back to backup 2"), "%s", p.err);
    cr_assert(golden_same(file, snapshot));
    VAULT(named, &v, 3, "fetch", "3", "-o", path_in(v.dir, "y.db"), "-i", v.key);
    VAULT(nokey, &v, 12, "fetch", "2", "-o", path_in(v.dir, "y.db"));
    cr_assert_neq(access(path_in(v.dir, "y.db"), F_OK), 0);
}

/* ---- jobs at the same time -------------------------------------------------------- */

REPO(of_two_backups_at_once_one_works)
{
    static const struct fake_step steps[] = { FAKE_DO(FAKE_DATA, 65536),
                                              FAKE_DO(FAKE_NAP, 3000),
                                              FAKE_DO(FAKE_REST, 0),
                                              FAKE_DO(FAKE_TRAILER, 0) };
    struct fake_script script = whole_script();
    char uploads[800];
    pid_t first;

    script.steps = steps;
    script.step_count = sizeof steps / sizeof *steps;

    FAKE slow = fake_start(&script);

    snprintf(uploads, sizeof uploads, "%s/prod/uploads", v.url);
    vault_putenv(&v);
    first = proc_start(path_in(v.dir, "log"),
                       (const char *const[]){ HOLDFAST_BIN, "backup", "--endpoints",
                                              fake_endpoint(slow), NULL });
    while (proc_runs(first) && fake_calls(slow, "Maintenance/Snapshot") == 0)
        clock_sleep_ms(20);
    VAULT(p, &v, 11, "backup", "--endpoints", fake_endpoint(member));
    VAULT(w, &v, 0, "backup", "--endpoints", fake_endpoint(member), "--wait", "60s");
    cr_assert_eq(check_consistent("two at once"), 2);
    proc_stop(first, SIGTERM);
    check_tidy("two at once");
}

/* ---- the index, and a copy -------------------------------------------------------- */

static char *output_of(const char *const argv[])
{
    AT_END(proc_end) struct proc p = { 0 };

    vault_run(&p, &v, 0, argv);
    return mem_str(p.out);
}
#define OUTPUT(...) output_of((const char *const[]){ HOLDFAST_BIN, __VA_ARGS__, NULL })

REPO(the_index_is_made_again_to_the_byte)
{
    make_three();
    VAULT(tag, &v, 0, "tag", "2", "before-upgrade");

    AT_END(mem_end) char *store = OUTPUT("list", "--json");
    AT_END(mem_end) char *known = OUTPUT("list", "--json", "--remembered");

    cr_assert_str_eq(store, known);
    cr_assert_not_null(strstr(store, "before-upgrade"));
    shell("rm -f \"$1\"/catalog.sqlite*", v.state, "");
    VAULT(rebuild, &v, 0, "catalog", "rebuild");

    AT_END(mem_end) char *again = OUTPUT("list", "--json", "--remembered");

    cr_assert_str_eq(store, again);
}

REPO(a_copy_is_verified_by_the_same_key_and_outlives_a_prune)
{
    char second[512];
    const struct words prune = prune_words();
    AT_END(proc_end) struct proc p = { 0 };

    make_three();
    snprintf(second, sizeof second, "%s", vault_directory());
    VAULT(copy, &v, 0, "copy", "--to", second);
    cr_assert_eq(killing_run("", "", 0, &prune, v.env, &p), 0, "%s", p.err);
    back_up();
    VAULT(more, &v, 0, "copy", "--to", second);
    VAULT(here, &v, 0, "verify", "--all");
    cr_assert_eq(vault_count(&v), 2);
    snprintf(v.url, sizeof v.url, "%s", second);
    vault_set(&v, "HOLDFAST_REPO", second);
    VAULT(there, &v, 0, "verify", "--all");
    VAULT(audit, &v, 0, "audit");
    PEER(objects, "sh", "-c", "test $(find \"$1\"/prod/backups -type f | wc -l) = 4",
         "sh", second);
}

/* ---- another cluster -------------------------------------------------------------- */

REPO(another_cluster_under_the_same_name_is_refused)
{
    struct fake_script script = whole_script();

    back_up();
    script.cluster_id = 0xc2;

    FAKE other = fake_start(&script);

    VAULT(p, &v, 5, "backup", "--endpoints", fake_endpoint(other));
    cr_assert_not_null(strstr(p.err, "--accept-cluster c2"), "%s", p.err);
    VAULT(q, &v, 0, "backup", "--endpoints", fake_endpoint(other), "--accept-cluster",
          "c2");
}

REPO(a_backup_that_the_voters_contradict_is_kept_and_marked)
{
    struct fake_script script = whole_script();
    OWNED(json) o = NULL;
    bool proved = true;

    script.hash = 1;

    FAKE odd = fake_start(&script);

    VAULT(p, &v, 8, "backup", "--endpoints", fake_endpoint(odd), "--json");
    flow_json(&p, &o);
    cr_assert(json_get_bool(o, "proved", &proved) && !proved);
    cr_assert_eq(vault_count(&v), 1);
    VAULT(q, &v, 0, "verify", "1", "--level", "full", "-i", v.key);
}

REPO(a_backup_for_other_recipients_is_refused)
{
    const char *other = flow_keygen(tmpdir_new());

    VAULT(one, &v, 5, "backup", "--endpoints", fake_endpoint(member), "-r", other);
    cr_assert_eq(vault_count(&v), 0);
    VAULT(said, &v, 0, "backup", "--endpoints", fake_endpoint(member), "-r", other,
          "--allow-other-recipients");
}

REPO(a_backup_told_to_stop_leaves_none)
{
    static const struct fake_step steps[] = { FAKE_DO(FAKE_DATA, 65536),
                                              FAKE_DO(FAKE_STALL, 0) };
    struct fake_script script = whole_script();
    uint64_t asked;
    pid_t pid;

    script.steps = steps;
    script.step_count = sizeof steps / sizeof *steps;

    FAKE stalled = fake_start(&script);

    vault_putenv(&v);
    pid = proc_start(path_in(v.dir, "log"),
                     (const char *const[]){ HOLDFAST_BIN, "backup", "--endpoints",
                                            fake_endpoint(stalled), NULL });
    while (proc_runs(pid) && fake_calls(stalled, "Maintenance/Snapshot") == 0)
        clock_sleep_ms(20);
    asked = clock_ms();
    cr_assert_eq(proc_stop(pid, SIGTERM), INTERRUPTED);
    cr_assert_lt(clock_ms() - asked, 5000);
    cr_assert_eq(vault_count(&v), 0);
    back_up();
    check_tidy("after a stop");
}

REPO(nothing_is_stored_when_nothing_was_written)
{
    OWNED(json) o = NULL;
    bool skipped = false;

    back_up();
    VAULT(p, &v, 0, "backup", "--endpoints", fake_endpoint(member), "--skip-unchanged",
          "--json");
    flow_json(&p, &o);
    cr_assert(json_get_bool(o, "skipped", &skipped) && skipped);
    cr_assert_eq(vault_count(&v), 1);
    shell(delete, object_of(1), "");
    VAULT(again, &v, 0, "backup", "--endpoints", fake_endpoint(member),
          "--skip-unchanged");
    cr_assert_eq(vault_count(&v), 2, "the object was gone");
}
