/* The directory that a drill works in, which holds a whole unencrypted database: gone
 * with the drill, and when the drill was killed, with the next one in the same place. */
#ifndef DRILL_SCRATCH_H
#define DRILL_SCRATCH_H

#include "util/err.h"

struct drill_scratch {
    char *path; /* NULL: none */
    int held;   /* its lock; -1: none */
};

#define DRILL_SCRATCH \
    {                 \
        .held = -1    \
    }

/* A new directory of mode 0700 below `parent`, which must exist. */
enum rc drill_scratch_make(const char *parent, struct drill_scratch *out, struct err *e);
void drill_scratch_end(struct drill_scratch *s);

#endif
