/* Proof of a stored copy: a second thread follows a file's writer, reads every block
 * back from the disk and compares its CRC32C with that of the bytes handed in. It
 * catches what no checksum in the stream can: memory that changed between the checksum
 * and the disk, and disks that store something else. */
#ifndef FILTER_READBACK_H
#define FILTER_READBACK_H

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"
#include "util/own.h"

enum { READBACK_BLOCK = 2 << 20 };

struct readback;

/* Whoever else wants to see what came back, block after block, once it was compared; on
 * a thread of its own, while the next block is read. `take` may be NULL; its failure is
 * the reader's. */
struct readback_observer {
    void *arg;
    enum rc (*take)(void *arg, const uint8_t *p, size_t n, struct err *e);
};

/* Opens the file behind `fd` a second time, past the page cache where that can be.
 * `name` is for messages and must outlive it; the observer is copied. */
enum rc readback_new(int fd, const char *name, const struct readback_observer *observer,
                     struct readback **out, struct err *e);

/* The next n bytes of the file have been written and have this CRC32C. Every block but
 * the last is READBACK_BLOCK long. Waits when the reader is 16 blocks behind; fails
 * with what the reader has met: RC_CORRUPT with the offset, RC_STORAGE. */
enum rc readback_add(struct readback *r, size_t n, uint32_t crc, struct err *e);

/* Nothing more comes: wait for the reader and return its verdict. */
enum rc readback_finish(struct readback *r, struct err *e);

void readback_free(struct readback *r);
OWN_DEFINE(readback)

#endif
