/* The peer port: libraft's connections and the members' own calls share it. Each begins
 * with a hello (hello.h).
 *
 * A call is one request to one member and one answer: a proposal handed to the leader, a
 * question to it. Calls to a member share one connection, are answered in any order, and
 * are not repeated: one that gets no answer in time ends in PEER_LOST, and may have been
 * executed; PEER_UNSENT means that it never left.
 *
 *     request   4 size of what follows   8 number   1 what   body
 *     answer    4 size of what follows   8 number   1 status (0: done)   body
 */
#ifndef RAFTSTORE_PEERS_H
#define RAFTSTORE_PEERS_H

#include <raft.h>
#include <raft/uv.h>

#include "raftstore/faults.h"
#include "raftstore/hello.h"
#include "util/bytes.h"
#include "util/err.h"
#include "util/own.h"

struct peers;
struct peer_request; /* one to be answered */

enum { PEER_MESSAGE_MAX = 16 << 20, PEER_LOST = -1, PEER_UNSENT = -2 };

struct peers_hooks {
    void *arg;
    /* Where a member listens: its peer URL, or NULL when it is unknown. */
    const char *(*url)(void *arg, uint64_t id);
    bool (*removed)(void *arg, uint64_t id);
    /* A call came: answer it with peer_answer, now or later. */
    void (*request)(void *arg, uint64_t from, uint8_t what, struct bytes body,
                    struct peer_request *r);
    void (*we_are_removed)(void *arg);
};

struct peers_options {
    uv_loop_t *loop;
    uint64_t cluster, me;
    const char *listen_url, *url; /* where we listen, and what we tell others */
    const struct faults *faults;
    struct peers_hooks hooks;
};

enum rc peers_new(const struct peers_options *options, struct peers **out, struct err *e);

/* Only after libraft has closed the transport, or was never started with it. */
void peers_free(struct peers *p);
OWN_DEFINE(peers)

struct raft_uv_transport *peers_transport(struct peers *p);

/* What came of a call: the answerer's status and body, PEER_LOST or PEER_UNSENT. */
typedef void peer_done(void *arg, int status, struct bytes body);

/* `done` is called exactly once, later or, when there is no memory, at once. */
void peer_call(struct peers *p, uint64_t to, uint8_t what, struct bytes body,
               unsigned timeout_ms, peer_done *done, void *arg);
void peer_answer(struct peer_request *r, uint8_t status, struct bytes body);

/* A call before there is a loop, by a member that knows nobody yet: waits up to
 * timeout_ms. RC_NET when there is no answer. The caller frees *out. */
enum rc peer_ask(const char *url, uint8_t what, unsigned timeout_ms, uint8_t **out,
                 size_t *n, struct err *e);

#endif
