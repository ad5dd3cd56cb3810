/* `holdfast compact` of a living cluster. */
#ifndef CLI_COMPACT_ONLINE_H
#define CLI_COMPACT_ONLINE_H

#include "cli/cli.h"
#include "util/str.h"

struct compact_online_args {
    uint64_t keep_ms;        /* 0: not given */
    struct str_list protect; /* revisions */
    bool physical, allow_newest;
};

/* `revision` and `keep_revisions` are -1 when not given; exactly one of them and keep_ms
 * must be. */
enum rc compact_online(struct cli *c, const struct compact_online_args *a,
                       int64_t revision, int64_t keep_revisions, struct err *e);

#endif
