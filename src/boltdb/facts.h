/* What remains of a page that went by: its kind, extent, first and last key, of a branch
 * all children with their keys, or what was wrong with it. Nearly all of that is put
 * aside in a spool (revision keys of etcd pack into 12 bytes: 40 bytes for a leaf, 12 and
 * 20 a child for a branch); 4 bytes a page and what is kept as it was are in memory.
 * Internal to boltdb/. */
#ifndef BOLTDB_FACTS_H
#define BOLTDB_FACTS_H

#include "boltdb/tree.h"
#include "filter/spool.h"

/* Zero-initialise but for the spool, end with facts_clear. */
struct facts {
    struct spool *spool; /* borrowed */
    uint32_t *slots;     /* by page id: where its record lies, plus 1 */
    uint64_t slot_count, slot_cap;
    uint8_t *records; /* those that stay in memory */
    size_t used, cap;
    struct buf scratch;
    struct err failed; /* of the spool, while facts were looked up */
};
void facts_clear(struct facts *f);
size_t facts_memory(const struct facts *f); /* without the spool's */

/* One of these for each page that bears a page header, in any order of ids. All others
 * are BOLT_FAULT_HEADER without being told. RC_NOMEM only. `keep` keeps the content of a
 * leaf, for its buckets. `note` comes back in the node of the page. */
enum rc facts_add_page(struct facts *f, const struct bolt_page *page, bool keep,
                       uint32_t note, struct err *e);
enum rc facts_add_fault(struct facts *f, uint64_t id, const struct bolt_fault *fault,
                        struct err *e);
enum rc facts_add_unseen(struct facts *f, uint64_t id, struct err *e);

/* For a struct tree_source; `arg` is the struct facts. What the spool cannot give back is
 * TREE_UNSEEN or page 0, and from then on `failed` says why. */
enum tree_look facts_look(struct facts *f, uint64_t id, struct tree_node *out,
                          struct bolt_fault *fault);
uint64_t facts_child(struct facts *f, const struct tree_node *node, uint16_t i,
                     struct bytes *key, uint8_t room[static TREE_KEY_ROOM]);

#endif
