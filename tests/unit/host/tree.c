#include "tests/unit/host/tree.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/lib/case.h"

void tree_write(const char *root, const char *path, const char *text)
{
    char whole[1024];
    FILE *f;

    snprintf(whole, sizeof whole, "%s%s", root, path);
    for (char *p = whole + strlen(root) + 1; *p != '\0'; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        cr_assert(mkdir(whole, 0755) == 0 || errno == EEXIST, "%s", whole);
        *p = '/';
    }
    f = fopen(whole, "w");
    cr_assert(f != NULL && fputs(text, f) >= 0 && fclose(f) == 0, "%s", whole);
}

static const char kubeadm_etcd[] =
    "apiVersion: v1\nkind: Pod\nmetadata:\n  annotations:\n"
    "    kubeadm.kubernetes.io/etcd.advertise-client-urls: https://10.0.0.11:2379\n"
    "  creationTimestamp: null\n  labels:\n    component: etcd\n"
    "    tier: control-plane\n  name: etcd\n  namespace: kube-system\nspec:\n"
    "  containers:\n  - command:\n    - etcd\n"
    "    - --advertise-client-urls=https://10.0.0.11:2379\n"
    "    - --cert-file=/etc/kubernetes/pki/etcd/server.crt\n"
    "    - --client-cert-auth=true\n"
    "    - --data-dir=/var/lib/etcd\n"
    "    - --experimental-initial-corrupt-check=true\n"
    "    - --experimental-watch-progress-notify-interval=5s\n"
    "    - --initial-advertise-peer-urls=https://10.0.0.11:2380\n"
    "    - --initial-cluster=cp1=https://10.0.0.11:2380\n"
    "    - --key-file=/etc/kubernetes/pki/etcd/server.key\n"
    "    - --listen-client-urls=https://127.0.0.1:2379,https://10.0.0.11:2379\n"
    "    - --listen-metrics-urls=http://127.0.0.1:2381\n"
    "    - --listen-peer-urls=https://10.0.0.11:2380\n"
    "    - --name=cp1\n"
    "    - --peer-cert-file=/etc/kubernetes/pki/etcd/peer.crt\n"
    "    - --peer-client-cert-auth=true\n"
    "    - --peer-key-file=/etc/kubernetes/pki/etcd/peer.key\n"
    "    - --peer-trusted-ca-file=/etc/kubernetes/pki/etcd/ca.crt\n"
    "    - --snapshot-count=10000\n"
    "    - --trusted-ca-file=/etc/kubernetes/pki/etcd/ca.crt\n"
    "    image: registry.k8s.io/etcd:3.5.12-0\n    imagePullPolicy: IfNotPresent\n"
    "    livenessProbe:\n      failureThreshold: 8\n      httpGet:\n"
    "        host: 127.0.0.1\n        path: /health?exclude=NOSPACE&serializable=true\n"
    "        port: 2381\n        scheme: HTTP\n      initialDelaySeconds: 10\n"
    "    name: etcd\n    resources:\n      requests:\n        cpu: 100m\n"
    "        memory: 100Mi\n    volumeMounts:\n    - mountPath: /var/lib/etcd\n"
    "      name: etcd-data\n    - mountPath: /etc/kubernetes/pki/etcd\n"
    "      name: etcd-certs\n  hostNetwork: true\n  priority: 2000001000\n"
    "  priorityClassName: system-node-critical\n  securityContext:\n"
    "    seccompProfile:\n      type: RuntimeDefault\n  volumes:\n  - hostPath:\n"
    "      path: /etc/kubernetes/pki/etcd\n      type: DirectoryOrCreate\n"
    "    name: etcd-certs\n  - hostPath:\n      path: /data/etcd\n"
    "      type: DirectoryOrCreate\n    name: etcd-data\nstatus: {}\n";

static const char kubeadm_api[] =
    "apiVersion: v1\nkind: Pod\nmetadata:\n  name: kube-apiserver\nspec:\n"
    "  containers:\n  - command:\n    - kube-apiserver\n"
    "    - --etcd-servers=https://127.0.0.1:2379\n"
    "    image: registry.k8s.io/kube-apiserver:v1.29.3\n    name: kube-apiserver\n";

void tree_kubeadm(const char *root)
{
    tree_write(root, "/etc/kubernetes/manifests/etcd.yaml", kubeadm_etcd);
    tree_write(root, "/etc/kubernetes/manifests/kube-apiserver.yaml", kubeadm_api);
    tree_write(root, "/data/etcd/member/snap/db", "");
}

static const char debian_unit[] =
    "[Unit]\nDescription=etcd - highly-available key value store\n"
    "Documentation=https://etcd.io/docs\nAfter=network.target\n"
    "Wants=network-online.target\n\n[Service]\nEnvironment=DAEMON_ARGS=\n"
    "Environment=ETCD_NAME=%H\nEnvironment=ETCD_DATA_DIR=/var/lib/etcd/default\n"
    "EnvironmentFile=-/etc/default/"
    "%p\nType=notify\nUser=etcd\nPermissionsStartOnly=true\n"
    "ExecStart=/usr/bin/etcd $DAEMON_ARGS\nRestart=on-abnormal\nLimitNOFILE=65536\n\n"
    "[Install]\nWantedBy=multi-user.target\nAlias=etcd2.service\n";

static const char debian_default[] =
    "## etcd(1) daemon options\n\n### Member flags\n\n#ETCD_WAL_DIR\n"
    "ETCD_NAME=\"infra1\"\nETCD_DATA_DIR='/srv/etcd data'\n"
    "ETCD_LISTEN_PEER_URLS=\"http://10.0.1.11:2380\"\n"
    "ETCD_LISTEN_CLIENT_URLS=\"http://10.0.1.11:2379,http://127.0.0.1:2379\"\n"
    "ETCD_INITIAL_ADVERTISE_PEER_URLS=\"http://10.0.1.11:2380\"\n"
    "ETCD_INITIAL_CLUSTER=\"infra0=http://10.0.1.10:2380,infra1=http://10.0.1.11:2380\"\n"
    "ETCD_INITIAL_CLUSTER_STATE=\"existing\"\nETCD_INITIAL_CLUSTER_TOKEN=\"blue\"\n"
    "ETCD_ADVERTISE_CLIENT_URLS=\"http://10.0.1.11:2379\"\nETCD_WAL_DIR=\n"
    "AWS_SECRET_ACCESS_KEY=hunter2\n";

void tree_debian(const char *root)
{
    tree_write(root, "/lib/systemd/system/etcd.service", debian_unit);
    tree_write(root, "/lib/systemd/system/ssh.service",
               "[Service]\nExecStart=/usr/sbin/sshd -D\n");
    tree_write(root, "/etc/default/etcd", debian_default);
    tree_write(root, "/srv/etcd data/member/snap/db", "");
}

static const char k3s_config[] =
    "advertise-client-urls: https://10.0.2.1:2379\nclient-transport-security:\n"
    "  cert-file: /var/lib/rancher/k3s/server/tls/etcd/server-client.crt\n"
    "  client-cert-auth: true\n"
    "  key-file: /var/lib/rancher/k3s/server/tls/etcd/server-client.key\n"
    "  trusted-ca-file: /var/lib/rancher/k3s/server/tls/etcd/server-ca.crt\n"
    "data-dir: /var/lib/rancher/k3s/server/db/etcd\nelection-timeout: 5000\n"
    "experimental-initial-corrupt-check: true\n"
    "experimental-watch-progress-notify-interval: 5000000000\n"
    "heartbeat-interval: 500\n"
    "listen-client-urls: https://127.0.0.1:2379,https://10.0.2.1:2379\n"
    "listen-metrics-urls: http://127.0.0.1:2381\n"
    "listen-peer-urls: https://127.0.0.1:2380,https://10.0.2.1:2380\nlog-outputs:\n"
    "- stderr\nlogger: zap\nname: node1-4f2a9c31\npeer-transport-security:\n"
    "  cert-file: /var/lib/rancher/k3s/server/tls/etcd/peer-server-client.crt\n"
    "  client-cert-auth: true\n"
    "  key-file: /var/lib/rancher/k3s/server/tls/etcd/peer-server-client.key\n"
    "  trusted-ca-file: /var/lib/rancher/k3s/server/tls/etcd/peer-ca.crt\n"
    "snapshot-count: 10000\nsocket-options:\n  reuse-address: true\n  reuse-port: true\n";

void tree_k3s(const char *root)
{
    tree_write(root, "/var/lib/rancher/k3s/server/db/etcd/config", k3s_config);
    tree_write(root, "/var/lib/rancher/k3s/server/db/etcd/name", "node1-77aa01bc");
    tree_write(root, "/var/lib/rancher/k3s/server/db/etcd/member/snap/db", "");
    tree_write(root, "/etc/rancher/k3s/config.yaml",
               "token: K10secret::server:abc\ncluster-init: true\n");
}

const struct host_member *tree_find(const char *root, struct host_list *list)
{
    const struct host_options o = { .root = root };
    const struct host_member *m = NULL;
    struct err e = { 0 };

    OK(host_find(&o, list, &e), &e);
    OK(host_only(list, &m, &e), &e);
    return m;
}
