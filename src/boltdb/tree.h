/* The walk over a database's B+trees, apart from where its pages come from: bolt_walk
 * looks at them in a mapped file, the stream at the facts it kept. Both so come to the
 * same findings by construction. Internal to boltdb/. */
#ifndef BOLTDB_TREE_H
#define BOLTDB_TREE_H

#include "boltdb/page.h"
#include "boltdb/walk.h"

enum { TREE_KEY_ROOM = 24 }; /* for keys that a source must unpack */

/* What the walk knows of one page. `first` and `last` borrow from the source or from
 * `room`, so a node is never copied. */
struct tree_node {
    struct bolt_page page; /* p is NULL when the content is gone */
    struct bytes first, last;
    uint32_t note; /* what the source knows besides */
    uint8_t room[2][TREE_KEY_ROOM];
};

enum tree_look { TREE_FOUND, TREE_FAULTY, TREE_UNSEEN };

struct tree_source {
    void *arg;
    const struct bolt_meta *meta;
    /* Page `id`, below the high-water mark. TREE_UNSEEN: it went by but was too large to
     * look at, so nothing can be said about what hangs from it. */
    enum tree_look (*look)(void *arg, uint64_t id, struct tree_node *out,
                           struct bolt_fault *fault);
    /* Page `id`, any number, will be looked at after this one. May be NULL. */
    void (*soon)(void *arg, uint64_t id);
    /* Child i of a branch and its key. Offered i + 1 == count, the walk keeps `room`. */
    uint64_t (*child)(void *arg, const struct tree_node *node, uint16_t i,
                      struct bytes *key, uint8_t room[static TREE_KEY_ROOM]);
    /* The bytes of the freelist page, `room` of them up to the high-water mark; NULL is
     * as TREE_UNSEEN. */
    const uint8_t *(*freelist)(void *arg, uint64_t *room);

    /* What is found, in key order. */
    enum rc (*bucket)(void *arg, struct bytes name, struct err *e);
    enum rc (*leaf)(void *arg, const struct tree_node *node, struct err *e);
    enum rc (*inlined)(void *arg, const struct bolt_page *page, uint64_t holder,
                       struct err *e);
};

/* As bolt_walk(). *unseen counts pages that the source could not show. */
enum rc tree_walk(const struct tree_source *source, struct findings *f,
                  struct bolt_walk_result *out, uint64_t *unseen, struct err *e);

#endif
