/* What is found out about an etcd of this machine, against what that etcd says of itself;
 * and etcds that are stopped and started the way they are run. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/change.h"
#include "host/control.h"
#include "host/find.h"
#include "tests/flow/flow.h"
#include "tests/lib/kubelet.h"
#include "util/clock.h"
#include "util/os.h"

#define LIST AT_END(host_list_clear) struct host_list

enum { LOG_MAX = 16 << 20 };

/* ---- what the server says ---------------------------------------------------------- */

/* The line of its log in which etcd prints its own settings. */
static void read_settings(const struct cluster *c, struct json **out)
{
    AT_END(mem_end) uint8_t *text = NULL;
    struct err e = { 0 };
    char *at, *line;
    size_t n = 0;

    OK(os_read_file(c->members[0].log, LOG_MAX, &text, &n, &e), &e);
    at = memmem(text, n, "\"starting an etcd server\"", 25);
    cr_assert_not_null(at, "the log has no line with the settings");
    for (line = at; line > (char *)text && line[-1] != '\n';)
        line--;
    n -= (size_t)(line - (char *)text);
    OK(json_parse((struct bytes){ (uint8_t *)line,
                                  strcspn(line, "\n") < n ? strcspn(line, "\n") : n },
                  "log", out, &e),
       &e);
}

static void same_text(const struct json *said, const char *key, const char *found)
{
    const char *want = json_get_str(said, key);

    cr_expect(want != NULL && found != NULL && strcmp(want, found) == 0, "%s: %s, not %s",
              key, found == NULL ? "(none)" : found, want == NULL ? "(none)" : want);
}

static void same_list(const struct json *said, const char *key,
                      const struct str_list *found)
{
    const struct json *want = json_get(said, key);

    cr_expect_eq(json_count(want), found->count, "%s", key);
    for (size_t i = 0; i < json_count(want); i++)
        cr_expect(str_list_has(found, json_str(json_at(want, i))), "%s: %s", key,
                  json_str(json_at(want, i)));
}

static void agrees(const struct cluster *c, const struct host_member *m)
{
    OWNED(json) said = NULL;

    read_settings(c, &said);
    same_text(said, "name", m->name);
    same_text(said, "data-dir", m->data_dir);
    if (m->wal_dir != NULL)
        same_text(said, "wal-dir", m->wal_dir);
    else
        cr_expect_str_eq(flow_text(said, "wal-dir"), "");
    same_list(said, "initial-advertise-peer-urls", &m->peer_urls);
    same_list(said, "listen-peer-urls", &m->listen_peer_urls);
    same_list(said, "advertise-client-urls", &m->client_urls);
    same_list(said, "listen-client-urls", &m->listen_client_urls);
    same_text(said, "initial-cluster", m->initial_cluster);
    same_text(said, "initial-cluster-state", m->initial_state);
    same_text(said, "initial-cluster-token", m->initial_token);
}

/* ---- one that is started in this or that way ------------------------------------------
 */

/* Its addresses, as flags, variables or lines of a file. */
static const char *const names[] = { "listen-client-urls", "advertise-client-urls",
                                     "listen-peer-urls", "initial-advertise-peer-urls" };

static const char *address(const struct cluster *c, int i)
{
    return i < 2 ? cluster_endpoint(c, 0) : cluster_peer_url(c, 0);
}

/* Discovery among all processes of this machine, by the data directory alone. */
static const struct host_member *find_plain(const struct cluster *c,
                                            struct host_list *list)
{
    const struct host_options o = { .layout = HOST_PLAIN,
                                    .data_dir = c->members[0].data_dir };
    const struct host_member *m = NULL;
    struct err e = { 0 };

    OK(host_find(&o, list, &e), &e);
    OK(host_only(list, &m, &e), &e);
    return m;
}

/* Asked of the client port, the only one that all of these have. */
static void serves(struct cluster *c)
{
    uint64_t end = clock_ms() + 60000;
    const char *out = NULL;
    const char *const get[] = { "get", "k", "--print-value-only", NULL };

    while (!cluster_ctl_try(c, 0, get, &out))
        cr_assert(clock_ms() < end &&
                      (c->members[0].pid == 0 || proc_runs(c->members[0].pid)),
                  "it does not serve");
}

static void start(struct cluster *c, const char *const argv[])
{
    LIST l = { 0 };
    const struct host_member *m;

    c->members[0].pid = proc_start(c->members[0].log, argv);
    serves(c);
    m = find_plain(c, &l);
    cr_expect_eq(m->pid, (uint64_t)c->members[0].pid);
    cr_expect(m->owner.known && m->owner.uid == getuid() && m->owner.mode == 0700);
    agrees(c, m);
}

EACH_ETCD(host, flags_as_the_server_takes_them)
{
    CLUSTER c;
    const char *argv[32];
    char flags[8][256], wal[600];
    size_t n = 0;

    cluster_plan(&c, b, NULL);
    snprintf(wal, sizeof wal, "--wal-dir=%s/wal", c.dir);
    argv[n++] = cluster_tool(b, "etcd");
    argv[n++] = "--name";
    argv[n++] = "one";
    argv[n++] = "-data-dir";
    argv[n++] = c.members[0].data_dir;
    argv[n++] = wal;
    argv[n++] = "--logger=zap";
    argv[n++] = "--pre-vote";
    for (int i = 0; i < 4; i++) {
        snprintf(flags[i], sizeof flags[i], "--%s=%s", names[i], address(&c, i));
        argv[n++] = flags[i];
    }
    argv[n++] = "--initial-cluster-token";
    argv[n++] = "tok en";
    argv[n] = NULL;
    start(&c, argv);
}

/* Also the data directory that a name alone means. */
EACH_ETCD(host, variables_as_the_server_takes_them)
{
    CLUSTER c;
    const char *argv[32];
    char variables[8][256];
    size_t n = 0;

    cluster_plan(&c, b, NULL);
    snprintf(c.members[0].data_dir, sizeof c.members[0].data_dir, "%s/two.etcd", c.dir);
    argv[n++] = "env";
    argv[n++] = "-C";
    argv[n++] = c.dir;
    argv[n++] = "ETCD_NAME=two";
    argv[n++] = "ETCD_LOGGER=zap";
    argv[n++] = "ETCD_WAL_DIR=";
    for (int i = 0; i < 4; i++) {
        char name[64] = "";

        for (size_t k = 0; names[i][k] != '\0'; k++)
            name[k] = names[i][k] == '-' ? '_' : (char)(names[i][k] - 'a' + 'A');
        snprintf(variables[i], sizeof variables[i], "ETCD_%s=%s", name, address(&c, i));
        argv[n++] = variables[i];
    }
    argv[n++] = cluster_tool(b, "etcd");
    argv[n] = NULL;
    LIST l = { 0 };

    c.members[0].pid = proc_start(c.members[0].log, argv);
    serves(&c);
    const struct host_member *m = find_plain(&c, &l);
    OWNED(json) said = NULL;

    cr_expect_eq(m->pid, (uint64_t)c.members[0].pid);
    cr_expect_str_eq(m->data_dir, c.members[0].data_dir);
    read_settings(&c, &said);
    same_text(said, "name", m->name);
    cr_expect_str_eq(flow_text(said, "data-dir"), "two.etcd");
    same_list(said, "advertise-client-urls", &m->client_urls);
    same_list(said, "listen-peer-urls", &m->listen_peer_urls);
    same_text(said, "initial-cluster", m->initial_cluster);
    same_text(said, "initial-cluster-token", m->initial_token);
}

EACH_ETCD(host, a_configuration_file_as_the_server_takes_it)
{
    CLUSTER c;
    char path[600], flag[700];
    FILE *f;

    cluster_plan(&c, b, NULL);
    snprintf(path, sizeof path, "%s/etcd.yml", c.dir);
    snprintf(flag, sizeof flag, "--config-file=%s", path);
    f = fopen(path, "w");
    cr_assert_not_null(f);
    fprintf(f, "# comment\nname: three\nData-Dir: %s\nlogger: zap\n",
            c.members[0].data_dir);
    for (int i = 0; i < 4; i++)
        fprintf(f, "%s: '%s'\n", names[i], address(&c, i));
    fprintf(f,
            "initial-cluster-token: \"t\\x2f3\"\ninitial-cluster: three=%s\n"
            "log-outputs: [stderr]\nclient-transport-security:\n",
            cluster_peer_url(&c, 0));
    cr_assert_eq(fclose(f), 0);
    const char *const argv[] = {
        "env", "ETCD_NAME=not-this", cluster_tool(b, "etcd"), "--name=nor-this", flag,
        NULL
    };

    start(&c, argv);
}

/* ---- a static pod
 * ----------------------------------------------------------------------- */

static void write_manifest(const struct cluster *c, const struct kubelet *k)
{
    const struct kubelet_etcd what = { .name = "m0",
                                       .data_dir = "/var/lib/etcd",
                                       .client_port = c->members[0].client_port,
                                       .peer_port = c->members[0].peer_port };

    kubelet_write_etcd(path_in(k->manifests, "etcd.yaml"), &what);
}

static void find_pod(const struct kubelet *k, struct host_list *list)
{
    const struct host_options o = {
        .root = k->root, .proc = "/proc", .name = "m0", .layout = HOST_STATIC_POD
    };
    const struct host_member *m = NULL;
    struct err e = { 0 };

    host_list_clear(list);
    OK(host_find(&o, list, &e), &e);
    OK(host_only(list, &m, &e), &e);
}

EACH_ETCD(host, a_static_pod_is_stopped_and_started)
{
    struct host_control how = { .wait_ms = 60000 };
    const char *root = tmpdir_new();
    struct err e = { 0 };
    LIST l = { 0 };
    CLUSTER c;
    KUBELET k;

    cluster_plan(&c, b, NULL);
    kubelet_start(&k, root, NULL, cluster_tool(b, "etcd"));
    write_manifest(&c, &k);
    find_pod(&k, &l);
    OK(host_start(&l.items[0], &how, &e), &e);
    serves(&c);
    CTL(&c, 0, "put", "k", "kept");
    find_pod(&k, &l);
    cr_expect_eq(l.items[0].pid, (uint64_t)kubelet_pod(&k, "etcd.yaml"));
    OK(host_stop(&l.items[0], &how, &e), &e);
    cr_expect_eq(l.items[0].pid, 0);
    cr_expect_str_eq(dir_listing(k.manifests), "");
    find_pod(&k, &l);
    cr_expect(l.items[0].parked && l.items[0].pid == 0);

    /* Its next start is the same member, whatever the manifest says of the cluster. */
    const struct host_change change = { .initial_cluster = l.items[0].initial_cluster,
                                        .initial_state = "existing",
                                        .initial_token = "another",
                                        .root = root };
    AT_END(host_edit_clear) struct host_edit edit = { 0 };

    OK(host_change_text(&l.items[0], &change, &edit, &e), &e);
    OK(host_change_apply(&edit, &e), &e);
    OK(host_start(&l.items[0], &how, &e), &e);
    serves(&c);
    cr_expect_str_eq(CTL(&c, 0, "get", "k", "--print-value-only"), "kept\n");
    find_pod(&k, &l);
    cr_expect(!l.items[0].parked && l.items[0].pid != 0);
    cr_expect_str_eq(l.items[0].initial_token, "another");
}

/* ---- a service
 * --------------------------------------------------------------------------- */

/* A systemctl for one unit. The server is bounded by a timeout, should the test die. */
static void write_systemctl(const char *path, const char *root, const char *etcd)
{
    FILE *f = fopen(path, "w");

    cr_assert_not_null(f);
    fprintf(f,
            "#!/bin/sh\ncd %s || exit 1\nfor unit; do :; done\n"
            "[ \"$unit\" = etcd.service ] || exit 4\n"
            "case $1 in\n"
            "start) set -a; . etc/default/etcd\n"
            "  setsid timeout -k 1 120 %s >log 2>&1 </dev/null & echo $! >pid;;\n"
            "stop) [ ! -f pid ] || kill \"$(cat pid)\"; rm -f pid;;\nesac\n",
            root, etcd);
    cr_assert(fclose(f) == 0 && chmod(path, 0755) == 0);
}

static void write_service(const struct cluster *c, const char *root)
{
    const char *unit = path_in(root, "etc/systemd/system/etcd.service");
    const char *env = path_in(root, "etc/default/etcd");
    FILE *f;

    PEER(made, "mkdir", "-p", path_in(root, "etc/systemd/system"),
         path_in(root, "etc/default"));
    f = fopen(unit, "w");
    cr_assert_not_null(f);
    fprintf(f, "[Service]\nType=notify\nEnvironmentFile=-/etc/default/%%p\n"
               "ExecStart=/usr/bin/etcd $DAEMON_ARGS\n");
    cr_assert_eq(fclose(f), 0);
    f = fopen(env, "w");
    cr_assert_not_null(f);
    fprintf(f, "ETCD_NAME=\"m0\"\nETCD_DATA_DIR=data\nETCD_INITIAL_CLUSTER=m0=%s\n",
            cluster_peer_url(c, 0));
    fprintf(f, "ETCD_LISTEN_CLIENT_URLS=%s\nETCD_ADVERTISE_CLIENT_URLS=%s\n",
            cluster_endpoint(c, 0), cluster_endpoint(c, 0));
    fprintf(f, "ETCD_LISTEN_PEER_URLS=%s\nETCD_INITIAL_ADVERTISE_PEER_URLS=%s\n",
            cluster_peer_url(c, 0), cluster_peer_url(c, 0));
    cr_assert_eq(fclose(f), 0);
}

CASE(host, a_service_is_stopped_and_started, .timeout = FLOW_TIMEOUT_S)
{
    const struct cluster_backend *b = cluster_backend("3.5");
    struct host_control how = { .wait_ms = 60000 };
    const char *root = tmpdir_new();
    const struct host_member *m = NULL;
    char systemctl[600];
    struct err e = { 0 };
    LIST l = { 0 };
    CLUSTER c = { 0 };

    flow_need("3.5");
    cluster_plan(&c, b, NULL);
    snprintf(systemctl, sizeof systemctl, "%s/systemctl", root);
    write_systemctl(systemctl, root, cluster_tool(b, "etcd"));
    write_service(&c, root);
    how.systemctl = systemctl;
    OK(host_find(&(struct host_options){ .root = root,
                                         .proc = "/proc",
                                         .layout = HOST_SYSTEMD },
                 &l, &e),
       &e);
    OK(host_only(&l, &m, &e), &e);
    for (int i = 0; i < 2; i++) {
        OK(host_start(&l.items[0], &how, &e), &e);
        cr_expect_neq(l.items[0].pid, 0);
        serves(&c);
        OK(host_stop(&l.items[0], &how, &e), &e);
        cr_expect_eq(l.items[0].pid, 0);
    }
}
