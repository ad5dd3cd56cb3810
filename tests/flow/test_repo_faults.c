/* What a hostile store can do is noticed, what runs at the same time does not meet, and
 * what is refused has its reason. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/flow/scene.h"
#include "util/clock.h"

#define REPO(name) SCENE(repo_faults, name)

/* ---- what a hostile store can do -------------------------------------------------- */

/* Paths in the repository, by the order in which backups were made. */
static const char *object_of(unsigned backup)
{
    static char path[2][1200];
    static unsigned turn;
    char number[16];
    OWNED(json) o = NULL;

    snprintf(number, sizeof number, "%u", backup);
    VAULT(p, &scene.v, 0, "info", number, "--json");
    flow_json(&p, &o);
    turn ^= 1;
    snprintf(path[turn], sizeof path[turn], "%s/%s", scene.v.url, flow_text(o, "key"));
    return path[turn];
}

static const char *record_of(unsigned sequence)
{
    static char path[1200];

    snprintf(path, sizeof path, "%s/prod/records/%012u.json", scene.v.url, sequence);
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
    scene_shell(deed, first, second);
    if (strstr(commands, "verify") != NULL) {
        VAULT(p, &scene.v, 3, "verify", "--all");
    }
    if (strstr(commands, "audit") != NULL) {
        VAULT(p, &scene.v, 3, "audit");
    }
    if (strstr(commands, "list") != NULL) {
        VAULT(p, &scene.v, 3, "list");
    }
    if (strstr(commands, "backup") != NULL) {
        VAULT(p, &scene.v, 3, "backup", "--endpoints", fake_endpoint(scene.member));
    }
    cr_log_info("%s: noticed", what);
    scene_back();
}

static void make_three(void)
{
    for (int i = 0; i < 3; i++)
        scene_back_up();
    scene_keep();
}

REPO(whatever_is_done_to_an_object_is_noticed)
{
    make_three();
    noticed("a flipped byte", flip, object_of(2), "", "verify");
    noticed("a byte less", cut, object_of(1), "", "verify audit");
    noticed("gone", delete, object_of(3), "", "verify audit");
    noticed("two of them swapped", swap, object_of(1), object_of(2), "verify");
    VAULT(p, &scene.v, 0, "verify", "--all");
}

REPO(whatever_is_done_to_the_log_is_noticed)
{
    make_three();
    noticed("an altered record", "sed -i s/56/57/ \"$1\"", record_of(2), "",
            "audit verify");
    noticed("a record less", delete, record_of(2), "", "audit list backup");
    noticed("the newest hidden", delete, record_of(3), "", "audit list backup");
    noticed("a signature less", "rm \"$1\"/prod/records/000000000002.*.minisig",
            scene.v.url, "", "audit list backup");
    noticed("another holdfast.json", "sed -i s/false/true/ \"$1\"/holdfast.json",
            scene.v.url, "", "audit list backup verify");
    noticed("all of it", "rm -r \"$1\"/prod", scene.v.url, "", "audit list backup");
    VAULT(p, &scene.v, 0, "audit");
}

/* It is never used, and somebody put it there. */
REPO(what_does_not_belong_there_is_told)
{
    static const char script[] =
        "cp \"$1\"/prod/records/000000000001.json \"$1\"/prod/records/000000000009.json";

    make_three();
    scene_shell("mkdir \"$1\"/prod/backups/0123456789abcdef; echo x > "
                "\"$1\"/prod/backups/0123456789abcdef/snapshot.db.zst.age",
                scene.v.url, "");
    VAULT(object, &scene.v, 8, "audit");
    cr_assert_not_null(strstr(object.out, "object-unnamed"), "%s", object.out);
    scene_shell("mkdir -p \"$1\"/prod/uploads; echo x > "
                "\"$1\"/prod/uploads/0123456789abcdef.json",
                scene.v.url, "");
    VAULT(announced, &scene.v, 0, "audit");
    cr_assert_not_null(strstr(announced.out, "object-announced"), "%s", announced.out);
    scene_shell("cp \"$1\"/prod/records/000000000001.json \"$1\"/prod/records/copy",
                scene.v.url, "");
    VAULT(name, &scene.v, 8, "audit");
    cr_assert_not_null(strstr(name.out, "record-name"), "%s", name.out);
    PEER(p, "sh", "-c", script, "sh", scene.v.url);
    VAULT(audit, &scene.v, 8, "audit");
    cr_assert_eq(vault_count(&scene.v), 3);
    VAULT(prune, &scene.v, 2, "prune", "--keep-last", "1", "--protect", "0");
}

/* A host that never saw the newer state cannot know, and says so. */
REPO(a_rollback_is_known_where_it_was_seen)
{
    char mark[200];
    OWNED(json) o = NULL;

    scene_back_up();
    scene_keep();
    scene_back_up();
    VAULT(before, &scene.v, 0, "audit", "--json");
    flow_json(&before, &o);
    snprintf(mark, sizeof mark, "%s", flow_text(o, "head"));
    scene_shell("find \"$1\" -mindepth 1 -delete; cp -a \"$2\"/repo/. \"$1\"",
                scene.v.url, scene.kept);
    VAULT(here, &scene.v, 3, "audit");
    vault_forget(&scene.v);
    VAULT(elsewhere, &scene.v, 0, "audit", "--json");
    cr_assert_not_null(strstr(elsewhere.out, "unknown-head"));
    VAULT(told, &scene.v, 3, "audit", "--mark", mark);
}

REPO(another_repository_in_its_place_is_not_believed)
{
    struct vault other;

    make_three();
    vault_make(&other, vault_directory(), NULL);
    scene_shell("find \"$1\" -mindepth 1 -delete; cp -a \"$2\"/. \"$1\"", scene.v.url,
                other.url);
    VAULT(list, &scene.v, 3, "list");
    VAULT(backup, &scene.v, 3, "backup", "--endpoints", fake_endpoint(scene.member));
    scene_shell("find \"$1\" -mindepth 1 -delete", scene.v.url, "");
    VAULT(gone, &scene.v, 10, "backup", "--endpoints", fake_endpoint(scene.member));
}

REPO(a_bad_newest_backup_is_walked_back_from)
{
    const char *file = path_in(scene.v.dir, "x.db");

    make_three();
    scene_shell(flip, object_of(3), "");
    VAULT(p, &scene.v, 0, "fetch", "latest", "-o", file, "-i", scene.v.key);
    cr_assert_not_null(strstr(p.err, "going back to backup 2"), "%s", p.err);
    cr_assert(golden_same(file, scene.snapshot));
    VAULT(named, &scene.v, 3, "fetch", "3", "-o", path_in(scene.v.dir, "y.db"), "-i",
          scene.v.key);
    VAULT(nokey, &scene.v, 12, "fetch", "2", "-o", path_in(scene.v.dir, "y.db"));
    cr_assert_neq(access(path_in(scene.v.dir, "y.db"), F_OK), 0);
}

/* ---- jobs at the same time -------------------------------------------------------- */

REPO(of_two_backups_at_once_one_works)
{
    static const struct fake_step steps[] = { FAKE_DO(FAKE_DATA, 65536),
                                              FAKE_DO(FAKE_NAP, 3000),
                                              FAKE_DO(FAKE_REST, 0),
                                              FAKE_DO(FAKE_TRAILER, 0) };
    struct fake_script script = scene_script();
    char uploads[800];
    pid_t first;

    script.steps = steps;
    script.step_count = sizeof steps / sizeof *steps;

    FAKE slow = fake_start(&script);

    snprintf(uploads, sizeof uploads, "%s/prod/uploads", scene.v.url);
    vault_putenv(&scene.v);
    first = proc_start(path_in(scene.v.dir, "log"),
                       (const char *const[]){ HOLDFAST_BIN, "backup", "--endpoints",
                                              fake_endpoint(slow), NULL });
    while (proc_runs(first) && fake_calls(slow, "Maintenance/Snapshot") == 0)
        clock_sleep_ms(20);
    VAULT(p, &scene.v, 11, "backup", "--endpoints", fake_endpoint(scene.member));
    VAULT(w, &scene.v, 0, "backup", "--endpoints", fake_endpoint(scene.member), "--wait",
          "60s");
    cr_assert_eq(scene_consistent("two at once"), 2);
    proc_stop(first, SIGTERM);
    scene_tidy("two at once");
}

/* Answers until it is understood: what comes before the question is thrown away. */
REPO(unlock_asks_for_the_clusters_name)
{
    static const char answer[] = "while sleep 0.2; do echo \"$2\"; done 2>&- | "
                                 "script -qec \"$1 unlock --json\" /dev/null";
    AT_END(proc_end) struct proc right = { 0 };
    AT_END(proc_end) struct proc wrong = { 0 };

    make_three();
    vault_run(
        &right, &scene.v, 0,
        (const char *const[]){ "sh", "-c", answer, "sh", HOLDFAST_BIN, "prod", NULL });
    cr_assert_not_null(strstr(right.out, "\"held\":false"), "%s", right.out);
    vault_run(&wrong, &scene.v, 5,
              (const char *const[]){ "sh", "-c", answer, "sh", HOLDFAST_BIN,
                                     "the cluster's name", NULL });
}

/* ---- the index, and a copy -------------------------------------------------------- */

static char *output_of(const char *const argv[])
{
    AT_END(proc_end) struct proc p = { 0 };

    vault_run(&p, &scene.v, 0, argv);
    return mem_str(p.out);
}
#define OUTPUT(...) output_of((const char *const[]){ HOLDFAST_BIN, __VA_ARGS__, NULL })

REPO(the_index_is_made_again_to_the_byte)
{
    make_three();
    VAULT(tag, &scene.v, 0, "tag", "2", "before-upgrade");

    AT_END(mem_end) char *store = OUTPUT("list", "--json");
    AT_END(mem_end) char *known = OUTPUT("list", "--json", "--remembered");

    cr_assert_str_eq(store, known);
    cr_assert_not_null(strstr(store, "before-upgrade"));
    scene_shell("rm -f \"$1\"/catalog.sqlite*", scene.v.state, "");
    VAULT(rebuild, &scene.v, 0, "catalog", "rebuild");

    AT_END(mem_end) char *again = OUTPUT("list", "--json", "--remembered");

    cr_assert_str_eq(store, again);
}

REPO(a_copy_is_verified_by_the_same_key_and_outlives_a_prune)
{
    char second[512];
    const struct words prune = scene_prune();
    AT_END(proc_end) struct proc p = { 0 };

    make_three();
    snprintf(second, sizeof second, "%s", vault_directory());
    VAULT(copy, &scene.v, 0, "copy", "--to", second);
    cr_assert_eq(killing_run("", "", 0, &prune, scene.v.env, &p), 0, "%s", p.err);
    scene_back_up();
    VAULT(more, &scene.v, 0, "copy", "--to", second);
    VAULT(here, &scene.v, 0, "verify", "--all");
    cr_assert_eq(vault_count(&scene.v), 2);
    snprintf(scene.v.url, sizeof scene.v.url, "%s", second);
    vault_set(&scene.v, "HOLDFAST_REPO", second);
    VAULT(there, &scene.v, 0, "verify", "--all");
    VAULT(audit, &scene.v, 0, "audit");
    PEER(objects, "sh", "-c", "test $(find \"$1\"/prod/backups -type f | wc -l) = 4",
         "sh", second);
}

REPO(a_bad_backup_is_not_copied_and_hinders_no_other)
{
    char second[512];

    make_three();
    snprintf(second, sizeof second, "%s", vault_directory());
    scene_shell(flip, object_of(2), "");
    VAULT(copy, &scene.v, 8, "copy", "--to", second);
    cr_assert_not_null(strstr(copy.err, "backup 2 is bad here"), "%s", copy.err);
    VAULT(elsewhere, &scene.v, 5, "copy", "--to", scene.v.state);
    VAULT(itself, &scene.v, 5, "copy", "--to", scene.v.url);
    cr_assert_not_null(strstr(itself.err, "itself"), "%s", itself.err);
    vault_set(&scene.v, "HOLDFAST_REPO", second);
    VAULT(good, &scene.v, 0, "verify", "3");
    VAULT(bad, &scene.v, 3, "verify", "2");
}

/* ---- another cluster -------------------------------------------------------------- */

REPO(another_cluster_under_the_same_name_is_refused)
{
    struct fake_script script = scene_script();

    scene_back_up();
    script.cluster_id = 0xc2;

    FAKE other = fake_start(&script);

    VAULT(p, &scene.v, 5, "backup", "--endpoints", fake_endpoint(other));
    cr_assert_not_null(strstr(p.err, "--accept-cluster c2"), "%s", p.err);
    VAULT(q, &scene.v, 0, "backup", "--endpoints", fake_endpoint(other),
          "--accept-cluster", "c2");
}

REPO(a_backup_that_the_voters_contradict_is_kept_and_marked)
{
    struct fake_script script = scene_script();
    OWNED(json) o = NULL;
    bool proved = true;

    script.hash = 1;

    FAKE odd = fake_start(&script);

    VAULT(p, &scene.v, 8, "backup", "--endpoints", fake_endpoint(odd), "--json");
    flow_json(&p, &o);
    cr_assert(json_get_bool(o, "proved", &proved) && !proved);
    cr_assert_eq(vault_count(&scene.v), 1);
    VAULT(q, &scene.v, 0, "verify", "1", "--level", "full", "-i", scene.v.key);
}

REPO(a_backup_for_other_recipients_is_refused)
{
    const char *other = flow_keygen(tmpdir_new());

    VAULT(one, &scene.v, 5, "backup", "--endpoints", fake_endpoint(scene.member), "-r",
          other);
    cr_assert_eq(vault_count(&scene.v), 0);
    VAULT(said, &scene.v, 0, "backup", "--endpoints", fake_endpoint(scene.member), "-r",
          other, "--allow-other-recipients");
}

REPO(a_backup_told_to_stop_leaves_none)
{
    static const struct fake_step steps[] = { FAKE_DO(FAKE_DATA, 65536),
                                              FAKE_DO(FAKE_STALL, 0) };
    struct fake_script script = scene_script();
    uint64_t asked;
    pid_t pid;

    script.steps = steps;
    script.step_count = sizeof steps / sizeof *steps;

    FAKE stalled = fake_start(&script);

    vault_putenv(&scene.v);
    pid = proc_start(path_in(scene.v.dir, "log"),
                     (const char *const[]){ HOLDFAST_BIN, "backup", "--endpoints",
                                            fake_endpoint(stalled), NULL });
    while (proc_runs(pid) && fake_calls(stalled, "Maintenance/Snapshot") == 0)
        clock_sleep_ms(20);
    asked = clock_ms();
    cr_assert_eq(proc_stop(pid, SIGTERM), INTERRUPTED);
    cr_assert_lt(clock_ms() - asked, 5000);
    cr_assert_eq(vault_count(&scene.v), 0);
    scene_back_up();
    scene_tidy("after a stop");
}

/* The member, with users that have changed so often; 0: it does not tell, as 3.4. */
static struct fake *member_with_users(unsigned char changes)
{
    static unsigned char told[2];
    static struct fake_answer answer;
    struct fake_script script = scene_script();

    told[0] = 0x18; /* AuthStatusResponse.auth_revision */
    told[1] = changes;
    answer = (struct fake_answer){ .method = "Auth/AuthStatus",
                                   .message = told,
                                   .size = sizeof told };
    script.answers = &answer;
    script.answer_count = changes == 0 ? 0 : 1;
    return fake_start(&script);
}

static bool is_skipped(unsigned char changes)
{
    OWNED(json) o = NULL;
    bool skipped = false;
    FAKE f = member_with_users(changes);
    VAULT(p, &scene.v, 0, "backup", "--endpoints", fake_endpoint(f), "--skip-unchanged",
          "--json");

    flow_json(&p, &o);
    return json_get_bool(o, "skipped", &skipped) && skipped;
}

REPO(nothing_is_stored_when_nothing_was_written)
{
    cr_assert(!is_skipped(3) && is_skipped(3));
    cr_assert_eq(vault_count(&scene.v), 1);
    cr_assert(!is_skipped(4) && is_skipped(4), "a user was added");
    cr_assert(!is_skipped(0) && !is_skipped(0), "nobody knows");
    cr_assert_eq(vault_count(&scene.v), 4);
    cr_assert(!is_skipped(4) && is_skipped(4));
    scene_shell(delete, object_of(5), "");
    cr_assert(!is_skipped(4), "the object was gone");
}

/* ---- a compaction between the backup and its proof ----------------------------------
 */

/* So many times the revision is gone when its HashKV is asked for. */
static void back_up_while_compacting(unsigned times, int status, unsigned streams)
{
    const struct fake_answer gone[] = {
        { .method = "Maintenance/HashKV",
          .status = 11,
          .text = "etcdserver: mvcc: required revision has been compacted",
          .times = times },
    };
    struct fake_script script = scene_script();

    script.answers = gone;
    script.answer_count = times == 0 ? 0 : 1;

    FAKE f = fake_start(&script);
    VAULT(p, &scene.v, status, "backup", "--endpoints", fake_endpoint(f));
    cr_assert_eq(fake_calls(f, "Maintenance/Snapshot"), streams, "%s", p.err);
    scene_tidy("after a compaction");
}

REPO(a_proof_that_is_lost_to_a_compaction_is_tried_once_more)
{
    back_up_while_compacting(0, 0, 1);
    back_up_while_compacting(1, 0, 2);
    cr_assert_eq(vault_count(&scene.v), 2, "and one backup each");
    back_up_while_compacting(2, 8, 2);
    cr_assert_eq(scene_consistent("once more, and no more"), 3);
}

/* ---- a key's life ------------------------------------------------------------------ */

static const char *signer_of(const char *number)
{
    static char id[20];
    OWNED(json) o = NULL;
    VAULT(p, &scene.v, 0, "info", number, "--json");

    flow_json(&p, &o);
    snprintf(id, sizeof id, "%s", json_get_str(o, "signed_by"));
    return id;
}

REPO(signing_keys_change_and_the_log_stays)
{
    char old[20], next[512], public[520];

    snprintf(next, sizeof next, "%s", path_in(scene.v.dir, "next.key"));
    snprintf(public, sizeof public, "%s.pub", next);
    scene_back_up();
    snprintf(old, sizeof old, "%s", signer_of("1"));
    VAULT(made, &scene.v, 0, "keygen", "--signing", "-o", next);
    VAULT(more, &scene.v, 0, "repo", "rekey", scene.v.url, "--believe", public);
    VAULT(less, &scene.v, 5, "repo", "rekey", scene.v.url, "--retire", old);
    VAULT(gone, &scene.v, 0, "repo", "rekey", scene.v.url, "--retire", old,
          "--signing-key", next);
    VAULT(late, &scene.v, 5, "backup", "--endpoints", fake_endpoint(scene.member));
    VAULT(good, &scene.v, 0, "backup", "--endpoints", fake_endpoint(scene.member),
          "--signing-key", next);
    cr_assert_str_neq(signer_of("2"), old);
    cr_assert_str_eq(signer_of("1"), old);
    VAULT(all, &scene.v, 0, "verify", "--all");
    VAULT(audit, &scene.v, 0, "audit");
    cr_assert_eq(scene_consistent("after a change of keys"), 2);
}

REPO(recipients_change_for_what_comes)
{
    const char *dir = tmpdir_new();
    char file[512], key[512];
    AT_END(mem_end) char *line = NULL;
    struct err e = { 0 };

    snprintf(file, sizeof file, "%s", path_in(dir, "recipients"));
    OK(str_format(&line, &e, "%s\n", flow_keygen(dir)), &e);
    golden_write(file, line, strlen(line));
    snprintf(key, sizeof key, "%s", path_in(dir, "key"));
    scene_back_up();
    VAULT(one, &scene.v, 5, "repo", "rekey", scene.v.url, "-R", file);
    VAULT(sure, &scene.v, 0, "repo", "rekey", scene.v.url, "-R", file,
          "--i-have-one-key");
    VAULT(old, &scene.v, 5, "backup", "--endpoints", fake_endpoint(scene.member));
    VAULT(good, &scene.v, 0, "backup", "--endpoints", fake_endpoint(scene.member), "-R",
          file);
    VAULT(first, &scene.v, 0, "verify", "1", "--level", "full", "-i", scene.v.key);
    VAULT(second, &scene.v, 0, "verify", "2", "--level", "full", "-i", key);
    VAULT(not, &scene.v, 12, "verify", "2", "--level", "full", "-i", scene.v.key);
}
