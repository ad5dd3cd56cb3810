/* What remains of a page that went by: its kind, extent, first and last key, of a branch
 * all children with their keys, or what was wrong with it. Revision keys of etcd pack
 * into 12 bytes: 36 bytes for a leaf, 12 and 20 a child for a branch, 4 for any other
 * page. Internal to boltdb/. */
#ifndef BOLTDB_FACTS_H
#define BOLTDB_FACTS_H

#include "boltdb/tree.h"

/* Zero-initialise, end with facts_clear. */
struct facts {
    uint32_t *slots; /* by page id: where its record begins in eights of bytes, plus 1 */
    uint64_t slot_count, slot_cap;
    uint8_t *records;
    size_t used, cap;
};
void facts_clear(struct facts *f);
size_t facts_memory(const struct facts *f);

/* One of these for each page that bears a page header, in any order of ids. All others
 * are BOLT_FAULT_HEADER without being told. RC_NOMEM only. `keep` keeps the content of a
 * leaf, for its buckets. */
enum rc facts_add_page(struct facts *f, const struct bolt_page *page, bool keep,
                       struct err *e);
enum rc facts_add_fault(struct facts *f, uint64_t id, const struct bolt_fault *fault,
                        struct err *e);
enum rc facts_add_unseen(struct facts *f, uint64_t id, struct err *e);

/* For a struct tree_source; `arg` is the struct facts. */
enum tree_look facts_look(const struct facts *f, uint64_t id, struct tree_node *out,
                          struct bolt_fault *fault);
uint64_t facts_child(const struct facts *f, const struct tree_node *node, uint16_t i,
                     struct bytes *key, uint8_t room[static TREE_KEY_ROOM]);

#endif
