/* A stopped member's state as an etcd data directory, on which a real etcd of the same
 * ids goes on.
 *
 * All of the log counts, also what was perhaps not committed: as with --force-new-cluster
 * nothing that a client was told is lost. The members of a cluster that were stopped
 * together can all be exported; etcd brings them to the same state. */
#ifndef RAFTSTORE_EXPORT_H
#define RAFTSTORE_EXPORT_H

#include "raftstore/options.h"

/* RC_LOCKED while the member runs, RC_REFUSED when the output exists and is not empty,
 * RC_NOTFOUND when there is no member. */
enum rc export_data_dir(const struct node_options *o, struct err *e);

#endif
