/* Room for the copy that a defragmentation writes beside the database: known for members
 * that run on this host. */
#ifndef CARE_ROOM_H
#define CARE_ROOM_H

#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"

struct care_room {
    char path[4096]; /* the database */
    uint64_t free;   /* bytes on its file system */
};

/* The process of this host that was started to serve clients at `endpoint`
 * ("http://10.0.0.1:2379"), and has a database open. *found is false when there is none,
 * or when we may not see it. Fails only for want of memory. */
enum rc care_room_find(const char *endpoint, struct care_room *out, bool *found,
                       struct err *e);

/* RC_REFUSED unless a copy of `in_use` bytes fits, and a fifth more. */
enum rc care_room_check(const struct care_room *r, uint64_t in_use, const char *called,
                        struct err *e);

#endif
