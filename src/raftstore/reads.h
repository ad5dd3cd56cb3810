/* Linearizable reads: the leader names an index, and the read happens when this member
 * has applied it.
 *
 * libraft cannot confirm leadership by heartbeats alone, so the index costs a barrier in
 * the log. All reads that wait when one begins share it; those that come meanwhile share
 * the next. */
#ifndef RAFTSTORE_READS_H
#define RAFTSTORE_READS_H

#include <raft.h>
#include <stdbool.h>
#include <stdint.h>

struct node;
struct read;
struct peer_request;

struct reads {
    struct read *fresh;   /* nobody was asked for them yet */
    struct read *asked;   /* they wait for the barrier or the leader that is under way */
    struct read *indexed; /* they wait until their index is applied */
    bool asking;
    uint64_t retry_at;
};

/* code 0: read now. Called exactly once, later. */
typedef void read_done(void *arg, int code, const char *message);

void read_linearizable(struct node *n, read_done *done, void *arg);
void read_for(struct node *n, struct peer_request *r); /* another member asks */

void reads_progress(struct node *n); /* after the loop has done anything */
void reads_end(struct node *n);

#endif
