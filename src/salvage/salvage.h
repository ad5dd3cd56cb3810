/* A database saved from a damaged file.
 *
 * What is read: the file as it lies, mapped and never changed. Its metas choose the root:
 * the one in force, or the commit after it whose meta is gone (root.h); the commit
 * before when that one's root is destroyed, else the root page with the highest
 * consistent index among all pages, else none; then bucket key has
 * the best tree that any page is the root of. What the trees no longer reach is looked
 * for in all pages: bucket.h says what is believed of it, history.h what follows from
 * the records that are gone.
 *
 * What is written: a new database with all of etcd's buckets, and a snapshot's SHA-256 at
 * its end, stored as its name says (snapshot/made.h), read back and surveyed before it
 * gets its name; so a restore takes it as any other snapshot. Its holes are told here and
 * nowhere else. Of a data directory the log is applied as well: log.h.
 *
 * Pages carry no checksums: damage inside a user's value, or to one byte of a key, shows
 * nowhere, and such a record is saved as it is found; only whole pages of zeros in a
 * large value are told. Where a file has a SHA-256 behind it, that at least tells that
 * something is wrong; a log that begins with the cluster puts it right.
 *
 * Two passes over the file, and one over what the trees reach. Memory: 56 bytes a record
 * found, old copies included, 60 a distinct key, 72 a leaf, 4 a page; all of it bounded
 * by the size of the file. */
#ifndef SALVAGE_SALVAGE_H
#define SALVAGE_SALVAGE_H

#include "datadir/tail.h"
#include "salvage/bucket.h"
#include "salvage/history.h"
#include "snapshot/made.h"

struct salvage_request {
    const char *source;  /* a database file, a raw snapshot, or a data directory */
    const char *wal_dir; /* with a directory: etcd's --wal-dir; NULL: member/wal */
    struct snap_store_options store;
    bool look_only;     /* say what would be saved */
    bool take_doubtful; /* also the pairs that may be old */
};

/* What became of a data directory's log: log.h. */
enum salvage_log_use {
    SALVAGE_LOG_NONE,    /* there is no directory */
    SALVAGE_LOG_LEFT,    /* it is of no use, or nothing is known of where it goes on */
    SALVAGE_LOG_APPLIED, /* on top of a commit that is whole */
    SALVAGE_LOG_OVER_LOSSES, /* on top of one that is not */
    SALVAGE_LOG_ALONE,       /* it begins with the cluster, and made all of it */
};

struct salvage_log {
    enum salvage_log_use use;
    uint64_t first, last; /* entries that were applied, or could not be; none when less */
    struct str_list lost; /* what cannot be known of them: datadir_lost */
    char *why;            /* the last thing that was in the way; may be NULL */
};

enum salvage_root {
    SALVAGE_ROOT_IN_FORCE, /* of the meta in force */
    SALVAGE_ROOT_NEWER,    /* of the commit after it, whose meta is gone: see root.h */
    SALVAGE_ROOT_BEFORE,   /* of the other meta: one commit older */
    SALVAGE_ROOT_FOUND,    /* no meta leads to it: some commit's */
    SALVAGE_ROOT_NONE,
};

/* Lists in it borrow from the mapped file, which lives as long as it does. */
struct salvage_result {
    enum salvage_root root;
    unsigned metas_bad;
    bool truncated;
    bool digest_wrong;   /* of a snapshot, which has changed since it was taken */
    bool meta_proved;    /* that digest proves the meta page that is gone, and the rest */
    bool key_root_found; /* the root of bucket key was found by its looks */
    bool marks_known;    /* the compaction marks are those in force */
    size_t unknown_buckets; /* left behind */
    uint64_t zero_pages;    /* inside values: wiped, unless the value is zeros */
    struct salvage_bucket buckets[MVCC_BUCKETS];
    struct salvage_history history;
    bool newest_unknown; /* the end of bucket key is lost: there may have been more */

    bool newest_commit; /* what was saved of is known to be the last commit */
    bool base_whole;    /* all that this commit held was saved */
    bool whole;         /* nothing was lost */
    struct snap_made made;

    struct salvage_image image;
    struct salvage_scan scan;
    struct salvage_marks seen;
    uint8_t mark[MVCC_REV_SIZE]; /* the compaction scheduled over holes */

    struct salvage_log log;
    struct datadir *dir;
    struct datadir_tail tail;
};

/* RC_OK even with losses: look at `whole`. RC_CORRUPT when there is nothing to save,
 * RC_LOCKED naming the process that uses the source. Otherwise fails as snap_store_check
 * and snap_made_store do. `out` is
 * zero-initialised and ends with salvage_result_clear in any case. */
enum rc salvage_run(const struct salvage_request *q, struct salvage_result *out,
                    struct err *e);
void salvage_result_clear(struct salvage_result *r);

/* The steps of it that read: from an open file to what is to be written. */
struct salvage_how {
    bool take_doubtful; /* also the pairs that may be old */
    bool before;        /* pass over the commit in force, for the one before it, and take
                           nothing newer */
};
enum rc salvage_read(int fd, const char *name, const struct salvage_how *how,
                     struct salvage_result *out, struct err *e);

/* Of it: what a snapshot's SHA-256 says. Needs only the image. */
enum rc salvage_digest_check(struct salvage_result *r, struct err *e);

/* What it saved, bucket by bucket, as a walk over a database shows it; and as a database
 * without a trailer, *size its size. */
enum rc salvage_feed(const struct salvage_result *r, const struct bolt_visitor *to,
                     struct err *e);
enum rc salvage_write(const struct salvage_result *r, const struct bolt_target *to,
                      uint64_t *size, struct err *e);

#endif
