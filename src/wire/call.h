/* One gRPC call: over the wire, to the right endpoints, and what became of it. */
#ifndef WIRE_CALL_H
#define WIRE_CALL_H

#include "codec/frame.h"
#include "codec/message.h"
#include "wire/client.h"

/* Roles, as a sentence goes on after "this call needs". */
#define WIRE_ROOT "a user with role root"
#define WIRE_ANYONE "any user that logged in"

struct wire_call {
    const char *method;  /* "Maintenance/Status" */
    const void *request; /* a generated message */
    const ProtobufCMessageDescriptor *reply;
    size_t endpoint;     /* or WIRE_ANY */
    const char *role;    /* what it needs when authentication is on */
    bool writes;         /* must not be made twice */
    bool lone;           /* a member answers it alone, without a leader */
    uint64_t timeout_ms; /* 0: the client's; UINT64_MAX: none */
};

/* The reply goes to *out, for codec_free; NULL when it does not matter. Its header, if
 * any, has been checked, and is copied to *h unless NULL. */
enum rc wire_call(struct wire_client *c, const struct wire_call *q, void *out,
                  struct wire_header *h, struct err *e);

/* A call that changes something at any endpoint, as only root may: made once. */
enum rc wire_change(struct wire_client *c, const char *method, const void *request,
                    const ProtobufCMessageDescriptor *reply, void *out, struct err *e);

/* What a call with many answers wants: each message in turn. */
struct wire_stream {
    frame_fn *on_message;
    void *arg;
    const uint64_t *progress; /* see http_request */
    uint64_t rate_min;
};

/* One exchange with one endpoint, without login, repetition or identity check; `s`
 * NULL-free. Fills c->last. RC_OK only for gRPC status 0. */
enum rc wire_exchange(struct wire_client *c, const struct wire_call *q, size_t endpoint,
                      const struct wire_stream *s, struct err *e);

/* A token when one is needed and not there yet. */
enum rc wire_login_once(struct wire_client *c, struct err *e);

/* Whether a login may cure the last failure; forgets the token if so. */
bool wire_login_again(struct wire_client *c);

/* After a failure: says where, and what the caller may have to know. */
enum rc wire_call_failed(struct wire_client *c, const struct wire_call *q, struct err *e);

#endif
