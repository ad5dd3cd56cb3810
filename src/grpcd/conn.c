#include "grpcd/conn.h"

#include "grpcd/call.h"
#include "grpcd/h1.h"
#include "util/mem.h"

static const char preface[] = NGHTTP2_CLIENT_MAGIC;

enum { PREFACE_SIZE = NGHTTP2_CLIENT_MAGIC_LEN };

void service_defaults(struct grpcd_options *o)
{
    if (o->message_max == 0)
        o->message_max = 2 << 20;
    if (o->send_mark == 0)
        o->send_mark = 256 << 10;
    if (o->streams_max == 0)
        o->streams_max = 256;
    if (o->clients_max == 0)
        o->clients_max = 1024;
    if (o->handshake_ms == 0)
        o->handshake_ms = 10000;
}

enum rc conn_new(struct service *service, const char *peer_name, void (*wake)(void *arg),
                 void *arg, struct conn **out, struct err *e)
{
    OWNED(conn) c = NULL;

    TRY(mem_new(&c, sizeof *c, "a connection", e));
    c->service = service;
    c->wake = wake;
    c->arg = arg;
    c->deadline = UINT64_MAX;
    c->first.cap_max = 1 << 20;
    c->answer.cap_max = SIZE_MAX / 4;
    if (peer_name != NULL && (c->peer_name = mem_str(peer_name)) == NULL)
        return err_set(e, RC_NOMEM, "no memory for the name of a client");
    *out = GIVE(c);
    return RC_OK;
}

void conn_free(struct conn *c)
{
    if (c == NULL)
        return;
    c->closing = true;
    if (c->session != NULL)
        h2_close(c);
    for (struct grpcd_call *call = c->calls; call != NULL; call = call->next)
        call->open = false; /* before any hook runs: the session is gone for all */
    while (c->calls != NULL)
        call_orphan(c->calls);
    buf_clear(&c->first);
    buf_clear(&c->answer);
    mem_free(c->peer_name);
    mem_free(c);
}

/* ---- HTTP/1.1 ---------------------------------------------------------------------- */

static void h1_answer(struct conn *c, enum h1_state state, struct h1_request *request)
{
    struct grpcd_answer answer = { 0 };
    struct err e = { 0 };

    /* What already came behind the request is a body or pipelining. */
    c->last = c->last || request->close || request->size != c->first.n;
    if (state == H1_GET)
        h1_page(&c->service->o, request->path, request->query, &answer);
    else
        h1_refuse(&answer, request->status);
    if (h1_write(&c->answer, &answer, c->last, &e) != RC_OK)
        c->dead = true;
    buf_clear(&answer.body);
    c->first.n = 0;
}

static void h1_feed(struct conn *c)
{
    struct h1_request request;
    enum h1_state state;

    if (c->last) {
        c->first.n = 0;
        return;
    }
    state = h1_parse((struct bytes){ c->first.p, c->first.n }, &request);
    if (state == H1_MORE)
        return;
    c->spoke = true;
    h1_answer(c, state, &request);
}

/* ---- which protocol ---------------------------------------------------------------- */

static void h2_begin(struct conn *c)
{
    struct err e = { 0 };

    c->kind = CONN_H2;
    if (h2_open(c, &e) != RC_OK) {
        c->dead = true;
        return;
    }
    h2_feed(c, (struct bytes){ c->first.p, c->first.n });
    buf_clear(&c->first);
}

static void feed_first(struct conn *c, struct bytes in)
{
    size_t n;
    struct err e = { 0 };

    if (buf_add(&c->first, in.p, in.n, &e) != RC_OK) {
        c->dead = true;
        return;
    }
    n = c->first.n < PREFACE_SIZE ? c->first.n : PREFACE_SIZE;
    if (c->kind == CONN_UNKNOWN && memcmp(c->first.p, preface, n) != 0)
        c->kind = CONN_H1;
    if (c->kind == CONN_H1)
        h1_feed(c);
    else if (n == PREFACE_SIZE)
        h2_begin(c);
}

void conn_feed(struct conn *c, struct bytes in, uint64_t now_ms)
{
    c->now = now_ms;
    if (c->dead || in.n == 0)
        return;
    if (c->kind == CONN_H2)
        h2_feed(c, in);
    else
        feed_first(c, in);
}

/* ---- calls ------------------------------------------------------------------------- */

/* A handler may finish any call, so nothing is freed before all were looked at. */
static void reap(struct conn *c)
{
    c->held_in = 0;
    for (struct grpcd_call *call = c->calls, *next; call != NULL; call = next) {
        next = call->next;
        c->held_in += call->in.n - call->in_at;
        if (!call->open && (call->finished || !call->started))
            call_free(call);
    }
}

void conn_settle(struct conn *c)
{
    while (c->due && !c->dead) {
        c->due = false;
        for (struct grpcd_call *call = c->calls; call != NULL && !c->dead;
             call = call->next)
            call_settle(call);
        reap(c);
    }
}

struct bytes conn_output(struct conn *c)
{
    if (c->dead)
        return (struct bytes){ 0 };
    if (c->kind == CONN_H2)
        return h2_output(c);

    struct bytes out = { c->answer.p, c->answer.n };

    c->answer.n = 0; /* its memory stays for the next one */
    return out;
}

void conn_tick(struct conn *c, uint64_t now_ms)
{
    c->now = now_ms;
    if (now_ms < c->deadline)
        return;
    c->deadline = UINT64_MAX;
    for (struct grpcd_call *call = c->calls; call != NULL; call = call->next) {
        if (call->deadline <= now_ms)
            call_expire(call);
        if (call->open && !call->ending && call->deadline < c->deadline)
            c->deadline = call->deadline;
    }
}

uint64_t conn_deadline(const struct conn *c)
{
    return c->deadline;
}

bool conn_spoke(const struct conn *c)
{
    return c->spoke;
}

void conn_leave(struct conn *c)
{
    if (c->leaving)
        return;
    c->leaving = c->last = true;
    if (c->kind == CONN_H2)
        h2_leave(c);
    c->wake(c->arg);
}

void conn_kill(struct conn *c)
{
    c->dead = true;
    if (!c->closing)
        c->wake(c->arg);
}

bool conn_done(const struct conn *c)
{
    if (c->dead)
        return true;
    if (c->kind == CONN_H2)
        return h2_done(c);
    return c->last && c->answer.n == 0;
}

bool conn_dead(const struct conn *c)
{
    return c->dead;
}
