/* Restore: a snapshot becomes the data directory of one member of a new cluster.
 *
 * request -> restore_plan() decides everything that does not need the database's content
 * (pure) -> restore_run() builds beside the final name, proves, publishes.
 *
 * The plan can be written to a file and carried to the other hosts, so that all members
 * use the same token, ids and revision. */
#ifndef RESTORE_RESTORE_H
#define RESTORE_RESTORE_H

#include "crypto/age.h"
#include "restore/bump.h"
#include "restore/members.h"
#include "restore/rewrite.h"
#include "snapshot/trailer.h"

/* As the command line says it; NULL or zero: not said. Borrowed. */
struct restore_request {
    const char *name, *data_dir, *wal_dir;
    const char *initial_cluster, *token, *peer_urls;
    enum restore_bump_kind bump;
    int64_t bump_by, high_water;
    bool mark_compacted, skip_hash_check;
    bool shared; /* the plan goes to all hosts, so one token may be minted for them */
    unsigned target_minor;
};

struct restore_plan {
    char *name, *data_dir, *wal_dir; /* wal_dir NULL: inside the data dir */
    char *token;
    bool token_minted;
    struct restore_members members; /* identified, by id */
    uint64_t cluster_id, member_id;
    enum restore_bump_kind bump;
    int64_t bump_by, high_water;
    bool mark_compacted, skip_hash_check;
    unsigned target_minor;

    /* From a plan file: which snapshot it is for. */
    bool pinned;
    uint8_t database_sha256[SHA256_SIZE];
};

/* etcd's defaults: name "default", cluster NAME=http://localhost:2380, data dir
 * NAME.etcd. Without a token a random one is minted, so that no member of the old cluster
 * can join; with several members each host would mint its own, so that is RC_USAGE.
 * RC_USAGE for a name that is not in the cluster and URLs that contradict it. */
enum rc restore_plan_make(const struct restore_request *q, struct restore_plan *out,
                          struct err *e);
void restore_plan_clear(struct restore_plan *p);

struct restore_done {
    struct snap_trailer trailer;
    struct restore_bump bump;
    uint64_t records, live_keys, db_size;
    int64_t snapshot_revision, compact_revision;
    uint32_t hashkv;          /* of the snapshot's history, at its last revision */
    char storage_version[32]; /* of the snapshot; "" before 3.6 */
    struct restore_dropped dropped;
    uint64_t took_ms;
};

/* RC_OK: the directory is there, whole, durable and proved. */
enum rc restore_run(const struct restore_plan *p, const char *file,
                    const struct age_identities *ids, struct restore_done *out,
                    struct err *e);

#endif
