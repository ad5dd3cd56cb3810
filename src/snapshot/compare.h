/* A snapshot against the living cluster: does each member answer, at the snapshot's
 * revision, the HashKV that the file has? */
#ifndef SNAPSHOT_COMPARE_H
#define SNAPSHOT_COMPARE_H

#include "mvcc/facts.h"
#include "util/findings.h"
#include "wire/maintenance.h"

enum snap_vote_verdict {
    SNAP_VOTE_EQUAL,
    SNAP_VOTE_DIFFERS, /* same revision and compact revision, another hash */
    SNAP_VOTE_UNKNOWN, /* compacted since, behind, another compact revision, no answer */
};

const char *snap_vote_name(enum snap_vote_verdict v); /* "equal" "differs" "unknown" */

struct snap_vote {
    const char *endpoint; /* borrowed from the client */
    enum snap_vote_verdict verdict;
    uint32_t hash;
    int64_t compact;
};

struct snap_votes {
    struct snap_vote *items;
    size_t count;
};
void snap_votes_clear(struct snap_votes *v);

/* Hashes compare only at the same revision and the same compact revision (etcd hashes
 * what a compaction has left), so a race with a compaction is "unknown", never a false
 * alarm. Adds ERROR cluster-differs when a member differs, WARN cluster-unknown when none
 * could tell. Fails only when the cluster cannot be asked at all. */
enum rc snap_compare(struct wire_client *c, const struct mvcc_facts *facts,
                     struct snap_votes *out, struct findings *f, struct err *e);

/* HashKV of endpoint i at at->revision. When that is the compacted revision too, the
 * answer is that of the newest revision, taken only while it is still this one:
 * RC_NOTFOUND when it is not. The rest as wire_hashkv_get. */
enum rc snap_hash_at(struct wire_client *c, size_t i, const struct mvcc_hashkv *at,
                     struct wire_hashkv *out, struct err *e);

#endif
