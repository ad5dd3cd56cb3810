/* What a Kubernetes cluster needs after its etcd went back in time, or got other ids:
 * what to restart, so that nobody goes on with what he remembers, and what to look at,
 * because it was true only when the data was written. Commands, for a person. Pure. */
#ifndef RECOVER_KUBERNETES_H
#define RECOVER_KUBERNETES_H

#include "host/host.h"

enum recover_chore_where { RECOVER_ON_CONTROL_PLANE, RECOVER_ON_ALL_NODES, RECOVER_ONCE };
const char *recover_where_name(enum recover_chore_where w);

struct recover_chore {
    enum recover_chore_where where; /* on each of these hosts, or once from anywhere */
    const char *what;               /* "restart the API server" */
    const char *command;
    const char *why;
};

/* In their order; *count of them. For k3s and RKE2 their own service's; else as kubeadm
 * lays out a host. Static. */
const struct recover_chore *recover_chores(enum host_layout layout, size_t *count);

#endif
