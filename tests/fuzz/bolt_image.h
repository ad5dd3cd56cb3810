/* Any bytes as a database of 512-byte pages. The meta pages get right checksums, and
 * unless the first byte is even a high-water mark that suits the size, so that the trees
 * are reached. */
#ifndef TESTS_FUZZ_BOLT_IMAGE_H
#define TESTS_FUZZ_BOLT_IMAGE_H

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "boltdb/walk.h"
#include "codec/crc32c.h"
#include "util/mem.h"

enum { FUZZ_PAGE = 512 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static inline void must(bool holds)
{
    if (!holds)
        abort();
}

/* A copy to mem_free. */
static inline uint8_t *image_of(const uint8_t *data, size_t n)
{
    uint8_t *p = mem_copy(data, n);

    must(p != NULL);
    for (size_t i = 0; i < 2 && (i + 1) * FUZZ_PAGE <= n; i++) {
        uint8_t *meta = p + i * FUZZ_PAGE + 16;

        put_le32(meta, BOLT_MAGIC);
        put_le32(meta + 4, BOLT_VERSION);
        put_le32(meta + 8, FUZZ_PAGE);
        if (data[0] & 1)
            put_le64(meta + 40, n / FUZZ_PAGE);
        put_le64(meta + 56, fnv1a64(meta, 56));
    }
    return p;
}

static inline enum rc image_open(const uint8_t *p, size_t n, struct findings *f,
                                 struct bolt_file **out, struct err *e)
{
    int fd = memfd_create("image", MFD_CLOEXEC);
    enum rc rc;

    must(fd >= 0 && write(fd, p, n) == (ssize_t)n);
    rc = bolt_file_open_fd(fd, "image", f, out, e);
    close(fd);
    return rc;
}

#endif
