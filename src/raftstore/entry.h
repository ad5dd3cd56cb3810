/* An entry of libraft's log as one of etcd's, and back (keeper.h says which is which). */
#ifndef RAFTSTORE_ENTRY_H
#define RAFTSTORE_ENTRY_H

#include <raft.h>

#include "wal/message.h"

/* Appends the raftpb.Entry. RC_CORRUPT when a command is not what payload_write makes. */
enum rc entry_write(const struct raft_entry *entry, uint64_t index, struct buf *out,
                    struct err *e);

/* Its buffer is new, from raft_malloc, and no batch. A proposal's number is the one that
 * the request or change carries inside. */
enum rc entry_read(const struct wal_entry *entry, struct raft_entry *out, struct err *e);

#endif
