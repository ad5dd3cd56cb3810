/* The state that a data directory stands for: its database, with the entries of the log
 * that come after it applied as etcd would apply them.
 *
 * How far? Entries up to `committed` are known to be on a majority. Those behind it the
 * member had written, but its log does not say whether a majority had them: HardState's
 * commit lags behind what clients were told, by at least the last write under load. All
 * of them are applied unless the caller says otherwise. In a cluster of one member that
 * is exact: it commits all of its log when it starts. Of a larger cluster's member it is
 * what raft does when this member is elected, and so legal; it may contain writes whose
 * clients were never answered, but it loses none that were answered, which committed_only
 * may.
 *
 * Memory: the index of machine/kvstore.h, and the values that the tail wrote; values of
 * the database stay in the file. Entries are read one by one. */
#ifndef DATADIR_TAIL_H
#define DATADIR_TAIL_H

#include "datadir/read.h"
#include "machine/machine.h"
#include "util/str.h"

struct datadir_tail_options {
    bool committed_only;
    bool allow_loss;    /* also where something may be missing: see datadir_lost */
    int minor;          /* of the etcd whose rules apply; 0: of the one that wrote it */
    machine_feed *feed; /* for a directory that was opened with a base: its pairs */
    void *feed_arg;
};

struct datadir_tail {
    struct machine *machine; /* borrows from the directory's database */
    int minor;
    uint64_t first, last;   /* entries applied; none when last < first */
    uint64_t beyond_commit; /* entries behind `committed`: applied, or left out */
    int64_t db_revision;    /* before the tail; 1 without a database */
    int64_t revision;       /* with it */
};

/* 4 to 7, for the etcd that wrote a database; 0 when it does not say. */
int datadir_minor_of(const struct mvcc_facts *f);

/* Zero-initialise, end with datadir_tail_clear before the directory ends. RC_CORRUPT when
 * the database is damaged or, without allow_loss, when the directory's verdict is neither
 * whole nor torn; and for an entry that no etcd could apply, with its index. RC_LOCKED
 * when it is in use. */
enum rc datadir_apply(struct datadir *d, const struct datadir_tail_options *o,
                      struct datadir_tail *out, struct err *e);
void datadir_tail_clear(struct datadir_tail *t);

/* One sentence for each thing that cannot be known about what came after the last entry
 * applied; none for a directory that is whole or torn. */
enum rc datadir_lost(const struct datadir *d, struct str_list *out, struct err *e);

#endif
