/* What the judge of retention is made of. */
#ifndef CATALOG_RETAIN_INSIDE_H
#define CATALOG_RETAIN_INSIDE_H

#include "catalog/retain.h"

enum { RETAIN_TIME_SIZE = 32 };

enum retain_unit {
    RETAIN_HOUR,   /* 2026-11-20T15 */
    RETAIN_DAY,    /* 2026-11-20 */
    RETAIN_WEEK,   /* 2026-W47, as ISO 8601 counts */
    RETAIN_MONTH,  /* 2026-11 */
    RETAIN_YEAR,   /* 2026 */
    RETAIN_MINUTE, /* 2026-11-20 15:04, for messages */
};

/* The name of the hour, day, ... in UTC. */
void retain_time(int64_t at, enum retain_unit unit, char out[static RETAIN_TIME_SIZE]);

/* Sets `doubtful` where the time makes no sense: later than `latest`, before this program
 * existed, or outside of the heaviest row of the others whose times do not fall: each
 * weighs as many as its sequence is higher than that of the one before. */
enum rc retain_doubt(struct retain_item *items, size_t count, int64_t latest,
                     struct err *e);

#endif
