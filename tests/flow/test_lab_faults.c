/* The embedded store broken on purpose: every fault of the control socket does what
 * docs/lab.md says, and the members answer as etcd's do in the same trouble. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "tests/flow/lab.h"
#include "tests/lib/tmpfs.h"
#include "util/clock.h"
#include "wire/kv.h"

CASE(lab_faults, a_member_cut_off_serves_what_needs_no_quorum, .timeout = FLOW_TIMEOUT_S)
{
    CLUSTER c;
    unsigned lone;
    const char *status;

    flow_need("lab");
    lab_start(&c, 3);
    CTL(&c, 0, "put", "a", "old");
    lab_agree(&c);
    lone = lab_leader(&c);
    lab_isolate(&c, lone);
    lab_leaderless(&c, lone);
    REFUSED(&c, lone, "deadline exceeded", "put", "a", "new", "--command-timeout=500ms");
    REFUSED(&c, lone, "deadline exceeded", "get", "a", "--command-timeout=500ms");
    REFUSED(&c, lone, "request timed out", "put", "a", "b", "--command-timeout=20s");
    cr_assert_not_null(strstr(CTL(&c, lone, "get", "a", "--consistency=s"), "old"));
    status = CTL(&c, lone, "endpoint", "status", "-w", "json");
    cr_assert_not_null(strstr(status, "etcdserver: no leader"), "%s", status);
    CTL(&c, lone, "endpoint", "hashkv");
    TOOL(save, 8, "snapshot", "save", path_in(c.dir, "lone.db"), "--endpoints",
         cluster_endpoint(&c, lone));
    CTL(&c, (lone + 1) % 3, "put", "a", "new");
    lab_say(&c, lone, "heal");
    cluster_wait(&c, lone);
    cr_assert_not_null(strstr(CTL(&c, lone, "get", "a"), "new"));
    lab_agree(&c);
}

/* Out alone is enough to lose a leader its followers; it still hears them. */
CASE(lab_faults, a_link_is_cut_one_way, .timeout = FLOW_TIMEOUT_S)
{
    CLUSTER c;
    unsigned leader, next;
    uint64_t end = clock_ms() + 20000;
    char command[32];

    flow_need("lab");
    lab_start(&c, 3);
    leader = lab_leader(&c);
    for (unsigned k = 0; k < 3; k++)
        if (k != leader) {
            snprintf(command, sizeof command, "cut m%u out", k);
            lab_say(&c, leader, command);
        }
    do {
        clock_sleep_ms(50);
        next = lab_leader(&c);
        cr_assert_lt(clock_ms(), end, "nobody took over");
    } while (next == leader || next == CLUSTER_MAX);
    CTL(&c, next, "put", "a", "b");
    lab_say(&c, leader, "heal");
    cluster_wait(&c, leader);
    lab_agree(&c);
}

CASE(lab_faults, without_a_majority_nothing_is_written, .timeout = FLOW_TIMEOUT_S)
{
    CLUSTER c;

    flow_need("lab");
    lab_start(&c, 3);
    CTL(&c, 0, "put", "a", "b");
    lab_agree(&c);
    cluster_kill(&c, 1, SIGKILL);
    cluster_kill(&c, 2, SIGKILL);
    lab_leaderless(&c, 0);
    REFUSED(&c, 0, "deadline exceeded", "put", "a", "c", "--command-timeout=1s");
    cr_assert_not_null(strstr(CTL(&c, 0, "get", "a", "--consistency=s"), "b"));
    cluster_boot(&c, 2);
    cluster_wait(&c, 0);
    cr_assert_not_null(strstr(CTL(&c, 0, "get", "a"), "b"));
    CTL(&c, 0, "put", "a", "d");
}

/* As many values of 1 MB as go in; -1: none was refused. */
static int put_until_refused(const struct cluster *c)
{
    static uint8_t value[1 << 20];
    OWNED(wire_client) w = NULL;
    struct err e = { 0 };
    char key[32];

    flow_connect(c, &w);
    for (int i = 0; i < 64; i++) {
        snprintf(key, sizeof key, "large%02d", i);
        if (wire_put(w, bytes_str(key), BYTES_OF(value), 0, NULL, &e) != RC_OK)
            return i;
    }
    return -1;
}

/* No fault of ours: the log's own next blocks are not to be had. */
CASE(lab_faults, a_disk_that_is_full_ends_the_member, .timeout = FLOW_TIMEOUT_S)
{
    CLUSTER c = { 0 };
    const char *disk = tmpdir_new();
    char want[32];
    int taken;

    flow_need("lab");
    cluster_plan(&c, cluster_backend("lab"),
                 &(struct cluster_options){ .flags = lab_quick });
    if (!tmpfs_mount(disk, "size=24m"))
        return;
    snprintf(c.members[0].data_dir, sizeof c.members[0].data_dir, "%s/m0", disk);
    cluster_boot_first(&c, 1);
    taken = put_until_refused(&c);
    cr_assert(taken > 4 && taken < 24, "%d were taken", taken);
    cr_assert_eq(lab_ends(&c, 0, "No space left on device"), 6);
    PEER(more, "mount", "-o", "remount,size=128m", disk);
    cluster_boot(&c, 0);
    cluster_wait(&c, 0);
    snprintf(want, sizeof want, "large%02d", taken - 1);
    cr_assert_not_null(
        strstr(CTL(&c, 0, "get", "large", "--prefix", "--keys-only"), want));
    CTL(&c, 0, "put", "a", "b");
    cluster_stop(&c);
    tmpfs_unmount(disk);
}

CASE(lab_faults, a_disk_that_fails_ends_the_member, .timeout = FLOW_TIMEOUT_S)
{
    static const char *const ways[][2] = {
        { "full-disk", "no space left on device" },
        { "fail-fsync", "fsync of the log: input/output error" },
    };
    CLUSTER c;

    flow_need("lab");
    lab_start(&c, 3);
    for (size_t i = 0; i < 2; i++) {
        unsigned victim = lab_leader(&c);
        const char *out;

        lab_say(&c, victim, ways[i][0]);
        (void)cluster_ctl_try(
            &c, victim,
            (const char *const[]){ "put", "a", "b", "--command-timeout=1s", NULL }, &out);
        cr_assert_eq(lab_ends(&c, victim, ways[i][1]), 6);
        cluster_wait(&c, (victim + 1) % 3);
        CTL(&c, (victim + 1) % 3, "put", "a", "c");
        cluster_boot(&c, victim);
        cluster_wait(&c, victim);
        lab_agree(&c);
    }
}

CASE(lab_faults, a_disk_that_lies_loses_what_was_acknowledged, .timeout = FLOW_TIMEOUT_S)
{
    CLUSTER c;

    flow_need("lab");
    lab_start(&c, 1);
    CTL(&c, 0, "put", "kept", "value");
    lab_say(&c, 0, "lying-disk");
    CTL(&c, 0, "put", "lost", "value");
    cr_assert_not_null(strstr(CTL(&c, 0, "get", "lost"), "value"));
    cluster_kill(&c, 0, SIGKILL);
    cluster_boot(&c, 0);
    cluster_wait(&c, 0);
    cr_assert_not_null(strstr(CTL(&c, 0, "get", "kept"), "value"));
    cr_assert_null(strstr(CTL(&c, 0, "get", "lost"), "value"));
}

CASE(lab_faults, delays_slow_disks_and_pauses_only_take_time, .timeout = FLOW_TIMEOUT_S)
{
    CLUSTER c;
    unsigned leader;
    uint64_t before;

    flow_need("lab");
    lab_start(&c, 3);
    leader = lab_leader(&c);
    lab_say(&c, (leader + 1) % 3, "slow-disk 40");
    lab_say(&c, (leader + 2) % 3, "slow-disk 40");
    before = clock_ms();
    CTL(&c, leader, "put", "a", "1");
    cr_assert_geq(clock_ms() - before, 40);
    lab_say(&c, (leader + 1) % 3, "heal");
    lab_say(&c, (leader + 2) % 3, "heal");
    lab_say(&c, leader, "delay 40");
    before = clock_ms();
    CTL(&c, leader, "put", "a", "2");
    cr_assert_geq(clock_ms() - before, 40);
    lab_say(&c, leader, "heal");
    before = clock_ms();
    lab_say(&c, leader, "pause 100");
    cr_assert_geq(clock_ms() - before, 100);
    CTL(&c, leader, "put", "a", "3");
    lab_agree(&c);
}

CASE(lab_faults, leases_end_unless_the_clock_stands_still, .timeout = FLOW_TIMEOUT_S)
{
    CLUSTER c;
    uint64_t end = clock_ms() + 20000;

    flow_need("lab");
    lab_start(&c, 1);
    lab_say(&c, 0, "freeze-clock");
    CTL(&c, 0, "lease", "grant", "2");
    clock_sleep_ms(2500);
    cr_assert_not_null(strstr(CTL(&c, 0, "lease", "list"), "found 1 leases"));
    lab_say(&c, 0, "heal");
    while (strstr(CTL(&c, 0, "lease", "list"), "found 0 leases") == NULL) {
        cr_assert_lt(clock_ms(), end, "the lease lives on");
        clock_sleep_ms(100);
    }
}

CASE(lab_faults, a_flipped_bit_shows_in_hashkv, .timeout = FLOW_TIMEOUT_S)
{
    CLUSTER c;

    flow_need("lab");
    lab_start(&c, 3);
    CTL(&c, 0, "put", "a", "some value");
    lab_agree(&c);
    lab_say(&c, 1, "corrupt-db");
    cr_assert_neq(cluster_hashkv(&c, 0, 0).hash, cluster_hashkv(&c, 1, 0).hash);
    cr_assert_eq(cluster_hashkv(&c, 0, 0).hash, cluster_hashkv(&c, 2, 0).hash);
    cluster_kill(&c, 1, SIGKILL);
    cluster_boot(&c, 1);
    cluster_wait(&c, 1);
    lab_agree(&c);
}

/* A save must end in time, fail, say why, and leave nothing. */
static void save_fails(const struct cluster *c, const char *command, const char *why)
{
    const char *to = path_in(c->dir, "failed.db");
    const char *const argv[] = {
        HOLDFAST_BIN,           "snapshot",        "save", to,  "--endpoints",
        cluster_endpoint(c, 0), "--stall-timeout", "1s",   NULL
    };
    [[gnu::cleanup(proc_end)]] struct proc p = { 0 };

    lab_say(c, 0, command);
    proc_run(&p, NULL, argv);
    cr_assert(p.status != 0 && !p.timed_out, "%s: %d %s", command, p.status, p.err);
    cr_assert_not_null(strstr(p.err, why), "%s: %s", command, p.err);
    PEER(gone, "test", "!", "-e", to);
    lab_say(c, 0, "heal");
}

CASE(lab_faults, broken_snapshots_are_noticed, .timeout = FLOW_TIMEOUT_S)
{
    static char value[60000];
    CLUSTER c;

    flow_need("lab");
    lab_start(&c, 1);
    memset(value, 'x', sizeof value - 1);
    CTL(&c, 0, "put", "a", value);
    CTL(&c, 0, "put", "b", value);
    save_fails(&c, "corrupt-snapshot", "SHA-256");
    save_fails(&c, "truncate-snapshot 50000", "broke");
    save_fails(&c, "endless-snapshot", "no database");
    TOOL(good, 0, "snapshot", "save", path_in(c.dir, "good.db"), "--endpoints",
         cluster_endpoint(&c, 0));
}

CASE(lab_faults, the_quota_stops_writes_until_there_is_room, .timeout = FLOW_TIMEOUT_S)
{
    static const char *const small[] = { "--quota-backend-bytes=1000000",
                                         "--election-timeout=300",
                                         "--heartbeat-interval=30", NULL };
    const struct cluster_options o = { .members = 1, .flags = small };
    static char value[100000];
    CLUSTER c;
    const char *out = "";
    int64_t revision;
    char text[24];

    flow_need("lab");
    cluster_start(&c, cluster_backend("lab"), &o);
    memset(value, 'x', sizeof value - 1);
    for (int i = 0; i < 20; i++)
        if (!cluster_ctl_try(&c, 0, (const char *const[]){ "put", "a", value, NULL },
                             &out))
            break;
    cr_assert_not_null(strstr(out, "database space exceeded"), "%s", out);
    cr_assert_not_null(strstr(CTL(&c, 0, "alarm", "list"), "NOSPACE"));
    REFUSED(&c, 0, "database space exceeded", "put", "b", "c");
    revision = cluster_revision(&c, 0);
    snprintf(text, sizeof text, "%lld", (long long)revision);
    CTL(&c, 0, "compaction", text);
    REFUSED(&c, 0, "database space exceeded", "put", "b", "c");
    CTL(&c, 0, "defrag");
    CTL(&c, 0, "alarm", "disarm");
    CTL(&c, 0, "put", "b", "c");
}
