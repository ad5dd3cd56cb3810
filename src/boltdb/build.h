/* Writes a compact bbolt file in one sequential pass: leaves packed in key order, branch
 * levels above them, the root bucket, and the metas last, at the front (formats: bbolt
 * as etcd opens it, without a freelist).
 *
 * Pairs arrive sorted, bucket after bucket. Page 0 and 1 are written when everything else
 * is, so the target must allow a rewrite of its first two pages: the builder writes
 * through `struct bolt_target`. */
#ifndef BOLTDB_BUILD_H
#define BOLTDB_BUILD_H

#include "boltdb/file.h"

/* Where pages go. `append` gets bytes in file order, in pieces of 1 MiB (the last one
 * shorter), beginning with two zero pages' worth; `patch` rewrites the first bytes at the
 * end (two pages). Whoever must be durable syncs what was appended before it patches.
 *
 * A target with memory of its own spares a copy: pages are made in what `lend` gives, at
 * least one byte, and append is told where they begin and how many bytes they are. All
 * that was lent is filled, except for the last. */
struct bolt_target {
    void *arg;
    enum rc (*append)(void *arg, const uint8_t *p, size_t n, struct err *e);
    enum rc (*patch)(void *arg, const uint8_t *p, size_t n, struct err *e);
    enum rc (*lend)(void *arg, uint8_t **p, size_t *n, struct err *e); /* may be NULL */
};

struct bolt_build_options {
    uint32_t page_size;    /* 0: 4096 */
    unsigned fill_percent; /* 0: 90, what etcd's own defrag leaves (server/storage/backend
                              defrag: FillPercent 0.9) */
    unsigned leaf_pages; /* 0: 8. So many pages may one leaf take, so that little of them
                            stays unused; 1: no more than two pairs take anyway */
};

struct bolt_builder;

enum rc bolt_builder_new(const struct bolt_target *target,
                         const struct bolt_build_options *options,
                         struct bolt_builder **out, struct err *e);
void bolt_builder_free(struct bolt_builder *b);
OWN_DEFINE(bolt_builder)

/* Begin the bucket `name`; names ascend. The previous bucket ends. A small bucket is
 * stored inline as bbolt would (no more than a quarter of a page). */
enum rc bolt_builder_bucket(struct bolt_builder *b, struct bytes name, struct err *e);

/* Add a pair to the bucket; keys ascend strictly (RC_INTERNAL otherwise), 1 to 32768
 * bytes; a value larger than a page gets overflow pages. The bytes are copied. */
enum rc bolt_builder_pair(struct bolt_builder *b, struct bytes key, struct bytes value,
                          struct err *e);

/* Ends the last bucket, writes branches, root and metas. No branch has fewer than two
 * children. *size is the file's size (page size times high-water mark). */
enum rc bolt_builder_finish(struct bolt_builder *b, uint64_t *size, struct err *e);

#endif
