/* A walk over one B+tree that may be damaged anywhere: the whole key space, in order, cut
 * into spans, each with the leaf that answers for it or with what became of it. Unlike
 * bolt_walk, which judges, this one makes the best of what is there. Internal to
 * salvage/. */
#ifndef SALVAGE_TREE_H
#define SALVAGE_TREE_H

#include "salvage/image.h"

enum salvage_span_state {
    SALVAGE_SOUND,       /* the leaf is there, and what it lacks does not exist */
    SALVAGE_LEAF_LOST,   /* its leaf is destroyed: any other leaf of these keys is old */
    SALVAGE_BRANCH_LOST, /* a branch is destroyed or points astray: the leaves may be
                            anywhere */
};

struct salvage_span {
    struct bytes from, to; /* to without bytes: open; from likewise */
    struct bytes named;    /* the first key of the leaf, as its parent has it */
    uint64_t page;         /* the one that was expected here */
    struct bolt_page leaf; /* SALVAGE_SOUND */
    enum salvage_span_state state;
    unsigned depth;
};

/* Zero-initialise, end with salvage_tree_clear. */
struct salvage_tree {
    struct salvage_span *spans;
    size_t count, capacity;
    size_t lost;    /* spans that are not sound */
    size_t astray;  /* pages that begin later than their parents say: bbolt keeps the two
                       the same, so such a page was written again by a later commit */
    unsigned depth; /* of the leaves; 0: none was found */
    uint64_t visited;
};

/* Which pages the walk of now has come by; four bytes a page, so that the next walk need
 * not clear them. */
struct salvage_marks {
    uint32_t *of;
    uint32_t now;
};
enum rc salvage_marks_new(struct salvage_marks *m, uint64_t pages, struct err *e);
void salvage_marks_clear(struct salvage_marks *m);

/* The tree below page `root`. RC_NOMEM, RC_INTERRUPTED. */
enum rc salvage_tree_walk(const struct salvage_image *i, uint64_t root,
                          struct salvage_marks *seen, struct salvage_tree *out,
                          struct err *e);

/* One span with one leaf: a bucket inline in `page`; or one lost span: a bucket without a
 * root. */
enum rc salvage_tree_inline(const struct bolt_page *leaf, uint64_t page,
                            struct salvage_tree *out, struct err *e);
enum rc salvage_tree_none(struct salvage_tree *out, struct err *e);
void salvage_tree_clear(struct salvage_tree *t);

/* Puts a lost span before `first`, with which the tree begins: it is part of a larger one
 * whose top is lost. */
enum rc salvage_tree_lose_before(struct salvage_tree *t, struct bytes first,
                                 struct err *e);

/* The span that answers for `key`. */
const struct salvage_span *salvage_tree_find(const struct salvage_tree *t,
                                             struct bytes key);

#endif
