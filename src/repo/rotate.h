/* Which stored backups are to be looked at next, when all of them are too many: those
 * whose last look by this host is the longest ago, never looked at first. */
#ifndef REPO_ROTATE_H
#define REPO_ROTATE_H

#include "repo/repo.h"

/* At most `most` backups of the log, borrowed from it; the caller frees *out. RC_USAGE
 * without a state directory. */
enum rc repo_rotate(struct repo *r, const struct chain *log, size_t most,
                    const struct chain_item ***out, size_t *count, struct err *e);

#endif
