/* Raft snapshot files, member/snap/TERM-INDEX.snap: a checksum around a raftpb.Snapshot,
 * whose data is etcd's v2 store as JSON (the membership; the keys are in the db).
 *
 * Etcd up to 3.6 starts from the newest one that the WAL has a valid mark for; without
 * one, members added later are fed the log instead of the database. 3.7 looks at the
 * WAL's marks only. */
#ifndef WAL_SNAPFILE_H
#define WAL_SNAPFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/bytes.h"
#include "util/err.h"
#include "util/findings.h"
#include "util/own.h"
#include "wal/message.h"
#include "wal/read.h"

enum {
    SNAPFILE_NAME_SIZE = 39, /* "%016x-%016x.snap" and NUL */
    SNAPFILE_MAX = 64 << 20, /* a v2 store with user data can be large */
};

void snapfile_name(char out[static SNAPFILE_NAME_SIZE], uint64_t term, uint64_t index);
bool snapfile_name_parse(const char *name, uint64_t *term, uint64_t *index);

/* The content of a file. RC_CORRUPT when it is empty (for etcd so is a checksum of 0),
 * does not decode, or does not match its checksum. `store` borrows from `file`; end with
 * wal_snapshot_clear. */
enum rc snapfile_parse(struct bytes file, struct wal_snapshot *out, struct err *e);
enum rc snapfile_put(struct buf *b, const struct wal_snapshot *s, struct err *e);

struct snapfile {
    struct wal_snapshot snapshot;
    uint8_t *bytes; /* what snapshot.store borrows from */
    size_t size;
};

/* Read one file of the directory `dir`. RC_CORRUPT also when its content is of another
 * term or index than its name says (etcd would believe the content). */
enum rc snapfile_open(const char *dir, const char *name, struct snapfile **out,
                      struct err *e);
void snapfile_free(struct snapfile *s);
OWN_DEFINE(snapfile)

/* What lies in a snap directory, by name only. Zero-initialise, end with snapdir_clear.
 */
struct snapdir {
    struct snapdir_item {
        uint64_t term, index;
    } * snaps; /* TERM-INDEX.snap, in the order in which etcd tries them: newest first */
    uint64_t *dbs; /* INDEX.snap.db: databases received from a leader, not in use yet */
    size_t snap_count, db_count;
};

/* Odd names become findings of severity WARN: "*.broken", which etcd left behind, and
 * "*.snap" that no etcd wrote but it would try to load. */
enum rc snapdir_list(const char *dir, struct findings *f, struct snapdir *out,
                     struct err *e);
void snapdir_clear(struct snapdir *d);

/* The one that etcd 3.4.8 to 3.6 would start from: the newest sound one that `log` has a
 * valid mark for; any sound one when `log` is NULL. Each newer one passed over becomes a
 * finding: ERROR when it is damaged, WARN when it has no mark. RC_NOTFOUND when there is
 * none. */
enum rc snapfile_newest(const char *dir, const struct wal_summary *log,
                        struct findings *f, struct snapfile **out, struct err *e);

#endif
