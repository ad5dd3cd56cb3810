/* What can be had of one bucket, and what is to be believed of it.
 *
 * The tree in force comes first. Where one of its leaves is sound, that leaf is the whole
 * truth about its span of keys: what it lacks was deleted, whoever else still has it.
 * Only into spans that are lost come pairs from elsewhere:
 *
 * - from the tree of the commit before, whose pages bbolt has not reused yet (a snapshot
 *   has no such tree: both its metas name the same root);
 * - from leaves that nothing points to. Where a branch is lost, the leaves below it are
 *   among them, whole; but so are free pages with what they held in the past.
 *
 * A record of bucket key never changes, so any copy of it is true. It may be gone,
 * though: a compaction removes it. Above the compaction revision nothing is ever removed,
 * so every copy counts. At or below it a copy is taken only where nothing speaks against
 * it:
 *
 * - A leaf that is lost itself leaves old copies at best: they are doubtful. (A branch
 *   that is lost at the top and has no two leaves apart was such a leaf.)
 * - Any leaf, old or new, that spans a record and lacks it, proves that the record had
 *   been removed: revisions only ever grow, so all in between was there when the leaf was
 *   written.
 * - A leaf with a record that is proved to be removed, or that by the compaction's rule
 *   had to be, is older than the compaction, and all it alone has is doubtful.
 *
 * What remains open: a free page from before the compaction whose records were all of
 * different keys, all of them deleted, with no trace of the deletions left, below a
 * branch that is lost. `unproved` counts the records that hang on this.
 *
 * A file may hold leaves of another life: a snapshot taken while the server went on
 * writing carries free pages of later commits, and a cluster restored from it gives the
 * same revisions to other changes. A leaf that disagrees with the tree in force shows
 * that, and from the first such revision on strays are doubtful altogether.
 *
 * The other buckets change in place, so a leaf that nothing points to is doubtful unless
 * a branch above it is lost. Of two that disagree the first wins and the other is told.
 */
#ifndef SALVAGE_BUCKET_H
#define SALVAGE_BUCKET_H

#include "mvcc/history.h"
#include "salvage/pairs.h"
#include "salvage/scan.h"

/* Zero-initialise, end with salvage_bucket_clear. */
struct salvage_bucket {
    enum mvcc_bucket bucket;
    struct salvage_tree tree;      /* in force */
    struct salvage_tree older;     /* of the commit before; no spans when there is none */
    struct salvage_pairs pairs;    /* what is to be written: sorted, united */
    struct salvage_pairs damaged;  /* in a sound leaf, but unreadable */
    struct salvage_pairs doubtful; /* found and not taken */
    uint64_t unproved;             /* taken: see above */
    int64_t alien_from;            /* strays of this and later revisions are doubtful */
};
void salvage_bucket_clear(struct salvage_bucket *b);

/* What is known about compactions: records up to `removed` may have been removed, those
 * up to `settled` have been wherever the rule wants it. */
struct salvage_compaction {
    int64_t removed, settled;
};

/* Both trees are there: reads the pairs of the one in force. */
enum rc salvage_bucket_read(struct salvage_bucket *b, struct err *e);

/* Afterwards, when the scan has been claimed and settled: fills the lost spans. */
enum rc salvage_bucket_fill(struct salvage_bucket *b, struct salvage_scan *s,
                            const struct salvage_compaction *c, bool take_doubtful,
                            struct err *e);

/* Does a leaf outside of the tree of bucket key hold a record above the compaction that
 * belongs below its newest one, or at all when it is empty, and that it lacks? */
bool salvage_bucket_contradicted(const struct salvage_bucket *b,
                                 const struct salvage_scan *s, int64_t removed);

/* Does no leaf outside of the tree reach further than it does? */
bool salvage_bucket_is_newest(const struct salvage_bucket *b,
                              const struct salvage_scan *s);

/* Is its tree of bucket key but the end of a larger one? All records from its first to
 * its newest follow each other, as if there had never been a compaction, and a leaf
 * outside holds earlier ones. */
bool salvage_bucket_is_part(const struct salvage_bucket *b, const struct salvage_scan *s);

/* The best tree of bucket key among all pages that could be its root: reaching the newest
 * record, with the fewest losses, the fewest pages of later commits, highest, with the
 * fewest records. *out is 0 when there is no page at all. */
enum rc salvage_bucket_best_root(const struct salvage_image *i,
                                 const struct salvage_scan *s, struct salvage_marks *seen,
                                 uint64_t *out, struct err *e);

#endif
