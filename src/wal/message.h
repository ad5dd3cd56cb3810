/* The small messages inside WAL records and `.snap` files. Parsing is strict, because a
 * record's type is not covered by its checksum: a STATE read as an ENTRY must not pass.
 * Writing emits every scalar in field order, zeros too, as etcd up to 3.6 does. */
#ifndef WAL_MESSAGE_H
#define WAL_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/bytes.h"
#include "util/err.h"

enum { WAL_MEMBERS_MAX = 1024 }; /* voters, or learners, of one ConfState */

/* walpb.Metadata */
struct wal_metadata {
    uint64_t node_id, cluster_id;
};

/* raftpb.HardState */
struct wal_state {
    uint64_t term, vote, commit;
};

/* raftpb.ConfState; zero-initialise, end with wal_conf_clear. */
struct wal_conf {
    uint64_t *voters, *learners;
    size_t voter_count, learner_count;
    bool joint; /* in the middle of a joint change, which etcd never makes */
};

/* walpb.Snapshot: there is (or should be) a raft snapshot at this index. */
struct wal_mark {
    uint64_t index, term;
    struct wal_conf conf; /* empty before etcd 3.5 */
    bool has_conf;
    struct wal_conf counted; /* the embedded store's: who counts for its quorum there,
                                in a field that etcd passes over */
    bool has_counted;
};

enum wal_entry_type {
    WAL_ENTRY_NORMAL = 0,
    WAL_ENTRY_CONF_CHANGE = 1,
    WAL_ENTRY_CONF_CHANGE_V2 = 2, /* legal raft, never written by etcd */
};

/* raftpb.Entry */
struct wal_entry {
    enum wal_entry_type type;
    uint64_t term, index;
    struct bytes data; /* borrowed; empty in the entry that a new leader begins with */
    struct bytes note; /* borrowed; the embedded store's own, in a field that etcd passes
                          over; only entries without data have one */
};

enum wal_change_type {
    WAL_CHANGE_ADD = 0, /* also promotes a learner */
    WAL_CHANGE_REMOVE = 1,
    WAL_CHANGE_UPDATE = 2,
    WAL_CHANGE_ADD_LEARNER = 3,
};

/* raftpb.ConfChange, the data of a WAL_ENTRY_CONF_CHANGE */
struct wal_change {
    uint64_t id, node_id;
    enum wal_change_type type;
    struct bytes context; /* borrowed: JSON of the member, empty for a removal */
};

/* raftpb.Snapshot, the body of a `.snap` file */
struct wal_snapshot {
    struct bytes store; /* borrowed: JSON of the v2 store */
    uint64_t index, term;
    struct wal_conf conf;
};

void wal_conf_clear(struct wal_conf *c);
void wal_mark_clear(struct wal_mark *m);
void wal_snapshot_clear(struct wal_snapshot *s);

/* RC_CORRUPT names the message and the byte; RC_NOMEM where lists are made. */
enum rc wal_metadata_parse(struct bytes p, struct wal_metadata *out, struct err *e);
enum rc wal_state_parse(struct bytes p, struct wal_state *out, struct err *e);
enum rc wal_entry_parse(struct bytes p, struct wal_entry *out, struct err *e);
enum rc wal_change_parse(struct bytes p, struct wal_change *out, struct err *e);
enum rc wal_mark_parse(struct bytes p, struct wal_mark *out, struct err *e);
enum rc wal_snapshot_parse(struct bytes p, struct wal_snapshot *out, struct err *e);

/* Append. RC_NOMEM, or RC_CORRUPT at the buffer's cap. */
enum rc wal_metadata_put(struct buf *b, const struct wal_metadata *m, struct err *e);
enum rc wal_state_put(struct buf *b, const struct wal_state *s, struct err *e);
enum rc wal_entry_put(struct buf *b, const struct wal_entry *entry, struct err *e);
enum rc wal_change_put(struct buf *b, const struct wal_change *c, struct err *e);
enum rc wal_mark_put(struct buf *b, const struct wal_mark *m, struct err *e);
enum rc wal_snapshot_put(struct buf *b, const struct wal_snapshot *s, struct err *e);

#endif
