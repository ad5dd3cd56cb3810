/* The table of disasters, row by row: members and disks that are lost. After each one all
 * members hold the same, every acknowledged write up to the announced point is there, the
 * revision is not lower than announced, one cluster accepts writes, the old members stay
 * out, and what is lost is said. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "tests/flow/disaster.h"
#include "tests/flow/golden.h"
#include "tests/flow/history.h"
#include "tests/flow/killing.h"
#include "tests/flow/lab.h"
#include "tests/flow/vault.h"
#include "tests/flow/waiting.h"

enum { FEW = 20, TWICE = 2 * FEW, THRICE = 3 * FEW };

/* ---- one member ---------------------------------------------------------------------
 */

/* The newest backup is damaged, so it is the one before; under Kubernetes with a bump. */
DISASTER_ROW(d01_the_only_disk_is_lost, "3.5")
{
    OWNED(wire_client) w = NULL;
    OWNED(json) plan = NULL;
    LEDGER ledger = NULL;
    CLUSTER c = { 0 };
    char older[600], newer[600];
    int64_t saved;
    uint64_t old;

    cluster_start(&c, b, NULL);
    snprintf(older, sizeof older, "%s/older.db", c.dir);
    snprintf(newer, sizeof newer, "%s/newer.db", c.dir);
    flow_connect(&c, &w);
    history_fill(w, "/registry/pods", 10, 20);
    ledger = ledger_open(&c, 0);
    ledger_add(ledger, FEW);
    saved = history_revision(w);
    disaster_save(&c, 0, older);
    ledger_add(ledger, FEW);
    disaster_save(&c, 0, newer);
    ledger_add(ledger, FEW);
    old = disaster_cluster(&c, 0);
    disaster_lose(&c, 0);
    golden_flip(newer);

    DISASTER_PLAN(&c, "plan.json", &plan, "--backup", newer, "--backup", older,
                  "--members", cluster_initial(&c, 1), "--data-dir",
                  c.members[0].data_dir);
    cr_assert_str_eq(disaster_source(plan), older);
    cr_assert_eq(disaster_point(plan), saved);
    cr_assert_gt(disaster_announced(plan), saved + 1000000);
    disaster_says_lost(plan, "everything that was written after the snapshot was taken");
    disaster_carry_out(&c, "plan.json", plan, ledger, FEW);
    cr_assert_neq(disaster_cluster(&c, 0), old);
}

/* The newest that verifies, without a word of which one. */
DISASTER_ROW(d01_the_newest_of_a_repository_that_verifies, "3.6")
{
    OWNED(wire_client) w = NULL;
    OWNED(json) newest = NULL;
    OWNED(json) told = NULL;
    LEDGER ledger = NULL;
    CLUSTER c = { 0 };
    struct vault v;

    vault_make(&v, vault_directory(), NULL);
    cluster_start(&c, b, NULL);
    ledger = ledger_open(&c, 0);
    ledger_add(ledger, FEW);
    VAULT(one, &v, 0, "backup", "--endpoints", cluster_endpoint(&c, 0));
    ledger_add(ledger, FEW);
    VAULT(two, &v, 0, "backup", "--endpoints", cluster_endpoint(&c, 0), "--json");
    flow_json(&two, &newest);
    disaster_lose(&c, 0);
    golden_flip(vault_file(v.url, flow_text(newest, "key")));

    VAULT(p, &v, 0, "restore", "-i", v.key, "--name", c.members[0].name, "--data-dir",
          c.members[0].data_dir, "--initial-cluster", cluster_initial(&c, 1), "--json");
    flow_json(&p, &told);
    cr_assert_eq(flow_number(told, "snapshot_revision"), FEW + 1);
    cr_assert(strstr(p.err, "lacks 20 revisions") != NULL, "%s", p.err);
    cluster_boot(&c, 0);
    disaster_whole(&c, 0, flow_number(told, "revision"));
    flow_connect_to(&c, 0, &w);
    cr_assert_eq(ledger_check(ledger, w, FEW + 1), FEW);
}

/* Killed, disks intact: nothing is to be restored, and nothing may be. */
static void only_killed(const struct cluster_backend *b, unsigned members)
{
    const struct cluster_options o = { .members = members };
    OWNED(wire_client) w = NULL;
    OWNED(json) left = NULL;
    LEDGER ledger = NULL;
    CLUSTER c = { 0 };
    const char *dirs[3] = { NULL };
    unsigned told;

    cluster_start(&c, b, &o);
    ledger = ledger_start(&c);
    flow_connect_to(&c, 0, &w);
    while (history_revision(w) < TWICE)
        ;
    disaster_kill_all(&c);
    told = ledger_join(ledger);
    for (unsigned i = 0; i < members; i++)
        dirs[i] = c.members[i].data_dir;
    DISASTER_ASSESS(0, &left, dirs[0], dirs[1], dirs[2]);
    cr_assert_str_eq(disaster_quorum(left), "startable");
    DISASTER_REFUSED(&c, 5, "build no new cluster", dirs[0], dirs[1], dirs[2]);

    for (unsigned i = 0; i < members; i++)
        cluster_boot(&c, i);
    disaster_whole(&c, 0, TWICE);
    cr_assert_eq(ledger_check(ledger, w, INT64_MAX), told);
}

DISASTER_ROW(d02_the_only_process_died, "3.6")
{
    only_killed(b, 1);
}

DISASTER_ROW(d06_the_power_failed_on_three, "3.5")
{
    only_killed(b, 3);
}

/* ---- the quorum is lost ---------------------------------------------------------------
 */

/* One of two: whatever was acknowledged is on both. */
DISASTER_ROW(d03_one_of_two_is_lost, "3.6")
{
    const struct cluster_options o = { .members = 2 };
    OWNED(json) left = NULL;
    OWNED(json) plan = NULL;
    LEDGER ledger = NULL;
    CLUSTER c = { 0 };
    char backup[600];

    cluster_start(&c, b, &o);
    snprintf(backup, sizeof backup, "%s/backup.db", c.dir);
    ledger = ledger_open(&c, 0);
    ledger_add(ledger, FEW);
    disaster_save(&c, 0, backup);
    ledger_add(ledger, FEW);
    disaster_kill_all(&c);
    disaster_lose(&c, 0);

    DISASTER_ASSESS(8, &left, c.members[1].data_dir, "--backup", backup);
    cr_assert_str_eq(disaster_quorum(left), "lost");
    DISASTER_PLAN(&c, "plan.json", &plan, c.members[1].data_dir, "--backup", backup);
    cr_assert_str_eq(disaster_source(plan), c.members[1].data_dir);
    disaster_lost_nothing(plan);
    disaster_carry_out(&c, "plan.json", plan, ledger, TWICE);
    disaster_old_stays_out(&c, 1, disaster_aside(&c, 1, plan));
}

/* Members die one after the other, the highest first, FEW writes before each and behind
 * the last; then, with a `backup` taken, all others, and the disks of the first `lost`
 * are gone. Member i of those that died early has (members - i) * FEW writes. */
static void die_in_turn(struct cluster *c, const struct cluster_backend *b,
                        unsigned members, unsigned lost, const char *backup,
                        struct ledger **ledger)
{
    const struct cluster_options o = { .members = members };

    cluster_start(c, b, &o);
    *ledger = ledger_open(c, 0);
    ledger_add(*ledger, FEW);
    for (unsigned i = members - 1; i > members / 2; i--) {
        cluster_wait(c, i); /* has read all that was written */
        cluster_kill(c, i, SIGKILL);
        cluster_wait(c, 0); /* it may have led */
        ledger_add(*ledger, FEW);
    }
    if (backup != NULL)
        disaster_save(c, 0, path_in(c->dir, backup));
    disaster_kill_all(c);
    for (unsigned i = 0; i < lost; i++)
        disaster_lose(c, i);
}

/* A survivor that died early, and a backup that was taken later: whichever has more. */
DISASTER_ROW(d05_two_of_three_are_lost, "3.5")
{
    OWNED(json) without = NULL;
    OWNED(json) plan = NULL;
    LEDGER ledger = NULL;
    CLUSTER c = { 0 };
    char backup[600];
    const char *dir;

    die_in_turn(&c, b, 3, 2, "backup.db", &ledger);
    snprintf(backup, sizeof backup, "%s/backup.db", c.dir);
    dir = c.members[2].data_dir;
    DISASTER_PLAN(&c, "without.json", &without, dir);
    cr_assert_str_eq(disaster_source(without), dir);
    disaster_says_lost(without, "(2 of 3 voters)");
    DISASTER_PLAN(&c, "plan.json", &plan, dir, "--backup", backup, "--data-dir", dir);
    cr_assert_str_eq(disaster_source(plan), backup);
    cr_assert_gt(disaster_point(plan), disaster_point(without));
    disaster_says_lost(plan, "everything that was written after the snapshot was taken");
    disaster_carry_out(&c, "plan.json", plan, ledger, TWICE);
    disaster_old_stays_out(&c, 2, disaster_aside(&c, 2, plan));
}

/* Of the copies that are left the newest, whatever the files' times say; what was
 * acknowledged without it is gone, and the plan says which revisions those are. */
static void most_of_five(const struct cluster_backend *b, unsigned lost)
{
    OWNED(json) plan = NULL;
    LEDGER ledger = NULL;
    CLUSTER c = { 0 };
    char high[24], words[80];
    const char *best, *other;

    die_in_turn(&c, b, 5, lost, NULL, &ledger);
    best = c.members[lost].data_dir;
    other = lost < 4 ? c.members[4].data_dir : NULL;
    PEER(touch, "touch", path_in(c.members[4].data_dir, "member/snap/db"));
    snprintf(high, sizeof high, "%d", THRICE + 1);
    DISASTER_PLAN(&c, "plan.json", &plan, "--high-water", high, best, other);
    cr_assert_str_eq(disaster_source(plan), best);
    snprintf(words, sizeof words, "revisions %u to %s are known", (5 - lost) * FEW + 2,
             high);
    disaster_says_lost(plan, words);
    snprintf(words, sizeof words, "(%u of 5 voters)", lost);
    disaster_says_lost(plan, words);
    cr_assert_gt(disaster_announced(plan), THRICE + 1);
    disaster_carry_out(&c, "plan.json", plan, ledger, (5 - lost) * FEW);
    disaster_old_stays_out(&c, lost, disaster_aside(&c, lost, plan));
}

DISASTER_ROW(d09_three_of_five_are_lost, "3.6")
{
    most_of_five(b, 3);
}

DISASTER_ROW(d09_four_of_five_are_lost, "3.5")
{
    most_of_five(b, 4);
}

/* Nothing but a backup: every host builds from the same one, and from no other. */
DISASTER_ROW(d07_all_three_disks_are_lost, "3.6")
{
    const struct cluster_options o = { .members = 3 };
    OWNED(json) plan = NULL;
    LEDGER ledger = NULL;
    CLUSTER c = { 0 };
    char older[600], newer[600];

    cluster_start(&c, b, &o);
    snprintf(older, sizeof older, "%s/older.db", c.dir);
    snprintf(newer, sizeof newer, "%s/newer.db.zst", c.dir);
    ledger = ledger_open(&c, 0);
    ledger_add(ledger, FEW);
    disaster_save(&c, 0, older);
    ledger_add(ledger, FEW);
    disaster_save(&c, 0, newer);
    ledger_add(ledger, FEW);
    for (unsigned i = 0; i < 3; i++)
        disaster_lose(&c, i);

    DISASTER_PLAN(&c, "plan.json", &plan, "--backup", older, "--backup", newer,
                  "--members", cluster_initial(&c, 3), "--data-dir",
                  c.members[0].data_dir);
    cr_assert_str_eq(disaster_source(plan), newer);
    disaster_says_lost(plan, "everything that was written after the snapshot was taken");
    disaster_step(&c, 1, 3, path_in(c.dir, "plan.json"), NULL,
                  (const char *const[]){ "--source", older, NULL });
    disaster_carry_out(&c, "plan.json", plan, ledger, TWICE);
}

/* ---- the quorum is there --------------------------------------------------------------
 */

/* No restore, although a backup is at hand. */
static void recover_is_refused(const struct cluster *c, const char *dir)
{
    OWNED(json) left = NULL;

    DISASTER_ASSESS(0, &left, "--endpoints", cluster_endpoint(c, 0), dir);
    cr_assert_str_eq(disaster_quorum(left), "has");
    DISASTER_REFUSED(c, 5, "the cluster has quorum", "--endpoints",
                     cluster_endpoint(c, 0), dir);
}

DISASTER_ROW(d04_one_of_three_is_lost, "3.6")
{
    const struct cluster_options o = { .members = 3 };
    OWNED(wire_client) w = NULL;
    LEDGER ledger = NULL;
    CLUSTER c = { 0 };
    const char *old;
    uint64_t id;

    cluster_start(&c, b, &o);
    id = disaster_cluster(&c, 0);
    ledger = ledger_open(&c, 0);
    ledger_add(ledger, FEW);
    old = disaster_put_away(&c, 1);
    ledger_add(ledger, FEW);
    recover_is_refused(&c, old);
    disaster_replace(&c, 1);
    disaster_whole(&c, id, TWICE);
    flow_connect_to(&c, 1, &w);
    cr_assert_eq(ledger_check(ledger, w, INT64_MAX), TWICE);
    disaster_old_stays_out(&c, 1, old);
}

/* etcd adds nobody while a voter is down, so one is removed first; the tool says so. */
static void one_after_the_other(struct cluster *c)
{
    const char *at = cluster_endpoint(c, 0);
    struct waiting w;
    char with[128];

    snprintf(with, sizeof with, "m3=%s", cluster_peer_url(c, 3));
    TOOL(p, 5, "member", "replace", "m3", "--with", with, "--no-backup", "--yes",
         "--endpoints", at);
    cr_assert(strstr(p.err, "first `holdfast member remove m4`") != NULL, "%s", p.err);
    TOOL(q, 0, "member", "remove", "m4", "--yes", "--endpoints", at);
    disaster_replace(c, 3);
    BEGIN(&w, c, "member", "add", "m4", "--peer-urls", cluster_peer_url(c, 4), "--yes",
          "--endpoints", at);
    disaster_comes_anew(c, 4, &w);
}

DISASTER_ROW(d08_two_of_five_are_lost, "3.5")
{
    const struct cluster_options o = { .members = 5 };
    OWNED(wire_client) w = NULL;
    LEDGER ledger = NULL;
    CLUSTER c = { 0 };
    uint64_t id;

    cluster_start(&c, b, &o);
    id = disaster_cluster(&c, 0);
    ledger = ledger_open(&c, 0);
    ledger_add(ledger, FEW);
    disaster_lose(&c, 3);
    disaster_lose(&c, 4);
    cluster_wait(&c, 0);
    ledger_add(ledger, FEW);
    one_after_the_other(&c);
    disaster_whole(&c, id, TWICE);
    flow_connect_to(&c, 4, &w);
    cr_assert_eq(ledger_check(ledger, w, INT64_MAX), TWICE);
}

/* ---- two clusters ---------------------------------------------------------------------
 */

static unsigned count_members(const struct cluster *c, unsigned at)
{
    const char *text = CTL(c, at, "member", "list");
    unsigned lines = 0;

    for (; *text != '\0'; text++)
        lines += *text == '\n';
    return lines;
}

/* Both go on, each by itself, and doctor tells them apart. */
static void stay_apart(const struct cluster *c, const struct ledger *l, uint64_t old)
{
    char both[200];
    OWNED(wire_client) w = NULL;

    cr_assert_eq(disaster_cluster(c, 0), old);
    cr_assert_eq(disaster_cluster(c, 1), old);
    cr_assert_neq(disaster_cluster(c, 2), old);
    cr_assert_eq(count_members(c, 0), 3);
    cr_assert_eq(count_members(c, 2), 1);
    CTL(c, 2, "put", "only", "here");
    cr_assert_str_eq(CTL(c, 0, "get", "only"), "");
    cr_assert_str_eq(CTL(c, 2, "get", "ledger/30"), "");
    flow_connect_to(c, 0, &w);
    cr_assert_eq(ledger_check(l, w, INT64_MAX), TWICE);
    snprintf(both, sizeof both, "%s,%s", cluster_endpoint(c, 0), cluster_endpoint(c, 2));
    TOOL(p, 8, "doctor", "--endpoints", both);
    cr_assert(strstr(p.out, "m2 is not who it should be") != NULL, "%s", p.out);
}

/* Someone made a cluster of its own out of the minority, while the majority was out of
 * sight; then it is back. */
DISASTER_ROW(d11_the_minority_was_restored, "3.5")
{
    const struct cluster_options o = { .members = 3 };
    OWNED(json) left = NULL;
    OWNED(json) plan = NULL;
    LEDGER ledger = NULL;
    CLUSTER c = { 0 };
    char alone[100];
    uint64_t old;

    cluster_start(&c, b, &o);
    old = disaster_cluster(&c, 0);
    ledger = ledger_open(&c, 0);
    ledger_add(ledger, FEW);
    cluster_kill(&c, 2, SIGKILL);
    cluster_wait(&c, 0); /* it may have led */
    ledger_add(ledger, FEW);
    cluster_kill(&c, 0, SIGKILL);
    cluster_kill(&c, 1, SIGKILL);
    snprintf(alone, sizeof alone, "m2=%s", cluster_peer_url(&c, 2));
    DISASTER_PLAN(&c, "plan.json", &plan, c.members[2].data_dir, "--members", alone);
    disaster_says_lost(plan, "(2 of 3 voters)");
    disaster_apply_all(&c, path_in(c.dir, "plan.json"), plan);

    cluster_boot(&c, 0);
    cluster_boot(&c, 1);
    cluster_wait(&c, 0);
    cluster_wait(&c, 1);
    stay_apart(&c, ledger, old);
    DISASTER_ASSESS(0, &left, disaster_aside(&c, 2, plan));
    cr_assert_str_eq(disaster_quorum(left), "has");
    DISASTER_REFUSED(&c, 5, "the cluster has quorum", disaster_aside(&c, 2, plan));
    disaster_lose(&c, 2);
    disaster_replace(&c, 2);
    disaster_whole(&c, old, TWICE);
}

/* ---- the host dies meanwhile
 * ------------------------------------------------------------ */

static void apply_words(const struct cluster *c, unsigned i, const char *file,
                        struct words *w)
{
    const struct cluster_member *m = &c->members[i];

    SAY(w, HOLDFAST_BIN, "recover", "--apply", file, "--member", m->name, "--data-dir",
        m->data_dir, "--yes", "--endpoints", cluster_endpoint(c, i));
}

/* The old directory back under its name, as if the plan had never been begun here. */
static void begin_again(const struct cluster *c, unsigned i, const struct json *plan)
{
    const char *dir = c->members[i].data_dir;
    char command[2000];

    snprintf(command, sizeof command, "rm -rf '%s' '%s.recovery-%s' && mv '%s' '%s'", dir,
             dir, flow_text(plan, "plan_id"), disaster_aside(c, i, plan), dir);
    PEER(p, "sh", "-c", command);
}

static const char *db_of(const char *dir)
{
    return path_in(dir, "member/snap/db");
}

/* Dies at the nth such call of an apply, and the operator repeats it; false when there
 * are not as many. The old directory is whole, under one name or the other. */
static bool dies_at(const struct cluster *c, const char *call, unsigned nth,
                    const char *file, const struct json *plan, const struct buf *old)
{
    [[gnu::cleanup(proc_end)]] struct proc p = { 0 };
    OWNED(json) told = NULL;
    struct words w = { 0 };
    int status;

    apply_words(c, 0, file, &w);
    status = killing_run(call, "KILL", nth, &w, NULL, &p);
    cr_assert(status == 0 || status == KILLED, "%s %u: %d: %s", call, nth, status, p.err);
    disaster_step(c, 0, 0, file, &told, NULL);
    cr_assert_str_eq(flow_text(told, "state"), "to-be-started", "%s %u", call, nth);
    cr_assert(golden_same(db_of(disaster_aside(c, 0, plan)), *old), "%s %u", call, nth);
    begin_again(c, 0, plan);
    return status == KILLED;
}

DISASTER_ROW(d20_the_host_dies_during_recovery, "3.6")
{
    static const struct {
        const char *call;
        unsigned step;
    } at[] = { { "renameat2", 2 }, { "fsync", 10 } };
    OWNED(json) plan = NULL;
    LEDGER ledger = NULL;
    CLUSTER c = { 0 };
    AT_END(buf_clear) struct buf old = { 0 };
    char file[600];

    cluster_start(&c, b, &(struct cluster_options){ .members = 3 });
    ledger = ledger_open(&c, 0);
    ledger_add(ledger, FEW);
    disaster_kill_all(&c);
    disaster_lose(&c, 1);
    disaster_lose(&c, 2);
    DISASTER_PLAN(&c, "plan.json", &plan, c.members[0].data_dir);
    snprintf(file, sizeof file, "%s", path_in(c.dir, "plan.json"));
    old = golden_file(db_of(c.members[0].data_dir));
    for (size_t k = 0; k < sizeof at / sizeof at[0]; k++)
        for (unsigned nth = 1; dies_at(&c, at[k].call, nth, file, plan, &old);
             nth += golden_effort(at[k].step, 1))
            ;

    cr_assert_str_eq(disaster_apply(&c, 0, file), "waits-for-others");
    cluster_kill(&c, 0, SIGKILL);
    cluster_boot(&c, 0);
    cr_assert_str_eq(disaster_apply(&c, 1, file), "serves");
    cluster_kill(&c, 1, SIGKILL);
    cluster_boot(&c, 1);
    cr_assert_str_eq(disaster_apply(&c, 2, file), "complete");
    disaster_over(&c, plan);
}
