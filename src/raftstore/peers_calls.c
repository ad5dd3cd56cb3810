#include "raftstore/peers_priv.h"
#include "util/mem.h"

enum { CALL_HEADER = 13 };

static struct link *link_of(struct peers *p, uint64_t to)
{
    for (struct link *c = p->links; c != NULL; c = c->next)
        if (c->role == LINK_CALLS_OUT && c->peer == to && !c->closing)
            return c;
    struct link *c = link_new(p, LINK_CALLS_OUT);

    if (c != NULL)
        link_call(c, to, NULL);
    return c == NULL || c->closing ? NULL : c;
}

static enum rc frame(struct buf *b, uint64_t number, uint8_t what, struct bytes body,
                     struct err *e)
{
    uint8_t head[CALL_HEADER];

    if (body.n > PEER_MESSAGE_MAX)
        return err_set(e, RC_USAGE, "a message of %zu bytes to a member", body.n);
    put_le32(head, (uint32_t)(body.n + CALL_HEADER - 4));
    put_le64(head + 4, number);
    head[12] = what;
    TRY(buf_add(b, head, sizeof head, e));
    return body.n == 0 ? RC_OK : buf_add(b, body.p, body.n, e);
}

static enum rc send_frame(struct link *c, uint64_t number, uint8_t what,
                          struct bytes body, struct err *e)
{
    AT_END(buf_clear) struct buf b = { .cap_max = 2 * (size_t)PEER_MESSAGE_MAX };

    if (!faults_pass(c->peers->o.faults, c->peer, FAULT_OUT))
        return RC_OK;
    if (!c->welcome)
        return frame(&c->waiting, number, what, body, e);
    TRY(frame(&b, number, what, body, e));
    link_send(c, (struct bytes){ b.p, b.n });
    return RC_OK;
}

void peer_call(struct peers *p, uint64_t to, uint8_t what, struct bytes body,
               unsigned timeout_ms, peer_done *done, void *arg)
{
    struct call *call = p->closing ? NULL : mem_zero(sizeof *call);
    struct link *c = call == NULL ? NULL : link_of(p, to);
    struct err e;

    if (c == NULL || send_frame(c, p->next_number, what, body, &e) != RC_OK) {
        mem_free(call);
        done(arg, PEER_UNSENT, (struct bytes){ 0 });
        return;
    }
    *call = (struct call){
        .next = p->calls,
        .conn = c,
        .number = p->next_number++,
        .deadline = uv_now(p->o.loop) + timeout_ms,
        .done = done,
        .arg = arg,
    };
    p->calls = call;
}

void calls_welcomed(struct link *c)
{
    if (c->waiting.n > 0)
        link_send(c, (struct bytes){ c->waiting.p, c->waiting.n });
    buf_clear(&c->waiting);
}

static void finish(struct peers *p, struct call *call, int status, struct bytes body)
{
    for (struct call **at = &p->calls; *at != NULL; at = &(*at)->next)
        if (*at == call) {
            *at = call->next;
            break;
        }
    call->done(call->arg, status, body);
    mem_free(call);
}

/* One that is found anew each time: `done` may begin or end other calls. */
static struct call *lost_call(struct peers *p, const struct link *c)
{
    for (struct call *call = p->calls; call != NULL; call = call->next)
        if (call->conn == c)
            return call;
    return NULL;
}

void calls_lost(struct link *c)
{
    struct call *call;

    while ((call = lost_call(c->peers, c)) != NULL)
        finish(c->peers, call, c->welcome ? PEER_LOST : PEER_UNSENT, (struct bytes){ 0 });
    while (c->requests != NULL)
        c->requests = peer_request_orphan(c->requests);
}

static struct call *late_call(struct peers *p, bool all)
{
    for (struct call *call = p->calls; call != NULL; call = call->next)
        if (all || call->deadline <= uv_now(p->o.loop))
            return call;
    return NULL;
}

void calls_expire(struct peers *p, bool all)
{
    struct call *call;

    while ((call = late_call(p, all)) != NULL)
        finish(p, call, PEER_LOST, (struct bytes){ 0 });
}

static void take_answer(struct link *c, uint64_t number, uint8_t status,
                        struct bytes body)
{
    for (struct call *call = c->peers->calls; call != NULL; call = call->next)
        if (call->number == number && call->conn == c) {
            finish(c->peers, call, status, body);
            return;
        }
}

/* Whole messages leave `in` from the front. */
void calls_received(struct link *c)
{
    size_t at = 0;

    while (!c->closing && c->in.n - at >= CALL_HEADER) {
        const uint8_t *p = c->in.p + at;
        uint32_t size = le32(p);

        if (size < CALL_HEADER - 4 || size > PEER_MESSAGE_MAX + CALL_HEADER - 4) {
            link_close(c);
            return;
        }
        if (c->in.n - at - 4 < size)
            break;
        at += 4 + (size_t)size;
        if (!faults_pass(c->peers->o.faults, c->peer, FAULT_IN))
            continue;
        struct bytes body = { p + CALL_HEADER, size - (CALL_HEADER - 4) };

        if (c->role == LINK_IN)
            serve_request(c, le64(p + 4), p[12], body);
        else
            take_answer(c, le64(p + 4), p[12], body);
    }
    if (at > 0)
        memmove(c->in.p, c->in.p + at, c->in.n - at);
    c->in.n -= at;
}

/* ---- the answering side ----------------------------------------------------------- */

struct peer_request {
    struct peer_request *next;
    struct link *conn; /* NULL: the caller is gone */
    uint64_t number;
};

struct peer_request *peer_request_orphan(struct peer_request *r)
{
    struct peer_request *next = r->next;

    r->conn = NULL;
    r->next = NULL;
    return next;
}

void serve_request(struct link *c, uint64_t number, uint8_t what, struct bytes body)
{
    const struct peers_hooks *hooks = &c->peers->o.hooks;
    struct peer_request *r = mem_zero(sizeof *r);

    if (r == NULL)
        return;
    *r = (struct peer_request){ .next = c->requests, .conn = c, .number = number };
    c->requests = r;
    hooks->request(hooks->arg, c->peer, what, body, r);
}

void peer_answer(struct peer_request *r, uint8_t status, struct bytes body)
{
    struct link *c = r->conn;
    struct err e;

    if (c != NULL) {
        for (struct peer_request **at = &c->requests; *at != NULL; at = &(*at)->next)
            if (*at == r) {
                *at = r->next;
                break;
            }
        if (send_frame(c, r->number, status, body, &e) != RC_OK)
            link_close(c);
    }
    mem_free(r);
}
