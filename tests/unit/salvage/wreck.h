/* A database in memory, what it holds, and what a salvage makes of it once it is damaged.
 */
#ifndef TESTS_UNIT_SALVAGE_WRECK_H
#define TESTS_UNIT_SALVAGE_WRECK_H

#include "salvage/salvage.h"
#include "tests/flow/golden.h"

/* A pair as the undamaged file has it. */
struct cargo {
    enum mvcc_bucket bucket;
    struct bytes key, value; /* borrowed from the image */
    uint64_t page, overflow; /* of its leaf */
};

struct wreck {
    struct buf image; /* undamaged; without a trailer */
    struct buf damaged;
    struct cargo *cargo;
    size_t count, capacity;
    int64_t compacted; /* the larger mark */
    uint32_t page_size;
    uint64_t pages;
};

/* Owns `image`. */
void wreck_of(struct wreck *w, struct buf image);
void wreck_of_golden(struct wreck *w, const char *version);
void wreck_clear(struct wreck *w);
#define WRECK AT_END(wreck_clear) struct wreck

/* The damaged image is the undamaged one again. */
void wreck_repair(struct wreck *w);
static inline uint8_t *wreck_page(const struct wreck *w, uint64_t id)
{
    return w->damaged.p + id * w->page_size;
}

/* What was saved, as a file in memory. */
struct saved {
    struct salvage_result result;
    struct buf image;
    struct bolt_file *file;
    struct cargo *cargo;
    size_t count, capacity;
};
void saved_clear(struct saved *s);
#define SAVED AT_END(saved_clear) struct saved

/* Salvages the damaged image; the result must be clean in every respect, or RC_CORRUPT.
 */
enum rc wreck_salvage(const struct wreck *w, struct saved *out, struct err *e);

/* The same, and it must go well; then everything that did not lie on page `hit` must be
 * there, nothing else, and what is missing must be told. `note` says what was done. */
void wreck_check(const struct wreck *w, uint64_t hit, const char *note);

const struct cargo *cargo_find(const struct cargo *c, size_t n, enum mvcc_bucket b,
                               struct bytes key);

#endif
