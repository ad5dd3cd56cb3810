/* Every etcd member that this machine runs or would run: running processes, static pod
 * manifests, systemd units, k3s and RKE2. One member is told once, however many of
 * them speak of it: the declaration says how it is started, the process gives the pid.
 *
 * Reading is bounded, and never stops at one bad file: that is a remark of the list. Of
 * an environment only the variables that etcd knows are looked at, and none is logged. */
#ifndef HOST_FIND_H
#define HOST_FIND_H

#include "host/host.h"
#include "storage/neighbor.h"

struct host_options {
    const char *root; /* NULL or "/": this machine; else a tree that looks like one */
    enum host_layout layout; /* HOST_ANY: all; else only this kind is looked for, and a
                                process counts as PLAIN whatever started it */
    const char *manifests;   /* NULL: what the kubelet's configuration says below root, or
                                /etc/kubernetes/manifests there */
    const char *proc;        /* NULL: /proc below root. Pids come from there */
    const char *data_dir;    /* NULL, or only the member with this directory */
    const char *name;        /* NULL, or only the member of this name */
};

/* An empty list is no failure. RC_NOMEM; RC_STORAGE when `root` cannot be read. */
enum rc host_find(const struct host_options *o, struct host_list *out, struct err *e);

/* The only one of the list. RC_NOTFOUND, with what was looked at; RC_USAGE when there are
 * several, with their names and how to tell them apart (--name, --data-dir, --layout). */
enum rc host_only(const struct host_list *l, const struct host_member **out,
                  struct err *e);

/* Does an etcd, running or stopped, keep its database or its log on the file system where
 * `path`, which need not exist, would be made? As neighbor_find, which sees the running
 * ones; pid 0 is a stopped one. */
enum rc host_neighbor(const struct host_list *l, const char *path, struct neighbor *out,
                      bool *found, struct err *e);

/* The same for all members of this machine, from processes, manifests and configuration:
 * a neighbor_fn. */
enum rc host_neighbor_find(const char *path, struct neighbor *out, bool *found,
                           struct err *e);

#endif
