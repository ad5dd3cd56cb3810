/* A member's data directory, read as it lies there: nothing is locked, repaired or
 * written, and no etcd is started.
 *
 *     member/snap/db             the keys, up to the entry consistent_index
 *     member/snap/TERM-INDEX.snap, INDEX.snap.db     raft's snapshots; a database that a
 *                                leader sent and that was not put in place yet
 *     member/wal                 the log: what came after consistent_index
 *
 * Of databases the one is taken that etcd would boot with (server/storage/backend.go,
 * RecoverSnapshotBackend): a received one when the newest snapshot that counts is ahead
 * of member/snap/db. */
#ifndef DATADIR_READ_H
#define DATADIR_READ_H

#include "boltdb/file.h"
#include "datadir/judge.h"
#include "mvcc/facts.h"
#include "storage/holder.h"
#include "wal/read.h"

/* A database that was read elsewhere, such as one that was salvaged. */
struct datadir_base {
    bool none;        /* there is none: the log alone */
    uint64_t applied; /* consistent_index */
    uint64_t term;    /* of that entry; 0: it does not say */
};

struct datadir_request {
    const char *dir;     /* what etcd calls --data-dir, or the "member" directory in it */
    const char *wal_dir; /* etcd's --wal-dir; NULL: member/wal */
    bool in_use_too;     /* read it although an etcd runs on it: facts for a picture, of
                            several moments, and never good enough to build on */
    const struct datadir_base *base; /* judge the log by this one, and open none; NULL */
};

struct datadir {
    struct findings findings;
    enum datadir_verdict verdict;
    bool ok; /* whole or torn, nothing that blocks, not in use: it can be built on */

    char *db_path; /* of the database, also when it is missing */
    char *wal_path;
    bool in_use;
    struct holder holder; /* by whom */

    struct bolt_file *db;    /* NULL: none, or it cannot be read (see db_missing) */
    bool db_missing;         /* there is no such file, or nothing of the log is in it yet,
                                and the log is complete */
    bool received;           /* it is INDEX.snap.db */
    bool elsewhere;          /* there is one, by the request's base */
    struct mvcc_facts facts; /* zero without a database */
    uint64_t applied;        /* consistent_index; 0 when there is none yet */

    struct wal *wal;               /* NULL: none */
    const struct wal_summary *log; /* of it, or NULL */
    uint64_t member_id, cluster_id;
    const char *member_name; /* "" when it is not known; borrowed from facts */
    uint64_t snapshot;       /* newest raft snapshot that counts; 0: none */

    /* Entries `committed` and before are known to be: by the log's last STATE, which
     * lags behind what clients were told, or because the database has them. Behind it
     * come entries of which the log alone cannot say whether a majority has them. */
    uint64_t committed;
    bool log_complete;    /* it begins with the cluster: no database is needed */
    uint64_t first, last; /* the tail: entries to apply, none when last < first */
};

/* What is wrong is told by verdict and findings: those of wal_open, snapdir_list,
 * snapfile_newest and mvcc_survey_file, and
 *   ERROR db-missing db-unreadable wal-missing wal-gap wal-overtaken wal-behind
 *         wal-foreign snap-db-missing (WARN when the log has what it would)
 *   WARN  db-missing, db-young (the log makes it again) db-received in-use
 *         snap-missing member-unknown member-removed
 *   NOTE  wal-tail (what the log adds)
 * Fails with RC_NOTFOUND when there is no such directory, RC_LOCKED when an etcd runs on
 * it (and in_use_too is not set), RC_AUTH, RC_STORAGE, RC_NOMEM, RC_INTERRUPTED. */
enum rc datadir_open(const struct datadir_request *q, struct datadir **out,
                     struct err *e);
void datadir_free(struct datadir *d);
OWN_DEFINE(datadir)

/* Is this finding an error about database or log? Raft's own snapshot files are not
 * needed. */
bool datadir_blocks(const struct finding *f);
/* Is there one, perhaps among those that the list had no room for? */
bool datadir_blocked(const struct datadir *d);

/* RC_LOCKED when an etcd was started on it since, RC_CORRUPT when the database shrank or
 * could not be read to its end: what was read is then not to be believed. */
enum rc datadir_intact(const struct datadir *d, struct err *e);

#endif
