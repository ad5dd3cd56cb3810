/* Who this member is, from its first start on: DATA-DIR/lab/member.json. Beside it lie
 *
 *     lab/lock      locked by the process that uses the directory
 *     lab/raft/     libraft's log and snapshots
 *     lab/base.db   the state before the log's first entry, of a member that founded a
 *                   new cluster; a restored one has it in member/snap/db instead
 *
 * A member that joined has no base: it gets a snapshot from the leader. */
#ifndef RAFTSTORE_IDENTITY_H
#define RAFTSTORE_IDENTITY_H

#include "machine/machine.h"
#include "raftstore/options.h"

struct identity {
    uint64_t member, cluster;
    bool joined;  /* it was added to a cluster that was there */
    bool started; /* once at least: libraft's log has been begun */
    char raft_dir[512], lab_dir[512];
    int lock; /* lab/lock, held; -1: not */
};

/* Finds out, and at the first start decides: adopts a restored directory, founds or joins
 * a cluster. RC_REFUSED in the cases in which etcd refuses to start: wiped under an old
 * id, not a member of what it wants to join, URLs that do not match. RC_CORRUPT when it
 * has started before and its log is gone. RC_LOCKED while another process uses the
 * directory. */
enum rc identity_establish(const struct node_options *o, struct identity *out,
                           struct err *e);

/* Remember that the log has been begun. */
enum rc identity_started(struct identity *me, struct err *e);

/* One that is there already; RC_NOTFOUND when no member has started here. */
enum rc identity_open(const char *data_dir, struct identity *out, struct err *e);
void identity_close(struct identity *me);

/* The machine before the log's first entry; *file NULL when nothing is borrowed. */
enum rc identity_base(const struct node_options *o, const struct identity *me,
                      struct bolt_file **file, struct machine **out, struct err *e);

/* A member list as one member sends it to one that joins, and back. */
enum rc identity_members_write(const struct machine *m, uint64_t cluster, struct buf *out,
                               struct err *e);

#endif
