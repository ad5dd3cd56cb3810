/* libraft's disk and network, with somebody in between: messages can be dropped and
 * delayed, writes be slow or fail, and what followers have stored is noted on the way. */
#ifndef RAFTSTORE_DISK_H
#define RAFTSTORE_DISK_H

#include <raft.h>
#include <raft/uv.h>

#include "raftstore/faults.h"
#include "util/err.h"

enum { DISK_MEMBERS = 64 };

/* What the last answer of a follower said. */
struct disk_heard {
    uint64_t id, last_index, at_ms;
};

struct deferred;

struct disk {
    struct raft_io *io;
    const struct faults *faults;
    uv_loop_t *loop;
    uv_timer_t timer;
    struct deferred *queue; /* in the order in which it is due */
    struct disk_heard heard[DISK_MEMBERS];
    void (*failed)(void *arg, const char *why); /* a write that was made to fail */
    void *arg;
    struct raft_io inner; /* the functions that were there before */
    raft_io_recv_cb recv;
};

/* Puts itself into `io`, after raft_uv_init and before raft_init. One in a process. */
void disk_init(struct disk *d, struct raft_io *io, uv_loop_t *loop,
               const struct faults *faults);

/* NULL when it was never heard of since we lead. */
const struct disk_heard *disk_heard(const struct disk *d, uint64_t id);

/* After libraft has closed: its timer. */
void disk_close(struct disk *d);

#endif
