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

enum { FEW = 20 };

static void save(const struct cluster *c, unsigned i, const char *file)
{
    TOOL(p, 0, "snapshot", "save", file, "--endpoints", cluster_endpoint(c, i));
}

static void flip_in_the_middle(const char *file)
{
    AT_END(buf_clear) struct buf all = golden_file(file);

    all.p[all.n / 2] ^= 1;
    golden_write(file, all.p, all.n);
}

static void kill_all(struct cluster *c)
{
    for (unsigned i = 0; i < c->count; i++)
        cluster_kill(c, i, SIGKILL);
}

static const char *source_of(const struct json *plan)
{
    return flow_text(json_get(plan, "source"), "path");
}

/* Does the plan own up to a loss, in these words? */
static void says_lost(const struct json *plan, const char *words)
{
    const struct json *lost = json_get(json_get(plan, "recovery_point"), "lost");
    OWNED(json) none = NULL;
    bool said = false;

    for (size_t i = 0; i < json_count(lost); i++)
        said |= strstr(json_str(json_at(lost, i)), words) != NULL;
    cr_assert(said, "'%s' is not among the losses", words);
}

static void says_nothing_lost(const struct json *plan)
{
    cr_assert_eq(json_count(json_get(json_get(plan, "recovery_point"), "lost")), 0);
}

/* All hosts, and the oracle; `kept` of the acknowledged writes must be left. */
static void carry_out(struct cluster *c, const char *file, const struct json *plan,
                      const struct ledger *l, unsigned kept)
{
    OWNED(wire_client) w = NULL;

    disaster_apply_all(c, path_in(c->dir, file), plan);
    disaster_over(c, plan);
    flow_connect_to(c, 0, &w);
    cr_assert_eq(ledger_check(l, w, disaster_point(plan)), kept);
}

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
    save(&c, 0, older);
    ledger_add(ledger, FEW);
    save(&c, 0, newer);
    ledger_add(ledger, FEW);
    old = disaster_cluster(&c, 0);
    disaster_lose(&c, 0);
    flip_in_the_middle(newer);

    DISASTER_PLAN(&c, "plan.json", &plan, "--backup", newer, "--backup", older,
                  "--members", cluster_initial(&c, 1), "--data-dir",
                  c.members[0].data_dir);
    cr_assert_str_eq(source_of(plan), older);
    cr_assert_eq(disaster_point(plan), saved);
    cr_assert_gt(disaster_announced(plan), saved + 1000000);
    says_lost(plan, "everything that was written after the snapshot was taken");
    carry_out(&c, "plan.json", plan, ledger, FEW);
    cr_assert_neq(disaster_cluster(&c, 0), old);
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
    while (history_revision(w) < 2 * FEW)
        ;
    kill_all(&c);
    told = ledger_join(ledger);
    for (unsigned i = 0; i < members; i++)
        dirs[i] = c.members[i].data_dir;
    DISASTER_ASSESS(0, &left, dirs[0], dirs[1], dirs[2]);
    cr_assert_str_eq(disaster_quorum(left), "startable");
    DISASTER_REFUSED(&c, 5, "build no new cluster", dirs[0], dirs[1], dirs[2]);

    for (unsigned i = 0; i < members; i++)
        cluster_boot(&c, i);
    disaster_whole(&c, 0, 2 * FEW);
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
    save(&c, 0, backup);
    ledger_add(ledger, FEW);
    kill_all(&c);
    disaster_lose(&c, 0);

    DISASTER_ASSESS(8, &left, c.members[1].data_dir, "--backup", backup);
    cr_assert_str_eq(disaster_quorum(left), "lost");
    DISASTER_PLAN(&c, "plan.json", &plan, c.members[1].data_dir, "--backup", backup);
    cr_assert_str_eq(source_of(plan), c.members[1].data_dir);
    says_nothing_lost(plan);
    carry_out(&c, "plan.json", plan, ledger, 2 * FEW);
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
        save(c, 0, path_in(c->dir, backup));
    kill_all(c);
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
    cr_assert_str_eq(source_of(without), dir);
    says_lost(without, "(2 of 3 voters)");
    DISASTER_PLAN(&c, "plan.json", &plan, dir, "--backup", backup, "--data-dir", dir);
    cr_assert_str_eq(source_of(plan), backup);
    cr_assert_gt(disaster_point(plan), disaster_point(without));
    says_lost(plan, "everything that was written after the snapshot was taken");
    carry_out(&c, "plan.json", plan, ledger, 2 * FEW);
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
    snprintf(high, sizeof high, "%d", 3 * FEW + 1);
    DISASTER_PLAN(&c, "plan.json", &plan, "--high-water", high, best, other);
    cr_assert_str_eq(source_of(plan), best);
    snprintf(words, sizeof words, "revisions %u to %s are known", (5 - lost) * FEW + 2,
             high);
    says_lost(plan, words);
    snprintf(words, sizeof words, "(%u of 5 voters)", lost);
    says_lost(plan, words);
    cr_assert_gt(disaster_announced(plan), 3 * FEW + 1);
    carry_out(&c, "plan.json", plan, ledger, (5 - lost) * FEW);
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

/* ---- the quorum is there --------------------------------------------------------------
 */

/* A change in which member i, its disk empty, comes back under its name. */
static void comes_anew(struct cluster *c, unsigned i, struct waiting *w)
{
    cluster_boot_joining(c, i, waiting_initial(w, 0));
    waiting_ends(w, 0);
}

static void replace(struct cluster *c, unsigned i)
{
    const char *name = c->members[i].name;
    struct waiting w;
    char with[128];

    snprintf(with, sizeof with, "%s=%s", name, cluster_peer_url(c, i));
    BEGIN(&w, c, "member", "replace", name, "--with", with, "--backup",
          path_in(c->dir, "before.db"), "--yes", "--endpoints", cluster_endpoint(c, 0));
    comes_anew(c, i, &w);
    cr_assert(strstr(waiting_text(&w), "Equal at revision") != NULL, "%s", w.text);
}

/* Its data directory, out of the way. */
static const char *put_away(struct cluster *c, unsigned i)
{
    static char old[600];

    cluster_kill(c, i, SIGKILL);
    snprintf(old, sizeof old, "%s.old", c->members[i].data_dir);
    PEER(p, "mv", c->members[i].data_dir, old);
    cluster_wait(c, 0); /* it may have led */
    return old;
}

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
    old = put_away(&c, 1);
    ledger_add(ledger, FEW);
    recover_is_refused(&c, old);
    replace(&c, 1);
    disaster_whole(&c, id, 2 * FEW);
    flow_connect_to(&c, 1, &w);
    cr_assert_eq(ledger_check(ledger, w, INT64_MAX), 2 * FEW);
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
    replace(c, 3);
    BEGIN(&w, c, "member", "add", "m4", "--peer-urls", cluster_peer_url(c, 4), "--yes",
          "--endpoints", at);
    comes_anew(c, 4, &w);
}

static void two_of_five(const struct cluster_backend *b)
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
    disaster_whole(&c, id, 2 * FEW);
    flow_connect_to(&c, 4, &w);
    cr_assert_eq(ledger_check(ledger, w, INT64_MAX), 2 * FEW);
}

DISASTER_ROW(d08_two_of_five_are_lost, "3.5")
{
    two_of_five(b);
}

DISASTER_ROW(d08_two_of_five_are_lost_in_the_lab, "lab")
{
    two_of_five(b);
}
