/* Was anything removed, altered, added or rolled back? What the log proves, what is there
 * besides, and what nobody can know from here. */
#ifndef REPO_AUDIT_H
#define REPO_AUDIT_H

#include "repo/repo.h"

struct repo_audit {
    struct chain *log;
    struct findings findings; /* the log's, and "object-missing", "object-size" (errors),
                               * "object-unnamed" (a note) */
    size_t backups, objects;
    uint64_t bytes;
};
void repo_audit_clear(struct repo_audit *a);

/* `marks` are what other places remember, besides this host's own. RC_OK: it could be
 * looked at; the findings tell the rest. */
enum rc repo_audit(struct repo *r, const struct chain_mark *marks, size_t count,
                   struct repo_audit *out, struct err *e);

#endif
