/* Builds member/snap/db from a snapshot in one pass: every page of the source is checked,
 * every record's meaning surveyed, and the new file written, all from one walk. What
 * comes back of it from the disk meanwhile is checked and surveyed in its turn: it must
 * hold the same history. */
#ifndef RESTORE_DATABASE_H
#define RESTORE_DATABASE_H

#include "mvcc/history.h"
#include "restore/rewrite.h"

struct restore_database {
    struct mvcc_history_result source; /* what the snapshot holds */
    int64_t finished, scheduled;       /* the snapshot's compaction marks */
    struct restore_bump bump;
    struct restore_dropped dropped;
    uint64_t size; /* of the new file */
};

/* Writes the file `path`, which must not exist, durable when this returns, and read back
 * from the disk. Findings of the source go to `f`; any error among them is RC_CORRUPT, as
 * is a new file that is not a sound database with the same history: same live keys and
 * same HashKV at the snapshot's last revision. */
enum rc restore_database_build(const struct bolt_file *source, const char *path,
                               const struct restore_rewrite_plan *plan,
                               struct findings *f, struct restore_database *out,
                               struct err *e);

#endif
