/* Members without disks and wires: libraft's fixture, with a virtual clock, over our
 * state machine. Nothing here depends on time or chance. */
#ifndef TESTS_UNIT_RAFTSTORE_WORLD_H
#define TESTS_UNIT_RAFTSTORE_WORLD_H

#include <raft.h>
#include <raft/fixture.h>

#include "raftstore/fsm.h"

enum { WORLD_MAX = 5 };

struct world {
    struct raft_fixture fx;
    struct fsm fsm[WORLD_MAX];
    struct raft_fsm ops[WORLD_MAX]; /* with a snapshot that is taken at once */
    unsigned count;
    uint64_t next; /* number of the next proposal */
};

/* `voters` members that begin with the same three members in their machines, as behind
 * etcd's first three entries, and a leader. */
void world_begin(struct world *w, unsigned voters);
void world_end(struct world *w);
#define WORLD [[gnu::cleanup(world_end)]] struct world

/* One more, which knows nothing; for raft_add. Returns its place. */
unsigned world_grow(struct world *w);

unsigned world_leader(struct world *w); /* waits for one */
/* Puts through the leader, and waits until it has applied it. */
void world_put(struct world *w, const char *key, const char *value);
/* Waits until all that live have applied what the leader has. */
void world_settle(struct world *w);

/* Changes raft's configuration and waits. */
void world_assign(struct world *w, unsigned i, int role);

uint32_t world_hash(struct world *w, unsigned i);
int64_t world_revision(struct world *w, unsigned i);

#endif
