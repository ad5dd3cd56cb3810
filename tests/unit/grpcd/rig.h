/* A service to test with, and a client that sits on the other end of a connection without
 * any socket: bytes go from one nghttp2 session to the other by hand. */
#ifndef TESTS_UNIT_GRPCD_RIG_H
#define TESTS_UNIT_GRPCD_RIG_H

#include <nghttp2/nghttp2.h>

#include "grpcd/conn.h"
#include "grpcd/grpcd.h"

/* Echo: unary. Fail: NOT_FOUND with an awkward text. Hold: keeps the call in `held`.
 * Pour: a stream; the request says how many 64 KiB messages, "e8" asks for 8 empty ones.
 * Chat: bidi echo; "pause" stops reading, and the test resumes it. Where: answers with
 * the metadata "token"; Who with the name in the client's certificate. */
struct desk {
    struct grpcd_call *held[1100];
    size_t held_count;
    unsigned canceled, ended;
    bool finish_when_canceled;
    size_t queued_max; /* of Pour: sent and not yet taken back by hooks.room */
};
struct grpcd_options desk_options(struct desk *d);

/* One request of the client, and what came back. Plain malloc: tests make ours fail. */
struct ask {
    struct ask *next;
    int32_t id;
    uint8_t *body; /* not sent yet, from body_at */
    size_t body_n, body_at;
    bool keep_open; /* no END_STREAM behind the body */
    bool deferred;
    uint8_t *got;
    size_t got_n;
    char http[8], type[64], status[8], message[256];
    bool closed;
    uint32_t error;
};

struct rig {
    struct desk desk;
    struct service service;
    struct conn *conn;
    nghttp2_session *client;
    struct ask *asks;
    uint64_t now;
    size_t cut; /* bytes handed over at once; 0: all */
    bool deaf;  /* the client takes nothing */
    bool goaway;
    size_t from_server;
};

/* False without memory for the connection. */
bool rig_open(struct rig *r);
void rig_close(struct rig *r);
void rig_run(struct rig *r); /* until nobody has anything to say */

/* `extra`: "name: value" pairs, alternating, NULL ends them; may be NULL. The body is
 * framed as one message unless it is NULL. */
struct ask *rig_ask(struct rig *r, const char *path, const char *body,
                    const char *const *extra);
struct ask *rig_ask_raw(struct rig *r, const char *method, const char *path,
                        const uint8_t *body, size_t n, const char *const *extra);
void rig_say(struct rig *r, struct ask *a, const char *message, bool last);

#endif
