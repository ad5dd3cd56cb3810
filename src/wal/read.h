/* A member's write-ahead log, read without touching it: no lock is taken and nothing is
 * repaired, unlike etcd, which "repairs" by cutting the log where it stops making sense
 * to it.
 *
 * Reading stops at the first damage; all facts describe the log before it. Damage is a
 * torn tail (what a crash leaves: an unfinished record with nothing sound behind it) or
 * anything else. The difference matters: a flipped bit in the length of a record in the
 * middle looks to etcd like a torn tail, and it then drops every entry that follows,
 * committed or not. So this reader looks behind the damage before it says "torn".
 *
 * Entries stay on disk: memory holds 16 bytes for each, and a window on one segment. */
#ifndef WAL_READ_H
#define WAL_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"
#include "util/findings.h"
#include "util/own.h"
#include "wal/message.h"
#include "wal/segment.h"

enum wal_verdict {
    WAL_CLEAN,
    WAL_TORN_TAIL, /* the end of the last segment is unfinished: normal after a crash */
    WAL_DAMAGED,   /* anything else; entries that were committed may be lost */
};

/* What etcd would do with the log; the worst that some version from 3.4 to 3.7 does. */
enum wal_etcd {
    WAL_ETCD_OPENS,   /* it reads all of it */
    WAL_ETCD_CUTS,    /* it renames a copy ".broken" and truncates at the damage */
    WAL_ETCD_IGNORES, /* it takes the damage for the end and overwrites what follows */
    WAL_ETCD_REFUSES, /* it does not start */
};

struct wal_damage {
    const char *code; /* also the finding's; NULL when the verdict is WAL_CLEAN */
    char segment[WAL_NAME_SIZE];
    uint64_t offset;     /* of the frame in the segment */
    uint64_t record;     /* its number in the segment, from 1 */
    uint64_t follows_at; /* where the next whole record begins, when `follows` */
    bool follows;
    enum wal_etcd etcd;
    char reason[160];
};

struct wal_summary {
    struct wal_metadata ids;
    struct wal_state state; /* zero when the log has none yet */
    uint64_t first_index;   /* of the entries that can be fetched; when there is none */
    uint64_t entry_count;   /* last_index + 1 and 0 */
    uint64_t last_index;    /* of the log: the last entry or the newest valid mark */
    uint64_t last_term;     /* what elections compare; not state.term */

    const struct wal_mark *marks; /* the newest WAL_MARKS_KEPT, in file order */
    size_t mark_count;
    const struct wal_segment *segments; /* all of the directory, in order */
    size_t segment_count;
    size_t first_read; /* segments before this one lie behind a gap and were not read */
    uint64_t records;
    uint32_t crc; /* the checksum chain behind the last of them */

    enum wal_verdict verdict;
    struct wal_damage damage;
};

enum { WAL_MARKS_KEPT = 1024 };

struct wal;

/* Read the WAL directory `dir`. A damaged log is not a failure: verdict and findings
 * tell (severity ERROR when damaged, WARN when torn). Fails with RC_NOTFOUND when there
 * is no directory or no segment, RC_AUTH, RC_STORAGE, RC_NOMEM, and with RC_CORRUPT only
 * when a file shrinks while it is read. */
enum rc wal_open(const char *dir, struct findings *f, struct wal **out, struct err *e);
void wal_free(struct wal *w);
OWN_DEFINE(wal)

const struct wal_summary *wal_summary(const struct wal *w);

/* A mark counts for etcd when the log is known to be committed that far. */
bool wal_mark_valid(const struct wal_summary *s, const struct wal_mark *m);

/* Fetch one entry; its data is borrowed until the next call. RC_NOTFOUND when the log
 * does not hold it, RC_CORRUPT when the file changed since wal_open. */
enum rc wal_entry_at(struct wal *w, uint64_t index, struct wal_entry *out, struct err *e);

const char *wal_verdict_name(enum wal_verdict v); /* "clean" "torn-tail" "damaged" */

#endif
