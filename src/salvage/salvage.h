/* A database saved from a damaged file.
 *
 * What is read: the file as it lies, mapped and never changed. Its metas choose the root:
 * the one in force, the commit before when that one's root is destroyed, else the root
 * page with the highest consistent index among all pages, else none; then bucket key has
 * the best tree that any page is the root of. What the trees no longer reach is looked
 * for in all pages: bucket.h says what is believed of it, history.h what follows from
 * the records that are gone.
 *
 * What is written: a new database with all of etcd's buckets, and a snapshot's SHA-256 at
 * its end, built beside its name, read back, surveyed, and then published; so a restore
 * takes it as any other snapshot. Its holes are told here and nowhere else.
 *
 * Pages carry no checksums: damage inside a user's value, or to one byte of a key, shows
 * nowhere, and such a record is saved as it is found. Where a file has a SHA-256 behind
 * it, that at least tells that something is wrong.
 *
 * Two passes over the file, and one over what the trees reach. Memory: 56 bytes a record
 * found, old copies included, 60 a distinct key, 72 a leaf, 4 a page; all of it bounded
 * by the size of the file. */
#ifndef SALVAGE_SALVAGE_H
#define SALVAGE_SALVAGE_H

#include "boltdb/build.h"
#include "mvcc/facts.h"
#include "salvage/bucket.h"
#include "salvage/history.h"
#include "util/findings.h"

struct salvage_request {
    const char *source; /* a database file, a raw snapshot, or a data directory */
    const char *output; /* must not exist */
    bool look_only;     /* say what would be saved */
    bool take_doubtful; /* also the pairs that may be old */
};

enum salvage_root {
    SALVAGE_ROOT_IN_FORCE, /* of the meta in force */
    SALVAGE_ROOT_BEFORE,   /* of the other meta: one commit older */
    SALVAGE_ROOT_FOUND,    /* no meta leads to it: some commit's */
    SALVAGE_ROOT_NONE,
};

/* Lists in it borrow from the mapped file, which lives as long as it does. */
struct salvage_result {
    enum salvage_root root;
    unsigned metas_bad;
    bool truncated;
    bool digest_wrong;      /* of a snapshot, which has changed since it was taken */
    bool key_root_found;    /* the root of bucket key was found by its looks */
    bool marks_known;       /* the compaction marks are those in force */
    size_t unknown_buckets; /* left behind */
    struct salvage_bucket buckets[MVCC_BUCKETS];
    struct salvage_history history;
    bool newest_unknown; /* the end of bucket key is lost: there may have been more */

    bool whole;               /* nothing was lost */
    uint64_t size;            /* of the new file, the trailer included */
    struct mvcc_facts facts;  /* of the new file */
    struct findings findings; /* likewise */

    struct salvage_image image;
    struct salvage_scan scan;
    struct salvage_marks seen;
};

/* RC_OK even with losses: look at `whole`. RC_CORRUPT when there is nothing to save.
 * Otherwise fails as defrag_place_open and defrag_place_publish do. `out` is
 * zero-initialised and ends with salvage_result_clear in any case. */
enum rc salvage_run(const struct salvage_request *q, struct salvage_result *out,
                    struct err *e);
void salvage_result_clear(struct salvage_result *r);

/* The steps of it that read: from an open file to what is to be written. */
enum rc salvage_read(int fd, const char *name, bool take_doubtful,
                     struct salvage_result *out, struct err *e);

/* And the one that writes, without a trailer; *size is the file's. */
enum rc salvage_write(const struct salvage_result *r, const struct bolt_target *to,
                      uint64_t *size, struct err *e);

#endif
