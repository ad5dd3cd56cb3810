/* A database file written again, compactly, with or without its old history; offline.
 *
 * Nobody else uses the file meanwhile (defrag/place.h); the new one is proved by a walk
 * over what was stored before it takes the old one's place, so that a kill, a full disk
 * or a power failure at any moment leaves the old or the new database, whole. */
#ifndef DEFRAG_DEFRAG_H
#define DEFRAG_DEFRAG_H

#include "defrag/goal.h"
#include "defrag/place.h"
#include "util/findings.h"

struct defrag_request {
    struct defrag_place_request place; /* look_only: say exactly what would be done */
    struct defrag_goal goal;
};

struct defrag_done {
    uint64_t size_before, size_after; /* of the files, a trailer included */
    int64_t pages_freed; /* negative when the old one was packed more densely */
    uint64_t pairs;      /* in all buckets of the new one */
    int64_t revision, compact_revision; /* compact: MVCC_NEVER_COMPACTED */
    bool hash_known; /* not when a record could not be read: it was copied as it is */
    uint32_t hashkv; /* at `revision` */
    uint64_t records_dropped, bytes_dropped;
    bool trailer_added; /* a snapshot that had no SHA-256 has one now */
    bool proved;        /* not with look_only */
    uint64_t took_ms;
};

/* Damaged pages are RC_CORRUPT, as are a trailer that does not match and, for a
 * compaction, a history that etcd could not have written. A defrag copies such a history
 * as it is; what is odd about it goes to `f`. RC_STORAGE tells how much room is wanted,
 * there and kept. Otherwise fails as defrag_place_open, defrag_place_publish and
 * defrag_goal_revision do. */
enum rc defrag_run(const struct defrag_request *q, struct findings *f,
                   struct defrag_done *out, struct err *e);

#endif
