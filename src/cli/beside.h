/* care/beside.h with the state directory of the command line, opened when it is needed.
 */
#ifndef CLI_BESIDE_H
#define CLI_BESIDE_H

#include "care/beside.h"
#include "cli/cli.h"

struct beside {
    struct cli *cli;
    struct care_store *store;
    struct care_beside held;
};

#define BESIDE(c)                       \
    {                                   \
        .cli = (c), .held = CARE_BESIDE \
    }

/* For snap_save_options.begins, whose argument is the struct beside. RC_LOCKED when a job
 * is under way that must not meet a stream; no backup fails for want of a state
 * directory. */
enum rc beside_begins(void *arg, uint64_t cluster, int64_t revision, struct err *e);
void beside_end(struct beside *b);

#endif
