/* What the services share. Each serve_*.c is a part of one table of methods. */
#ifndef RAFTSTORE_SERVE_H
#define RAFTSTORE_SERVE_H

#include "grpcd/grpcd.h"
#include "machine/machine.h"

struct node;

/* Who calls, by the token. */
struct caller {
    const char *user; /* borrowed from the machine; NULL: nobody, or no authentication */
    uint64_t revision;
};

struct refusal_text {
    int code; /* 0: go on */
    const char *message;
};

enum serve_gate {
    GATE_LEARNER = 1, /* learners answer it, too */
    GATE_ROOT = 2,    /* only root, when authentication is on */
    GATE_USER = 4,    /* any user, when authentication is on */
    GATE_BARE = 8,    /* with GATE_ROOT: 3.4 and 3.5 refuse without a proper code */
};

/* What is checked before any call: a learner's few methods, "hasleader", the token. */
struct refusal_text serve_gate(struct node *n, struct grpcd_call *call, unsigned gates,
                               struct caller *who);

/* The same, and the call is finished when it is refused: true when it may go on. */
bool serve_enter(struct node *n, struct grpcd_call *call, unsigned gates,
                 struct caller *who);

/* Appends field 1 of a response: the header, with this revision (0: the newest). */
enum rc serve_header(struct node *n, int64_t revision, struct buf *out, struct err *e);

/* Finishes: header and fields, or the error. */
void serve_reply(struct node *n, struct grpcd_call *call, int64_t revision,
                 struct bytes fields);
void serve_outcome(struct node *n, struct grpcd_call *call,
                   const struct machine_outcome *o);
void serve_broken(struct grpcd_call *call, const struct err *e); /* a malformed request */

/* Bytes of the database as etcd would tell them. */
uint64_t serve_db_size(const struct node *n);

/* A request for the log: field `number` of an InternalRaftRequest, from `who`. */
void serve_write(struct node *n, struct grpcd_call *call, unsigned number,
                 struct bytes request, const struct caller *who);

/* The InternalRaftRequest around a request. */
enum rc serve_wrap(struct node *n, unsigned number, struct bytes request,
                   const struct caller *who, uint64_t *id, struct buf *out,
                   struct err *e);

grpcd_start_fn serve_range, serve_put, serve_txn, serve_plain_write, serve_watch,
    serve_lease_grant, serve_keep_alive, serve_time_to_live, serve_leases,
    serve_member_list, serve_member_add, serve_member_remove, serve_member_update,
    serve_member_promote, serve_status, serve_snapshot, serve_hash, serve_hashkv,
    serve_defragment, serve_move_leader, serve_downgrade, serve_authenticate,
    serve_user_add, serve_change_password;

#endif
