#include "host/find.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/case.h"
#include "tests/lib/fault.h"
#include "tests/lib/tmpdir.h"
#include "tests/unit/host/tree.h"

#define LIST AT_END(host_list_clear) struct host_list

/* A path of the member below `root`. */
static void expect_path(const char *root, const char *got, const char *want)
{
    size_t n = strlen(root);

    cr_expect(got != NULL && strncmp(got, root, n) == 0 && strcmp(got + n, want) == 0,
              "%s, not ROOT%s", got == NULL ? "(none)" : got, want);
}

static void expect_list(const struct str_list *got, const char *want)
{
    char text[512] = "";
    size_t n = 0;

    for (size_t i = 0; i < got->count; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%s", i == 0 ? "" : " ",
                              got->items[i]);
    cr_expect_str_eq(text, want, "%s", text);
}

CASE(host_find, a_node_of_kubeadm)
{
    const char *root = tmpdir_new();
    LIST l = { 0 };
    const struct host_member *m;

    tree_kubeadm(root);
    m = tree_find(root, &l);
    cr_assert_eq(l.remarks.count, 0, "%s", l.remarks.items[0]);
    cr_expect_eq(m->layout, HOST_STATIC_POD);
    cr_expect_str_eq(m->name, "cp1");
    expect_path(root, m->data_dir, "/data/etcd");
    cr_expect_null(m->wal_dir);
    expect_list(&m->peer_urls, "https://10.0.0.11:2380");
    expect_list(&m->client_urls, "https://10.0.0.11:2379");
    expect_list(&m->listen_client_urls, "https://127.0.0.1:2379 https://10.0.0.11:2379");
    cr_expect_str_eq(m->initial_cluster, "cp1=https://10.0.0.11:2380");
    cr_expect_str_eq(m->initial_state, "new");
    cr_expect_str_eq(m->initial_token, "etcd-cluster");
    expect_path(root, m->client.cert, "/etc/kubernetes/pki/etcd/server.crt");
    expect_path(root, m->client.ca, "/etc/kubernetes/pki/etcd/ca.crt");
    expect_path(root, m->peer.key, "/etc/kubernetes/pki/etcd/peer.key");
    cr_expect(m->client.client_cert_auth && m->peer.client_cert_auth);
    expect_path(root, m->file, "/etc/kubernetes/manifests/etcd.yaml");
    cr_expect_str_eq(m->image, "registry.k8s.io/etcd:3.5.12-0");
    cr_expect_eq(m->command.count, 20);
    cr_expect_eq(m->pid, 0);
    cr_expect(m->owner.known && m->owner.uid == getuid() && m->owner.mode == 0755);
}

CASE(host_find, debians_unit_with_its_default_file)
{
    const char *root = tmpdir_new();
    LIST l = { 0 };
    const struct host_member *m;

    tree_debian(root);
    m = tree_find(root, &l);
    cr_expect_eq(m->layout, HOST_SYSTEMD);
    cr_expect_str_eq(m->unit, "etcd.service");
    cr_expect_str_eq(m->name, "infra1");
    expect_path(root, m->data_dir, "/srv/etcd data");
    cr_expect_null(m->wal_dir);
    cr_expect_str_eq(m->initial_state, "existing");
    cr_expect_str_eq(m->initial_token, "blue");
    expect_list(&m->peer_urls, "http://10.0.1.11:2380");
    expect_list(&m->command, "/usr/bin/etcd");
    expect_path(root, m->file, "/lib/systemd/system/etcd.service");
    expect_path(root, m->env_files.items[0], "/etc/default/etcd");
}

CASE(host_find, a_drop_in_takes_the_command_back)
{
    const char *root = tmpdir_new();
    LIST l = { 0 };
    const struct host_member *m;

    tree_debian(root);
    tree_write(root, "/etc/systemd/system/etcd.service.d/10-local.conf",
               "[Service]\nEnvironmentFile=\nExecStart=\n"
               "ExecStart=/opt/etcd --name ${ETCD_NAME}x \\\n"
               "  # not this\n  --data-dir=\"/srv/etcd data\" --wal-dir /fast/wal\n"
               "Environment=ETCD_NAME=n\n");
    m = tree_find(root, &l);
    cr_expect_str_eq(m->name, "nx");
    expect_path(root, m->data_dir, "/srv/etcd data");
    expect_path(root, m->wal_dir, "/fast/wal");
    cr_expect_str_eq(m->initial_cluster, "nx=http://localhost:2380");
    expect_list(&m->command,
                "/opt/etcd --name nx --data-dir=/srv/etcd data --wal-dir /fast/wal");
}

CASE(host_find, a_unit_in_etc_goes_first_and_a_mask_hides)
{
    const char *root = tmpdir_new();
    char path[600];
    LIST l = { 0 };
    struct err e = { 0 };

    tree_debian(root);
    tree_write(root, "/etc/systemd/system/etcd.service",
               "[Service]\nExecStart=/bin/sh -c \"GOMAXPROCS=$(nproc) exec /usr/bin/etcd "
               "--name='a b' --data-dir=/d; true\"\n");
    cr_expect_str_eq(tree_find(root, &l)->name, "a b");
    host_list_clear(&l);
    snprintf(path, sizeof path, "%s/etc/systemd/system/etcd.service", root);
    cr_assert(unlink(path) == 0 && symlink("/dev/null", path) == 0);
    OK(host_find(&(struct host_options){ .root = root }, &l, &e), &e);
    cr_expect_eq(l.count, 0);
    cr_expect_eq(l.remarks.count, 0, "%s", l.remarks.items[0]);
}

CASE(host_find, a_template_by_its_instances)
{
    const char *root = tmpdir_new();
    char path[600];
    LIST l = { 0 };

    tree_write(root, "/etc/systemd/system/etcd@.service",
               "[Service]\nExecStart=/usr/bin/etcd --name %i --data-dir /d/%i/100%%\n");
    snprintf(path, sizeof path, "%s/etc/systemd/system/etcd@m1.service", root);
    cr_assert_eq(symlink("etcd@.service", path), 0);
    const struct host_member *m = tree_find(root, &l);

    cr_expect_str_eq(m->name, "m1");
    cr_expect_str_eq(m->unit, "etcd@m1.service");
    expect_path(root, m->data_dir, "/d/m1/100%");
}

CASE(host_find, k3s_by_its_own_files)
{
    const char *root = tmpdir_new();
    LIST l = { 0 };
    const struct host_member *m;

    tree_k3s(root);
    m = tree_find(root, &l);
    cr_expect_eq(m->layout, HOST_K3S);
    cr_expect_str_eq(m->name, "node1-77aa01bc", "the file goes before the configuration");
    expect_path(root, m->data_dir, "/var/lib/rancher/k3s/server/db/etcd");
    expect_path(root, m->file, "/var/lib/rancher/k3s/server/db/etcd/config");
    expect_path(root, m->peer.cert,
                "/var/lib/rancher/k3s/server/tls/etcd/peer-server-client.crt");
    cr_expect(m->client.client_cert_auth);
    cr_expect_str_eq(m->unit, "k3s.service");
    expect_list(&m->command, "k3s server");
}

CASE(host_find, rke2_where_its_settings_say)
{
    const char *root = tmpdir_new();
    LIST l = { 0 };
    const struct host_member *m;

    tree_write(root, "/etc/rancher/rke2/config.yaml",
               "token: x\ndata-dir: /big/rke2\ntls-san: [a, b]\n");
    tree_write(root, "/big/rke2/server/db/etcd/config",
               "name: r1\ndata-dir: /big/rke2/server/db/etcd\n");
    m = tree_find(root, &l);
    cr_expect_eq(m->layout, HOST_RKE2);
    cr_expect_str_eq(m->name, "r1");
    expect_path(root, m->data_dir, "/big/rke2/server/db/etcd");
}

/* A process in a tree's own /proc; strings end with NUL there. */
static void write_process(const char *root, const char *pid, const char *file,
                          const char *text)
{
    char path[128], out[1024];
    size_t n = strlen(text);
    FILE *f;

    snprintf(path, sizeof path, "/proc/%s/%s", pid, file);
    tree_write(root, path, "");
    snprintf(out, sizeof out, "%s%s", root, path);
    f = fopen(out, "w");
    cr_assert_not_null(f);
    for (size_t i = 0; i < n; i++)
        fputc(text[i] == '|' ? '\0' : text[i], f);
    fclose(f);
}

CASE(host_find, a_process_with_flags_and_environment)
{
    const char *root = tmpdir_new();
    LIST l = { 0 };
    const struct host_member *m;

    write_process(root, "41", "cmdline", "/usr/sbin/sshd|-D|");
    write_process(root, "42", "cmdline",
                  "/opt/etcd|--name|n1|-data-dir=/d/n1|--client-cert-auth|--pre-vote|"
                  "--discovery-password|hunter2|--wal-dir=/w|");
    write_process(root, "42", "environ",
                  "PASSWORD=hunter2|ETCD_NAME=other|ETCD_INITIAL_CLUSTER_TOKEN=tok|"
                  "ETCD_WAL_DIR=|ETCD_INITIAL_CLUSTER=|");
    write_process(root, "43", "cmdline", "/opt/etcd|grpc-proxy|start|");
    m = tree_find(root, &l);
    cr_expect_eq(m->layout, HOST_PLAIN);
    cr_expect_eq(m->pid, 42);
    cr_expect_str_eq(m->name, "n1");
    expect_list(&m->remarks,
                "etcd refuses a flag together with its variable: --name and ETCD_NAME "
                "etcd refuses a flag together with its variable: --wal-dir and "
                "ETCD_WAL_DIR");
    cr_expect_str_eq(m->initial_token, "tok");
    cr_expect_str_eq(m->initial_cluster, "n1=http://localhost:2380");
    expect_path(root, m->data_dir, "/d/n1");
    expect_path(root, m->wal_dir, "/w");
    cr_expect(m->client.client_cert_auth);
    cr_expect_str_eq(m->command.items[7], "***", "a password is not kept");
    cr_expect_null(m->file);
}

CASE(host_find, a_configuration_file_shuts_out_flags_and_environment)
{
    const char *root = tmpdir_new();
    LIST l = { 0 };
    const struct host_member *m;

    tree_write(
        root, "/etc/etcd.yml",
        "NAME: cfg\n'data-dir': /d/cfg\ninitial-cluster-token: 7\n"
        "peer-transport-security:\n  auto-tls: true\nclient-transport-security:\n");
    write_process(root, "7", "cmdline", "etcd|--name=flag|--config-file=/etc/etcd.yml|");
    write_process(root, "7", "environ", "ETCD_WAL_DIR=/w|");
    m = tree_find(root, &l);
    cr_expect_str_eq(m->name, "cfg");
    cr_expect_str_eq(m->initial_token, "7");
    cr_expect_null(m->wal_dir);
    cr_expect(m->peer.self_made && !m->client.self_made);
    expect_path(root, m->config_file, "/etc/etcd.yml");
}

CASE(host_find, a_process_and_its_unit_are_one_member)
{
    const char *root = tmpdir_new();
    LIST l = { 0 };
    const struct host_member *m;

    tree_debian(root);
    write_process(root, "99", "cmdline", "/usr/bin/etcd|");
    write_process(root, "99", "environ",
                  "ETCD_NAME=infra1|ETCD_DATA_DIR=/srv/etcd data|");
    write_process(root, "99", "cgroup", "0::/system.slice/etcd.service\n");
    m = tree_find(root, &l);
    cr_expect_eq(m->layout, HOST_SYSTEMD);
    cr_expect_eq(m->pid, 99);
    expect_path(root, m->file, "/lib/systemd/system/etcd.service");
}

CASE(host_find, the_layout_that_is_asked_for)
{
    const char *root = tmpdir_new();
    struct host_options o = { .root = root };
    const struct host_member *m = NULL;
    LIST l = { 0 };
    struct err e = { 0 };

    tree_kubeadm(root);
    tree_k3s(root);
    write_process(root, "99", "cmdline", "etcd|--name=cp1|--data-dir=/data/etcd|");
    write_process(root, "99", "cgroup", "0::/system.slice/etcd.service\n");
    OK(host_find(&o, &l, &e), &e);
    cr_expect_eq(l.count, 2);
    cr_expect_eq(host_only(&l, &m, &e), RC_USAGE);
    cr_expect(strstr(e.why, "'cp1' (static-pod,") != NULL, "%s", e.why);
    host_list_clear(&l);
    o.layout = HOST_PLAIN;
    OK(host_find(&o, &l, &e), &e);
    OK(host_only(&l, &m, &e), &e);
    cr_expect(m->layout == HOST_PLAIN && m->pid == 99);
    host_list_clear(&l);
    o = (struct host_options){ .root = root, .name = "cp1" };
    OK(host_find(&o, &l, &e), &e);
    OK(host_only(&l, &m, &e), &e);
    cr_expect(m->layout == HOST_STATIC_POD && m->pid == 99);
}

CASE(host_find, nothing_is_told_with_what_was_wrong)
{
    const char *root = tmpdir_new();
    const struct host_member *m = NULL;
    LIST l = { 0 };
    struct err e = { 0 };

    tree_write(root, "/etc/kubernetes/manifests/etcd.yaml", "kind: Pod\nspec: [\n");
    tree_write(root, "/etc/kubernetes/manifests/.hidden.yaml", "kind: [\n");
    OK(host_find(&(struct host_options){ .root = root }, &l, &e), &e);
    cr_expect_eq(l.remarks.count, 1);
    cr_expect_eq(host_only(&l, &m, &e), RC_NOTFOUND);
    cr_expect(strstr(e.why, "etcd.yaml' line") != NULL, "%s", e.why);
    cr_expect_eq(host_find(&(struct host_options){ .root = "/nowhere/x" }, &l, &e),
                 RC_NOTFOUND);
}

CASE(host_find, an_odd_manifest_is_no_etcd)
{
    static const char *const texts[] = {
        "",
        "kind: Pod\n",
        "kind: Pod\nspec:\n",
        "kind: Pod\nspec: {containers: null}\n",
        "kind: Pod\nspec: {containers: [{name: a}]}\n",
        "kind: Deployment\nspec: {containers: [{command: [etcd]}]}\n",
        "kind: Pod\nspec: {containers: [{command: [etcdctl, --name=x]}]}\n",
    };

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const char *root = tmpdir_new();
        LIST l = { 0 };
        struct err e = { 0 };

        tree_write(root, "/etc/kubernetes/manifests/x.yaml", texts[i]);
        OK(host_find(&(struct host_options){ .root = root }, &l, &e), &e);
        cr_expect(l.count == 0 && l.remarks.count == 0, "text %zu", i);
    }
}

CASE(host_find, the_folder_that_the_kubelet_watches)
{
    const char *root = tmpdir_new();
    LIST l = { 0 };

    tree_write(root, "/var/lib/kubelet/config.yaml",
               "apiVersion: kubelet.config.k8s.io/v1beta1\nclusterDNS:\n- 10.96.0.10\n"
               "kind: KubeletConfiguration\nstaticPodPath: /srv/pods\n");
    tree_write(root, "/srv/pods/etcd.yaml",
               "kind: Pod\nspec: {containers: [{command: [etcd, --name=here]}]}\n");
    tree_kubeadm(root);
    const struct host_member *m = tree_find(root, &l);

    cr_expect_str_eq(m->name, "here");
    expect_path(root, m->file, "/srv/pods/etcd.yaml");
    expect_path(root, m->data_dir, "/here.etcd");
}

CASE(host_find, variables_and_volumes_of_a_pod)
{
    const char *root = tmpdir_new();
    LIST l = { 0 };
    const struct host_member *m;

    tree_write(
        root, "/etc/kubernetes/manifests/e.yaml",
        "kind: Pod\nspec:\n  containers:\n"
        "  - image: quay.io/coreos/etcd@sha256:00\n"
        "    args: [--name=$(NAME), --data-dir=/state/$(NAME), --wal-dir=/wal/w,\n"
        "           --initial-cluster-token=$$(NAME)]\n"
        "    env: [{name: NAME, value: n3}, {name: IP, valueFrom: {fieldRef: x}}]\n"
        "    volumeMounts:\n    - {name: v, mountPath: /state/, subPath: sub}\n"
        "    - {name: none, mountPath: /wal}\n"
        "  volumes:\n  - {name: v, hostPath: {path: /disk1}}\n"
        "  - {name: none, emptyDir: {}}\n");
    m = tree_find(root, &l);
    cr_expect_str_eq(m->name, "n3");
    expect_path(root, m->data_dir, "/disk1/sub/n3");
    expect_path(root, m->wal_dir, "/wal/w");
    cr_expect_str_eq(m->initial_token, "$(NAME)");
}

CASE(host_find, every_allocation_that_fails_leaves_nothing)
{
    const char *root = tmpdir_new();
    unsigned runs = 0;

    tree_kubeadm(root);
    tree_debian(root);
    tree_k3s(root);
    write_process(root, "42", "cmdline", "etcd|--name=p|");
    FAULT_SWEEP(FAULT_ALLOC, nth, 0) {
        LIST l = { 0 };
        struct err e = { 0 };
        enum rc rc = host_find(&(struct host_options){ .root = root }, &l, &e);

        runs = nth;
        cr_assert((rc == RC_OK && l.count > 0) || (rc == RC_NOMEM && l.count == 0),
                  "%u: %s", nth, e.why);
    }
    cr_assert_gt(runs, 200);
}

CASE(host_neighbor, a_stopped_etcd_is_seen)
{
    const char *root = tmpdir_new();
    struct neighbor n = { 0 };
    LIST l = { 0 };
    bool found = false;
    struct err e = { 0 };

    tree_k3s(root);
    (void)tree_find(root, &l);
    OK(host_neighbor(&l, path_in(root, "backup.db"), &n, &found, &e), &e);
    cr_expect(found);
    if (n.pid == 0)
        expect_path(root, n.data_dir, "/var/lib/rancher/k3s/server/db/etcd");
}

/* The scratch directory of a drill is nobody's cluster. */
CASE(host_neighbor, a_drill_is_none)
{
    char scratch[] = "/tmp/" NEIGHBOR_DRILL "XXXXXX";
    struct host_member drill = { .data_dir = mkdtemp(scratch) };
    const struct host_list l = { .items = &drill, .count = 1 };
    struct neighbor n = { 0 };
    bool found = false;
    struct err e = { 0 };

    OK(host_neighbor(&l, path_in(scratch, "backup.db"), &n, &found, &e), &e);
    cr_expect(!found || n.pid != 0, "%s", n.data_dir);
    cr_expect_eq(rmdir(scratch), 0);
}

CASE(host_layout, names)
{
    enum host_layout l = HOST_ANY;
    struct err e = { 0 };

    for (int i = HOST_ANY; i <= HOST_RKE2; i++) {
        OK(host_layout_parse(host_layout_name((enum host_layout)i), &l, &e), &e);
        cr_expect_eq((int)l, i);
    }
    cr_expect_eq(host_layout_parse("sytemd", &l, &e), RC_USAGE);
    cr_expect_str_eq(e.hint, "did you mean 'systemd'?");
}
