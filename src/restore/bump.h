/* By how much a restore raises the revision, and why.
 *
 * Clients with a watch cache (every Kubernetes controller) trust revisions to grow. A
 * restored, older revision looks like the past to them and they keep stale state for
 * hours. So the revision is raised past everything that was ever seen, and the old
 * revisions are marked compacted, which makes every watcher start again. */
#ifndef RESTORE_BUMP_H
#define RESTORE_BUMP_H

#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"

enum restore_bump_kind {
    RESTORE_BUMP_DEFAULT, /* auto when the snapshot holds Kubernetes keys, else none */
    RESTORE_BUMP_AUTO,
    RESTORE_BUMP_BY, /* by exactly `by`; 0 turns it off */
};

/* What auto adds: as much as etcd's own documentation advises for Kubernetes. */
#define RESTORE_BUMP_STEP 1000000000
/* A revision may not pass this: half the signed range stays for the cluster's life. */
#define RESTORE_REVISION_MAX ((int64_t)1 << 62)

struct restore_bump_input {
    enum restore_bump_kind kind;
    int64_t by;
    int64_t last_revision; /* newest main revision in the snapshot */
    int64_t high_water;    /* newest revision known from elsewhere, or 0 */
    bool kubernetes;
    bool mark_compacted; /* asked for */
};

struct restore_bump {
    int64_t by;       /* 0: none */
    int64_t revision; /* after the restore */
    bool mark_compacted;
    const char *reason; /* static sentence */
};

/* Pure. RC_USAGE for --mark-compacted without a bump, a negative or too large bump, or
 * one that does not pass the high-water mark. */
enum rc restore_bump_decide(const struct restore_bump_input *in, struct restore_bump *out,
                            struct err *e);

#endif
