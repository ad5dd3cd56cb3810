/* A connection on the peer port, for the files of peers.h only.
 *
 * It owns its TCP handle until it is closed, or until libraft takes the handle over. */
#ifndef RAFTSTORE_PEERS_PRIV_H
#define RAFTSTORE_PEERS_PRIV_H

#include "raftstore/peers.h"

enum link_role {
    LINK_IN,       /* somebody called us; its hello says what for */
    LINK_RAFT_OUT, /* ours, for libraft */
    LINK_CALLS_OUT,
};

struct link {
    struct peers *peers;
    struct link *next, *before;
    uv_tcp_t *tcp; /* from raft_malloc: libraft frees what it takes */
    enum link_role role;
    uint64_t peer;
    bool welcome; /* the hello is behind us */
    bool closing;
    uint8_t hello[HELLO_SIZE];
    size_t got; /* bytes of the hello, or of its answer */
    uv_connect_t connect;
    uv_write_t write;
    struct raft_uv_connect *raft_connect; /* LINK_RAFT_OUT */
    raft_uv_connect_cb raft_connected;
    struct buf in;                 /* of calls: what came and is no whole message yet */
    struct buf waiting;            /* LINK_CALLS_OUT: until the hello is answered */
    struct peer_request *requests; /* LINK_IN: not answered yet */
};

struct call {
    struct call *next;
    struct link *conn; /* NULL once it was lost */
    uint64_t number, deadline;
    peer_done *done;
    void *arg;
};

struct peers {
    struct peers_options o;
    struct raft_uv_transport transport;
    raft_uv_accept_cb accept;
    raft_uv_transport_close_cb closed;
    uv_tcp_t listener;
    uv_timer_t timer;
    unsigned handles; /* that are not closed yet */
    bool closing;
    struct link *links;
    struct call *calls;
    uint64_t next_number;
};

/* A connection with a fresh handle; NULL without memory. */
struct link *link_new(struct peers *p, enum link_role role);
void link_close(struct link *c);
/* Forget the connection but leave its handle, which somebody else took. */
void link_release(struct link *c);
/* Connect, say hello, await the answer; then peers_welcomed or link_close. */
void link_call(struct link *c, uint64_t to, const char *url);
/* One piece, copied. */
void link_send(struct link *c, struct bytes piece);
void link_read(struct link *c);
void peers_handle_closed(struct peers *p);

/* peers_calls.c */
void calls_welcomed(struct link *c);
void calls_received(struct link *c);
void calls_lost(struct link *c);
void calls_expire(struct peers *p, bool all);
/* The caller is gone; returns the next one of the connection. */
struct peer_request *peer_request_orphan(struct peer_request *r);
void serve_request(struct link *c, uint64_t number, uint8_t what, struct bytes body);

/* peers_serve.c */
void serve_hello(struct link *c);
int serve_listen(struct peers *p);

#endif
