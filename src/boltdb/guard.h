/* Survives a mapped file that is cut short, or whose disk fails, while it is read: the
 * SIGBUS of a page that cannot be had is answered with a page of zeros and remembered.
 *
 * The handler is installed once for the process, is async-signal-safe, and passes on
 * every SIGBUS that is not in a guarded range. */
#ifndef BOLTDB_GUARD_H
#define BOLTDB_GUARD_H

#include <stdbool.h>
#include <stddef.h>

#include "util/err.h"

struct guard;

/* Guard the mapping [p, p+n). RC_INTERNAL when 256 are guarded already. */
enum rc guard_claim(const void *p, size_t n, struct guard **out, struct err *e);

/* Before the mapping is removed. NULL is fine. */
void guard_release(struct guard *g);

/* Has any of its pages read as zeros in place of the file? */
bool guard_hit(const struct guard *g);

#endif
