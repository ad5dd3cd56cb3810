/* What a command in the raft log holds: a request or a membership change, with the number
 * by which the member that proposed it recognises it when it comes to be applied.
 *
 *     offset  size
 *     0       1     kind
 *     1       3     zero
 *     4       4     size of the body, little end first
 *     8       8     term of the leader that appended it
 *     16      8     id of the proposal
 *     24            the body, and zeros up to a multiple of 8 (libraft wants that)
 */
#ifndef RAFTSTORE_PAYLOAD_H
#define RAFTSTORE_PAYLOAD_H

#include <raft.h>

#include "util/bytes.h"
#include "util/err.h"

enum payload_kind {
    PAYLOAD_REQUEST = 1, /* an InternalRaftRequest */
    PAYLOAD_CHANGE = 2,  /* a raftpb.ConfChange */
};

enum { PAYLOAD_HEADER = 24 };

struct payload {
    enum payload_kind kind;
    uint64_t term, id;
    struct bytes body; /* borrowed */
};

/* RC_CORRUPT when it is not what payload_write makes. */
enum rc payload_read(struct bytes entry, struct payload *out, struct err *e);

/* Memory from raft_malloc, which raft_apply takes over. RC_NOMEM. */
enum rc payload_write(const struct payload *p, struct raft_buffer *out, struct err *e);

#endif
