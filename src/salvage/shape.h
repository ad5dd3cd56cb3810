/* Which bucket a leaf without a parent belongs to, told by the shape of its pairs; and
 * whether a pair is one that etcd could read. Internal to salvage/. */
#ifndef SALVAGE_SHAPE_H
#define SALVAGE_SHAPE_H

#include "boltdb/page.h"
#include "mvcc/schema.h"

/* A pair of bucket `b` that etcd reads. A put of bucket key must agree with its own
 * revision. */
bool salvage_shape_fits(enum mvcc_bucket b, struct bytes key, struct bytes value);

/* The one bucket that all pairs of a leaf fit; MVCC_BUCKETS when none does, several do,
 * or it is empty. */
enum mvcc_bucket salvage_shape_of(const struct bolt_page *leaf);

/* Do all keys of a branch look like those of bucket key? */
bool salvage_shape_branch(const struct bolt_page *branch);

/* Is this a leaf or branch of the root bucket: nothing but names of etcd's buckets? */
bool salvage_shape_root(const struct bolt_page *page);

#endif
