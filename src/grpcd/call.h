/* Inside of the connection: the call, and what conn.c, h2.c and call.c know together. */
#ifndef GRPCD_CALL_H
#define GRPCD_CALL_H

#include <nghttp2/nghttp2.h>

#include "grpcd/conn.h"

enum {
    HEAD_MAX = 16 << 10,     /* bytes of one request's headers */
    HELD_IN_MAX = 32 << 20,  /* bytes of requests that are not whole, for a connection */
    HELD_OUT_MAX = 64 << 20, /* unread answers above which new calls are refused */
    STREAM_WINDOW = 1 << 20, /* what a client may send ahead on a stream */
    CONN_WINDOW = 4 << 20,   /* and on all together */
    CONTROL_FRAMES_MAX = 10000, /* that wait for a client which does not read */
};

enum conn_kind {
    CONN_UNKNOWN, /* fewer bytes than tell */
    CONN_H1,
    CONN_H2,
};

struct conn {
    struct service *service;
    void (*wake)(void *arg);
    void *arg;
    char *peer_name;
    enum conn_kind kind;
    struct buf first;         /* the preface's beginning, or an HTTP/1.1 request */
    struct buf answer;        /* HTTP/1.1's */
    nghttp2_session *session; /* of CONN_H2 */
    struct grpcd_call *calls; /* with a stream, or with a handler that has not finished */
    uint32_t call_count;
    size_t held_in, held_out; /* of all calls, as of the last settling and since */
    uint64_t now, deadline;
    bool spoke;
    bool due;     /* a call wants settling */
    bool leaving; /* no new calls */
    bool last;    /* HTTP/1.1: close behind `answer` */
    bool dead;
    bool closing; /* inside conn_free */
};

struct grpcd_call {
    struct grpcd_call *next, **link; /* in conn->calls; `link` is what points here */
    struct conn *conn;               /* NULL once that is gone */
    struct service *service;
    const struct grpcd_method *method;
    const struct grpcd_hooks *hooks;
    void *state;

    int32_t id;
    struct buf head; /* name NUL value NUL ... */
    struct buf in;   /* received, not handled yet from in_at on */
    size_t in_at, unconsumed;
    struct buf out; /* to be sent from out_at on */
    size_t out_at;
    uint64_t deadline;
    enum grpcd_code code; /* how it ended, with `ending` */
    char *text;

    bool open;        /* the stream exists */
    bool plain;       /* a page: no trailers */
    bool half_closed; /* by the client */
    bool deaf;        /* no more requests are wanted */
    bool paused, stalled;
    bool answered; /* response headers were submitted */
    bool deferred; /* nghttp2 waits for nghttp2_session_resume_data */
    bool ending;   /* `out`, then the trailers, then nothing */
    bool gone;     /* the handler's answers go nowhere */
    bool full;     /* grpcd_send said "no room" */
    bool started, finished, told_canceled, told_ended;
};

/* ---- call.c ---- */
struct grpcd_call *call_new(struct conn *c, int32_t id); /* NULL without memory */

/* The request's headers are whole: finds the method or page, or refuses. */
void call_route(struct grpcd_call *call);

/* Runs what is due; then conn_settle reaps it if nobody needs it any more. */
void call_settle(struct grpcd_call *call);

/* The server's own end of a call, instead of the handler's. */
void call_end(struct grpcd_call *call, enum grpcd_code code, const char *text);
void call_expire(struct grpcd_call *call);

/* The connection goes: out of its list, and freed or left to its handler. */
void call_orphan(struct grpcd_call *call);
void call_free(struct grpcd_call *call);
void call_note(struct grpcd_call *call); /* wants settling */

static inline size_t call_queued(const struct grpcd_call *call)
{
    return call->out.n - call->out_at;
}

/* ---- h2.c: the only one that talks to nghttp2 ---- */
enum rc h2_open(struct conn *c, struct err *e);
void h2_feed(struct conn *c, struct bytes in);
struct bytes h2_output(struct conn *c);
bool h2_done(const struct conn *c);
void h2_leave(struct conn *c);
void h2_close(struct conn *c);

/* Say on the wire what the call's fields say: headers when they are due, then data. */
void h2_answer(struct grpcd_call *call);
void h2_page(struct grpcd_call *call, struct grpcd_answer *answer);
void h2_reset(struct grpcd_call *call, uint32_t http2_error);
void h2_consumed(struct grpcd_call *call); /* all unconsumed bytes */

#endif
