/* From lost quorum to a healthy cluster, on real etcd. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/flow/certs.h"
#include "tests/flow/disaster.h"
#include "tests/flow/history.h"
#include "tests/flow/storm.h"
#include "tests/lib/kubelet.h"
#include "util/clock.h"
#include "util/os.h"
#include "wire/auth.h"
#include "wire/kv.h"

enum { MOMENTS_LONG = 8 };

/* ---- under load, at random moments --------------------------------------------------
 */

/* The member whose copy raft would elect; what any client was told is in it. */
static unsigned best_copy(const struct cluster *c)
{
    OWNED(json) a = NULL;

    TOOL(p, 0, "assess", c->members[0].data_dir, c->members[1].data_dir,
         c->members[2].data_dir, "--json", "--endpoints", DISASTER_NOBODY);
    flow_json(&p, &a);
    for (unsigned i = 0; i < c->count; i++)
        if (strcmp(flow_text(a, "best"), c->members[i].data_dir) == 0)
            return i;
    cr_assert_fail("no best copy");
    return 0;
}

/* Three members under load, all killed, two of the disks destroyed: every write that was
 * acknowledged up to the announced point is there, and all of them when the newest copy
 * is what was left. */
static void at_one_moment(const struct cluster_backend *b, unsigned turn)
{
    const struct cluster_options o = { .members = 3 };
    bool best = turn % 2 == 0;
    OWNED(wire_client) w = NULL;
    OWNED(json) plan = NULL;
    struct storm *storm;
    LEDGER ledger = NULL;
    CLUSTER c = { 0 };
    unsigned left, kept, all;

    cluster_start(&c, b, &o);
    ledger = ledger_start(&c);
    storm = storm_start(&c, 4000 + turn, true);
    clock_sleep_ms(200 + 90 * (turn % 7));
    for (unsigned i = 0; i < 3; i++)
        cluster_kill(&c, (i + turn) % 3, SIGKILL);
    storm_join(storm);
    all = ledger_join(ledger);
    left = best ? best_copy(&c) : turn % 3;
    disaster_lose_all_but(&c, left);

    DISASTER_PLAN(&c, "plan.json", &plan, c.members[left].data_dir);
    disaster_apply_all(&c, path_in(c.dir, "plan.json"), plan);
    disaster_over(&c, plan);
    flow_connect_to(&c, left, &w);
    kept = ledger_check(ledger, w, disaster_point(plan));
    if (best)
        cr_assert_eq(kept, all, "turn %u: %u of %u acknowledged writes are left", turn,
                     kept, all);
    disaster_back(&c, left, 5, path_in(c.dir, "plan.json"), "has been written to");
    disaster_old_stays_out(&c, left, disaster_aside(&c, left, plan));
}

EACH_ETCD(recover, two_of_three_disks_are_gone)
{
    unsigned turns = getenv("HOLDFAST_LONG") == NULL ? 1 + (b->minor == 6) : MOMENTS_LONG;

    for (unsigned turn = 0; turn < turns; turn++)
        at_one_moment(b, turn * 3 + (unsigned)b->minor);
}

/* ---- what speaks against it ---------------------------------------------------------
 */

static void killed_with_some_keys(struct cluster *c, const struct cluster_backend *b)
{
    const struct cluster_options o = { .members = 3 };
    OWNED(wire_client) w = NULL;

    cluster_start(c, b, &o);
    flow_connect_to(c, 0, &w);
    history_fill(w, "k", 100, 20);
    for (unsigned i = 0; i < 3; i++)
        cluster_kill(c, i, SIGKILL);
}

/* Peers are served as soon as etcd runs, also without a quorum. */
static void boot_alone(struct cluster *c, unsigned i)
{
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                              .sin_port = htons((uint16_t)c->members[i].peer_port) };
    uint64_t end = clock_ms() + 60000;
    int rc = -1;

    cluster_boot(c, i);
    while (rc != 0) {
        OWNED_FD int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        rc = connect(fd, (struct sockaddr *)&to, sizeof to);
        cr_assert(rc == 0 || clock_ms() < end, "member %u does not listen", i);
        clock_sleep_ms(rc == 0 ? 0 : 50);
    }
}

static void refused_here(const struct cluster *c, int status, const char *file,
                         const char *says)
{
    const struct cluster_member *m = &c->members[0];

    TOOL(p, status, "recover", "--apply", file, "--member", m->name, "--data-dir",
         m->data_dir, "--yes", "--endpoints", DISASTER_NOBODY);
    cr_assert(strstr(p.err, says) != NULL, "'%s' is not said: %s", says, p.err);
}

/* A directory of another cluster in the place of member 0's. */
static void try_elsewhere(const struct cluster *c, const struct cluster_backend *b,
                          const char *file)
{
    struct cluster elsewhere = *c;
    CLUSTER other = { 0 };

    cluster_start(&other, b, NULL);
    cluster_kill(&other, 0, SIGKILL);
    elsewhere.members[0] = other.members[0];
    snprintf(elsewhere.members[0].name, sizeof elsewhere.members[0].name, "%s",
             c->members[0].name);
    refused_here(&elsewhere, 5, file, "and the plan is for");
}

static void try_altered(const struct cluster *c, const char *file)
{
    const char *altered = path_in(c->dir, "altered.json");
    char command[1400];

    snprintf(command, sizeof command,
             "sed 's/\"mark_compacted\": *false/\"mark_compacted\": true/' '%s' > '%s'",
             file, altered);
    PEER(p, "sh", "-c", command);
    refused_here(c, 3, path_in(c->dir, "altered.json"),
                 "was changed after it was written");
}

/* Somebody else is at it, with whatever plan. */
static void try_both(const struct cluster *c, const char *file)
{
    char lock[600];
    OWNED_FD int fd = -1;

    snprintf(lock, sizeof lock, "%s.recovery-lock", c->members[0].data_dir);
    fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    cr_assert(fd >= 0 && flock(fd, LOCK_EX) == 0);
    refused_here(c, 11, file, "another recovery is at work");
}

/* The two that were thought lost came back for a moment, and wrote. */
static void try_stale(struct cluster *c, const char *file)
{
    OWNED(wire_client) w = NULL;

    cluster_boot(c, 0);
    cluster_boot(c, 1);
    cluster_wait(c, 0);
    flow_connect_to(c, 0, &w);
    history_put(w, "one", "more");
    cluster_kill(c, 0, SIGKILL);
    cluster_kill(c, 1, SIGKILL);
    refused_here(c, 5, file, "the plan is stale");
}

/* Asked for too early, too late, with the wrong plan, or in the wrong place. */
EACH_ETCD(recover, refused_unless_it_is_right)
{
    OWNED(json) plan = NULL;
    CLUSTER c = { 0 };
    const char *dir;
    char file[600];

    killed_with_some_keys(&c, b);
    snprintf(file, sizeof file, "%s", path_in(c.dir, "plan.json"));
    dir = c.members[0].data_dir;
    DISASTER_REFUSED(&c, 5, "build no new cluster", dir, c.members[1].data_dir);
    DISASTER_PLAN(&c, "plan.json", &plan, dir);
    boot_alone(&c, 1);
    DISASTER_REFUSED(&c, 5, "m1 of the old cluster still runs", dir, "--command-timeout",
                     "1s");
    refused_here(&c, 5, file, "m1 of the old cluster still runs");
    cluster_kill(&c, 1, SIGKILL);
    try_elsewhere(&c, b, file);
    try_altered(&c, file);
    try_both(&c, file);
    try_stale(&c, file);
    cr_assert_str_eq(dir_listing(path_in(dir, "member")), "snap wal");
}

/* ---- back ---------------------------------------------------------------------------
 */

/* Member 2 has run, and nothing here knows it; member 0, left alone, does. */
static void try_to_forget(struct cluster *c, const char *file)
{
    struct cluster lost;

    cluster_wait(c, 2);
    cluster_kill(c, 2, SIGKILL);
    lost = *c;
    lost.members[0] = c->members[2];
    snprintf(lost.members[0].data_dir, sizeof lost.members[0].data_dir, "%s",
             path_in(c->dir, "empty"));
    refused_here(&lost, 5, file, "m2 has run in the new cluster already");
}

/* Killed in the middle, resumed, taken back: the old member is what it was. */
EACH_ETCD(recover, back_to_what_it_was)
{
    OWNED(wire_client) again = NULL;
    OWNED(json) plan = NULL;
    CLUSTER c = { 0 };
    char file[600];

    killed_with_some_keys(&c, b);
    snprintf(file, sizeof file, "%s", path_in(c.dir, "plan.json"));
    DISASTER_PLAN(&c, "plan.json", &plan, c.members[0].data_dir, "--bump-revision",
                  "auto");
    cr_assert_str_eq(disaster_apply(&c, 0, file), "waits-for-others");
    cr_assert_str_eq(disaster_apply(&c, 2, file), "serves");
    try_to_forget(&c, file);
    cluster_kill(&c, 0, SIGKILL);
    disaster_back(&c, 0, 0, file, NULL);
    disaster_back(&c, 2, 0, file, NULL);

    /* The old cluster, as if nothing had been tried. */
    cluster_boot(&c, 0);
    cluster_boot(&c, 2);
    cluster_wait(&c, 0);
    flow_connect_to(&c, 0, &again);
    cr_assert_eq(history_revision(again), disaster_point(plan));
}

static int64_t keys_below(const struct cluster *c, unsigned i, const char *prefix)
{
    AT_END(wire_kvs_clear) struct wire_kvs k = { 0 };
    const struct wire_range all = { .key = bytes_str(prefix),
                                    .end = bytes_str("/registry0"),
                                    .count_only = true };
    OWNED(wire_client) w = NULL;
    struct err e = { 0 };

    flow_connect_to(c, i, &w);
    OK(wire_range_get(w, &all, &k, &e), &e);
    return k.total;
}

/* ---- nothing but a backup -----------------------------------------------------------
 */

/* Every disk is gone, and there is an encrypted backup. What came after it is lost, and
 * the plan says so. */
EACH_ETCD(recover, all_disks_are_gone)
{
    const struct cluster_options o = { .members = 3 };
    const char *key[] = { "-i", NULL, NULL };
    OWNED(wire_client) w = NULL;
    OWNED(json) plan = NULL;
    CLUSTER c = { 0 };
    char file[600], backup[600], identity[600];

    cluster_start(&c, b, &o);
    flow_connect_to(&c, 0, &w);
    history_fill(w, "/registry/pods", 100, 20);
    snprintf(file, sizeof file, "%s", path_in(c.dir, "plan.json"));
    snprintf(backup, sizeof backup, "%s", path_in(c.dir, "backup.db.zst.age"));
    snprintf(identity, sizeof identity, "%s", path_in(c.dir, "key"));
    key[1] = identity;
    TOOL(save, 0, "snapshot", "save", backup, "-r", flow_keygen(c.dir), "--endpoints",
         cluster_endpoint(&c, 0));
    history_put(w, "/registry/pods/late", "lost");
    for (unsigned i = 0; i < 3; i++)
        disaster_lose(&c, i);
    DISASTER_REFUSED(&c, 5, "could not be read", "--backup", backup);
    DISASTER_PLAN(&c, "plan.json", &plan, "--backup", backup, "-i", identity);
    cr_assert(
        strstr(json_str(json_at(json_get(json_get(plan, "recovery_point"), "lost"), 0)),
               "after the snapshot was taken") != NULL);
    for (unsigned i = 0; i < 3; i++) {
        disaster_step(&c, i, 0, file, NULL, key);
        cluster_boot(&c, i);
    }
    disaster_over(&c, plan);
    cr_assert_gt(disaster_announced(plan), 1000000000);
    cr_assert_eq(keys_below(&c, 2, "/registry/pods"), 100);
}

/* ---- behind certificates and passwords ----------------------------------------------
 */

/* Whoever asks needs a certificate and a login, before the disaster and behind it. */
static void behind_locks(const struct cluster_backend *b)
{
    const char *dir = certificates();
    const struct cluster_options o = { .members = 3,
                                       .tls_dir = dir,
                                       .client_cert_auth = true };
    OWNED(wire_client) w = NULL;
    OWNED(json) plan = NULL;
    struct err e = { 0 };
    CLUSTER c = { 0 };

    cluster_start(&c, b, &o);
    flow_connect_to(&c, 0, &w);
    history_fill(w, "k", 100, 20);
    history_add_users(w);
    OK(wire_auth_enable(w, &e), &e);
    c.user = "root:pw";
    for (unsigned i = 0; i < 3; i++)
        cluster_kill(&c, i, SIGKILL);
    setenv("ETCDCTL_CACERT", path_in(dir, "ca.crt"), 1);
    setenv("ETCDCTL_CERT", path_in(dir, "client.crt"), 1);
    setenv("ETCDCTL_KEY", path_in(dir, "client.key"), 1);
    setenv("ETCDCTL_USER", c.user, 1);
    DISASTER_PLAN(&c, "plan.json", &plan, c.members[1].data_dir);
    disaster_apply_all(&c, path_in(c.dir, "plan.json"), plan);
    disaster_over(&c, plan);
}

CASE(recover, with_certificates_and_logins, .timeout = FLOW_TIMEOUT_S)
{
    flow_need("3.6");
    behind_locks(cluster_backend("3.6"));
}

/* ---- by the operator's own commands -------------------------------------------------
 */

/* A script that starts and stops the etcd of member i, which a timeout bounds, should the
 * test die. Who belongs is not among its flags, but in the environment. */
static void write_script(const struct cluster *c, unsigned i)
{
    const struct cluster_member *m = &c->members[i];
    const char *path = path_in(c->dir, m->name);
    char file[600];
    FILE *f;

    snprintf(file, sizeof file, "%s.sh", path);
    f = fopen(file, "w");
    cr_assert_not_null(f);
    fprintf(f,
            "#!/bin/sh\ncase $1 in\n"
            "start) setsid timeout -k 1 200 %s --name %s --data-dir %s \\\n"
            "  --listen-client-urls %s --advertise-client-urls %s \\\n"
            "  --listen-peer-urls %s --initial-advertise-peer-urls %s \\\n"
            "  --listen-metrics-urls http://127.0.0.1:%d >>%s 2>&1 </dev/null &\n"
            "  echo $! >%s.pid;;\n"
            "stop) [ -f %s.pid ] || exit 0\n  pid=$(cat %s.pid)\n  kill \"$pid\"\n"
            "  while kill -0 \"$pid\" 2>/dev/null; do sleep 0.05; done\n"
            "  rm -f %s.pid;;\nesac\n",
            cluster_tool(c->backend, "etcd"), m->name, m->data_dir,
            cluster_endpoint(c, i), cluster_endpoint(c, i), cluster_peer_url(c, i),
            cluster_peer_url(c, i), m->metrics_port, m->log, path, path, path, path);
    cr_assert(fclose(f) == 0 && chmod(file, 0700) == 0);
}

static const char *script(const struct cluster *c, unsigned i, const char *verb)
{
    static char commands[2][700];
    char *to = commands[strcmp(verb, "start") == 0];

    snprintf(to, sizeof commands[0], "%s/%s.sh %s", c->dir, c->members[i].name, verb);
    return to;
}

static void run_script(const struct cluster *c, unsigned i, const char *verb)
{
    PEER(p, "sh", "-c", script(c, i, verb));
}

static void end_scripts(struct cluster **c)
{
    for (unsigned i = 0; i < (*c)->count; i++)
        run_script(*c, i, "stop");
}

static void apply_script(const struct cluster *c, unsigned i, const char *file,
                         const char *state)
{
    OWNED(json) told = NULL;

    disaster_step(c, i, 0, file, &told,
                  (const char *const[]){ "--stop-command", script(c, i, "stop"),
                                         "--start-command", script(c, i, "start"),
                                         NULL });
    cr_assert_str_eq(flow_text(told, "state"), state, "%s", c->members[i].name);
}

/* The survivor is stopped by the operator's command, and so are the others started. */
static void by_commands(const struct cluster_backend *b)
{
    const struct cluster_options o = { .members = 3 };
    struct cluster c = { 0 };
    AT_END(end_scripts) struct cluster *scripts = &c;
    OWNED(wire_client) w = NULL;
    OWNED(json) plan = NULL;
    char file[600];

    cluster_plan(&c, b, &o);
    setenv("ETCD_INITIAL_CLUSTER", cluster_initial(&c, 3), 1);
    for (unsigned i = 0; i < 3; i++) {
        write_script(&c, i);
        run_script(scripts, i, "start");
    }
    disaster_await(&c, 0);
    flow_connect_to(&c, 0, &w);
    history_fill(w, "k", 100, 20);
    for (unsigned i = 1; i < 3; i++) {
        run_script(&c, i, "stop");
        disaster_lose(&c, i);
    }
    snprintf(file, sizeof file, "%s", path_in(c.dir, "plan.json"));
    DISASTER_PLAN(&c, "plan.json", &plan, c.members[0].data_dir, "--shape",
                  "re-bootstrap");
    disaster_step(&c, 0, 5, file, NULL,
                  NULL); /* it runs, and nothing says how to stop it */
    apply_script(&c, 0, file, "serves");
    apply_script(&c, 1, file, "serves");
    apply_script(&c, 2, file, "complete");
    disaster_over(&c, plan);
}

CASE(recover, by_the_operators_own_commands, .timeout = FLOW_TIMEOUT_S)
{
    flow_need("3.7");
    by_commands(cluster_backend("3.7"));
}

/* ---- as kubeadm lays out a host -----------------------------------------------------
 */

/* The host of a member: its manifests, and who runs them. */
struct pod_host {
    struct kubelet kubelet;
    char manifests[600];
};

static void write_manifests(const struct cluster *c, unsigned i, struct pod_host *h)
{
    const struct cluster_member *m = &c->members[i];
    const struct kubelet_etcd etcd = { .name = m->name,
                                       .data_dir = m->data_dir,
                                       .initial_cluster = cluster_initial(c, c->count),
                                       .client_port = m->client_port,
                                       .peer_port = m->peer_port };
    char host[560], file[700];

    snprintf(host, sizeof host, "%.500s/host-%s", c->dir, m->name);
    snprintf(h->manifests, sizeof h->manifests, "%s/manifests", host);
    PEER(p, "mkdir", "-p", h->manifests);
    snprintf(file, sizeof file, "%s/etcd.yaml", h->manifests);
    kubelet_write_etcd(file, &etcd);
    snprintf(file, sizeof file, "printf 'kind: Pod\n' > '%s/kube-apiserver.yaml'",
             h->manifests);
    PEER(q, "sh", "-c", file);
}

static void power_on(const struct cluster *c, struct pod_host *h)
{
    kubelet_start(&h->kubelet, "", h->manifests, cluster_tool(c->backend, "etcd"));
}

static void apply_pod(const struct cluster *c, unsigned i, const struct pod_host *h,
                      const char *file, const char *state)
{
    OWNED(json) told = NULL;

    disaster_step(c, i, 0, file, &told,
                  (const char *const[]){ "--layout", "static-pod", "--manifests",
                                         h->manifests, NULL });
    cr_assert_str_eq(flow_text(told, "state"), state, "%s", c->members[i].name);
    cr_assert_gt(kubelet_pod(&h->kubelet, "kube-apiserver.yaml"), 0,
                 "the API server is not back");
}

static void end_pods(struct pod_host (*hosts)[3])
{
    for (unsigned i = 0; i < 3; i++)
        kubelet_stop(&(*hosts)[i].kubelet);
}

/* Two of three hosts burn, the third runs on without a quorum. It becomes a cluster of
 * its own, and the others, set up again from the same manifests, join it. */
static void hosts_burn(const struct cluster_backend *b)
{
    const struct cluster_options o = { .members = 3 };
    AT_END(end_pods) struct pod_host hosts[3] = { 0 };
    OWNED(wire_client) w = NULL;
    OWNED(json) plan = NULL;
    CLUSTER c = { 0 };
    char file[600];

    cluster_plan(&c, b, &o);
    for (unsigned i = 0; i < 3; i++) {
        write_manifests(&c, i, &hosts[i]);
        power_on(&c, &hosts[i]);
    }
    disaster_await(&c, 0);
    flow_connect_to(&c, 0, &w);
    history_fill(w, "/registry/pods", 100, 20);
    for (unsigned i = 1; i < 3; i++) {
        kubelet_stop(&hosts[i].kubelet);
        disaster_lose(&c, i);
    }
    DISASTER_REFUSED(&c, 5, "still runs", c.members[0].data_dir);
    snprintf(file, sizeof file, "%s", path_in(c.dir, "plan.json"));
    DISASTER_PLAN(&c, "plan.json", &plan, c.members[0].data_dir, "--shape",
                  "re-bootstrap", "--layout", "static-pod", "--manifests",
                  hosts[0].manifests);
    cr_assert(disaster_announced(plan) > 1000000000);
    apply_pod(&c, 0, &hosts[0], file, "serves");
    power_on(&c, &hosts[1]);
    apply_pod(&c, 1, &hosts[1], file, "serves");
    power_on(&c, &hosts[2]);
    apply_pod(&c, 2, &hosts[2], file, "complete");
    disaster_over(&c, plan);
    cr_assert_eq(keys_below(&c, 2, "/registry/pods"), 100);
}

CASE(recover, static_pods_one_survivor_that_runs, .timeout = FLOW_TIMEOUT_S)
{
    flow_need("3.5");
    hosts_burn(cluster_backend("3.5"));
}
