#include "host/preset.h"

#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define K3S "/var/lib/rancher/k3s"
#define RKE2 "/var/lib/rancher/rke2"

/* clang-format off */
/* path, what it is, required, secret */
static const struct host_preset_path kubeadm[] = {
    { "/etc/kubernetes/pki", "certificates and keys of the cluster", true, true },
    { "/etc/kubernetes/manifests", "static pods: etcd, API server, controllers", true, false },
    { "/etc/kubernetes/admin.conf", "kubeconfig of the administrator", false, true },
    { "/etc/kubernetes/super-admin.conf", "kubeconfig that no rule stops (1.29)", false, true },
    { "/etc/kubernetes/controller-manager.conf", "kubeconfig", false, true },
    { "/etc/kubernetes/scheduler.conf", "kubeconfig", false, true },
    { "/etc/kubernetes/kubelet.conf", "kubeconfig of this node", false, true },
    { "/etc/kubernetes/enc", "keys of encryption at rest", false, true },
    { "/etc/kubernetes/encryption-config.yaml", "keys of encryption at rest", false, true },
    { "/etc/kubernetes/audit-policy.yaml", "audit policy of the API server", false, false },
    { "/var/lib/kubelet/config.yaml", "settings of the kubelet", false, false },
    { "/var/lib/kubelet/kubeadm-flags.env", "flags of the kubelet", false, false },
};

static const struct host_preset_path k3s[] = {
    { K3S "/server/token", "without it no snapshot of this cluster opens", true, true },
    { K3S "/server/tls", "certificates and keys of the cluster", true, true },
    { K3S "/server/cred", "kubeconfigs and encryption at rest", true, true },
    { K3S "/server/db/etcd/config", "configuration of etcd", false, false },
    { K3S "/server/db/etcd/name", "name of the member", false, false },
    { K3S "/server/agent-token", "token of agents", false, true },
    { K3S "/server/manifests", "what the server deploys", false, false },
    { "/etc/rancher/k3s", "settings, registries, kubeconfig", false, true },
    { "/etc/rancher/node/password", "password of this node", false, true },
    { "/etc/systemd/system/k3s.service", "the unit, with its flags", false, true },
    { "/etc/systemd/system/k3s.service.env", "its environment", false, true },
};

static const struct host_preset_path rke2[] = {
    { RKE2 "/server/token", "without it no snapshot of this cluster opens", true, true },
    { RKE2 "/server/tls", "certificates and keys of the cluster", true, true },
    { RKE2 "/server/cred", "kubeconfigs and encryption at rest", true, true },
    { RKE2 "/server/db/etcd/config", "configuration of etcd", false, false },
    { RKE2 "/server/db/etcd/name", "name of the member", false, false },
    { RKE2 "/server/agent-token", "token of agents", false, true },
    { RKE2 "/server/manifests", "what the server deploys", false, false },
    { RKE2 "/agent/pod-manifests", "static pods", false, false },
    { "/etc/rancher/rke2", "settings, registries, kubeconfig", false, true },
    { "/etc/rancher/node/password", "password of this node", false, true },
    { "/etc/default/rke2-server", "environment of the unit", false, true },
    { "/usr/local/lib/systemd/system/rke2-server.env", "environment of the unit", false, true },
};
/* clang-format on */

const struct host_preset host_presets[] = {
    { "kubeadm", HOST_STATIC_POD, NULL, kubeadm, COUNT(kubeadm) },
    { "k3s", HOST_K3S, K3S, k3s, COUNT(k3s) },
    { "rke2", HOST_RKE2, RKE2, rke2, COUNT(rke2) },
};
const size_t host_preset_count = COUNT(host_presets);

const struct host_preset *host_preset_named(const char *name)
{
    for (size_t i = 0; i < host_preset_count; i++)
        if (strcmp(host_presets[i].name, name) == 0)
            return &host_presets[i];
    return NULL;
}

const struct host_preset *host_preset_of(const struct host_member *m)
{
    for (size_t i = 0; i < host_preset_count; i++)
        if (host_presets[i].layout == m->layout)
            return &host_presets[i];
    return NULL;
}
