/* What etcd's servers refuse before it enters the log (server/etcdserver/api/v3rpc:
 * key.go). It may have been sent by anybody, so it runs without memory of its own. */
#include "machine/state.h"

/* ---- fields -------------------------------------------------------------------------
 */

static enum refusal check_range(const Etcdrpc__RangeRequest *r)
{
    bool order_known = (unsigned)r->sort_order <= ETCDRPC__SORT_ORDER__SORT_DESCEND;
    bool target_known = (unsigned)r->sort_target <= ETCDRPC__SORT_TARGET__BY_VALUE;

    if (r->key.len == 0)
        return REFUSE_NO_KEY;
    return order_known && target_known ? ALLOWED : REFUSE_SORT;
}

static enum refusal check_put(const Etcdrpc__PutRequest *r)
{
    if (r->key.len == 0)
        return REFUSE_NO_KEY;
    if (r->ignore_value && r->value.len != 0)
        return REFUSE_VALUE_PROVIDED;
    return r->ignore_lease && r->lease != 0 ? REFUSE_LEASE_PROVIDED : ALLOWED;
}

static enum refusal check_delete(const Etcdrpc__DeleteRangeRequest *r)
{
    return r->key.len == 0 ? REFUSE_NO_KEY : ALLOWED;
}

static enum refusal check_txn(const Etcdrpc__TxnRequest *r, int64_t room);

static enum refusal check_op(const Etcdrpc__RequestOp *op, int64_t room)
{
    switch (op->op_case) {
    case ETCDRPC__REQUEST_OP__OP_RANGE:
        return check_range(op->range);
    case ETCDRPC__REQUEST_OP__OP_PUT:
        return check_put(op->put);
    case ETCDRPC__REQUEST_OP__OP_DELETE_RANGE:
        return check_delete(op->delete_range);
    case ETCDRPC__REQUEST_OP__OP_TXN:
        return check_txn(op->txn, room);
    case ETCDRPC__REQUEST_OP__OP__NOT_SET:
    case _ETCDRPC__REQUEST_OP__OP__CASE_IS_INT_SIZE:
        break;
    }
    return REFUSE_KEY_NOT_FOUND;
}

static int64_t largest(size_t a, size_t b, size_t c)
{
    size_t most = a > b ? a : b;

    return (int64_t)(most > c ? most : c);
}

/* A level uses as many operations as its longest list has; what is left is its nested
 * transactions'. */
static enum refusal check_txn(const Etcdrpc__TxnRequest *r, int64_t room)
{
    int64_t used = largest(r->n_compare, r->n_success, r->n_failure);
    enum refusal why = used > room ? REFUSE_TOO_MANY_OPS : ALLOWED;

    for (size_t i = 0; i < r->n_compare && why == ALLOWED; i++)
        if (r->compare[i]->key.len == 0)
            why = REFUSE_NO_KEY;
    for (size_t i = 0; i < r->n_success && why == ALLOWED; i++)
        why = check_op(r->success[i], room - used);
    for (size_t i = 0; i < r->n_failure && why == ALLOWED; i++)
        why = check_op(r->failure[i], room - used);
    return why;
}

/* ---- overlaps -----------------------------------------------------------------------
 *
 * No key may be put twice, nor put and deleted, in one transaction; branches of which
 * only one runs may both put it. etcd reads a range's end here as it is, so that a delete
 * of everything from a key on ("\0") overlaps with nothing; and a nested delete counts
 * only against puts of later nested transactions and of the levels above. */

struct ops {
    Etcdrpc__RequestOp **items;
    size_t count;
};

static bool deletes(const Etcdrpc__DeleteRangeRequest *r, struct bytes key)
{
    struct bytes begin = field_bytes(r->key), end = field_bytes(r->range_end);

    if (end.n == 0)
        return bytes_equal(begin, key);
    return bytes_compare(begin, key) <= 0 && bytes_compare(key, end) < 0;
}

enum touch { PUTS = 1, DELETES = 2 };

static bool touches(struct ops ops, struct bytes key, unsigned kinds);

static bool op_touches(const Etcdrpc__RequestOp *op, struct bytes key, unsigned kinds)
{
    if (op->op_case == ETCDRPC__REQUEST_OP__OP_PUT)
        return (kinds & PUTS) && bytes_equal(field_bytes(op->put->key), key);
    if (op->op_case == ETCDRPC__REQUEST_OP__OP_DELETE_RANGE)
        return (kinds & DELETES) && deletes(op->delete_range, key);
    return op->op_case == ETCDRPC__REQUEST_OP__OP_TXN &&
           (touches((struct ops){ op->txn->success, op->txn->n_success }, key, kinds) ||
            touches((struct ops){ op->txn->failure, op->txn->n_failure }, key, kinds));
}

static bool touches(struct ops ops, struct bytes key, unsigned kinds)
{
    for (size_t i = 0; i < ops.count; i++)
        if (op_touches(ops.items[i], key, kinds))
            return true;
    return false;
}

/* Is the key, put by operation `self` of this level or inside it, met by another one? */
static bool met(struct ops level, size_t self, struct bytes key)
{
    bool nested = level.items[self]->op_case == ETCDRPC__REQUEST_OP__OP_TXN;

    for (size_t i = 0; i < level.count; i++) {
        const Etcdrpc__RequestOp *op = level.items[i];
        bool later_txn = nested && i > self && op->op_case == ETCDRPC__REQUEST_OP__OP_TXN;

        if (i != self && op_touches(op, key, later_txn ? PUTS : PUTS | DELETES))
            return true;
    }
    return false;
}

static bool puts_met(struct ops level, size_t self, struct ops inside)
{
    for (size_t i = 0; i < inside.count; i++) {
        const Etcdrpc__RequestOp *op = inside.items[i];

        if (op->op_case == ETCDRPC__REQUEST_OP__OP_PUT &&
            met(level, self, field_bytes(op->put->key)))
            return true;
        if (op->op_case == ETCDRPC__REQUEST_OP__OP_TXN &&
            (puts_met(level, self,
                      (struct ops){ op->txn->success, op->txn->n_success }) ||
             puts_met(level, self, (struct ops){ op->txn->failure, op->txn->n_failure })))
            return true;
    }
    return false;
}

static bool overlaps(struct ops level)
{
    for (size_t i = 0; i < level.count; i++) {
        const Etcdrpc__RequestOp *op = level.items[i];

        if (puts_met(level, i, (struct ops){ &level.items[i], 1 }))
            return true;
        if (op->op_case == ETCDRPC__REQUEST_OP__OP_TXN &&
            (overlaps((struct ops){ op->txn->success, op->txn->n_success }) ||
             overlaps((struct ops){ op->txn->failure, op->txn->n_failure })))
            return true;
    }
    return false;
}

static enum refusal check_whole_txn(const Etcdrpc__TxnRequest *r, unsigned max_txn_ops)
{
    enum refusal why = check_txn(r, max_txn_ops);

    if (why == ALLOWED && (overlaps((struct ops){ r->success, r->n_success }) ||
                           overlaps((struct ops){ r->failure, r->n_failure })))
        why = REFUSE_DUPLICATE_KEY;
    return why;
}

void machine_precheck(const Raftreq__InternalRaftRequest *r, unsigned max_txn_ops,
                      struct machine_outcome *o)
{
    enum refusal why = ALLOWED;

    if (r->range != NULL)
        why = check_range(r->range);
    else if (r->put != NULL)
        why = check_put(r->put);
    else if (r->delete_range != NULL)
        why = check_delete(r->delete_range);
    else if (r->txn != NULL)
        why = check_whole_txn(r->txn, max_txn_ops);
    refuse(o, why);
}
