/* One backup out of the repository, into a local file that is whole and proved, or not
 * there at all. */
#ifndef REPO_FETCH_H
#define REPO_FETCH_H

#include "repo/verify.h"

/* The file's name says how it is written: as the object is stored, `.db.zst.age`, byte
 * for byte; or `.db`, decrypted, when `ids` opens it, and then every page and record has
 * been checked. Else RC_USAGE. Fails as repo_verify does, and as posix_put_new for the
 * file. */
enum rc repo_fetch(struct repo *r, const struct record *x, const char *file,
                   const struct age_identities *ids, struct err *e);

/* The snapshot and the files of a bundle, into a directory that is made, and appears
 * whole or not at all. RC_USAGE for a backup that is no bundle. */
enum rc repo_extract(struct repo *r, const struct record *x, const char *dir,
                     const struct age_identities *ids, struct err *e);

/* The newest that verifies: `*item` (from repo_find), or, when its object is lost or
 * altered, the one before it, and so on, each told with what is lost by it. */
enum rc repo_fetch_newest(struct repo *r, const struct chain *log, const char *file,
                          const struct age_identities *ids,
                          const struct chain_item **item, struct err *e);

/* What a restore reads of backup `sequence`, 0: of the newest that verifies, as above:
 * STEM.db.zst.age as it is stored, of a bundle STEM.db, its database alone, opened. What
 * an earlier run left there is removed. *file is the name that it got; the caller frees
 * it. */
enum rc repo_fetch_database(struct repo *r, const struct chain *log, uint64_t sequence,
                            const char *stem, const struct age_identities *ids,
                            const struct chain_item **item, char **file, struct err *e);

#endif
