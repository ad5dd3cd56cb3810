#include "recover/kubernetes.h"

#define KUBECTL "kubectl --kubeconfig /etc/kubernetes/admin.conf "
#define ETCDCTL                                                                     \
    "etcdctl --endpoints https://127.0.0.1:2379 --cacert /etc/kubernetes/pki/etcd/" \
    "ca.crt --cert /etc/kubernetes/pki/etcd/server.crt --key /etc/kubernetes/pki/"  \
    "etcd/server.key "
#define K3S_KUBECTL "k3s kubectl "
#define RKE2_KUBECTL \
    "/var/lib/rancher/rke2/bin/kubectl --kubeconfig /etc/rancher/rke2/rke2.yaml "

/* A container that is told to stop is started anew by the kubelet at once. */
#define RESTART(component) "crictl ps --name " component " -q | xargs -r crictl stop"

#define WHY_APISERVER \
    "its watch cache is of the old cluster, and serves it until it starts anew"
#define WHY_CONTROLLERS \
    "they act on what they remember; a lease they hold may be gone or another's"
#define WHY_KUBELET \
    "it may run pods that the restored data does not know, or miss some that it does"
#define WHY_MASTERLEASES                                                           \
    "addresses of API servers that were, kept as endpoints of service kubernetes " \
    "until their leases run out"
#define WHY_NODES \
    "nodes that were added since are missing, and those removed since are back"
#define WHY_PODS "what was created or deleted since the recovery point"
#define WHY_VOLUMES "volumes made since are unknown now; deleted ones are wanted again"
#define WHY_TOKENS                                                                   \
    "certificates, tokens and Secrets that were revoked or rotated since are valid " \
    "again"

#define LOOK_AT_OBJECTS(kubectl)                                                      \
    { RECOVER_ONCE, "look at the nodes", kubectl "get nodes -o wide", WHY_NODES },    \
        { RECOVER_ONCE, "look at pods that do not run",                               \
          kubectl "get pods -A --field-selector=status.phase!=Running", WHY_PODS },   \
        { RECOVER_ONCE, "look at volumes", kubectl "get pv,pvc,volumeattachments -A", \
          WHY_VOLUMES },                                                              \
    {                                                                                 \
        RECOVER_ONCE, "look at certificate requests and Secrets", kubectl "get csr",  \
            WHY_TOKENS                                                                \
    }

static const struct recover_chore kubeadm[] = {
    { RECOVER_ON_CONTROL_PLANE, "restart the API server", RESTART("kube-apiserver"),
      WHY_APISERVER },
    { RECOVER_ON_CONTROL_PLANE, "restart the controller manager",
      RESTART("kube-controller-manager"), WHY_CONTROLLERS },
    { RECOVER_ON_CONTROL_PLANE, "restart the scheduler", RESTART("kube-scheduler"),
      WHY_CONTROLLERS },
    { RECOVER_ON_ALL_NODES, "restart the kubelet", "systemctl restart kubelet",
      WHY_KUBELET },
    { RECOVER_ONCE, "restart kube-proxy, the network's controllers and DNS",
      KUBECTL "-n kube-system rollout restart daemonset,deployment", WHY_CONTROLLERS },
    { RECOVER_ONCE, "look at the leases of API servers",
      ETCDCTL "get --prefix /registry/masterleases/ --keys-only", WHY_MASTERLEASES },
    LOOK_AT_OBJECTS(KUBECTL),
};

static const struct recover_chore k3s[] = {
    { RECOVER_ON_CONTROL_PLANE, "restart the server and all in it",
      "systemctl restart k3s", WHY_APISERVER },
    { RECOVER_ON_ALL_NODES, "restart the agent", "systemctl restart k3s-agent",
      WHY_KUBELET },
    LOOK_AT_OBJECTS(K3S_KUBECTL),
};

static const struct recover_chore rke2[] = {
    { RECOVER_ON_CONTROL_PLANE, "restart the server and all in it",
      "systemctl restart rke2-server", WHY_APISERVER },
    { RECOVER_ON_ALL_NODES, "restart the agent", "systemctl restart rke2-agent",
      WHY_KUBELET },
    LOOK_AT_OBJECTS(RKE2_KUBECTL),
};

const char *recover_where_name(enum recover_chore_where w)
{
    static const char *const names[] = { "each control plane host", "every node",
                                         "once" };

    return names[w];
}

const struct recover_chore *recover_chores(enum host_layout layout, size_t *count)
{
    if (layout == HOST_K3S) {
        *count = sizeof k3s / sizeof *k3s;
        return k3s;
    }
    if (layout == HOST_RKE2) {
        *count = sizeof rke2 / sizeof *rke2;
        return rke2;
    }
    *count = sizeof kubeadm / sizeof *kubeadm;
    return kubeadm;
}
