#include "codec/message.h"
#include "codec/pb.h"
#include "raftstore/calls.h"
#include "raftstore/node_priv.h"
#include "raftstore/serve.h"
#include "util/mem.h"

enum { FIELD_GRANT = 8, CALL_MS = 3000 };

void serve_lease_grant(struct grpcd_call *call, struct bytes request, void *arg)
{
    struct node *n = arg;
    AT_END(codec_end) Etcdrpc__LeaseGrantRequest *r = NULL;
    AT_END(buf_clear) struct buf b = { 0 };
    struct caller who;
    struct err e;

    if (!serve_enter(n, call, 0, &who))
        return;
    if (codec_unpack(&etcdrpc__lease_grant_request__descriptor, request, &r, &e) !=
        RC_OK) {
        serve_broken(call, &e);
        return;
    }
    /* The id is chosen here, so that all members take the same. */
    if (r->id == 0)
        r->id = (int64_t)(propose_number(n) & INT64_MAX);
    if (codec_pack(r, &b, &e) != RC_OK)
        serve_broken(call, &e);
    else
        serve_write(n, call, FIELD_GRANT, (struct bytes){ b.p, b.n }, &who);
}

void serve_leases(struct grpcd_call *call, struct bytes request, void *arg)
{
    struct node *n = arg;
    AT_END(buf_clear) struct buf b = { 0 };
    AT_END(mem_end) struct lessor_entry *leases = NULL;
    struct caller who;
    size_t count;
    struct err e;

    (void)request;
    if (!serve_enter(n, call, 0, &who))
        return;
    if (lessor_list(n, &leases, &count, &e) != RC_OK) {
        serve_broken(call, &e);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        AT_END(buf_clear) struct buf one = { 0 };

        if (pb_put_u64(&one, 1, (uint64_t)leases[i].id, &e) != RC_OK ||
            pb_put_bytes(&b, 2, (struct bytes){ one.p, one.n }, &e) != RC_OK) {
            serve_broken(call, &e);
            return;
        }
    }
    serve_reply(n, call, 0, (struct bytes){ b.p, b.n });
}

/* ---- time to live ----------------------------------------------------------------- */

struct ttl {
    struct node *n;
    struct grpcd_call *call;
    int64_t id;
    bool keys;
};

static enum rc add_key(void *arg, struct bytes key, struct err *e)
{
    return pb_put_bytes(arg, 5, key, e);
}

static enum rc ttl_fields(const struct ttl *t, int64_t seconds, int64_t granted,
                          struct buf *b, struct err *e)
{
    TRY(pb_put_u64(b, 2, (uint64_t)t->id, e));
    if (seconds != 0)
        TRY(pb_put_u64(b, 3, (uint64_t)seconds, e));
    if (granted != 0)
        TRY(pb_put_u64(b, 4, (uint64_t)granted, e));
    return t->keys && seconds >= 0
               ? machine_lease_keys(t->n->fsm.machine, t->id, add_key, b, e)
               : RC_OK;
}

/* As etcd: -1 seconds for a lease that is not there. */
static void ttl_answer(struct ttl *t, int64_t seconds, int64_t granted)
{
    AT_END(buf_clear) struct buf b = { 0 };
    struct err e;

    if (ttl_fields(t, seconds, granted, &b, &e) != RC_OK)
        serve_broken(t->call, &e);
    else
        serve_reply(t->n, t->call, 0, (struct bytes){ b.p, b.n });
    mem_free(t);
}

static void on_remaining(void *arg, int status, struct bytes body)
{
    struct ttl *t = arg;

    if (status == CALL_DONE && body.n == 16) {
        ttl_answer(t, (int64_t)le64(body.p), (int64_t)le64(body.p + 8));
    } else if (status == CALL_NO) {
        ttl_answer(t, -1, 0);
    } else {
        grpcd_finish(t->call, GRPCD_UNAVAILABLE, "etcdserver: request timed out");
        mem_free(t);
    }
}

static void on_ttl_readable(void *arg, int code, const char *message)
{
    struct ttl *t = arg;
    int64_t seconds, granted;
    uint8_t id[8];

    put_le64(id, (uint64_t)t->id);
    if (code != 0) {
        grpcd_finish(t->call, (enum grpcd_code)code, message);
        mem_free(t);
    } else if (!node_is_leader(t->n)) {
        peer_call(t->n->peers, node_leader(t->n), CALL_REMAINING, BYTES_OF(id), CALL_MS,
                  on_remaining, t);
    } else if (lessor_remaining(t->n, t->id, &seconds, &granted)) {
        ttl_answer(t, seconds, granted);
    } else {
        ttl_answer(t, -1, 0);
    }
}

void serve_time_to_live(struct grpcd_call *call, struct bytes request, void *arg)
{
    struct node *n = arg;
    AT_END(codec_end) Etcdrpc__LeaseTimeToLiveRequest *r = NULL;
    struct caller who;
    struct ttl *t;
    struct err e;

    if (!serve_enter(n, call, 0, &who))
        return;
    if (codec_unpack(&etcdrpc__lease_time_to_live_request__descriptor, request, &r, &e) !=
            RC_OK ||
        mem_new(&t, sizeof *t, "a call", &e) != RC_OK) {
        serve_broken(call, &e);
        return;
    }
    *t = (struct ttl){ n, call, r->id, r->keys };
    read_linearizable(n, on_ttl_readable, t);
}

/* ---- keeping alive ---------------------------------------------------------------- */

/* A stream of requests; each that is under way at the leader holds it. */
struct keepalive {
    struct node *n;
    struct grpcd_call *call; /* NULL once it is finished */
    unsigned pending;
    bool ended;
};

static void keeper_leave(struct keepalive *k)
{
    if (k->pending > 0)
        return;
    if (k->call == NULL)
        mem_free(k);
    else if (k->ended) {
        grpcd_finish(k->call, GRPCD_OK, NULL);
        mem_free(k);
    }
}

static enum rc alive_message(struct node *n, int64_t id, int64_t ttl, struct buf *b,
                             struct err *e)
{
    TRY(serve_header(n, 0, b, e));
    TRY(pb_put_u64(b, 2, (uint64_t)id, e));
    return ttl == 0 ? RC_OK : pb_put_u64(b, 3, (uint64_t)ttl, e);
}

static void alive(struct keepalive *k, int64_t id, int64_t ttl)
{
    AT_END(buf_clear) struct buf b = { 0 };
    struct err e;

    if (k->call != NULL && alive_message(k->n, id, ttl, &b, &e) == RC_OK)
        (void)grpcd_send(k->call, (struct bytes){ b.p, b.n });
}

struct kept {
    struct keepalive *k;
    int64_t id;
};

static void on_kept(void *arg, int status, struct bytes body)
{
    struct kept *it = arg;
    struct keepalive *k = it->k;

    k->pending--;
    if (status == CALL_DONE && body.n == 8)
        alive(k, it->id, (int64_t)le64(body.p));
    else if (status == CALL_NO)
        alive(k, it->id, 0);
    else if (k->call != NULL) {
        grpcd_finish(k->call, GRPCD_UNAVAILABLE, "etcdserver: no leader");
        k->call = NULL;
    }
    mem_free(it);
    keeper_leave(k);
}

static void keep(struct keepalive *k, int64_t id)
{
    uint8_t body[8];
    uint64_t leader = node_leader(k->n);
    struct kept *it;
    int64_t ttl = 0;

    if (leader == k->n->home.member) {
        if (!lessor_keep_alive(k->n, id, &ttl))
            ttl = 0;
        alive(k, id, ttl);
        return;
    }
    it = leader == 0 ? NULL : mem_zero(sizeof *it);
    if (it == NULL) {
        grpcd_finish(k->call, GRPCD_UNAVAILABLE, "etcdserver: no leader");
        k->call = NULL;
        keeper_leave(k);
        return;
    }
    *it = (struct kept){ k, id };
    k->pending++;
    put_le64(body, (uint64_t)id);
    peer_call(k->n->peers, leader, CALL_KEEP_ALIVE, BYTES_OF(body), CALL_MS, on_kept, it);
}

static void keeper_message(struct grpcd_call *call, struct bytes request, void *state)
{
    AT_END(codec_end) Etcdrpc__LeaseKeepAliveRequest *r = NULL;
    struct keepalive *k = state;
    struct err e;

    if (k->call == NULL)
        return;
    if (codec_unpack(&etcdrpc__lease_keep_alive_request__descriptor, request, &r, &e) !=
        RC_OK) {
        serve_broken(call, &e);
        k->call = NULL;
        keeper_leave(k);
        return;
    }
    keep(k, r->id);
}

static void keeper_ended(struct grpcd_call *call, void *state)
{
    struct keepalive *k = state;

    (void)call;
    k->ended = true;
    keeper_leave(k);
}

static void keeper_canceled(struct grpcd_call *call, void *state)
{
    struct keepalive *k = state;

    k->call = NULL;
    grpcd_finish(call, GRPCD_CANCELED, NULL);
    keeper_leave(k);
}

static const struct grpcd_hooks keeper_hooks = {
    .message = keeper_message,
    .ended = keeper_ended,
    .canceled = keeper_canceled,
};

void serve_keep_alive(struct grpcd_call *call, struct bytes request, void *arg)
{
    struct node *n = arg;
    struct caller who;
    struct keepalive *k;

    (void)request;
    if (!serve_enter(n, call, 0, &who))
        return;
    k = mem_zero(sizeof *k);
    if (k == NULL) {
        grpcd_finish(call, GRPCD_RESOURCE_EXHAUSTED, "out of memory");
        return;
    }
    *k = (struct keepalive){ .n = n, .call = call };
    grpcd_hook(call, &keeper_hooks, k);
}
