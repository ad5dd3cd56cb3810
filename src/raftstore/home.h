/* A member's data directory, which is an etcd's, and nothing else that is durable:
 *
 *     member/wal/N-I.wal       etcd's log (wal/append.h)
 *     member/snap/db           the state as it was at the newest snapshot, or at the end
 *     member/snap/T-I.snap     what raft knows of the snapshots
 *     member/snap/I.snap.db    a database on its way to `db`, at index I
 *
 * So the directory of a stopped etcd, of a restore, of `recover --apply` and of a copy
 * are all simply opened, and an etcd opens one of ours. Beside it lies lab/, with the
 * control socket and what libraft wants of a directory; it is made at each start. */
#ifndef RAFTSTORE_HOME_H
#define RAFTSTORE_HOME_H

#include "datadir/read.h"
#include "machine/machine.h"
#include "restore/members.h"
#include "wal/append.h"

struct home {
    uint64_t member, cluster;
    char *snap_dir;
    struct datadir *found; /* as it was read; its log is wanted until raft has it */
    struct wal_log *log;   /* the same log, written on */
    int db;                /* `db`, locked as bbolt does; -1: a member that joined has
                              none before the leader sends one */
    uint64_t index, term;  /* of the last entry in it */
    int minor;
};

/* Is there one already? */
bool home_is_there(const char *data_dir);

/* The directory of a member that founds a cluster: as etcd's first entries are, one adds
 * each member. Appears whole or not at all. */
enum rc home_found(const char *data_dir, const struct wal_metadata *ids,
                   const struct restore_members *members, int minor, struct err *e);

/* Of one that joins: an empty log, and no database. */
enum rc home_join(const char *data_dir, const struct wal_metadata *ids, struct err *e);

/* Opens it as etcd does: a torn tail is cut off, a database that a leader had sent is put
 * in its place, one that is missing is made from a log that begins with the cluster. *m
 * is the state at `index`, whose records borrow from *file (may be NULL). RC_LOCKED when
 * somebody uses it; RC_CORRUPT when log and database are damaged or do not belong
 * together, and when the database is older than the newest snapshot. */
enum rc home_open(const char *data_dir, int minor, struct home *out,
                  struct bolt_file **file, struct machine **m, struct err *e);
void home_close(struct home *h);

/* What raft's snapshot file says of this state, and who its members are; wal_conf_clear.
 */
enum rc home_describe(const struct home *h, const struct machine *m, uint64_t index,
                      uint64_t term, struct buf *snap, struct wal_conf *conf,
                      struct err *e);

/* The way of a database to its place, each step durable: written as INDEX.snap.db, its
 * .snap beside it; then, once the log has its mark, renamed. *db is then the new one,
 * locked. */
enum rc home_put_image(const struct home *h, uint64_t index, const struct bytes *parts,
                       size_t count, struct err *e);
enum rc home_open_image(const struct home *h, uint64_t index, int *fd, struct err *e);
enum rc home_put_snap(const struct home *h, uint64_t index, uint64_t term,
                      struct bytes snap, struct err *e);
enum rc home_put_db(const struct home *h, uint64_t index, int *db, struct err *e);

/* At a clean end: the state as it is becomes `db`, as etcd commits its database then; the
 * log's newest mark is behind it. `m` says at which index it is. */
enum rc home_keep(struct home *h, const struct machine *m, struct err *e);

/* Removes old .snap files, as etcd does, and databases that never got to their place. */
void home_sweep(const struct home *h, uint64_t index);

#endif
