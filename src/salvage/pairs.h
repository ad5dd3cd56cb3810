/* The pairs of one bucket that were found, borrowed from the mapped file: 56 bytes each.
 * Internal to salvage/. */
#ifndef SALVAGE_PAIRS_H
#define SALVAGE_PAIRS_H

#include "boltdb/page.h"

/* In order of belief. */
enum salvage_origin {
    SALVAGE_TREE,  /* the tree in force reaches it */
    SALVAGE_OLDER, /* the tree of the commit before does */
    SALVAGE_STRAY, /* a leaf that nothing points to holds it */
};

struct salvage_pair {
    struct bytes key, value;
    uint64_t page;
    enum salvage_origin origin;
    uint32_t leaf; /* of a stray: its place among the leaves of the scan */
};

/* Zero-initialise, end with salvage_pairs_clear. */
struct salvage_pairs {
    struct salvage_pair *items;
    size_t count, capacity;
};

enum rc salvage_pairs_add(struct salvage_pairs *p, const struct salvage_pair *pair,
                          struct err *e);
void salvage_pairs_clear(struct salvage_pairs *p);

/* By key, the more credible first. */
void salvage_pairs_sort(struct salvage_pairs *p);

/* Do the two claim one place: by key, in bucket key (`records`) by revision, whether put
 * or deletion? */
bool salvage_pairs_rival(const struct salvage_pair *a, const struct salvage_pair *b,
                         bool records);

/* Of sorted pairs, the first of each place stays. One of other bytes that loses to it
 * goes to `conflicts`. */
enum rc salvage_pairs_unite(struct salvage_pairs *p, bool records,
                            struct salvage_pairs *conflicts, struct err *e);

/* In sorted pairs, the first with that key; NULL when it is not there. */
const struct salvage_pair *salvage_pairs_find(const struct salvage_pairs *p,
                                              struct bytes key);

#endif
