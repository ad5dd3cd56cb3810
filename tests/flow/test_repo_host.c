/* What a host does to its backups: a disk that fills or fails, a place that is not
 * mounted, links that somebody planted, odd names, any umask, signals, a long sleep. The
 * cluster is a scripted one, the repository a directory in memory. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/flow/scene.h"
#include "tests/flow/waiting.h"
#include "tests/lib/stuck.h"
#include "tests/lib/tmpfs.h"

#define HOST(name) SCENE(repo_host, name)

static struct words backup_words(void)
{
    struct words w = { 0 };

    SAY(&w, HOLDFAST_BIN, "backup", "--endpoints", fake_endpoint(scene.member));
    return w;
}

/* A run that may go wrong, and must say how. */
static int attempt(struct proc *p)
{
    const struct words w = backup_words();

    return killing_inject("", "", 0, &w, scene.v.env, p);
}

/* ---- a disk that fills or fails ------------------------------------------------------
 */

struct failure {
    const char *call, *error;
    unsigned from; /* what comes before is not in the repository */
};

/* A run that fails has made no backup, or was told of it too late to matter. */
static void check_failed(const struct proc *p, const char *note)
{
    size_t now = scene_consistent(note);

    cr_assert(p->status == 0 || p->status == 6, "%s: exit %d: %s", note, p->status,
              p->err);
    cr_assert(now == 2 || (now == 1 && p->status == 6), "%s: %zu: %s", note, now, p->err);
}

static void fail_each(const struct failure *f)
{
    unsigned failed = 0, most = golden_effort(6, 60);
    char how[32], note[100];

    snprintf(how, sizeof how, "error=%s", f->error);
    for (unsigned nth = f->from; nth < f->from + most; nth++) {
        const struct words w = backup_words();
        AT_END(proc_end) struct proc p = { 0 };

        scene_back();
        killing_inject(f->call, how, nth, &w, scene.v.env, &p);
        snprintf(note, sizeof note, "%s at %s %u", f->error, f->call, nth);
        check_failed(&p, note);
        failed += p.status != 0;
    }
    cr_assert_gt(failed, 0, "%s never mattered", f->call);
    scene_back_up();
    scene_tidy(note);
}

HOST(a_disk_that_fills_or_fails_at_any_call_costs_no_backup)
{
    static const struct failure failures[] = {
        { "pwrite64", "ENOSPC", 1 },
        { "linkat", "ENOSPC", 1 },
        { "mkdirat", "EDQUOT", 2 },
        { "fsync", "EIO", 1 },
    };

    scene_back_up();
    scene_keep();
    for (size_t i = 0; i < sizeof failures / sizeof *failures; i++)
        fail_each(&failures[i]);
}

HOST(with_too_few_descriptors_it_fails_and_breaks_nothing)
{
    static const char script[] = "ulimit -n $1; shift; exec \"$@\"";
    unsigned failed = 0;
    bool worked = false;

    for (unsigned most = 4; most < 60 && !worked; most += 4) {
        AT_END(proc_end) struct proc p = { 0 };
        const struct proc_options o = { .env = scene.v.env };
        char number[12];

        snprintf(number, sizeof number, "%u", most);
        proc_run(&p, &o,
                 (const char *const[]){ "sh", "-c", script, "sh", number, HOLDFAST_BIN,
                                        "backup", "--endpoints",
                                        fake_endpoint(scene.member), NULL });
        cr_assert_lt(p.status, 128, "%u: %s", most, p.err);
        worked = p.status == 0;
        failed += !worked;
    }
    cr_assert(worked && failed > 0);
    cr_assert_eq(scene_consistent("few descriptors"), 1);
    scene_back_up();
    scene_tidy("few descriptors");
}

/* ---- a place that is not what it was --------------------------------------------------
 */

HOST(where_nothing_is_mounted_nothing_is_written)
{
    char elsewhere[600];
    AT_END(proc_end) struct proc p = { 0 };

    scene_back_up();
    snprintf(elsewhere, sizeof elsewhere, "%s/mounted", tmpdir_new());
    scene_shell("mv \"$1\" \"$2\"; mkdir -m 700 \"$1\"", scene.v.url, elsewhere);
    cr_assert_eq(attempt(&p), 10, "%s", p.err);
    VAULT(prune, &scene.v, 10, "prune", "--keep-last", "1", "--yes");
    VAULT(audit, &scene.v, 10, "audit");
    cr_assert_str_eq(dir_listing(scene.v.url), "");
    scene_shell("rmdir \"$1\"; mv \"$2\" \"$1\"", scene.v.url, elsewhere);
    scene_back_up();
    cr_assert_eq(scene_consistent("mounted again"), 2);
}

HOST(what_is_read_only_is_told)
{
    AT_END(proc_end) struct proc p = { 0 };
    char inside[VAULT_TEXT + 8];

    if (!tmpfs_mount(scene.v.url, "size=256m"))
        return;
    snprintf(inside, sizeof inside, "%s/repo", scene.v.url);
    cr_assert_eq(mkdir(inside, 0700), 0);
    vault_forget(&scene.v);
    vault_set(&scene.v, "HOLDFAST_REPO", inside);
    VAULT(init, &scene.v, 0, "repo", "init", inside);
    scene_back_up();
    PEER(ro, "mount", "-o", "remount,ro", scene.v.url);
    cr_assert_eq(attempt(&p), 6, "%d: %s", p.status, p.err);
    VAULT(list, &scene.v, 0, "list");
    VAULT(verify, &scene.v, 0, "verify", "--all");
    tmpfs_unmount(scene.v.url);
}

/* ---- planted links
 * --------------------------------------------------------------------- */

/* A part of the repository is now a link to a copy of it that belongs to somebody else.
 */
static void plant(const char *part)
{
    AT_END(proc_end) struct proc p = { 0 };
    char at[800], victim[700];

    scene_back();
    snprintf(at, sizeof at, "%s/%s", scene.v.url, part);
    snprintf(victim, sizeof victim, "%s", tmpdir_new());
    scene_shell("cp -a \"$1\" \"$2/kept\"; mv \"$1\" \"$2/copy\"; ln -s \"$2/copy\" "
                "\"$1\"",
                at, victim);
    attempt(&p);
    cr_assert(p.status > 0 && p.status < 20, "%s: exit %d", part, p.status);
    scene_shell("diff -r \"$2/kept\" \"$2/copy\"", at, victim);
}

HOST(a_planted_link_is_never_followed)
{
    static const char *const parts[] = {
        "prod",         "prod/records", "prod/backups",
        "prod/uploads", "prod/lock",    "holdfast.json"
    };

    scene_back_up();
    scene_shell("mkdir -p \"$1/prod/uploads\"", scene.v.url, "");
    scene_keep();
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        plant(parts[i]);
    scene_back();
    scene_back_up();
    cr_assert_eq(scene_consistent("after the links"), 2);
}

HOST(links_that_come_and_go_take_nothing_elsewhere)
{
    static const char attack[] =
        "cd \"$1\"; while :; do for d in uploads backups; do mv prod/$d prod/x$d && ln "
        "-s "
        "\"$2\" prod/$d; rm -f prod/$d; mv prod/xx$d prod/$d; mv -T prod/x$d prod/$d; "
        "done; done 2> \"$3\"";
    const char *victim = tmpdir_new();
    pid_t attacker;

    scene_back_up();
    scene_keep();
    attacker = proc_start(path_in(scene.v.dir, "attack"),
                          (const char *const[]){ "sh", "-c", attack, "sh", scene.v.url,
                                                 victim, "/dev/null", NULL });
    for (unsigned i = 0; i < golden_effort(4, 60); i++) {
        AT_END(proc_end) struct proc p = { 0 };

        cr_assert_lt(attempt(&p), 128, "%s", p.err);
        cr_assert_str_eq(dir_listing(victim), "");
    }
    cr_assert(proc_runs(attacker));
    proc_stop(attacker, SIGKILL);
    scene_back();
    scene_back_up();
    cr_assert_eq(scene_consistent("after the attack"), 2);
}

/* ---- names and modes
 * ------------------------------------------------------------------- */

static void all_of_it(void)
{
    scene_back_up();
    scene_back_up();
    cr_assert_eq(vault_count(&scene.v), 2);
    const struct words prune = scene_prune();
    AT_END(proc_end) struct proc p = { 0 };

    cr_assert_eq(killing_run("", "", 0, &prune, scene.v.env, &p), 0, "%s", p.err);
    VAULT(verify, &scene.v, 0, "verify", "--all");
    VAULT(audit, &scene.v, 0, "audit");
    cr_assert_null(strchr(verify.out, '\033'));
    cr_assert_null(strchr(verify.err, '\033'));
}

HOST(what_is_made_is_private_under_any_umask)
{
    static const mode_t masks[] = { 0, 0777, 0022 };
    static const char odd[] = "find \"$1\" \"$2\" -mindepth 1 '(' -type d -not -perm 700 "
                              "-o -type f -not -perm 600 -not -name '*.pub' ')' -print "
                              "| (! grep .)";

    for (size_t i = 0; i < sizeof masks / sizeof *masks; i++) {
        vault_plan(&scene.v, vault_directory(), NULL);
        umask(masks[i]);
        VAULT(init, &scene.v, 0, "repo", "init", scene.v.url);
        all_of_it();
        umask(077);
        scene_shell(odd, scene.v.url, scene.v.state);
    }
}

HOST(odd_names_are_names)
{
    static const char *const places[] = { "-rf a b\n%s%n%d\033[2J\033]0;x\a",
                                          "\xff\xfe$(touch x)`id`;'\"" };

    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        char place[600];

        snprintf(place, sizeof place, "%s/%s", vault_directory(), places[i]);
        cr_assert_eq(mkdir(place, 0700), 0);
        vault_plan(&scene.v, place, NULL);
        VAULT(init, &scene.v, 0, "repo", "init", place);
        cr_assert_null(strchr(init.out, '\033'), "%s", init.out);
        all_of_it();
        VAULT(missing, &scene.v, 10, "info", "7");
        cr_assert_null(strchr(missing.err, '\033'), "%s", missing.err);
    }
}

/* ---- signals and sleep
 * ----------------------------------------------------------------- */

/* A member that says nothing for long in the middle of its database. */
static struct fake *slow_member(unsigned ms)
{
    static struct fake_step steps[4];
    struct fake_script script = scene_script();

    steps[0] = (struct fake_step)FAKE_DO(FAKE_DATA, 65536);
    steps[1] = (struct fake_step)FAKE_DO(FAKE_NAP, ms);
    steps[2] = (struct fake_step)FAKE_DO(FAKE_REST, 0);
    steps[3] = (struct fake_step)FAKE_DO(FAKE_TRAILER, 0);
    script.steps = steps;
    script.step_count = sizeof steps / sizeof *steps;
    return fake_start(&script);
}

static void begin_at(struct waiting *w, struct fake *slow)
{
    vault_putenv(&scene.v);
    waiting_begin(w, scene.v.dir,
                  (const char *const[]){ HOLDFAST_BIN, "backup", "--endpoints",
                                         fake_endpoint(slow), NULL });
    while (proc_runs(w->pid) && fake_calls(slow, "Maintenance/Snapshot") == 0)
        usleep(20000);
    cr_assert(proc_runs(w->pid), "%s", waiting_text(w));
}

HOST(a_backup_that_is_told_to_stop_leaves_nothing)
{
    static const int signals[] = { SIGTERM, SIGINT, SIGHUP };

    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        FAKE slow = slow_member(600000);
        struct waiting w = { 0 };

        begin_at(&w, slow);
        kill(w.pid, signals[i]);
        waiting_ends(&w, 130);
        cr_assert_eq(scene_consistent("stopped"), 0);
        scene_tidy("stopped");
    }
    scene_back_up();
}

/* It slept, the lock went to another one, and it wakes up. */
HOST(who_wakes_up_without_the_lock_writes_nothing)
{
    FAKE slow = slow_member(300);
    struct waiting w = { 0 };

    begin_at(&w, slow);
    kill(w.pid, SIGSTOP);
    scene_shell("rm \"$1/prod/lock\"", scene.v.url, "");
    scene_back_up();
    kill(w.pid, SIGCONT);
    waiting_ends(&w, 11);
    cr_assert_eq(scene_consistent("woken"), 1);
    scene_back_up();
    scene_tidy("woken");
}

/* ---- who reads is stuck ---------------------------------------------------------------
 */

/* `script` runs "$@" with its streams where it likes; /dev/fd/200 is a pipe that is
 * full. */
enum { STUCK = 200 };
#define PIPE "/dev/fd/200"

static void run_stuck(struct proc *p, const char *script, const char *const command[])
{
    AT_END(stuck_end) struct stuck pipe = stuck_pipe();
    const struct proc_options o = { .env = scene.v.env, .timeout_s = 60 };
    struct words w = { 0 };

    cr_assert_eq(dup2(pipe.writer, STUCK), STUCK);
    SAY(&w, "sh", "-c", script, "sh", HOLDFAST_BIN);
    words_add(&w, command);
    proc_run(p, &o, w.argv);
    close(STUCK);
}

HOST(a_good_backup_is_good_whoever_does_not_read)
{
    static const char *const scripts[] = {
        "exec \"$@\" 2>" PIPE,           /* a log that hangs */
        "exec \"$@\" >" PIPE " 2>" PIPE, /* all of it */
        "exec \"$@\" >/dev/full 2>&1" /* a log without room */,
        "\"$@\" 2>&1 >/dev/null | :" /* who read the log has left: no SIGPIPE */,
    };
    const char *const command[] = { "backup", "--endpoints", fake_endpoint(scene.member),
                                    NULL };

    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
        AT_END(proc_end) struct proc p = { 0 };

        run_stuck(&p, scripts[i], command);
        cr_assert_eq(p.status, 0, "%s: %d: %s", scripts[i], p.status, p.err);
        cr_assert_eq(scene_consistent(scripts[i]), i + 1, "%s", scripts[i]);
        scene_tidy(scripts[i]);
    }
}

/* An agent whose journal hangs. */
HOST(an_agent_works_on_whoever_does_not_read)
{
    const char *config = path_in(scene.v.dir, "agent.yaml");
    AT_END(proc_end) struct proc p = { 0 };
    char text[4000];
    const int n =
        snprintf(text, sizeof text,
                 "state_dir: %s\nclusters:\n  - name: prod\n    endpoints: [\"%s\"]\n"
                 "    repo: %s\n    store: { allow_same_filesystem: true }\n"
                 "    recipients_file: %s\n    backup: { schedule: 1h }\n"
                 "    verify: { schedule: 1h }\n",
                 scene.v.state, fake_endpoint(scene.member), scene.v.url,
                 path_in(scene.v.dir, "recipients"));

    golden_write(config, text, (size_t)n);
    run_stuck(&p, "exec \"$@\" >" PIPE " 2>" PIPE,
              (const char *const[]){ "agent", "--config", config, "--once", NULL });
    cr_assert_eq(p.status, 0, "%d: %s", p.status, p.err);
    cr_assert_eq(scene_consistent("an agent"), 1);
}

/* A result that is not on record waits for its reader; a stop ends that. */
HOST(a_list_that_nobody_reads_can_be_stopped)
{
    AT_END(proc_end) struct proc p = { 0 };

    scene_back_up();
    run_stuck(&p, "\"$@\" >" PIPE " & sleep 2; kill $!; wait $!",
              (const char *const[]){ "list", NULL });
    cr_assert_eq(p.status, 130, "%d: %s", p.status, p.err);
    cr_assert_not_null(strstr(p.err, "nobody read"), "%s", p.err);
}
