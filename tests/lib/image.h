/* A bbolt file that is built into memory. Inline: fuzz targets link no test library. */
#ifndef TESTS_LIB_IMAGE_H
#define TESTS_LIB_IMAGE_H

#include <string.h>

#include "boltdb/build.h"

static inline enum rc image_append(void *arg, const uint8_t *p, size_t n, struct err *e)
{
    return buf_add(arg, p, n, e);
}

static inline enum rc image_patch(void *arg, const uint8_t *p, size_t n, struct err *e)
{
    const struct buf *to = arg;

    if (n > to->n)
        return err_set(e, RC_INTERNAL, "a patch of %zu bytes over %zu", n, to->n);
    memcpy(to->p, p, n);
    return RC_OK;
}

/* Where a builder writes when the file shall stand in `to`. */
static inline struct bolt_target image_target(struct buf *to)
{
    return (struct bolt_target){ to, image_append, image_patch, NULL };
}

#endif
