/* Every position of a file looked at for a well-formed page, whoever points to it: leaves
 * with the bucket they look like, roots, and the branches of bucket key. Most of them are
 * in use, some are free pages with what they held earlier, and some are bytes of a large
 * value that look like a page: this file only says what is there. Internal to salvage/.
 */
#ifndef SALVAGE_SCAN_H
#define SALVAGE_SCAN_H

#include "mvcc/schema.h"
#include "salvage/tree.h"

struct salvage_leaf {
    struct bolt_page page;
    enum mvcc_bucket bucket;
    bool claimed; /* the tree in force holds it */
    bool torn;    /* pages of that tree lie in its extent: it was overwritten */
    bool nested;  /* it lies in another leaf's extent, or that one in its: one of the two
                     is not what it seems */
    bool stale;   /* it holds what a compaction removed since */
    bool alien;   /* it holds what the tree in force contradicts */
};

struct salvage_ids {
    uint64_t *items;
    size_t count, capacity;
};

/* Zero-initialise, end with salvage_scan_clear. 72 bytes a leaf, 8 a branch. */
struct salvage_scan {
    struct salvage_leaf *leaves; /* by page */
    size_t count, capacity;
    struct salvage_ids roots;    /* pages of a root bucket */
    struct salvage_ids branches; /* of bucket key */
};

/* RC_NOMEM, RC_INTERRUPTED. */
enum rc salvage_scan_run(const struct salvage_image *i, struct salvage_scan *out,
                         struct err *e);
void salvage_scan_clear(struct salvage_scan *s);

/* Marks the sound leaves of a tree as claimed. After the last one, salvage_scan_settle
 * marks what is torn and nested. */
void salvage_scan_claim(struct salvage_scan *s, const struct salvage_tree *t);
void salvage_scan_settle(struct salvage_scan *s);

/* May its pairs be looked at, for bucket `b`? */
static inline bool salvage_leaf_loose(const struct salvage_leaf *l, enum mvcc_bucket b)
{
    return l->bucket == b && !l->claimed && !l->torn;
}

#endif
