/* This host's index of a cluster's log, made again from the store alone. */
#ifndef REPO_REBUILD_H
#define REPO_REBUILD_H

#include "repo/repo.h"

/* RC_USAGE without a state directory; RC_CORRUPT for a log that does not hang together:
 * then what this host remembers is worth more, and stays. */
enum rc repo_rebuild(struct repo *r, size_t *records, struct err *e);

#endif
