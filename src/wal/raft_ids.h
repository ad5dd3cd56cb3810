/* The ids that etcd derives for the members that a cluster starts with, and for the
 * cluster: the first 8 bytes of SHA-1, big-endian. Every member of a restored cluster
 * must be given the same URLs and token, or they reject each other. */
#ifndef WAL_RAFT_IDS_H
#define WAL_RAFT_IDS_H

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

/* From the peer URLs, in any order, and the cluster token. (A member that is added
 * later has another id: etcd hashes the time of day instead of the token.) */
enum rc wal_member_id(const char *const *peer_urls, size_t count, const char *token,
                      uint64_t *out, struct err *e);

/* From the ids of all members, in any order. */
enum rc wal_cluster_id(const uint64_t *member_ids, size_t count, uint64_t *out,
                       struct err *e);

#endif
