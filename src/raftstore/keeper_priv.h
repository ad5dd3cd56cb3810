/* The inside of keeper.h: jobs go from the loop to the thread and back. */
#ifndef RAFTSTORE_KEEPER_PRIV_H
#define RAFTSTORE_KEEPER_PRIV_H

#include "raftstore/keeper.h"

enum { JOB_RECORD_HEAD = 8 }; /* 4 type, 4 size of what follows */

/* Something to be written, in order. */
struct keeper_job {
    struct keeper_job *next;
    struct buf records;
    bool sync;
    struct raft_io_append *append; /* who is told; NULL: nobody */
    raft_io_append_cb appended;
    struct keeper_put *put; /* a snapshot that gets to its place behind the records */
    int status;
};

/* A snapshot on its way. */
struct keeper_put {
    uv_work_t work;
    struct keeper *k;
    struct raft_io_snapshot_put *req;
    raft_io_snapshot_put_cb cb;
    bool received; /* from the leader, in the place of all that is here */
    uint64_t index, term;
    const struct raft_buffer *bufs; /* libraft's, until cb */
    unsigned buf_count;
    struct buf snap; /* what raft's snapshot file says */
    struct wal_conf members, counted;
    struct wal_state state; /* that makes its mark valid */
    struct raft_configuration conf;
    uint64_t conf_index;
    int db; /* the database in its place */
    struct err failure;
};

/* keeper_write.c, on the thread: runs until k->ending. */
void keeper_run(void *keeper);
/* In the pool or on the thread: the image is made durable beside the database. */
enum rc keeper_write_image(struct keeper_put *p, struct err *e);
void keeper_put_free(struct keeper_put *p);
void keeper_job_free(struct keeper_job *job);

/* keeper.c: hands a job over, which it takes; waits until all is written. */
void keeper_submit(struct keeper *k, struct keeper_job *job);
int keeper_settle(struct keeper *k);
/* One record of the job: `data` is begun, appended to job->records, and ended. */
enum rc keeper_record(struct keeper_job *job, enum wal_type type, size_t *begun,
                      struct err *e);
void keeper_record_end(struct keeper_job *job, size_t begun);

/* keeper_load.c: what libraft starts from, and what it sends. */
enum rc keeper_load(struct keeper *k, struct raft_snapshot **snapshot,
                    struct raft_entry *entries[], size_t *count, struct err *e);
int keeper_get(struct keeper *k, struct raft_io_snapshot_get *req,
               raft_io_snapshot_get_cb cb);
enum rc keeper_first_conf(struct keeper *k, const struct machine *m, struct err *e);
int keeper_copy_conf(const struct raft_configuration *from,
                     struct raft_configuration *to);

/* Of which entries is the term known: keeper.c. */
enum rc keeper_note_term(struct keeper *k, uint64_t index, uint64_t term, struct err *e);
/* A snapshot in the pool has ended. */
void keeper_work_ended(struct keeper *k);

#endif
