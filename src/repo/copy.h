/* The same repository elsewhere: objects, records and signatures as they are, so that
 * whoever checks the copy checks the same signatures. What was pruned here stays there,
 * unless that is wanted, too. */
#ifndef REPO_COPY_H
#define REPO_COPY_H

#include "repo/repo.h"

struct repo_copy_options {
    struct store_options to;
    bool remove; /* what the log says was removed goes there, too */
};

struct repo_copied {
    uint64_t objects, records, removed, bytes;
    uint64_t bad; /* objects that are lost or altered here: not copied */
    bool fresh;   /* the place was empty: now it is a repository */
};

/* An empty place becomes a copy; one that holds another repository is RC_REFUSED. Each
 * object is compared with its record on the way. RC_CORRUPT for a log that does not hang
 * together, here or there, or whose copy has records that are not ours. An object that is
 * bad here is passed over, told, and counted. */
enum rc repo_copy(struct repo *r, const struct repo_copy_options *o,
                  struct repo_copied *out, struct err *e);

#endif
