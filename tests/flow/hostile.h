/* Files that nobody should trust: forged pages, forged records, things that are no
 * database. All come from a snapshot of etcd 3.6, and all but those that are about the
 * trailer carry a right one, so that it is the content that is judged. */
#ifndef TESTS_FLOW_HOSTILE_H
#define TESTS_FLOW_HOSTILE_H

#include <stdbool.h>

#include "util/bytes.h"

struct hostile {
    const char *row;  /* of the fault matrix in docs/hostile-files.md */
    const char *name; /* what is wrong with it */
    const char *code; /* of the finding, or NULL: any */
    bool bad;         /* verify must refuse it (3) */
    bool restores;    /* with --skip-hash-check it may become a data directory */
    struct buf file;  /* for buf_clear */
};

/* The i-th of them; false after the last. */
bool hostile_make(unsigned i, struct hostile *out);

#endif
