/* A damaged database in place: whatever bytes are left, which of its metas are good, and
 * which page size it has when none is. Internal to salvage/. */
#ifndef SALVAGE_IMAGE_H
#define SALVAGE_IMAGE_H

#include "boltdb/page.h"

struct salvage_image {
    struct bolt_file *file;
    struct bytes bytes;
    uint32_t page_size;
    uint64_t pages;            /* that are there and may be in use */
    struct bolt_meta metas[2]; /* the good ones, the one in force first */
    unsigned metas_good;
    bool truncated; /* by the meta in force */
};

/* `fd` is borrowed during the call. RC_CORRUPT when not even the page size can be told:
 * no position holds a page. */
enum rc salvage_image_open(int fd, const char *name, struct salvage_image *out,
                           struct err *e);
void salvage_image_clear(struct salvage_image *i);

/* A well-formed tree page at its place. */
bool salvage_image_page(const struct salvage_image *i, uint64_t id,
                        struct bolt_page *out);

#endif
