/* Quorum arithmetic: how many members a cluster needs, and how many more may fail.
 *
 *     voters      1  2  3  4  5  6  7  8  9
 *     needed      1  2  2  3  3  4  4  5  5
 *     tolerance   0  0  1  1  2  2  3  3  4
 *
 * Learners do not vote and do not count. Pure. */
#ifndef MEMBER_QUORUM_H
#define MEMBER_QUORUM_H

#include <stdbool.h>
#include <stddef.h>

struct quorum {
    size_t voters;    /* all that may vote, whether they answer or not */
    size_t up;        /* of these, those that answer */
    size_t needed;    /* more than half of the voters */
    size_t tolerance; /* how many may fail of a cluster that is whole */
    size_t tolerates; /* how many more may fail now; 0 also when quorum is lost */
    bool has;         /* up >= needed; a cluster without voters has none */
};

/* `up` beyond `voters` counts as all of them. */
struct quorum quorum_of(size_t voters, size_t up);

/* The same if a voter were added, promoted or removed; the one that changes is `up_too`
 * or not. Removing the last voter leaves a cluster without quorum. */
struct quorum quorum_plus(struct quorum q, bool up_too);
struct quorum quorum_minus(struct quorum q, bool was_up);

/* One sentence about sizes that cost a member and buy nothing (two, and every other even
 * number); NULL for odd ones. Written into out. */
const char *quorum_trap(size_t voters, char *out, size_t n);

#endif
