/* The machine's image in an unnamed file, written by a child process that has the state
 * as it was when it was forked. The loop goes on meanwhile, and no memory is needed: for
 * Maintenance's Snapshot and for raft's own. */
#ifndef RAFTSTORE_PICTURE_H
#define RAFTSTORE_PICTURE_H

#include <stdint.h>
#include <sys/types.h>

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
/* Waits for the child, which has ended when `done` is readable: how large the file is.
 * RC_STORAGE when the child failed. */
enum rc picture_wait(struct picture *p, uint64_t *size, struct err *e);
void picture_clear(struct picture *p); /* ends the child, too */

#endif
