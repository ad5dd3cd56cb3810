/* One page, as a checked window on bytes, wherever they come from (a mapped file, a
 * stream, an inline bucket). */
#ifndef BOLTDB_PAGE_H
#define BOLTDB_PAGE_H

#include "boltdb/file.h"

/* Borrowed; valid as long as the bytes are. */
struct bolt_page {
    const uint8_t *p; /* page header */
    uint64_t extent;  /* page size times (1 + overflow); for inline buckets their size */
    uint64_t id;
    uint32_t overflow;
    uint16_t count;
    enum bolt_page_kind kind;
};

struct bolt_pair {
    struct bytes key, value;
    bool is_bucket; /* value is a bucket header, perhaps with an inline bucket */
};

/* Open a window on a tree page whose bytes from its header on are `bytes`. Checks
 * everything that one page can tell: it names itself `id`, has exactly one kind (branch
 * or leaf), its extent lies within `bytes`, the element table and every key and value
 * lie within the extent and do not overlap the table, keys are neither empty (for
 * branches: except the first) nor longer than 32768 and strictly ascending, a branch is
 * not empty. RC_CORRUPT names the page, the element and the offset in the page. */
enum rc bolt_page_open(struct bytes bytes, uint64_t id, uint32_t page_size,
                       struct bolt_page *out, struct err *e);

/* Element i < count of a page that bolt_page_open accepted: cannot fail. */
struct bolt_pair bolt_leaf_at(const struct bolt_page *page, uint16_t i);
struct bytes bolt_branch_key(const struct bolt_page *page, uint16_t i);
uint64_t bolt_branch_child(const struct bolt_page *page, uint16_t i);

/* The header of a bucket, from the value of a bucket element: `root` is its tree, or 0
 * for an inline bucket, whose page is then opened into `inlined`. */
struct bolt_bucket {
    uint64_t root, sequence;
    struct bolt_page inlined; /* only when root == 0 */
};
enum rc bolt_bucket_open(struct bytes value, struct bolt_bucket *out, struct err *e);

#endif
