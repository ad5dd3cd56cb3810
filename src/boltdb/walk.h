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
    uint64_t pages;          /* reachable, overflow pages among them */
    uint64_t overflow_pages; /* of them, those without a header of their own */
    uint64_t free_pages;     /* neither meta, reachable nor the freelist's own */
    uint64_t buckets, pairs;
    unsigned depth; /* levels of the deepest bucket's tree; 0: all are inline */
};

/* Findings name the page and its byte offset in the file. Severity ERROR:
 *
 *   page-range       points to a page outside 2 .. high-water mark
 *   page-id          a page without a header, or with another page's
 *   page-kind        neither branch nor leaf
 *   page-extent      overflow reaches beyond the high-water mark, or is not filled
 *   page-twice       in use twice, also as overflow or freelist
 *   page-cycle       reached again from below itself (a bucket loop as well)
 *   tree-depth       more than BOLT_DEPTH_MAX levels
 *   branch-empty, leaf-empty (unless a bucket's root)
 *   element-range    table, key or value beyond the page's extent
 *   element-overlap  keys and values not in the order of the elements
 *   element-gap      bytes between them: a count that lost elements
 *   element-flags    unknown flags
 *   key-size, key-order, key-bounds (against the parent)
 *   bucket-header, bucket-inline, bucket-nested, root-element
 *   freelist-range, freelist-order, freelist-count, free-reachable
 *
 * Severity WARN: branch-arity (one child: etcd dies at the next compaction), page-leaked
 * (a freelist that lacks unused pages).
 *
 * A damaged subtree is skipped and the walk goes on, the visitor seeing what is left.
 * RC_OK means only that the walk itself ran: look at `f`. With f == NULL the first error
 * ends the walk as RC_CORRUPT. `v` may be NULL. Memory: one bit a page, and the path.
 * RC_INTERRUPTED when a stop is wanted. */
enum rc bolt_walk(const struct bolt_file *file, const struct bolt_visitor *v,
                  struct findings *f, struct bolt_walk_result *out, struct err *e);

#endif
