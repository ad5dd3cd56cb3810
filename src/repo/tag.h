/* A word more to a backup: "before-upgrade". Tags are records of their own; a tag is not
 * taken back. */
#ifndef REPO_TAG_H
#define REPO_TAG_H

#include "repo/job.h"

/* *sequence may be 0 for the newest, and is set then. RC_NOTFOUND, RC_USAGE for a tag
 * that is none. */
enum rc repo_tag(struct repo *r, const struct repo_job_options *o, uint64_t *sequence,
                 const struct str_list *tags, struct err *e);

#endif
