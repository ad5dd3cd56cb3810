/* Proposals: from a member to the leader's log, and back when they are applied here.
 *
 * Each has a number of its own (the member's id above, a counter below). Whoever waits is
 * told when the entry is applied on this member, so that the client can read what it
 * wrote right here. A proposal that was handed to the leader is never repeated: when
 * nothing is heard in time the outcome is unknown, and the client is told so. One that
 * finds no leader waits for one. */
#ifndef RAFTSTORE_PROPOSE_H
#define RAFTSTORE_PROPOSE_H

#include "raftstore/fsm.h"

struct node;
struct proposal;
struct peer_request;

enum { PROPOSALS_BUCKETS = 4096, PROPOSALS_MAX = 5000 };

struct proposals {
    struct proposal *buckets[PROPOSALS_BUCKETS];
    unsigned count;
    uint64_t next;
};

/* `code` and `message` are of gRPC; `o` is NULL unless the entry was applied. */
typedef void proposal_done(void *arg, int code, const char *message,
                           struct machine_outcome *o);

void proposals_start(struct node *n);

/* The next number. A request carries it inside, too. */
uint64_t propose_number(struct node *n);

/* `done` is called exactly once, perhaps at once (too many, no memory). */
void propose(struct node *n, enum payload_kind kind, uint64_t number, struct bytes body,
             proposal_done *done, void *arg);

/* The client gave up: a proposal that still waits for a leader is dropped. */
void propose_forget(struct node *n, uint64_t number);

/* From another member: append it if we lead, and say whether it was. */
void propose_for(struct node *n, struct bytes payload, struct peer_request *r);

void proposals_tick(struct node *n);
void proposals_end(struct node *n); /* all: the member stops */

bool proposals_wanted(const struct proposals *p, uint64_t number);
void proposals_applied(struct proposals *p, uint64_t number, struct machine_outcome *o);

#endif
