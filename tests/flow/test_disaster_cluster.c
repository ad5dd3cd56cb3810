/* The table of disasters, row by row: clusters whose members do not see each other, do
 * not hold the same, or do not run the same; and the same losses in the lab. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "tests/flow/disaster.h"
#include "tests/flow/history.h"
#include "tests/flow/lab.h"
#include "tests/flow/trouble.h"

enum { FEW = 20, TWICE = 2 * FEW, THRICE = 3 * FEW };

static void says(const char *text, const char *words)
{
    cr_assert(strstr(text, words) != NULL, "no '%s' in: %s", words, text);
}

/* ---- cut off
 * ---------------------------------------------------------------------------- */

/* The minority's own copy looks like all that is left; but the majority answers. */
static void nothing_is_done_to(const struct cluster *c, unsigned lone, const char *copy)
{
    const char *at = cluster_endpoint(c, lone);
    OWNED(json) left = NULL;

    DISASTER_ASSESS(0, &left, copy, "--endpoints", at);
    cr_assert_str_eq(disaster_quorum(left), "has");
    DISASTER_REFUSED(c, 5, "the cluster has quorum", copy, "--endpoints", at);
    DISASTER_REFUSED(c, 5, "the cluster has quorum", copy);
}

DISASTER_STORE_ROW(d10_the_minority_is_cut_off)
{
    OWNED(wire_client) w = NULL;
    LEDGER early = NULL;
    LEDGER late = NULL;
    CLUSTER c = { 0 };
    unsigned lone, other;
    const char *copy;
    uint64_t id;

    (void)b;
    lab_start(&c, 3);
    id = disaster_cluster(&c, 0);
    early = ledger_open(&c, 0);
    ledger_add(early, FEW);
    lone = lab_leader(&c);
    other = (lone + 1) % 3;
    cluster_kill(&c, lone, SIGKILL);
    copy = path_in(c.dir, "copy");
    PEER(cp, "cp", "-r", c.members[lone].data_dir, copy);
    cluster_boot(&c, lone);
    cluster_wait(&c, lone);
    lab_isolate(&c, lone);
    lab_leaderless(&c, lone);
    cluster_wait(&c, other);
    late = ledger_open(&c, other);
    ledger_add(late, TWICE);
    nothing_is_done_to(&c, lone, copy);

    lab_say(&c, lone, "heal");
    disaster_whole(&c, id, THRICE);
    flow_connect_to(&c, lone, &w);
    cr_assert_eq(ledger_check(late, w, INT64_MAX), TWICE);
}

/* ---- every subset that may be left
 * ------------------------------------------------------- */

/* FEW writes, then FEW more after each member that dies, the highest first, while there
 * is a quorum; revisions[i] is what member i can be brought to, as assess says of it
 * alone. */
static void die_in_the_lab(struct cluster *c, unsigned members, const char *copies[],
                           int64_t revisions[], struct ledger **ledger)
{
    lab_start(c, members);
    *ledger = ledger_open(c, 0);
    ledger_add(*ledger, FEW);
    for (unsigned i = members - 1; i > members / 2; i--) {
        lab_agree(c);
        cluster_kill(c, i, SIGKILL);
        cluster_wait(c, 0); /* it may have led */
        ledger_add(*ledger, FEW);
    }
    disaster_kill_all(c);
    for (unsigned i = 0; i < members; i++) {
        OWNED(json) alone = NULL;
        const struct json *best;

        copies[i] = c->members[i].data_dir;
        DISASTER_ASSESS(8, &alone, copies[i]);
        best = json_at(json_get(alone, "candidates"), 0);
        revisions[i] = flow_number(best, "revision_with_tail");
        if (i > members / 2)
            cr_assert_eq(revisions[i], (members - i) * FEW + 1, "m%u", i);
    }
}

/* Of any two that are left the one that has more. */
static void best_of_two(const char *const copies[], const int64_t revisions[], unsigned i,
                        unsigned k)
{
    OWNED(json) left = NULL;
    const char *best;

    DISASTER_ASSESS(8, &left, copies[i], copies[k]);
    cr_assert_str_eq(disaster_quorum(left), "lost");
    best = flow_text(left, "best");
    if (revisions[i] != revisions[k])
        cr_assert_str_eq(best, copies[revisions[i] > revisions[k] ? i : k]);
}

DISASTER_STORE_ROW(d09_any_two_of_five_are_left)
{
    const char *copies[5];
    int64_t revisions[5];
    LEDGER ledger = NULL;
    CLUSTER c = { 0 };

    (void)b;
    die_in_the_lab(&c, 5, copies, revisions, &ledger);
    for (unsigned i = 0; i < 5; i++)
        for (unsigned k = i + 1; k < 5; k++)
            best_of_two(copies, revisions, i, k);
}

/* ---- other data
 * ---------------------------------------------------------------------------- */

DISASTER_ROW(d17_one_member_holds_other_data, "3.5")
{
    OWNED(wire_client) w = NULL;
    LEDGER ledger = NULL;
    CLUSTER c = { 0 };
    const char *old;
    uint64_t id;

    cluster_start(&c, b, &(struct cluster_options){ .members = 3 });
    id = disaster_cluster(&c, 0);
    flow_connect_to(&c, 0, &w);
    ledger = ledger_open(&c, 0);
    ledger_add(ledger, FEW);
    trouble_diverge(&c, 1, w);
    TOOL(odd, 8, "hash", "--endpoints", cluster_endpoint(&c, 0));
    says(odd.err, "data of m1 differs");
    old = disaster_put_away(&c, 1);
    disaster_replace(&c, 1);
    TOOL(equal, 0, "hash", "--endpoints", cluster_endpoint(&c, 0));
    disaster_whole(&c, id, FEW + 1);
    cr_assert_eq(ledger_check(ledger, w, INT64_MAX), FEW);
    says(CTL(&c, 1, "get", "a-key", "--consistency=s"), "the-true-value");
    disaster_old_stays_out(&c, 1, old);
}

/* The snapshots of all three, the one key that they differ in, and what m2 alone has had
 * otherwise in the past. */
static void shows_the_difference(const struct cluster *c)
{
    char files[3][600];

    for (unsigned i = 0; i < 3; i++) {
        snprintf(files[i], sizeof files[i], "%s/of-m%u.db", c->dir, i);
        RUN(p, HOLDFAST_BIN, "snapshot", "save", files[i], "--endpoints",
            cluster_endpoint(c, i));
        cr_assert(p.status == 0 || p.status == 8, "%d: %s", p.status, p.err);
    }
    for (unsigned i = 0; i < 3; i++) {
        TOOL(p, 0, "snapshot", "diff", files[i], files[(i + 1) % 3]);
        says(p.out, "key  a-key");
        cr_assert_eq(strstr(p.out, "history  b-key") != NULL, i != 0, "%s", p.out);
        cr_assert(strstr(p.out, "ledger/") == NULL, "%s", p.out);
    }
}

/* Nobody is more than half: nobody is called odd, and no member's data is recommended. */
DISASTER_ROW(d18_all_three_hold_other_data, "3.6")
{
    OWNED(wire_client) w = NULL;
    OWNED(json) told = NULL;
    LEDGER ledger = NULL;
    CLUSTER c = { 0 };
    const struct json *votes;

    cluster_start(&c, b, &(struct cluster_options){ .members = 3 });
    flow_connect_to(&c, 0, &w);
    ledger = ledger_open(&c, 0);
    ledger_add(ledger, FEW);
    history_put(w, "b-key", "the-past-value");
    history_put(w, "b-key", "and what it is now");
    trouble_diverge(&c, 1, w);
    trouble_spoil(&c, 2, "the-true-value", "the-lost-value");
    trouble_spoil(&c, 2, "the-past-value", "the-gone-value");
    TOOL(p, 8, "hash", "-w", "json", "--endpoints", cluster_endpoint(&c, 0));
    flow_json(&p, &told);
    cr_assert_str_eq(flow_text(told, "verdict"), "divergent");
    votes = json_get(told, "members");
    cr_assert_eq(json_count(votes), 3);
    for (size_t i = 0; i < 3; i++)
        cr_assert_str_eq(flow_text(json_at(votes, i), "vote"), "split");
    TOOL(doctor, 8, "doctor", "--endpoints", cluster_endpoint(&c, 0));
    says(doctor.out, "Next:  holdfast hash");
    shows_the_difference(&c);
}

/* ---- other versions
 * -------------------------------------------------------------------------- */

/* The server that is started from now on: another etcd, or the store that answers as it.
 */
static void let_run(struct cluster *c, const char *version)
{
    static const char *const as_3_5[] = { "--etcd-version=3.5", NULL };
    static const char *const as_3_6[] = { "--etcd-version=3.6", NULL };

    if (c->backend->store)
        c->options.flags = strcmp(version, "3.5") == 0 ? as_3_5 : as_3_6;
    else
        c->backend = cluster_backend(version);
}

static void upgrade(struct cluster *c, unsigned i, const char *version)
{
    cluster_kill(c, i, SIGTERM);
    let_run(c, version);
    cluster_boot(c, i);
    cluster_wait(c, i);
}

static void change(const struct cluster *c, int status, const char *const more[])
{
    const char *argv[20] = { HOLDFAST_BIN, "member" };
    [[gnu::cleanup(proc_end)]] struct proc p = { 0 };
    size_t n = 2;

    for (; *more != NULL; more++)
        argv[n++] = *more;
    argv[n++] = "--dry-run";
    argv[n++] = "--endpoints";
    argv[n++] = cluster_endpoint(c, 0);
    flow_tool(&p, status, NULL, argv);
    if (status != 0)
        says(p.err, "the cluster's version is about to change");
}
#define CHANGE(c, status, ...) \
    change(c, status, (const char *const[]){ __VA_ARGS__, NULL })

static void changes(const struct cluster *c, int status)
{
    CHANGE(c, status, "add", "m3", "--peer-urls", "http://127.0.0.1:1");
    CHANGE(c, status, "remove", "m1");
    CHANGE(c, status, "replace", "m1", "--with", "m3=http://127.0.0.1:1", "--no-backup");
}

/* Two of three are upgraded. Snapshots are taken, and fit the older servers; members do
 * not change, and nothing is recovered, until all run the same. */
static void upgraded_in_turn(const struct cluster_backend *b)
{
    const struct cluster_options o = { .members = 3 };
    OWNED(wire_client) w = NULL;
    LEDGER ledger = NULL;
    CLUSTER c = { 0 };
    char file[600];

    cluster_plan(&c, b, &o);
    let_run(&c, "3.5");
    cluster_boot_first(&c, 3);
    ledger = ledger_open(&c, 0);
    ledger_add(ledger, FEW);
    changes(&c, 0);
    upgrade(&c, 1, "3.6");
    upgrade(&c, 2, "3.6");
    snprintf(file, sizeof file, "%s/mixed.db", c.dir);
    disaster_save(&c, 1, file);
    changes(&c, 5);
    DISASTER_REFUSED(&c, 5, "the cluster has quorum", "--backup", file, "--endpoints",
                     cluster_endpoint(&c, 0));
    upgrade(&c, 0, "3.6");
    changes(&c, 0);
    disaster_whole(&c, 0, FEW + 1);
    flow_connect_to(&c, 0, &w);
    cr_assert_eq(ledger_check(ledger, w, INT64_MAX), FEW);
}

CASE(disaster, d19_in_the_middle_of_an_upgrade, .timeout = FLOW_TIMEOUT_S)
{
    flow_need("3.5");
    flow_need("3.6");
    upgraded_in_turn(cluster_backend("3.5"));
}

DISASTER_STORE_ROW(d19_in_the_middle_of_an_upgrade_on_the_store)
{
    upgraded_in_turn(b);
}
