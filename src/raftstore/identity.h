/* The first start of a member: who it is, and whether it may be. */
#ifndef RAFTSTORE_IDENTITY_H
#define RAFTSTORE_IDENTITY_H

#include "machine/machine.h"
#include "raftstore/options.h"

/* Where there is no data directory yet, decides and makes one: founds a cluster or joins
 * one. RC_REFUSED in the cases in which etcd refuses to start: wiped under an old id, not
 * a member of what it wants to join. RC_USAGE for URLs and names that do not match. */
enum rc identity_establish(const struct node_options *o, struct err *e);

/* A member list as one member sends it to one that joins, and back. */
enum rc identity_members_write(const struct machine *m, uint64_t cluster, struct buf *out,
                               struct err *e);

#endif
