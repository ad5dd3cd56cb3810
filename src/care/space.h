/* Where the bytes of a member's database are, and which lever moves them. Pure. */
#ifndef CARE_SPACE_H
#define CARE_SPACE_H

#include "care/view.h"

enum {
    CARE_SPACE_FULL_PERCENT = 90, /* of the quota: where an alarm would come back */
    CARE_SPACE_NEAR_PERCENT = 80,
};

enum care_lever {
    CARE_LEVER_NONE,
    CARE_LEVER_DEFRAG,  /* free pages fill the file */
    CARE_LEVER_COMPACT, /* old revisions may; a defragmentation afterwards */
    CARE_LEVER_KEYS,    /* what is there is wanted: fewer keys, or a larger quota */
};
const char *care_lever_name(enum care_lever l); /* "none" "defrag" "compact" "keys" */

struct care_space {
    uint64_t size, in_use, free;
    unsigned free_percent; /* of the file */
    uint64_t quota;        /* 0: not known, and so is the next one */
    unsigned quota_percent;
    int64_t history; /* revisions that were not compacted yet; -1: not known */
    bool alarm;      /* NOSPACE */
    enum care_lever lever;
};

/* `m` is of the view and has answered. */
struct care_space care_space_of(const struct care_view *v, const struct care_member *m);

/* A sentence for the whole cluster. */
void care_space_sentence(const struct care_view *v, char *out, size_t n);

/* RC_OK when every member is known to be below CARE_SPACE_FULL_PERCENT of its quota, else
 * RC_DEGRADED naming the first that is not. A member without a known quota passes. */
enum rc care_space_roomy(const struct care_view *v, struct err *e);

/* Would every member be, if its file shrank to what is in use? */
bool care_space_would_be_roomy(const struct care_view *v);

/* How many revisions to keep in the next compaction, when keeping `kept` was not enough:
 * 1000, 100, 10, 0; -1 when there is nothing left to try. 0 keeps what is live: somebody
 * may have deleted a lot in the newest revision, to get out. */
int64_t care_space_keep_less(int64_t kept);

/* The revision to compact at, to keep so many: 0 when there is nothing to compact. */
int64_t care_space_target(const struct care_view *v, int64_t keep);

#endif
