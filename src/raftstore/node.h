/* One member of the embedded store: libraft, the machine, the peer port and the client
 * port on one loop. This is what the files of the folder share; lab_main.c uses only the
 * first part.
 *
 *     a client's write -> serve_*.c -> propose.c -> [the leader's] raft log
 *       -> fsm.c applies it on each member -> propose.c finds who waits -> the answer
 *     a linearizable read -> reads.c asks the leader for an index, waits until it is
 *       applied here -> serve_*.c reads the machine */
#ifndef RAFTSTORE_NODE_H
#define RAFTSTORE_NODE_H

#include "raftstore/options.h"
#include "util/own.h"

struct node;

/* Everything is listening when it returns. */
enum rc node_open(const struct node_options *o, struct node **out, struct err *e);

/* Serves until SIGTERM or SIGINT (RC_OK), or until it cannot go on: RC_REFUSED for a
 * member that was removed, RC_STORAGE for a disk that fails. */
enum rc node_run(struct node *n, struct err *e);
void node_free(struct node *n);
OWN_DEFINE(node)

#endif
