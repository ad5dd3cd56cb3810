/* A gRPC server on one libuv loop, for the embedded store; plain HTTP pages on the same
 * port, over HTTP/1.1 and HTTP/2. The only user of nghttp2.
 *
 * A method is a row of a table. Its `start` gets a call and may answer at once, or keep
 * the call and answer any time later: a call lives until its handler has finished it,
 * even when the client, the deadline or the connection have gone in the meantime. Then
 * the `canceled` hook says so once, and whatever the handler still sends goes nowhere.
 *
 *     static void status(struct grpcd_call *call, struct bytes request, void *arg)
 *     {
 *         ... unpack, pack ...
 *         grpcd_reply(call, message);
 *     }
 *
 * Everything runs on the loop's thread. Nothing here calls back from inside grpcd_send,
 * grpcd_reply or grpcd_finish, so handlers need no guard against themselves.
 *
 * What a client can make the server hold is bounded: headers, streams, bytes of requests
 * that are not whole yet, calls that were canceled but not finished, and unread answers
 * (above a mark new calls are refused). */
#ifndef GRPCD_GRPCD_H
#define GRPCD_GRPCD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "util/bytes.h"
#include "util/err.h"

struct grpcd;
struct grpcd_call;
struct tls_server;

enum grpcd_code {
    GRPCD_OK = 0,
    GRPCD_CANCELED = 1,
    GRPCD_UNKNOWN = 2,
    GRPCD_INVALID_ARGUMENT = 3,
    GRPCD_DEADLINE_EXCEEDED = 4,
    GRPCD_NOT_FOUND = 5,
    GRPCD_PERMISSION_DENIED = 7,
    GRPCD_RESOURCE_EXHAUSTED = 8,
    GRPCD_FAILED_PRECONDITION = 9,
    GRPCD_OUT_OF_RANGE = 11,
    GRPCD_UNIMPLEMENTED = 12,
    GRPCD_INTERNAL = 13,
    GRPCD_UNAVAILABLE = 14,
    GRPCD_DATA_LOSS = 15,
    GRPCD_UNAUTHENTICATED = 16,
};

enum grpcd_kind {
    GRPCD_UNARY,  /* one request; grpcd_reply, or grpcd_finish with an error */
    GRPCD_STREAM, /* one request; grpcd_send as often as wanted, then grpcd_finish */
    GRPCD_BIDI,   /* requests come through hooks.message; answers as for a stream */
};

/* `request` is borrowed for the call and empty for GRPCD_BIDI, which starts with the
 * headers. `arg` is the server's. */
typedef void grpcd_start_fn(struct grpcd_call *call, struct bytes request, void *arg);

struct grpcd_method {
    const char *path; /* "/etcdserverpb.KV/Range" */
    enum grpcd_kind kind;
    grpcd_start_fn *start;
};

/* Each may be NULL; `state` is the handler's own. All may finish the call. */
struct grpcd_hooks {
    /* Nobody waits for an answer any more: reset, deadline, connection gone, shutdown or
     * no memory. Comes once, and never after grpcd_finish. The handler still has to call
     * grpcd_finish, here or later; its code is not sent. */
    void (*canceled)(struct grpcd_call *call, void *state);

    /* grpcd_send had said "no room", and there is room again. */
    void (*room)(struct grpcd_call *call, void *state);

    /* The next request of a GRPCD_BIDI call, borrowed for the call. */
    void (*message)(struct grpcd_call *call, struct bytes request, void *state);

    /* The client of a GRPCD_BIDI call will send no more (it still reads). */
    void (*ended)(struct grpcd_call *call, void *state);
};

/* ---- a call, in the order of its life ---------------------------------------------- */

/* `hooks` must outlive the call. */
void grpcd_hook(struct grpcd_call *call, const struct grpcd_hooks *hooks, void *state);
void *grpcd_state(const struct grpcd_call *call); /* what grpcd_hook was given, or NULL */

/* Request metadata by its lower-case name ("token", "hasleader", ":path"); NULL when it
 * was not sent. The first one wins. Valid until grpcd_finish. */
const char *grpcd_meta(const struct grpcd_call *call, const char *name);

/* Loop time (uv_now) at which the client gives up; UINT64_MAX: never. The call is then
 * answered DEADLINE_EXCEEDED and canceled by itself. */
uint64_t grpcd_deadline(const struct grpcd_call *call);
const char *
grpcd_peer_name(const struct grpcd_call *call); /* CN of its certificate, or NULL */
bool grpcd_canceled(const struct grpcd_call *call);

/* Queue one message (copied). False: more than the mark is queued now, so wait for
 * hooks.room; the message itself is taken in any case. True for a canceled call. Without
 * memory the call is reset, and canceled soon. An empty message is fine. */
bool grpcd_send(struct grpcd_call *call, struct bytes message);

/* Stop and go on reading requests of a GRPCD_BIDI call; the client is held back by flow
 * control. Messages that are held come before grpcd_resume_reads returns to the loop. */
void grpcd_pause_reads(struct grpcd_call *call);
void grpcd_resume_reads(struct grpcd_call *call);

/* End the call after what is queued. Exactly once for each started call; the pointer is
 * dead afterwards. `text` is percent-encoded for the wire; NULL or "" sends none. */
void grpcd_finish(struct grpcd_call *call, enum grpcd_code code, const char *text);
void grpcd_reply(struct grpcd_call *call, struct bytes message); /* send, finish OK */

/* Faults, for the lab. A stalled call sends nothing until it is released, not even its
 * trailers; finished while stalled it stays silent until the client gives up. Reset ends
 * the stream with an HTTP/2 error code; drop closes the connection at once, without
 * goodbye. Neither finishes the call: `canceled` comes. */
void grpcd_stall(struct grpcd_call *call, bool stalled);
void grpcd_reset(struct grpcd_call *call, uint32_t http2_error);
void grpcd_drop(struct grpcd_call *call);

/* ---- plain HTTP -------------------------------------------------------------------- */

/* Filled by the page. */
struct grpcd_answer {
    int status;       /* 200 unless changed */
    const char *type; /* "application/json" unless changed; static text */
    struct buf body;  /* buf_add; freed by the server */
};

/* A GET of exactly `path`; `query` is what stood after '?', "" without one. A failure is
 * answered 500 with its cause. */
typedef enum rc grpcd_page_fn(struct grpcd_answer *answer, const char *query, void *arg,
                              struct err *e);

struct grpcd_page {
    const char *path; /* "/version" */
    grpcd_page_fn *get;
};

/* ---- the server -------------------------------------------------------------------- */

/* Tables and `tls` are borrowed until the server is closed. */
struct grpcd_options {
    const char *host; /* an IPv4 or IPv6 address */
    uint16_t port;    /* 0: a free one */
    const struct grpcd_method *methods;
    size_t method_count;
    const struct grpcd_page *pages;
    size_t page_count;
    void *arg;                    /* given to every start and get */
    const struct tls_server *tls; /* crypto/tls_engine.h; NULL: plaintext */

    /* 0 takes the default in brackets */
    size_t message_max; /* bytes of one request [2 MiB] */
    size_t send_mark; /* bytes queued in a call above which there is no room [256 KiB] */
    uint32_t streams_max;  /* at once, for each connection [256] */
    uint32_t clients_max;  /* connections at once; more are closed unheard [1024] */
    uint64_t handshake_ms; /* from accept to the first request or preface [10000] */
};

/* RC_NET when the address cannot be listened on (the loop then still has handles of it to
 * close: run it before it is closed itself), RC_USAGE when it is no address. SIGPIPE must
 * be ignored by the program. */
enum rc grpcd_listen(uv_loop_t *loop, const struct grpcd_options *o, struct grpcd **out,
                     struct err *e);
uint16_t grpcd_port(const struct grpcd *g);

struct grpcd_counts {
    uint32_t clients;
    uint32_t calls; /* started and not finished */
};
struct grpcd_counts grpcd_count(const struct grpcd *g);

/* Close every connection at once, without goodbye; the server goes on listening. */
void grpcd_drop_all(struct grpcd *g);

/* Accept nothing new, tell clients to go (GOAWAY), wait grace_ms for running calls, then
 * cancel the rest and close. `closed` is called from the loop when every handle is closed
 * and every call finished; the server is freed right after it. Once. */
void grpcd_close(struct grpcd *g, uint64_t grace_ms, void (*closed)(void *arg),
                 void *arg);

#endif
