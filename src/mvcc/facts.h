/* What a database file says about its cluster, gathered in one pass over all buckets by
 * survey.h (from a file) or stream_survey.h (from bytes that go by).
 *
 * Numbers that damage could have falsified carry a flag; without it they are zero and
 * mean nothing. Lists hold what could be read. */
#ifndef MVCC_FACTS_H
#define MVCC_FACTS_H

#include "boltdb/walk.h"
#include "mvcc/history.h"
#include "mvcc/member.h"
#include "mvcc/schema.h"

struct mvcc_facts {
    uint64_t total_size; /* page size times high-water mark: etcd's dbSize */
    uint32_t page_size;
    struct bolt_walk_result pages;

    bool pages_complete; /* every reachable page could be read */
    uint64_t records;    /* pairs in all buckets: totalKey of etcd 3.4 and 3.5 */

    /* As `snapshot status` prints it, and as Maintenance.Hash of the version that wrote
     * the file answers (the same, without the keys of meta that members differ in).
     * Known when asked for and pages_complete. */
    bool status_hash_known;
    uint32_t status_hash, maintenance_hash;

    /* Every record was seen and could be read; else only the numbers of what could be. */
    bool history_complete;
    int64_t revision;           /* what a server booted from this would answer */
    int64_t compact_revision;   /* finished, or MVCC_NEVER_COMPACTED */
    int64_t scheduled_revision; /* beyond it: the next boot compacts here */
    int64_t last_main;          /* etcdutl's revision: of the newest record, 0 for none */
    uint64_t key_records;       /* pairs in bucket key */
    uint64_t tombstones;        /* of these */
    uint64_t live_keys;         /* that a client can see */
    uint64_t indexed_keys;      /* totalKey of etcd 3.6: also a revision bump's */
    bool kubernetes;            /* a live key begins with /registry/ */
    bool hashkv_known;          /* level full and history_complete */
    struct mvcc_hashkv hashkv;

    bool has_consistent_index; /* a young database may have none */
    uint64_t consistent_index;
    bool has_term; /* etcd 3.5 and later */
    uint64_t term;
    char *storage_version; /* "3.6.0"; NULL before 3.6 */
    char *cluster_version; /* "3.5.0"; NULL when not yet decided */
    const char *writer; /* best guess: "3.4" "3.5" "3.6" "3.7", "" when nothing tells */

    bool has_conf_state; /* 3.5 and later; stale after a restore by etcd's own tools */
    struct mvcc_conf_state conf_state;
    struct mvcc_member *members;
    size_t member_count;
    struct mvcc_ids removed_members;
    struct mvcc_downgrade downgrade;

    uint64_t leases;
    bool auth_enabled;
    uint64_t auth_revision;
    struct mvcc_user *users;
    size_t user_count;
    struct mvcc_role *roles;
    size_t role_count;
    struct mvcc_alarm *alarms;
    size_t alarm_count;
};

void mvcc_facts_clear(struct mvcc_facts *facts);

/* For AT_END on a struct mvcc_facts that was zero-initialised. */
static inline void mvcc_facts_end(struct mvcc_facts *facts)
{
    mvcc_facts_clear(facts);
}

#endif
