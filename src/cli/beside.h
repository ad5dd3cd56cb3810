/* What keeps the other jobs of this host out of the way of a snapshot that streams: its
 * lock and the revision it needs, in the state directory, until the guard ends. */
#ifndef CLI_BESIDE_H
#define CLI_BESIDE_H

#include "care/store.h"
#include "cli/cli.h"

struct beside {
    struct cli *cli;
    struct care_store *store;
    int stream, revision;
};

#define BESIDE(c)                                \
    {                                            \
        .cli = (c), .stream = -1, .revision = -1 \
    }

/* For snap_save_options.begins, whose argument is the struct beside. RC_LOCKED when a job
 * is under way that must not meet a stream; no backup fails for want of a state
 * directory. */
enum rc beside_begins(void *arg, uint64_t cluster, int64_t revision, struct err *e);
void beside_end(struct beside *b);

#endif
