/* A kubelet for tests: a process that watches a folder of manifests and keeps running
 * what they say. A pod whose manifest goes is sent SIGTERM, one whose manifest changes is
 * ended and started anew, one that dies is started again.
 *
 * An etcd is really run: `etcd` with the flags of the manifest's command, where a value
 * that begins with '/' is below `root`, as a hostPath mount would have it. Any other
 * pod (kube-apiserver) is a process that sleeps. As the real one it reads every
 * file of the folder whose name does not begin with a dot. */
#ifndef TESTS_LIB_KUBELET_H
#define TESTS_LIB_KUBELET_H

#include <stdbool.h>
#include <sys/types.h>

struct kubelet {
    pid_t pid; /* 0: not running */
    char manifests[512], root[512], state[512], log[512];
};

/* `root` is the host's tree, "" for this machine's; `manifests` the folder, or NULL for
 * ROOT/etc/kubernetes/manifests. `etcd` is the server program. Ends with the test. */
void kubelet_start(struct kubelet *k, const char *root, const char *manifests,
                   const char *etcd);

/* Stops watching and ends its pods. Safe to call again. */
void kubelet_stop(struct kubelet *k);
static inline void kubelet_end(struct kubelet *k)
{
    kubelet_stop(k);
}
#define KUBELET [[gnu::cleanup(kubelet_end)]] struct kubelet

/* The pid that runs for the manifest file `name` ("etcd.yaml"), 0 when none does. */
pid_t kubelet_pod(const struct kubelet *k, const char *name);

/* What a manifest of kubeadm says of an etcd with that member name, data directory
 * (as the pod sees it) and ports on 127.0.0.1, without TLS; written to `file`.
 * `initial_cluster` NULL: only itself. */
struct kubelet_etcd {
    const char *name, *data_dir, *initial_cluster, *state, *token;
    int client_port, peer_port;
};
void kubelet_write_etcd(const char *file, const struct kubelet_etcd *what);

#endif
