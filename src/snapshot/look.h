/* A look into a database: a stored snapshot or the file of a member that is down, read
 * in place and never changed. One walk checks every page, reads all buckets but `key`
 * into facts and the wanted records of `key` into an index. */
#ifndef SNAPSHOT_LOOK_H
#define SNAPSHOT_LOOK_H

#include "mvcc/facts.h"
#include "snapshot/index.h"

struct snap_look_options {
    struct bytes prefix; /* only keys that begin with it; empty: all */
    bool whole;          /* only the key that is it */
    bool no_keys;        /* leave the index empty */
    uint64_t revision;   /* the keys as of this revision; 0: the newest */
};

struct snap_look {
    struct bolt_file *file;
    /* Of the history only `revision` (what a server booted from it would answer) and the
     * two marks. */
    struct mvcc_facts facts;
    struct mvcc_lease *leases; /* by id, in unsigned order */
    size_t lease_count;
    struct snap_index index;
    int64_t revision; /* that the index shows */
};

/* `path` is a raw snapshot, a database file, or a data dir, of which member/snap/db is
 * taken; its log is not looked at. RC_USAGE with advice for a compressed or encrypted
 * file. RC_CORRUPT when a page, a record or a pair is damaged: nothing is shown of a file
 * that cannot be believed. RC_NOTFOUND when the revision was compacted (as etcd counts
 * it: a compaction that was only scheduled is done at the next boot) or lies ahead. The
 * key "" that a revision bump leaves is no key, and not in the index. */
enum rc snap_look_open(const char *path, const struct snap_look_options *o,
                       struct snap_look *out, struct err *e);

/* RC_CORRUPT when the file was cut or could not be read since: what was shown may be
 * zeros then. To be asked at the end, since the walk does not read large values through.
 */
enum rc snap_look_intact(const struct snap_look *look, struct err *e);

/* Also for one that is zero. */
void snap_look_clear(struct snap_look *look);

/* Live keys in the index. */
uint64_t snap_look_live(const struct snap_look *look);

/* How many live keys of the index each of look->leases is attached to, in its order;
 * the caller frees *counts. *missing counts keys whose lease does not exist. */
enum rc snap_look_attached(const struct snap_look *look, uint64_t **counts,
                           uint64_t *missing, struct err *e);

#endif
