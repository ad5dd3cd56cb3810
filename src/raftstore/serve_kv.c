#include "codec/message.h"
#include "raftstore/node_priv.h"
#include "raftstore/serve.h"
#include "util/mem.h"

enum { FIELD_RANGE = 3, FIELD_PUT = 4, FIELD_TXN = 6, PAGE_BYTES = 4096 };

/* ---- reading ---------------------------------------------------------------------- */

/* A range or a transaction that only reads; it may wait for its index. */
struct query {
    struct node *n;
    struct grpcd_call *call;
    Raftreq__InternalRaftRequest *r;
};

static void query_free(struct query *q)
{
    codec_free(q->r);
    mem_free(q);
}

static void answer(struct query *q)
{
    AT_END(machine_outcome_end) struct machine_outcome o = { .wants_reply = true };
    struct err e;

    if (machine_query(q->n->fsm.machine, q->r, &o, &e) != RC_OK)
        serve_broken(q->call, &e);
    else
        serve_outcome(q->n, q->call, &o);
}

static void on_readable(void *arg, int code, const char *message)
{
    struct query *q = arg;

    if (code != 0)
        grpcd_finish(q->call, (enum grpcd_code)code, message);
    else
        answer(q);
    query_free(q);
}

/* Takes the request over. */
static void read_it(struct node *n, struct grpcd_call *call,
                    Raftreq__InternalRaftRequest *r, bool serializable)
{
    struct query *q = mem_zero(sizeof *q);

    if (q == NULL) {
        codec_free(r);
        grpcd_finish(call, GRPCD_RESOURCE_EXHAUSTED, "out of memory");
        return;
    }
    *q = (struct query){ n, call, r };
    if (serializable)
        on_readable(q, 0, NULL);
    else
        read_linearizable(n, on_readable, q);
}

/* The request, wrapped and checked; NULL when the call was finished. */
static Raftreq__InternalRaftRequest *open_request(struct node *n, struct grpcd_call *call,
                                                  unsigned number, struct bytes request,
                                                  const struct caller *who)
{
    AT_END(buf_clear) struct buf b = { 0 };
    struct machine_outcome refused = { 0 };
    Raftreq__InternalRaftRequest *r = NULL;
    uint64_t id;
    struct err e;

    if (serve_wrap(n, number, request, who, &id, &b, &e) != RC_OK ||
        codec_unpack(&raftreq__internal_raft_request__descriptor,
                     (struct bytes){ b.p, b.n }, &r, &e) != RC_OK) {
        serve_broken(call, &e);
        return NULL;
    }
    machine_precheck(r, (unsigned)n->o.max_txn_ops, &refused);
    if (refused.code != 0) {
        grpcd_finish(call, (enum grpcd_code)refused.code, refused.message);
        codec_free(r);
        return NULL;
    }
    return r;
}

void serve_range(struct grpcd_call *call, struct bytes request, void *arg)
{
    struct node *n = arg;
    struct caller who;
    Raftreq__InternalRaftRequest *r;

    if (!serve_enter(n, call, GATE_LEARNER, &who))
        return;
    r = open_request(n, call, FIELD_RANGE, request, &who);
    if (r == NULL)
        return;
    if (!r->range->serializable && node_is_learner(n)) {
        codec_free(r);
        grpcd_finish(call, GRPCD_FAILED_PRECONDITION,
                     "etcdserver: rpc not supported for learner");
        return;
    }
    read_it(n, call, r, r->range->serializable);
}

/* ---- room ------------------------------------------------------------------------- */

uint64_t serve_db_size(const struct node *n)
{
    const struct kvstore *kv = machine_kv(n->fsm.machine);
    /* Records need 18 bytes of key and 16 of an element; pages are filled to 9 tenths. */
    uint64_t bytes = kvstore_bytes(kv) + kvstore_records(kv) * 34;
    uint64_t pages = 4 + bytes * 10 / 9 / PAGE_BYTES;

    return pages * PAGE_BYTES;
}

static void ignore(void *arg, int code, const char *message, struct machine_outcome *o)
{
    (void)arg;
    (void)code;
    (void)message;
    (void)o;
}

static void raise_nospace(struct node *n)
{
    Raftreq__InternalRaftRequest r;
    Raftreq__RequestHeader header;
    Etcdrpc__AlarmRequest alarm;
    AT_END(buf_clear) struct buf b = { 0 };
    struct err e;

    raftreq__internal_raft_request__init(&r);
    raftreq__request_header__init(&header);
    etcdrpc__alarm_request__init(&alarm);
    header.id = propose_number(n);
    alarm.action = ETCDRPC__ALARM_ACTION__ALARM_ACTIVATE;
    alarm.member_id = n->home.member;
    alarm.alarm = ETCDRPC__ALARM_TYPE__ALARM_NOSPACE;
    r.header = &header;
    r.alarm = &alarm;
    if (codec_pack(&r, &b, &e) == RC_OK)
        propose(n, PAYLOAD_REQUEST, header.id, (struct bytes){ b.p, b.n }, ignore, NULL);
}

/* False: the quota is reached, the alarm raised and the call finished. Space that was
 * used stays used until the member is defragmented, as in etcd. */
static bool has_room(struct node *n, struct grpcd_call *call, size_t more)
{
    uint64_t size = serve_db_size(n);

    if (size > n->allocated)
        n->allocated = size;
    if (n->o.quota == 0 || n->allocated + more <= n->o.quota)
        return true;
    if (!machine_alarm(n->fsm.machine, MVCC_ALARM_NOSPACE))
        raise_nospace(n);
    grpcd_finish(call, GRPCD_RESOURCE_EXHAUSTED,
                 "etcdserver: mvcc: database space exceeded");
    return false;
}

/* ---- writing ---------------------------------------------------------------------- */

void serve_put(struct grpcd_call *call, struct bytes request, void *arg)
{
    struct node *n = arg;
    struct caller who;

    if (serve_enter(n, call, 0, &who) && has_room(n, call, request.n + 64))
        serve_write(n, call, FIELD_PUT, request, &who);
}

/* As etcd looks at it, of which a nested transaction writes whatever is in it, and needs
 * no room. */
static void look_at(const Etcdrpc__RequestOp *op, bool *reads_only, bool *serializable,
                    bool *puts)
{
    if (op->op_case != ETCDRPC__REQUEST_OP__OP_RANGE)
        *reads_only = false;
    else
        *serializable &= op->range->serializable != 0;
    *puts |= op->op_case == ETCDRPC__REQUEST_OP__OP_PUT;
}

static void look(const Etcdrpc__TxnRequest *t, bool *reads_only, bool *serializable,
                 bool *puts)
{
    for (size_t i = 0; i < t->n_success; i++)
        look_at(t->success[i], reads_only, serializable, puts);
    for (size_t i = 0; i < t->n_failure; i++)
        look_at(t->failure[i], reads_only, serializable, puts);
}

void serve_txn(struct grpcd_call *call, struct bytes request, void *arg)
{
    struct node *n = arg;
    struct caller who;
    Raftreq__InternalRaftRequest *r;
    bool reads_only = true, serializable = true, puts = false;

    if (!serve_enter(n, call, 0, &who))
        return;
    r = open_request(n, call, FIELD_TXN, request, &who);
    if (r == NULL)
        return;
    look(r->txn, &reads_only, &serializable, &puts);
    if (reads_only) {
        read_it(n, call, r, serializable);
        return;
    }
    codec_free(r);
    if (!puts || has_room(n, call, request.n + 64))
        serve_write(n, call, FIELD_TXN, request, &who);
}
