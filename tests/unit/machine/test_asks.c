#include "machine/asks.h"

#include <errno.h>
#include <stdio.h>

#include "codec/message.h"
#include "tests/lib/case.h"
#include "tests/lib/fault.h"
#include "util/mem.h"
#include "util/str.h"

/* What was told, "what branch key to value lease revision" a line. */
static enum rc note(void *arg, const struct machine_ask *a, struct err *e)
{
    return str_append(arg, e, "%s %s %.*s %.*s %.*s %lld %lld %llu\n", a->what, a->branch,
                      (int)a->key.n, (const char *)a->key.p, (int)a->range_end.n,
                      (const char *)a->range_end.p, (int)a->value.n,
                      (const char *)a->value.p, (long long)a->lease,
                      (long long)a->revision, (unsigned long long)a->member);
}

static enum rc ask(enum wal_entry_type type, struct bytes data, char **out, struct err *e)
{
    const struct wal_entry entry = { .type = type, .data = data };
    AT_END(buf_clear) struct buf told = { 0 };

    TRY(machine_asks(&entry, note, &told, e));
    return str_take(&told, out, e);
}

static enum rc ask_request(const Raftreq__InternalRaftRequest *r, char **out,
                           struct err *e)
{
    AT_END(buf_clear) struct buf packed = { 0 };

    TRY(codec_pack(r, &packed, e));
    return ask(WAL_ENTRY_NORMAL, (struct bytes){ packed.p, packed.n }, out, e);
}

static void says(const Raftreq__InternalRaftRequest *r, const char *expected)
{
    AT_END(mem_end) char *told = NULL;
    struct err e = { 0 };

    OK(ask_request(r, &told, &e), &e);
    cr_assert_str_eq(told, expected);
}

static ProtobufCBinaryData field(const char *text)
{
    return codec_field(bytes_str(text));
}

CASE(asks, puts_and_deletions)
{
    Raftreq__InternalRaftRequest r = RAFTREQ__INTERNAL_RAFT_REQUEST__INIT;
    Etcdrpc__PutRequest put = ETCDRPC__PUT_REQUEST__INIT;
    Etcdrpc__DeleteRangeRequest gone = ETCDRPC__DELETE_RANGE_REQUEST__INIT;

    put.key = field("k");
    put.value = field("v");
    put.lease = 7;
    r.put = &put;
    says(&r, "put  k  v 7 0 0\n");
    r.put = NULL;
    gone.key = field("a");
    gone.range_end = field("b");
    r.delete_range = &gone;
    says(&r, "delete_range  a b  0 0 0\n");
}

/* A txn whose then-branch puts and holds another txn, and whose else-branch deletes; what
 * reads is not told. */
struct nested {
    Raftreq__InternalRaftRequest request;
    Etcdrpc__TxnRequest outer, inner;
    Etcdrpc__RequestOp put_op, read_op, txn_op, gone_op;
    Etcdrpc__RequestOp *then[3], *otherwise[1], *inside[1];
    Etcdrpc__PutRequest put;
    Etcdrpc__RangeRequest read;
    Etcdrpc__DeleteRangeRequest gone;
};

static void nested_make(struct nested *n)
{
    raftreq__internal_raft_request__init(&n->request);
    etcdrpc__txn_request__init(&n->outer);
    etcdrpc__txn_request__init(&n->inner);
    etcdrpc__request_op__init(&n->put_op);
    etcdrpc__request_op__init(&n->read_op);
    etcdrpc__request_op__init(&n->txn_op);
    etcdrpc__request_op__init(&n->gone_op);
    etcdrpc__put_request__init(&n->put);
    etcdrpc__range_request__init(&n->read);
    etcdrpc__delete_range_request__init(&n->gone);
    n->put.key = field("p");
    n->put.value = field("v");
    n->gone.key = field("g");
    n->put_op.op_case = ETCDRPC__REQUEST_OP__OP_PUT;
    n->put_op.put = &n->put;
    n->read_op.op_case = ETCDRPC__REQUEST_OP__OP_RANGE;
    n->read_op.range = &n->read;
    n->gone_op.op_case = ETCDRPC__REQUEST_OP__OP_DELETE_RANGE;
    n->gone_op.delete_range = &n->gone;
    n->txn_op.op_case = ETCDRPC__REQUEST_OP__OP_TXN;
    n->txn_op.txn = &n->inner;
    n->inside[0] = n->otherwise[0] = &n->gone_op;
    n->inner.failure = n->inside;
    n->outer.failure = n->otherwise;
    n->inner.n_failure = n->outer.n_failure = 1;
    n->then[0] = &n->put_op;
    n->then[1] = &n->read_op;
    n->then[2] = &n->txn_op;
    n->outer.success = n->then;
    n->outer.n_success = 3;
    n->request.txn = &n->outer;
}

CASE(asks, what_either_branch_writes)
{
    struct nested n;

    nested_make(&n);
    says(&n.request, "put then p  v 0 0 0\n"
                     "delete_range then/else g   0 0 0\n"
                     "delete_range else g   0 0 0\n");
}

CASE(asks, no_memory_is_told)
{
    struct nested n;

    nested_make(&n);
    FAULT_SWEEP(FAULT_ALLOC, nth, ENOMEM) {
        AT_END(mem_end) char *told = NULL;
        struct err e = { 0 };
        enum rc rc = ask_request(&n.request, &told, &e);

        cr_assert(rc == RC_OK || rc == RC_NOMEM, "%u: %s", nth, e.why);
    }
}

CASE(asks, the_rest_by_name)
{
    Raftreq__InternalRaftRequest r = RAFTREQ__INTERNAL_RAFT_REQUEST__INIT;
    Etcdrpc__CompactionRequest compaction = ETCDRPC__COMPACTION_REQUEST__INIT;
    Etcdrpc__LeaseGrantRequest grant = ETCDRPC__LEASE_GRANT_REQUEST__INIT;
    Etcdrpc__LeaseRevokeRequest revoke = ETCDRPC__LEASE_REVOKE_REQUEST__INIT;
    Etcdrpc__AuthEnableRequest enable = ETCDRPC__AUTH_ENABLE_REQUEST__INIT;

    compaction.revision = 40;
    r.compaction = &compaction;
    says(&r, "compaction     0 40 0\n");
    r.compaction = NULL;
    grant.id = revoke.id = 9;
    r.lease_grant = &grant;
    says(&r, "lease_grant     9 0 0\n");
    r.lease_grant = NULL;
    r.lease_revoke = &revoke;
    says(&r, "lease_revoke     9 0 0\n");
    r.lease_revoke = NULL;
    r.auth_enable = &enable;
    says(&r, "auth_enable     0 0 0\n");
    r.auth_enable = NULL;
    r.v2 = field("anything");
    says(&r, "v2     0 0 0\n");
}

CASE(asks, changes_of_members_and_nothing)
{
    const struct wal_change change = { .type = WAL_CHANGE_ADD_LEARNER, .node_id = 5 };
    AT_END(buf_clear) struct buf packed = { 0 };
    AT_END(mem_end) char *told = NULL;
    AT_END(mem_end) char *nothing = NULL;
    struct err e = { 0 };

    OK(wal_change_put(&packed, &change, &e), &e);
    OK(ask(WAL_ENTRY_CONF_CHANGE, (struct bytes){ packed.p, packed.n }, &told, &e), &e);
    cr_assert_str_eq(told, "member_add_learner     0 0 5\n");
    OK(ask(WAL_ENTRY_NORMAL, (struct bytes){ 0 }, &nothing, &e), &e);
    cr_assert_str_eq(nothing, "");
}

CASE(asks, what_no_etcd_writes_is_refused)
{
    AT_END(mem_end) char *told = NULL;
    struct err e = { 0 };

    cr_assert_eq(ask(WAL_ENTRY_CONF_CHANGE_V2, bytes_str("x"), &told, &e), RC_CORRUPT);
    cr_assert_eq(ask(WAL_ENTRY_NORMAL, bytes_str("\xff\xff"), &told, &e), RC_CORRUPT);
}
