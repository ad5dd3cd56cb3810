/* The inside of a member, for the files of this folder. */
#ifndef RAFTSTORE_NODE_PRIV_H
#define RAFTSTORE_NODE_PRIV_H

#include <raft.h>
#include <raft/uv.h>

#include "grpcd/grpcd.h"
#include "raftstore/disk.h"
#include "raftstore/faults.h"
#include "raftstore/fsm.h"
#include "raftstore/home.h"
#include "raftstore/keeper.h"
#include "raftstore/lessor.h"
#include "raftstore/node.h"
#include "raftstore/peers.h"
#include "raftstore/propose.h"
#include "raftstore/reads.h"
#include "raftstore/tokens.h"
#include "raftstore/watch.h"

struct control;
struct tls_server;

struct node {
    struct node_options o;
    struct home home;
    char lab_dir[512]; /* beside member/: home.h */
    uv_loop_t loop;
    struct raft raft;
    struct raft_io io;
    struct keeper keeper; /* in place of what io would keep */
    struct disk disk;     /* around io: faults, and what it tells */
    struct peers *peers;
    struct fsm fsm;
    struct faults faults;

    struct proposals proposals;
    struct reads reads;
    struct lessor lessor;
    struct tokens tokens;
    struct watch_hub watches;
    struct control *control;
    struct tls_server *tls;
    struct grpcd *server;

    uv_timer_t tick;
    uv_prepare_t prepare;
    uv_signal_t term, interrupt;

    bool started, was_leader, stopping;
    uint64_t applied;                   /* when raft was closed */
    uint64_t seen_leader, leader_since; /* id; loop time at which it was first seen */
    uint64_t published_at, version_at;  /* loop time of the last attempt */
    bool changing;                      /* a raft configuration change runs */
    struct raft_change change;
    uint64_t leaving, leaving_since; /* a removed member that is still in raft's; ms */
    uint64_t asked_at;               /* the others, for want of a leader */
    bool forcing;       /* --force-new-cluster: the others are still to be removed */
    uint64_t allocated; /* bytes of the database, before it is defragmented */
    uint64_t snapshot_threshold; /* as libraft was told */
    struct err broken;           /* what makes it end at the next tick */
    struct err end;              /* why it ends */
};

/* node.c */
uint64_t node_leader(struct node *n); /* 0: none is known */
bool node_is_leader(struct node *n);
uint64_t node_term(const struct node *n);
uint64_t node_index(struct node *n); /* of the last entry applied */
/* What a request may wait: as etcd, 5 s and two election timeouts. */
uint64_t node_patience_ms(const struct node *n);
const struct mvcc_member *node_member(const struct node *n, uint64_t id);
bool node_is_learner(const struct node *n);
/* This member was removed: it ends at the next tick. */
void node_gone(struct node *n);
/* Ends node_run soon, with this failure; `end` RC_OK: because we were asked to. */
void node_stop(struct node *n, const struct err *end);

/* members.c: raft's configuration follows the machine's members. */
void members_tick(struct node *n);
bool members_in_sync(struct node *n, uint64_t id);

/* announce.c: the name and client URLs of this member, the version of the cluster. */
void announce_tick(struct node *n);

/* requests.c: the calls of other members. */
void requests_take(void *arg, uint64_t from, uint8_t what, struct bytes body,
                   struct peer_request *r);

/* serve.c */
enum rc serve_start(struct node *n, struct err *e);

/* control.c */
enum rc control_open(struct node *n, struct control **out, struct err *e);
void control_close(struct control *c); /* its handles close with the loop */

#endif
