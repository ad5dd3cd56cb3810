/* Looks at one copy after the other and writes down what recover/copy.h keeps of it. A
 * directory is read as datadir/read.h reads it, in use or not, its log applied in memory
 * by datadir/tail.h, and all of that given back before the next one. Nothing is changed.
 */
#ifndef RECOVER_SURVEY_H
#define RECOVER_SURVEY_H

#include "crypto/age.h"
#include "recover/copy.h"

/* What is wrong with a copy is told by its notes, also when it cannot be read at all
 * ("unreadable"): fails only with RC_NOMEM, RC_INTERRUPTED and RC_INTERNAL. `wal_dir` may
 * be NULL. */
enum rc recover_survey_directory(struct recover_copies *l, const char *dir,
                                 const char *wal_dir, struct err *e);

/* A stored snapshot, compressed and encrypted ones too; verified in full. `ids` may be
 * NULL. */
enum rc recover_survey_snapshot(struct recover_copies *l, const char *file,
                                const struct age_identities *ids, struct err *e);

#endif
