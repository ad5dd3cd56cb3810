/* What libraft keeps on disk, kept in etcd's own files (home.h) instead of in those of
 * its uv backend, which goes on carrying messages and time.
 *
 * libraft's index is etcd's. Its entries are written as these:
 *
 *     a request            EntryNormal with the InternalRaftRequest
 *     a membership change  EntryConfChange with the ConfChange
 *     a barrier            an empty EntryNormal, as a new leader writes one
 *     raft's configuration an empty EntryNormal with a note (wal/message.h), which an
 * etcd passes over
 *
 * A thread of its own writes them, in order: all that came while the last write was on
 * its way go out with one write and one fdatasync. What is cut off is overwritten by the
 * next entry of that index. The state (term, vote, commit) follows each write.
 *
 * A snapshot's image is made durable beside the database, then follow the .snap file, the
 * log's mark, and the rename: in each moment an etcd could be started on the directory.
 * Old segments and snapshots are removed as etcd removes them. */
#ifndef RAFTSTORE_KEEPER_H
#define RAFTSTORE_KEEPER_H

#include <raft.h>
#include <raft/uv.h>

#include "raftstore/home.h"

struct keeper_job;
struct keeper_put;

/* In which term the entries from `index` on are. */
struct keeper_span {
    uint64_t index, term;
};

struct keeper {
    struct raft_io *io;
    struct home *home;
    void (*failed)(void *arg, const char *why); /* a write; the member must end */
    void *arg;

    uint64_t next;          /* index of the next entry */
    struct wal_state state; /* as it was last written, or will be */
    struct keeper_span *spans;
    size_t span_count;
    struct raft_configuration conf; /* at the database's index */
    uint64_t conf_index;
    struct raft_buffer forced; /* the configuration of --force-new-cluster */
    struct keeper_put *drawn;  /* our own next snapshot, while libraft waits for it */

    uv_thread_t thread;
    uv_mutex_t lock; /* guards the lines until `failure` */
    uv_cond_t wake, rest;
    struct keeper_job *queue, **queue_end, *done, **done_end;
    bool busy, ending, started;
    struct err failure; /* of the thread; then nothing is written any more */

    uv_async_t told;
    uv_loop_t *loop;
    struct keeper_job *lost; /* appends that failed, the last first */
    unsigned works;          /* snapshots that are read or written in the pool */
    bool closing;
    raft_io_close_cb closed;
    void (*close_inner)(struct raft_io *io, raft_io_close_cb cb);
};

/* Puts itself into `io`, after raft_uv_init and before raft_init: one in a process. Takes
 * over h->found, whose log is given to libraft when it starts. `m` has the members at
 * h->index. */
enum rc keeper_init(struct keeper *k, struct raft_io *io, uv_loop_t *loop, struct home *h,
                    const struct machine *m, struct err *e);

/* In which term the entry was, 0 when that is not known any more. */
uint64_t keeper_term(const struct keeper *k, uint64_t index);

/* The snapshot that libraft takes now is of this state. */
enum rc keeper_draw(struct keeper *k, const struct machine *m, uint64_t index,
                    struct err *e);

/* Writes down how far the log is committed, when that is news. */
void keeper_tick(struct keeper *k);

/* After libraft has closed: its handle. */
void keeper_close(struct keeper *k);
void keeper_clear(struct keeper *k);

#endif
