/* Who else lives on this disk? A backup that fills the file system of a running etcd
 * takes the cluster down, so a caller asks before it writes. What to do with the
 * answer is the caller's policy. */
#ifndef STORAGE_NEIGHBOR_H
#define STORAGE_NEIGHBOR_H

#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"

struct neighbor {
    uint64_t pid;
    char data_dir[4096];
};

/* How the scratch directories of drills begin: a server in one is nobody's cluster, and
 * no neighbour. */
#define NEIGHBOR_DRILL "holdfast-drill-"

/* Looks for a process of this host that has a `member/snap/db` open on the file system
 * where `path`, which need not exist, would be made. Processes whose descriptors we may
 * not see are judged by an etcd command line with an absolute --data-dir; without root,
 * that is all there is to go by. *out is set when *found. The data directory is as that
 * process names it. btrfs subvolumes count as file systems of their own. */
enum rc neighbor_find(const char *path, struct neighbor *out, bool *found, struct err *e);

/* The same by somebody who knows more; pid 0: an etcd that is stopped. */
typedef enum rc neighbor_fn(const char *path, struct neighbor *out, bool *found,
                            struct err *e);

/* "a running etcd ('/var/lib/etcd', pid 7)", "an etcd of this host ('/var/lib/etcd')". */
enum { NEIGHBOR_WORDS = 4200 };
void neighbor_words(const struct neighbor *n, char out[static NEIGHBOR_WORDS]);

#endif
