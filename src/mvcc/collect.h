/* Reads every bucket but `key` into facts; shared by survey.c and stream_survey.c.
 *
 * Findings: ERROR for a pair that etcd itself could not read (code by what it is: alarm,
 * auth, role, user, cluster-version, downgrade, lease, member, member-removed,
 * consistent-index, term, conf-state, compact-revision), and for what no etcd leaves
 * behind: bucket-missing, role-missing, and, unless a version not known here wrote the
 * file, key-unknown in meta, auth or cluster. WARN for what calls for action: alarm,
 * downgrade, storage-version, member-zombie, member-url. NOTE: auth-enabled, learner,
 * conf-state-differs, bucket-unknown. */
#ifndef MVCC_COLLECT_H
#define MVCC_COLLECT_H

#include "mvcc/facts.h"

struct mvcc_collect {
    struct mvcc_facts *facts; /* borrowed; filled as pairs come */
    struct findings *f;       /* or NULL: the first error ends it as RC_CORRUPT */

    /* Shown each lease; may be NULL. */
    enum rc (*lease)(void *arg, const struct mvcc_lease *lease, struct err *e);
    void *lease_arg;

    int64_t *lease_ids; /* owned */
    size_t lease_capacity;
    enum mvcc_bucket bucket, odd_bucket;
    bool seen[MVCC_BUCKETS];
    size_t odd_keys;  /* in meta, auth and cluster */
    char odd_key[64]; /* the first, for display */
};

void mvcc_collect_clear(struct mvcc_collect *c);

/* A bucket begins. */
enum rc mvcc_collect_bucket(struct mvcc_collect *c, struct bytes name, struct err *e);

/* A pair of it, unless it is bucket key. */
enum rc mvcc_collect_pair(struct mvcc_collect *c, struct bytes key, struct bytes value,
                          uint64_t page, struct err *e);

/* How the buckets fit together, and who wrote them. */
enum rc mvcc_collect_finish(struct mvcc_collect *c, struct err *e);

#endif
