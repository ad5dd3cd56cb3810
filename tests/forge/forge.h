/* Damage and forgeries on a database in memory, each with the finding it must lead to. */
#ifndef TESTS_FORGE_FORGE_H
#define TESTS_FORGE_FORGE_H

#include "tests/forge/golden.h"

struct forgery {
    const char *name;
    const char *code; /* of the finding that must be among all; "open" when
                         the file must not open */
    uint64_t (*edit)(struct image *db); /* returns the page it must be found at */
    enum finding_severity severity;
};
extern const struct forgery forgeries_of_pages[]; /* both end with one without edit */
extern const struct forgery forgeries_of_contents[];
const struct forgery *forgery_at(size_t i); /* through both; NULL after the last */

uint8_t *forge_page(const struct image *db, uint64_t id); /* page size 4096 */
void forge_sums(struct image *db);                        /* both metas' checksums */
uint64_t forge_bucket_root(const struct image *db, const char *bucket);

/* Finding the way; the tree of bucket "key" has one level of branches. */
uint64_t forge_root(const struct image *db);
uint8_t *forge_bucket_element(const struct image *db, const char *bucket);
uint8_t *forge_bucket_value(const struct image *db, const char *bucket);
uint8_t *forge_element(const struct image *db, uint64_t page, unsigned i);
uint64_t forge_branch(const struct image *db);
uint64_t forge_child(const struct image *db, unsigned i);
uint64_t forge_leaf(const struct image *db); /* of three elements or more */
uint64_t forge_leaf_with(const struct image *db, bool (*want)(const uint8_t *page));
bool forge_has_overflow(const uint8_t *page);

/* Sets a field of element 1 of that leaf, which is returned. */
uint64_t forge_edit_element(struct image *db, unsigned at, uint32_t value);

/* Appends a freelist page of `count` ids to the database. */
void forge_freelist(struct image *db, const uint64_t *ids, size_t count);

/* Every page below the high-water mark that no tree uses, by a walk of its own; mem_free
 * the list. */
uint64_t *forge_free_pages(const struct image *db, size_t *count);

#endif
