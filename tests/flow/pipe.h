/* A gRPC client that is only fast: one connection, many calls in flight, no login and no
 * retry. For tests that make calls by the ten thousand, and for watches beside them.
 *
 *     struct pipe_call *a = pipe_send(p, "KV/Put", &put);
 *     pipe_wait(p, a);
 *     if (a->status == 0) ... a->reply ...
 *     pipe_drop(a);                                                                  */
#ifndef TESTS_FLOW_PIPE_H
#define TESTS_FLOW_PIPE_H

#include <stdbool.h>
#include <stdint.h>

#include "util/bytes.h"
#include "util/own.h"

struct pipe_call {
    bool done;  /* all of the answer is there */
    int status; /* of gRPC; -1: the connection broke before it came */
    char message[256];
    struct bytes reply; /* the first message; none has come when p is NULL */
    struct buf body;    /* all messages, framed */
    int32_t stream;
    uint8_t *request;
    size_t request_n, request_at;
};

struct pipe;

/* Fails the test when nobody listens there, on 127.0.0.1. */
struct pipe *pipe_open(int port);
void pipe_free(struct pipe *p);
OWN_DEFINE(pipe)

/* `message` is a generated struct. The call is the caller's, for pipe_drop once it is
 * done or the pipe is closed. */
struct pipe_call *pipe_send(struct pipe *p, const char *method, const void *message);
void pipe_drop(struct pipe_call *c);

/* Until this call is done; until any is, or `ms` have passed. */
void pipe_wait(struct pipe *p, struct pipe_call *c);
void pipe_turn(struct pipe *p, int ms);
/* Gives up a call that does not end by itself, like a watch. */
void pipe_cancel(struct pipe *p, struct pipe_call *c);
bool pipe_broken(const struct pipe *p);

#endif
