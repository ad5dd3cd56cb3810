/* A snapshot's database, written again for a new cluster: every pair of bucket `key`,
 * leases and auth are carried over as they are; what belongs to the old cluster is not.
 *
 *   members            the new members only (etcdutl 3.4 leaves the old ones, which 3.7
 *                      would take for voters)
 *   members_removed    emptied
 *   alarm              emptied (a NOSPACE of the old cluster would make the new one
 *                      read-only)
 *   cluster            `downgrade` dropped (3.5 may refuse to start on it), and a
 *                      clusterVersion above the target version
 *   meta               consistent_index = index, term = 1, confState = the new members,
 *                      with mark_compacted scheduledCompactRev; storageVersion, term and
 *                      confState fitted to the target version
 *   key                with a bump one empty record at the new revision, as etcdutl does
 *
 * The file is compact: free pages of the source are left behind. */
#ifndef RESTORE_REWRITE_H
#define RESTORE_REWRITE_H

#include "boltdb/build.h"
#include "mvcc/member.h"
#include "mvcc/schema.h"
#include "restore/bump.h"
#include "restore/members.h"

struct restore_target {
    unsigned minor; /* 4 to 7 for etcd 3.4 to 3.7; 0: whatever fits the snapshot */
};

struct restore_rewrite_plan {
    const struct restore_members *members; /* identified */
    uint64_t index;                        /* raft index and number of members */
    struct restore_bump_input bump; /* last_revision: a floor, from compactions; it and
                                       `kubernetes` are completed from the records */
    struct restore_target target;
};

struct restore_rewriter;

enum rc restore_rewriter_new(const struct restore_rewrite_plan *plan,
                             struct bolt_builder *to, struct restore_rewriter **out,
                             struct err *e);
void restore_rewriter_free(struct restore_rewriter *r);
OWN_DEFINE(restore_rewriter)

/* The visitor's part: buckets and pairs of the source in order. */
enum rc restore_rewriter_bucket(struct restore_rewriter *r, struct bytes name,
                                struct err *e);
enum rc restore_rewriter_pair(struct restore_rewriter *r, struct bytes key,
                              struct bytes value, struct err *e);

/* After the last pair: whatever buckets are still missing, then the builder finishes. */
enum rc restore_rewriter_finish(struct restore_rewriter *r, uint64_t *size,
                                struct err *e);

/* What belonged to the old cluster and was left behind. */
struct restore_dropped {
    size_t members, learners, alarms;
    bool downgrade;
};
const struct restore_dropped *restore_rewriter_dropped(const struct restore_rewriter *r);

/* What was decided about the revision, once bucket `key` has passed. */
const struct restore_bump *restore_rewriter_bump(const struct restore_rewriter *r);

#endif
