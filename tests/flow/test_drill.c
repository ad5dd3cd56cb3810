/* Restore drills: a good backup comes back on every server, a bad one is found out. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "tests/flow/golden.h"
#include "tests/flow/history.h"
#include "tests/flow/vault.h"

/* A repository with `backups` backups of a cluster that has ended since; the second one
 * has files of the host beside the database. */
static void backed_up(struct vault *v, const struct cluster_backend *b, unsigned backups)
{
    CLUSTER c = { 0 };
    OWNED(wire_client) w = NULL;

    vault_make(v, vault_directory(), NULL);
    cluster_start(&c, b, NULL);
    flow_connect(&c, &w);
    history_make(w, 7);
    history_put(w, "canary", "sings");
    for (unsigned i = 0; i < backups; i++) {
        VAULT(p, v, 0, "backup", "--endpoints", cluster_endpoints(&c), "--json",
              i == 1 ? "--include" : NULL, v->key);
        history_put(w, "more", "and more");
    }
}

/* Runs a drill with a scratch directory of its own, in which nothing may be left. */
static void drill(struct proc *p, const struct vault *v, int status, const char *which,
                  const char *etcd, const char *option, const char *value)
{
    const char *scratch = vault_directory();
    const char *argv[16] = { HOLDFAST_BIN, "drill",     which,   "--etcd",
                             etcd,         "--scratch", scratch, "--json" };
    size_t n = 8;

    if (strcmp(option, "-i") != 0) {
        argv[n++] = "-i";
        argv[n++] = v->key;
    }
    if (value != NULL) {
        argv[n++] = option;
        argv[n++] = value;
    }
    vault_run(p, v, status, argv);
    cr_assert_str_empty(dir_listing(scratch), "%s is left", dir_listing(scratch));
}

#define DRILL(p, v, status, which, etcd, option, value) \
    [[gnu::cleanup(proc_end)]] struct proc p = { 0 };   \
    drill(&p, v, status, which, etcd, option, value)

static void passed(const struct proc *p, bool expected)
{
    OWNED(json) j = NULL;
    bool is = !expected;

    flow_json(p, &j);
    cr_assert(json_get_bool(j, "passed", &is) && is == expected, "%s", p->out);
}

EACH_ETCD(drill, brings_back_what_was_backed_up)
{
    struct vault v;

    backed_up(&v, b, 1);
    DRILL(real, &v, 0, "latest", cluster_tool(b, "etcd"), "--canary", "canary");
    passed(&real, true);
    cr_assert_not_null(strstr(real.out, "\"server\":\"etcd 3."), "%s", real.out);
    DRILL(own, &v, 0, "random", HOLDFAST_LAB_BIN, "--canary", "canary");
    passed(&own, true);
    cr_assert_not_null(strstr(own.out, "\"server\":\"holdfast-lab 3."), "%s", own.out);
}

/* ---- what a drill must find out ------------------------------------------------------
 */

static const char *etcd_3_5(void)
{
    flow_need("3.5");
    return cluster_tool(cluster_backend("3.5"), "etcd");
}

static void says(const struct proc *p, const char *words)
{
    cr_assert_not_null(strstr(p->err, words), "no '%s' in: %s", words, p->err);
}

CASE(drill, a_flipped_byte, .timeout = FLOW_TIMEOUT_S)
{
    const char *etcd = etcd_3_5();
    struct vault v;

    backed_up(&v, cluster_backend("3.5"), 1);
    golden_flip(vault_file(v.url, ".db.zst.age"));
    DRILL(p, &v, 3, "1", etcd, "", NULL);
    passed(&p, false);
    says(&p, "SHA-256");
}

CASE(drill, a_missing_object_and_an_older_backup, .timeout = FLOW_TIMEOUT_S)
{
    const char *etcd = etcd_3_5();
    struct vault v;
    char object[4200];

    backed_up(&v, cluster_backend("3.5"), 1);
    snprintf(object, sizeof object, "%s", vault_file(v.url, ".db.zst.age"));
    cr_assert_eq(remove(object), 0);
    DRILL(p, &v, 3, "latest", etcd, "", NULL);
    passed(&p, false);
    says(&p, "backup 1");
}

static void stands_in(const struct vault *v, const char *etcd, const char *object,
                      const char *words)
{
    golden_flip(vault_file(v->url, object));
    DRILL(p, v, 3, "latest", etcd, "", NULL);
    passed(&p, false);
    says(&p, words);
    cr_assert_not_null(strstr(p.out, "\"step\":\"ask\""), "%s", p.out);
}

/* A snapshot, a bundle, a snapshot: the newest that can be had is drilled, and that it is
 * not the newest is no pass. */
CASE(drill, a_bundle_and_what_stands_in, .timeout = FLOW_TIMEOUT_S)
{
    const char *etcd = etcd_3_5();
    struct vault v;
    char newest[VAULT_TEXT], *key;

    backed_up(&v, cluster_backend("3.5"), 3);
    DRILL(whole, &v, 0, "2", etcd, "", NULL);
    passed(&whole, true);
    VAULT(info, &v, 0, "info", "3", "--json");
    key = strstr(info.out, "\"key\":\"") + 7;
    snprintf(newest, sizeof newest, "%.*s", (int)strcspn(key, "\""), key);
    stands_in(&v, etcd, newest, "backup 2 came back in its place");
    stands_in(&v, etcd, "bundle.tar.zst.age", "backup 1 came back in its place");
}

CASE(drill, a_wrong_key, .timeout = FLOW_TIMEOUT_S)
{
    const char *etcd = etcd_3_5(), *dir = tmpdir_new();
    struct vault v;

    backed_up(&v, cluster_backend("3.5"), 1);
    flow_keygen(dir);
    DRILL(p, &v, 12, "latest", etcd, "-i", path_in(dir, "key"));
    passed(&p, false);
}

CASE(drill, an_altered_record, .timeout = FLOW_TIMEOUT_S)
{
    const char *etcd = etcd_3_5();
    struct vault v;

    backed_up(&v, cluster_backend("3.5"), 1);
    golden_flip(vault_file(v.url, "000000000001.json"));
    VAULT(p, &v, 3, "drill", "latest", "--etcd", etcd, "-i", v.key);
    says(&p, "log");
}

CASE(drill, a_canary_that_died_and_targets_that_were_missed, .timeout = FLOW_TIMEOUT_S)
{
    const char *etcd = etcd_3_5();
    struct vault v;

    backed_up(&v, cluster_backend("3.5"), 1);
    DRILL(dead, &v, 3, "1", etcd, "--canary", "never-was");
    passed(&dead, false);
    says(&dead, "canary");
    DRILL(slow, &v, 8, "1", etcd, "--rto", "1ms");
    passed(&slow, true);
    says(&slow, "allowed");
}

CASE(drill, a_server_that_does_not_come_up, .timeout = FLOW_TIMEOUT_S)
{
    struct vault v;

    flow_need("3.5");
    backed_up(&v, cluster_backend("3.5"), 1);
    DRILL(ends, &v, 4, "1", "/bin/false", "", NULL);
    says(&ends, "ended");
    DRILL(none, &v, 10, "1", "/nonexistent/etcd", "", NULL);
}

/* A killed drill leaves an unencrypted database: the next one takes it away, and leaves
 * alone what somebody works on. */
CASE(drill, what_a_killed_one_left_goes, .timeout = FLOW_TIMEOUT_S)
{
    const char *scratch = vault_directory();
    char dead[600], live[600];
    OWNED_FD int held = -1;

    snprintf(dead, sizeof dead, "%s/holdfast-drill-dead", scratch);
    snprintf(live, sizeof live, "%s/holdfast-drill-live", scratch);
    cr_assert_eq(mkdir(dead, 0700) | mkdir(live, 0700), 0);
    golden_write(path_in(dead, "db"), "secret", 6);
    held = open(live, O_RDONLY | O_DIRECTORY);
    cr_assert_eq(flock(held, LOCK_EX), 0);
    TOOL(p, 10, "drill", "--file", "/nonexistent.db", "--etcd", "/bin/false", "--scratch",
         scratch, "--allow-same-filesystem");
    says(&p, "holdfast-drill-dead");
    cr_assert_str_eq(dir_listing(scratch), "holdfast-drill-live", "%s",
                     dir_listing(scratch));
}

CASE(drill, of_a_file_with_a_report, .timeout = FLOW_TIMEOUT_S)
{
    const char *etcd = etcd_3_5(), *reports = tmpdir_new();
    CLUSTER c = { 0 };
    OWNED(wire_client) w = NULL;
    char file[600];

    cluster_start(&c, cluster_backend("3.5"), NULL);
    flow_connect(&c, &w);
    history_make(w, 3);
    snprintf(file, sizeof file, "%s", path_in(c.dir, "x.db"));
    TOOL(save, 0, "snapshot", "save", file, "--endpoints", cluster_endpoints(&c),
         "--allow-same-filesystem");
    TOOL(p, 0, "drill", "--file", file, "--etcd", etcd, "--scratch", vault_directory(),
         "--allow-same-filesystem", "--report-dir", reports, "--json");
    passed(&p, true);
    cr_assert_not_null(strstr(dir_listing(reports), ".json"), "%s", dir_listing(reports));
    cr_assert_not_null(strstr(dir_listing(reports), ".txt"));
    TOOL(q, 10, "drill", "--file", file, "--etcd", etcd, "--scratch", vault_directory(),
         "--allow-same-filesystem", "--report-dir", path_in(reports, "none"), "--json");
    passed(&q, true);
}

CASE(drill, refuses_the_disk_of_a_living_etcd, .timeout = FLOW_TIMEOUT_S)
{
    CLUSTER c = { 0 };

    flow_need("3.5");
    cluster_start(&c, cluster_backend("3.5"), NULL);
    TOOL(p, 5, "drill", "--file", "x.db", "--scratch", c.dir);
    says(&p, "running etcd");
}
