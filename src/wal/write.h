/* The raft side of a restored data directory: a log and a snapshot file that say nothing
 * but "these are the members, and everything up to index n is in the database".
 *
 * The log is byte for byte what `etcdutl snapshot restore` of 3.5 and 3.6 writes, the
 * snapshot file says the same without the history of events in it. Two extensions:
 * learners, and an index beyond the number of members. Etcd 3.4 to 3.7 start from both.
 */
#ifndef WAL_WRITE_H
#define WAL_WRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/bytes.h"
#include "util/err.h"

struct wal_member {
    uint64_t id; /* wal_member_id */
    const char *name;
    const char *const *peer_urls;
    size_t peer_url_count;
    const char *const *client_urls; /* 0 of them: the member publishes its own */
    size_t client_url_count;
    bool is_learner;
};

struct wal_seed {
    const struct wal_member *members; /* in any order, at least one voter */
    size_t member_count;
    uint64_t node_id;    /* whose directory this is: one of the members */
    uint64_t cluster_id; /* wal_cluster_id of all of them */
    uint64_t term;       /* etcd takes 1 */
    uint64_t index;      /* etcd takes the number of members; the db's consistent_index */
};

/* Writes the first WAL segment into the directory `dir`: mode 0600, 64,000,000 bytes,
 * durable. RC_USAGE when two members have one id, RC_INTERNAL when the seed is no
 * cluster, RC_REFUSED when the file exists, RC_STORAGE. After a failure a partial file
 * may remain: build in a directory of your own and rename that. */
enum rc wal_seed_write(int dir, const struct wal_seed *seed, struct err *e);

/* Writes TERM-INDEX.snap into the directory `dir`, in the same manner. */
enum rc wal_seed_write_snap(int dir, const struct wal_seed *seed, struct err *e);

/* The same as bytes, appended: the records without the zeros after them; the file. */
enum rc wal_seed_log(const struct wal_seed *seed, struct buf *out, struct err *e);
enum rc wal_seed_snap(const struct wal_seed *seed, struct buf *out, struct err *e);

#endif
