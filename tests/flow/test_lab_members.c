/* The embedded store's membership: joining, leaving, losing data, going on alone, coming
 * from etcd's data directories and going back to them. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "tests/flow/lab.h"
#include "util/clock.h"

static void put(const struct cluster *c, unsigned i, const char *key)
{
    CTL(c, i, "put", key, "value");
}

static bool has(const struct cluster *c, unsigned i, const char *key)
{
    return strstr(CTL(c, i, "get", key), "value") != NULL;
}

static void load(const struct cluster *c, unsigned i)
{
    char key[16];

    for (int k = 0; k < 10; k++) {
        snprintf(key, sizeof key, "key%d", k % 7);
        put(c, i, key);
    }
    CTL(c, i, "del", "key3");
    CTL(c, i, "lease", "grant", "1000");
    CTL(c, i, "user", "add", "somebody:secret");
}

/* One more member's ports and names; `c` was started with fewer. */
static unsigned more(struct cluster *c)
{
    struct cluster spare;
    unsigned i = c->count++;

    cluster_plan(&spare, c->backend, &c->options);
    c->members[i] = spare.members[0];
    snprintf(c->members[i].name, sizeof c->members[i].name, "m%u", i);
    return i;
}

static void add(struct cluster *c, unsigned i, bool learner)
{
    char url[128];

    snprintf(url, sizeof url, "--peer-urls=%s", cluster_peer_url(c, i));
    if (learner)
        CTL(c, 0, "member", "add", c->members[i].name, url, "--learner");
    else
        CTL(c, 0, "member", "add", c->members[i].name, url);
}

CASE(lab_members, a_learner_becomes_a_voter_when_it_is_in_sync, .timeout = FLOW_TIMEOUT_S)
{
    CLUSTER c;
    unsigned joiner;
    const char *id;
    uint64_t end = clock_ms() + 20000;
    const char *out;

    flow_need("lab");
    lab_start(&c, 1);
    load(&c, 0);
    joiner = more(&c);
    add(&c, joiner, true);
    cluster_boot_joining(&c, joiner, cluster_initial(&c, c.count));
    while (!cluster_ctl_try(&c, joiner,
                            (const char *const[]){ "endpoint", "status", NULL }, &out))
        cr_assert_lt(clock_ms(), end, "%s", out);
    id = lab_id(&c, joiner);
    REFUSED(&c, joiner, "rpc not supported for learner", "put", "a", "b");
    REFUSED(&c, 0, "too many learner members", "member", "add", "x", "--learner",
            "--peer-urls=http://127.0.0.1:9");
    while (!cluster_ctl_try(&c, 0, (const char *const[]){ "member", "promote", id, NULL },
                            &out))
        cr_assert_lt(clock_ms(), end, "%s", out);
    REFUSED(&c, 0, "can only promote a learner member", "member", "promote", id);
    cluster_wait(&c, joiner);
    put(&c, joiner, "after");
    lab_agree(&c);
}

CASE(lab_members, a_removed_member_says_so_and_may_not_come_back,
     .timeout = FLOW_TIMEOUT_S)
{
    CLUSTER c;

    flow_need("lab");
    lab_start(&c, 3);
    CTL(&c, 0, "member", "remove", lab_id(&c, 2));
    cr_assert_eq(lab_ends(&c, 2, "permanently removed from the cluster"), 5);
    cluster_boot(&c, 2);
    cr_assert_eq(lab_ends(&c, 2, "permanently removed from the cluster"), 5);
    PEER(wipe, "rm", "-rf", c.members[2].data_dir);
    cluster_boot(&c, 2);
    cr_assert_eq(lab_ends(&c, 2, "permanently removed from the cluster"), 5);
    put(&c, 1, "still");
}

CASE(lab_members, a_wiped_member_needs_a_new_id, .timeout = FLOW_TIMEOUT_S)
{
    CLUSTER c;
    const char *id;

    flow_need("lab");
    lab_start(&c, 3);
    load(&c, 0);
    id = lab_id(&c, 2);
    cluster_kill(&c, 2, SIGKILL);
    PEER(wipe, "rm", "-rf", c.members[2].data_dir);
    cluster_boot(&c, 2);
    cr_assert_eq(lab_ends(&c, 2, "has already been bootstrapped"), 5);
    cluster_boot_joining(&c, 2, cluster_initial(&c, 3));
    cr_assert_eq(lab_ends(&c, 2, "has already been bootstrapped"), 5);
    CTL(&c, 0, "member", "remove", id);
    add(&c, 2, false);
    cluster_boot_joining(&c, 2, cluster_initial(&c, 3));
    cluster_wait(&c, 2);
    cr_assert_str_neq(lab_id(&c, 2), id);
    put(&c, 2, "again");
    lab_agree(&c);
}

CASE(lab_members, all_killed_and_started_again_nothing_is_lost, .timeout = FLOW_TIMEOUT_S)
{
    CLUSTER c;
    struct cluster_hash before;

    flow_need("lab");
    lab_start(&c, 3);
    load(&c, 1);
    lab_agree(&c);
    before = cluster_hashkv(&c, 0, 0);
    for (unsigned i = 0; i < 3; i++)
        cluster_kill(&c, i, SIGKILL);
    cluster_boot_first(&c, 3);
    lab_agree(&c);
    cr_assert_eq(cluster_hashkv(&c, 2, 0).hash, before.hash);
    cr_assert_not_null(strstr(CTL(&c, 0, "user", "list"), "somebody"));
    cr_assert_not_null(strstr(CTL(&c, 0, "lease", "list"), "found 1 leases"));
}

CASE(lab_members, the_last_one_goes_on_alone, .timeout = FLOW_TIMEOUT_S)
{
    static const char *const forced[] = { "--force-new-cluster", "--election-timeout=300",
                                          "--heartbeat-interval=30", NULL };
    CLUSTER c;

    flow_need("lab");
    lab_start(&c, 3);
    load(&c, 0);
    for (unsigned i = 0; i < 3; i++)
        cluster_kill(&c, i, SIGKILL);
    c.options.flags = forced;
    cluster_boot(&c, 0);
    cluster_wait(&c, 0);
    cr_assert(has(&c, 0, "key1"));
    put(&c, 0, "alone");
    cluster_kill(&c, 0, SIGTERM);
    c.options.flags = lab_quick;
    cluster_boot(&c, 0);
    cluster_wait(&c, 0);
    cr_assert(has(&c, 0, "alone"));
    cr_assert_null(strstr(CTL(&c, 0, "member", "list"), "m1"));
    cluster_boot(&c, 1);
    cr_assert_eq(lab_ends(&c, 1, "permanently removed from the cluster"), 5);
}

CASE(lab_members, a_directory_is_used_once, .timeout = FLOW_TIMEOUT_S)
{
    CLUSTER c;

    flow_need("lab");
    lab_start(&c, 1);
    RUN(second, HOLDFAST_LAB_BIN, "--data-dir", c.members[0].data_dir);
    cr_assert_eq(second.status, 11, "%s", second.err);
    TOOL(out, 11, "snapshot", "from-data-dir", c.members[0].data_dir, "-o",
         path_in(c.dir, "out.db"));
}

/* ---- from etcd's data directories, and back ---------------------------------------- */

static void restore(const struct cluster *c, const char *snapshot, unsigned members)
{
    for (unsigned i = 0; i < members; i++) {
        TOOL(p, 0, "restore", snapshot, "--name", c->members[i].name, "--data-dir",
             c->members[i].data_dir, "--initial-cluster", cluster_initial(c, members),
             "--initial-cluster-token", "t", "--initial-advertise-peer-urls",
             cluster_peer_url(c, i));
    }
}

CASE(lab_members, a_restored_directory_is_adopted_and_joiners_get_it_all,
     .timeout = FLOW_TIMEOUT_S)
{
    CLUSTER old;
    CLUSTER c;
    const struct cluster_options o = { .members = 3, .flags = lab_quick };
    struct cluster_hash before;
    const char *snapshot;
    unsigned joiner;

    flow_need("lab");
    lab_start(&old, 1);
    load(&old, 0);
    before = cluster_hashkv(&old, 0, 0);
    snapshot = path_in(old.dir, "s.db");
    CTL(&old, 0, "snapshot", "save", snapshot);
    cluster_plan(&c, cluster_backend("lab"), &o);
    restore(&c, snapshot, 3);
    cluster_boot_first(&c, 3);
    cr_assert_eq(cluster_hashkv(&c, 1, 0).hash, before.hash);
    cr_assert_not_null(strstr(CTL(&c, 0, "lease", "list"), "found 1 leases"));
    cr_assert_not_null(strstr(CTL(&c, 0, "user", "list"), "somebody"));
    joiner = more(&c);
    add(&c, joiner, false);
    cluster_boot_joining(&c, joiner, cluster_initial(&c, 4));
    cluster_wait(&c, joiner);
    lab_agree(&c);
    put(&c, joiner, "new");
    lab_agree(&c);
}

CASE(lab_members, the_directory_of_a_killed_etcd_is_gone_on_from,
     .timeout = FLOW_TIMEOUT_S)
{
    CLUSTER c;
    struct cluster_hash before;

    flow_need("3.6");
    flow_need("lab");
    cluster_start(&c, cluster_backend("3.6"), &(struct cluster_options){ .members = 3 });
    load(&c, 0);
    before = cluster_hashkv(&c, 0, 0);
    for (unsigned i = 0; i < 3; i++)
        cluster_kill(&c, i, SIGKILL);
    c.backend = cluster_backend("lab");
    c.options.flags = lab_quick;
    cluster_boot_first(&c, 3);
    cr_assert_eq(cluster_hashkv(&c, 1, 0).hash, before.hash);
    put(&c, 2, "in the lab");
    lab_agree(&c);
}

static void goes_on_as_etcd(const char *version)
{
    const char *const flags[] = { "--heartbeat-interval=20", "--election-timeout=200",
                                  "--etcd-version",          version,
                                  "--snapshot-count=50",     NULL };
    CLUSTER c;
    struct cluster_hash before;

    flow_need("lab");
    flow_need(version);
    cluster_start(&c, cluster_backend("lab"),
                  &(struct cluster_options){ .members = 3, .flags = flags });
    load(&c, 0);
    before = cluster_hashkv(&c, 0, 0);
    for (unsigned i = 0; i < 3; i++)
        cluster_kill(&c, i, i == 0 ? SIGTERM : SIGKILL);
    c.backend = cluster_backend(version);
    c.options.flags = NULL;
    cluster_boot_first(&c, 3);
    cr_assert_eq(cluster_hashkv(&c, 1, 0).hash, before.hash);
    cr_assert_not_null(strstr(CTL(&c, 0, "lease", "list"), "found 1 leases"));
    cr_assert_not_null(strstr(CTL(&c, 0, "user", "list"), "somebody"));
    put(&c, 2, "on etcd");
    lab_agree(&c);
}

/* The same three directories, with raft's snapshots in them. */
CASE(lab_members, a_killed_lab_goes_on_as_etcd_3_5, .timeout = FLOW_TIMEOUT_S)
{
    goes_on_as_etcd("3.5");
}

CASE(lab_members, a_killed_lab_goes_on_as_etcd_3_7, .timeout = FLOW_TIMEOUT_S)
{
    goes_on_as_etcd("3.7");
}
