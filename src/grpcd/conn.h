/* One connection, without its socket: bytes in, bytes out, and the time.
 *
 *     conn_feed     what the client sent
 *     conn_settle   runs every handler and hook that is due; nothing else does
 *     conn_output   what to send it
 *
 * Callbacks of nghttp2 only note what happened, so that no handler ever runs inside of
 * nghttp2 and none can free what a caller further up still holds. Between calls of
 * conn_settle, `wake` tells the owner that there is something to settle or to send.
 *
 * The first bytes say what is spoken: HTTP/2's preface, or else HTTP/1.1. */
#ifndef GRPCD_CONN_H
#define GRPCD_CONN_H

#include "grpcd/grpcd.h"
#include "util/own.h"

struct conn;

/* What all connections of a server share. */
struct service {
    struct grpcd_options o;     /* defaults filled in */
    uint32_t calls;             /* started and not finished */
    void (*changed)(void *arg); /* the last call has finished; may be NULL */
    void *arg;
};
void service_defaults(struct grpcd_options *o);

/* `wake` may come from anywhere, even repeatedly; it must only make a note. `peer_name`
 * is copied, or NULL. RC_NOMEM. */
enum rc conn_new(struct service *service, const char *peer_name, void (*wake)(void *arg),
                 void *arg, struct conn **out, struct err *e);

/* Cancels every call that its handler has not finished; those live on alone. */
void conn_free(struct conn *c);
OWN_DEFINE(conn)

/* Take what the client sent. What is wrong with it shows in conn_output or conn_done. */
void conn_feed(struct conn *c, struct bytes in, uint64_t now_ms);
void conn_settle(struct conn *c);

/* The next bytes to send, valid until the next call here; empty: none now. */
struct bytes conn_output(struct conn *c);

/* Let deadlines pass; the next one (UINT64_MAX: none). */
void conn_tick(struct conn *c, uint64_t now_ms);
uint64_t conn_deadline(const struct conn *c);

/* A request line or the preface has come. */
bool conn_spoke(const struct conn *c);

/* Take no further calls and close when the running ones have ended. */
void conn_leave(struct conn *c);
void conn_kill(struct conn *c); /* close at once */

/* Nothing will come any more: close when conn_output is empty, or at once if it is dead.
 */
bool conn_done(const struct conn *c);
bool conn_dead(const struct conn *c);

#endif
