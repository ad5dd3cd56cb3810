/* A lock for a repository whose store cannot lock: a lease of the etcd that is backed up.
 * Its id is made from the repository's and the cluster's name, and etcd grants an id once
 * at a time; no key is written, and no revision is used.
 *
 * Whoever holds it renews it; a holder that slept for longer than the lease lives has
 * lost it, whatever etcd says, for another may have been granted the same one since. */
#ifndef REPO_LEASE_H
#define REPO_LEASE_H

#include "catalog/lock.h"
#include "wire/wire.h"

enum { REPO_LEASE_S = 60 };

struct repo_lease {
    struct wire_client *client; /* borrowed, and used by nobody else meanwhile */
    int64_t id;
    uint64_t renewed_ms; /* when the last renewal was asked for */
    struct lock_lease lock;
};

/* For `lease` of lock_options; must not move while it is held. */
enum rc repo_lease_init(struct repo_lease *l, struct wire_client *client,
                        const char *repo, const char *cluster, struct err *e);

#endif
