/* Which commit of a damaged file is saved: the root bucket that its metas, or for want of
 * them its pages, lead to.
 *
 * bbolt writes its metas in turn, so a live file has those of two commits that follow
 * each other. With one of them gone nobody can say whether it was the newer one; but the
 * pages of the newest commit are never reused before the next one is complete. So a root
 * page that is ahead of the meta's, with trees that are whole, and with every record that
 * the meta's tree holds or a compaction explains, is the newest commit. Without such a
 * page it stays open whether there was one. Internal to salvage/. */
#ifndef SALVAGE_ROOT_H
#define SALVAGE_ROOT_H

#include "salvage/salvage.h"

/* The root bucket, as far as it can be read. */
struct salvage_view {
    bool has[MVCC_BUCKETS];
    uint64_t pages[MVCC_BUCKETS]; /* where the bucket stands */
    struct bolt_bucket buckets[MVCC_BUCKETS];
    size_t known, unknown;
};

enum rc salvage_view_read(struct salvage_result *r, uint64_t id, struct salvage_view *out,
                          struct err *e);

/* One lost span when it has no such bucket. */
enum rc salvage_view_tree(struct salvage_result *r, const struct salvage_view *v,
                          enum mvcc_bucket b, struct salvage_tree *out, struct err *e);

/* What bucket meta says; 0, and MVCC_NEVER_COMPACTED, when it does not. */
uint64_t salvage_index_in(const struct salvage_pairs *meta);
int64_t salvage_mark_in(const struct salvage_pairs *meta, const char *name);

/* Sets r->root and r->newest_commit. `v` is what is saved, `older` the commit before it,
 * of nothing when there is none. With `before` the commit in force is passed over. */
enum rc salvage_root_choose(struct salvage_result *r, bool before, struct salvage_view *v,
                            struct salvage_view *older, struct err *e);

#endif
