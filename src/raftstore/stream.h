/* Maintenance's Snapshot: the machine's image is written to an unnamed file by a child
 * process, which has the state as it was when it was forked, and streamed from there. The
 * loop goes on meanwhile, and memory holds one piece. */
#ifndef RAFTSTORE_STREAM_H
#define RAFTSTORE_STREAM_H

#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

#include "machine/machine.h"
#include "util/err.h"

/* An image in the making. */
struct picture {
    int fd;   /* the file; -1: none */
    int done; /* readable when the child has ended */
    pid_t child;
};

enum rc picture_take(const struct machine *m, const char *dir, struct picture *out,
                     struct err *e);
/* After `done` was readable: how large the file is. RC_STORAGE when the child failed. */
enum rc picture_wait(struct picture *p, uint64_t *size, struct err *e);
void picture_clear(struct picture *p); /* ends the child, too */

#endif
