/* Stop and start the etcd of a member, the way it is started here:
 *
 *     static pod  the manifest goes to a folder that the kubelet does not watch (a
 *                 rename, made durable), and comes back
 *     systemd     systemctl stop UNIT, systemctl start --no-block UNIT
 *     plain       the operator's commands; without them it is RC_REFUSED with the request
 *                 to do it by hand, unless it is done already
 *     k3s, RKE2   RC_REFUSED: they own their etcd. The hint names their commands (k3s.h)
 *
 * Both can be called again after a crash or a failure: what is done already is not
 * done twice. Waiting is bounded and ends when a stop is wanted (RC_INTERRUPTED). */
#ifndef HOST_CONTROL_H
#define HOST_CONTROL_H

#include "host/host.h"

struct host_control {
    struct str_list also;     /* other manifests of the same folder that go and come with
                                 it: "kube-apiserver.yaml". A missing one is no error */
    const char *systemctl;    /* NULL: "systemctl" */
    const char *stop_command; /* run by /bin/sh -c; NULL: none. They go before what the */
    const char *start_command; /* layout says, k3s and RKE2 included */
    uint64_t wait_ms;          /* 0: two minutes */
    uint64_t settle_ms;        /* 0: five seconds. So long a pod has to stay away that was
                                  not running when its manifest went: the kubelet may be
                                  about to start it once more */
};

/* Does a process have the member's database open, or hold a lock on it or its log? *pid
 * is 0 when that cannot be seen. Not there yet is not running. */
enum rc host_running(const struct host_member *m, bool *running, uint64_t *pid,
                     struct err *e);

/* On RC_OK nobody holds the data directory any more, and nothing will start it again.
 * RC_NET when it still runs after the wait; RC_REFUSED as above; RC_NOTFOUND when the
 * manifest is nowhere. m->parked and m->pid follow. */
enum rc host_stop(struct host_member *m, const struct host_control *how, struct err *e);

/* On RC_OK a process has the database open. It need not answer yet: ask it. RC_NET when
 * none came up in time. */
enum rc host_start(struct host_member *m, const struct host_control *how, struct err *e);

/* Where host_stop puts a manifest: FOLDER's sibling "holdfast-parked". Heap string. */
enum rc host_parked_path(const char *manifest, char **out, struct err *e);

#endif
