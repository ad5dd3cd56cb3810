/* Where a compaction is to go: the rules, apart from any file. */
#ifndef DEFRAG_GOAL_H
#define DEFRAG_GOAL_H

#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"

/* The compaction marks of bucket meta; MVCC_NEVER_COMPACTED when absent. */
struct defrag_marks {
    int64_t finished, scheduled;
};

enum defrag_goal_kind {
    DEFRAG_ALL,      /* no compaction: every record stays */
    DEFRAG_REVISION, /* compact at this revision */
    DEFRAG_NEWEST,   /* compact so many revisions before the newest one, as etcd's
                        --auto-compaction-mode=revision counts */
};

struct defrag_goal {
    enum defrag_goal_kind kind;
    int64_t number;
    bool drops_tombstone; /* see keep.h */
};

/* The revision to compact at; `head` is the database's. RC_USAGE when it lies in the
 * future or below 1; RC_REFUSED when it was compacted already, or lies behind a
 * compaction that was begun: finishing that one at exactly its revision is fine. */
enum rc defrag_goal_revision(const struct defrag_goal *g, const struct defrag_marks *m,
                             int64_t head, int64_t *out, struct err *e);

/* From "3.6", "3.5.12": does that etcd drop the tombstone? A version without a patch
 * level stands for its newest. RC_USAGE. */
enum rc defrag_goal_version(const char *version, bool *drops_tombstone, struct err *e);

#endif
