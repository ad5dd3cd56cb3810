/* Walks every reachable page in key order, checks it more strictly than bbolt does, and
 * shows each pair to a visitor. This one walk serves verify, status, hashkv, restore and
 * defrag, so that a page is touched once. */
#ifndef BOLTDB_WALK_H
#define BOLTDB_WALK_H

#include "boltdb/file.h"

struct bolt_visitor {
    void *arg;
    /* A top-level bucket begins; its pairs follow. May be NULL. */
    enum rc (*bucket)(void *arg, struct bytes name, struct err *e);
    /* One pair, in order; borrowed from the file. `page` is where it lies. May be NULL.
     */
    enum rc (*pair)(void *arg, struct bytes key, struct bytes value, uint64_t page,
                    struct err *e);
};

struct bolt_walk_result {
    uint64_t pages, overflow_pages; /* reachable, physical */
    uint64_t free_pages;            /* below the high-water mark and not reachable */
    uint64_t buckets, pairs;
    unsigned depth;
};

/* Findings (severity ERROR) name the page and its byte offset in the file: page out of
 * range, wrong self id, wrong kind, reached twice (also by overflow), cycle, too deep,
 * element outside the page extent, keys out of order in a page or against the parent's
 * bounds, empty leaf that is no root, branch with one child (severity WARN
 * "branch-arity": etcd dies at the next compaction), nested bucket, bucket loop, bad
 * inline bucket, bad freelist page (kind, count, order, duplicates, ids out of range,
 * page both free and reachable). A damaged subtree is skipped and the walk goes on, the
 * visitor seeing what is left. RC_OK means only that the walk itself ran: look at `f`.
 *
 * With f == NULL the first error ends the walk as RC_CORRUPT.
 * Memory: one bit a page, and the path. Looks at stop_wanted(). */
enum rc bolt_walk(const struct bolt_file *file, const struct bolt_visitor *v,
                  struct findings *f, struct bolt_walk_result *out, struct err *e);

#endif
