/* Transactions (etcd server/etcdserver/txn: compareToPath, checkTxn, executeTxn).
 *
 * All comparisons, those of nested transactions too, are decided on the state before the
 * first change; the decisions lie in the order in which the transactions are met. */
#include "machine/reply.h"
#include "machine/state.h"

/* Decisions, read in the order in which they were made. */
struct path {
    struct buf taken; /* a byte each: 1 success, 0 failure */
    size_t at;
};

static void path_end(struct path *p)
{
    buf_clear(&p->taken);
}

struct branch {
    Etcdrpc__RequestOp **ops;
    size_t count;
    bool succeeded;
};

static struct branch branch_of(const Etcdrpc__TxnRequest *r, bool succeeded)
{
    return succeeded ? (struct branch){ r->success, r->n_success, true }
                     : (struct branch){ r->failure, r->n_failure, false };
}

static struct branch branch_next(const Etcdrpc__TxnRequest *r, struct path *p)
{
    return branch_of(r, p->taken.p[p->at++] != 0);
}

bool txn_readonly(const Etcdrpc__TxnRequest *r)
{
    for (int side = 0; side < 2; side++) {
        struct branch b = branch_of(r, side == 0);

        for (size_t i = 0; i < b.count; i++)
            if (b.ops[i]->op_case != ETCDRPC__REQUEST_OP__OP_RANGE)
                return false;
    }
    return true;
}

/* ---- comparing ----------------------------------------------------------------------
 */

static int order_numbers(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

/* What the comparison names; another kind of operand than the target's counts as 0. */
static int order_record(const Etcdrpc__Compare *c, const struct mvcc_kv *kv)
{
    Etcdrpc__Compare__TargetUnionCase given = c->target_union_case;

    switch (c->target) {
    case ETCDRPC__COMPARE_TARGET__CMP_VERSION:
        return order_numbers(kv->version, given == ETCDRPC__COMPARE__TARGET_UNION_VERSION
                                              ? c->version
                                              : 0);
    case ETCDRPC__COMPARE_TARGET__CMP_CREATE:
        return order_numbers(kv->create,
                             given == ETCDRPC__COMPARE__TARGET_UNION_CREATE_REVISION
                                 ? c->create_revision
                                 : 0);
    case ETCDRPC__COMPARE_TARGET__CMP_MOD:
        return order_numbers(kv->mod, given == ETCDRPC__COMPARE__TARGET_UNION_MOD_REVISION
                                          ? c->mod_revision
                                          : 0);
    case ETCDRPC__COMPARE_TARGET__CMP_VALUE:
        return bytes_compare(kv->value, given == ETCDRPC__COMPARE__TARGET_UNION_VALUE
                                            ? field_bytes(c->value)
                                            : (struct bytes){ 0 });
    case ETCDRPC__COMPARE_TARGET__CMP_LEASE:
        return order_numbers(
            kv->lease, given == ETCDRPC__COMPARE__TARGET_UNION_LEASE ? c->lease : 0);
    case _ETCDRPC__COMPARE_TARGET_IS_INT_SIZE:
        break;
    }
    return 0;
}

static bool holds(const Etcdrpc__Compare *c, const struct mvcc_kv *kv)
{
    int order = order_record(c, kv);

    switch (c->result) {
    case ETCDRPC__COMPARE_RESULT__CMP_EQUAL:
        return order == 0;
    case ETCDRPC__COMPARE_RESULT__CMP_NOT_EQUAL:
        return order != 0;
    case ETCDRPC__COMPARE_RESULT__CMP_GREATER:
        return order > 0;
    case ETCDRPC__COMPARE_RESULT__CMP_LESS:
        return order < 0;
    case _ETCDRPC__COMPARE_RESULT_IS_INT_SIZE:
        break;
    }
    return true;
}

struct comparing {
    const Etcdrpc__Compare *compare;
    bool any, holds;
};

static enum rc compare_visit(void *arg, struct bytes key, const struct kvstore_record *r,
                             bool *stop, struct err *e)
{
    struct comparing *c = arg;
    struct mvcc_kv kv;

    (void)key;
    TRY(mvcc_kv_read(r->stored, &kv, e));
    c->any = true;
    c->holds = holds(c->compare, &kv);
    *stop = !c->holds;
    return RC_OK;
}

/* Every key of the range must do. None at all compares as zero, but has no value. */
static enum rc compare(const struct kvstore *kv, const Etcdrpc__Compare *c, bool *out,
                       struct err *e)
{
    const struct kvstore_span span = { field_bytes(c->key), field_bytes(c->range_end) };
    const struct mvcc_kv nothing = { 0 };
    struct comparing state = { .compare = c };

    TRY(kvstore_range(kv, span, 0, compare_visit, &state, e));
    if (state.any)
        *out = state.holds;
    else
        *out = c->target != ETCDRPC__COMPARE_TARGET__CMP_VALUE && holds(c, &nothing);
    return RC_OK;
}

static enum rc decide(const struct kvstore *kv, const Etcdrpc__TxnRequest *r,
                      struct path *p, struct err *e)
{
    bool yes = true;
    uint8_t taken;

    for (size_t i = 0; i < r->n_compare && yes; i++)
        TRY(compare(kv, r->compare[i], &yes, e));
    taken = yes;
    TRY(buf_add(&p->taken, &taken, 1, e));
    struct branch b = branch_of(r, yes);

    for (size_t i = 0; i < b.count; i++)
        if (b.ops[i]->op_case == ETCDRPC__REQUEST_OP__OP_TXN)
            TRY(decide(kv, b.ops[i]->txn, p, e));
    return RC_OK;
}

/* ---- checking -----------------------------------------------------------------------
 */

/* Unlike a range alone, one in a transaction may not ask for a negative revision that
 * lies below the compaction's. */
static enum refusal check_range(const struct kvstore *kv, int64_t revision)
{
    if (revision == 0)
        return ALLOWED;
    if (revision > kvstore_revision(kv))
        return REFUSE_FUTURE;
    return revision < kvstore_compacted(kv) ? REFUSE_COMPACTED : ALLOWED;
}

enum rule { CHECK_PUTS = 1, CHECK_RANGES = 2 };

static enum rc check(const struct machine *m, const Etcdrpc__TxnRequest *r,
                     unsigned rules, struct path *p, enum refusal *why, struct err *e)
{
    struct branch b = branch_next(r, p);

    for (size_t i = 0; i < b.count && *why == ALLOWED; i++) {
        const Etcdrpc__RequestOp *op = b.ops[i];

        if (op->op_case == ETCDRPC__REQUEST_OP__OP_RANGE && (rules & CHECK_RANGES))
            *why = check_range(m->kv, op->range->revision);
        else if (op->op_case == ETCDRPC__REQUEST_OP__OP_PUT && (rules & CHECK_PUTS))
            TRY(put_check(m, op->put, why, e));
        else if (op->op_case == ETCDRPC__REQUEST_OP__OP_TXN)
            TRY(check(m, op->txn, rules, p, why, e));
    }
    return RC_OK;
}

/* Up to 3.5 all puts are looked at before the first range. */
static enum rc check_all(const struct machine *m, const Etcdrpc__TxnRequest *r,
                         struct path *p, enum refusal *why, struct err *e)
{
    unsigned first = m->options.minor <= 5 ? CHECK_PUTS : CHECK_PUTS | CHECK_RANGES;

    p->at = 0;
    TRY(check(m, r, first, p, why, e));
    if (*why != ALLOWED || m->options.minor > 5)
        return RC_OK;
    p->at = 0;
    return check(m, r, CHECK_RANGES, p, why, e);
}

/* ---- executing ----------------------------------------------------------------------
 */

struct run {
    const struct machine *m;
    struct kvstore *writes; /* NULL in a read-only one */
    struct path *path;
};

static enum rc execute(const struct run *run, const Etcdrpc__TxnRequest *r,
                       struct buf *out, struct err *e);

/* Responses to writes begin with their header, whose revision is the one that the
 * transaction makes: so it is known only after the write. */
static enum rc with_header(const struct run *run, const struct buf *body, struct buf *out,
                           struct err *e)
{
    if (out == NULL)
        return RC_OK;
    TRY(reply_header(out, revision_now(run->m->kv, true), e));
    return buf_add(out, body->p, body->n, e);
}

static enum rc write_one(const struct run *run, const Etcdrpc__RequestOp *op,
                         struct buf *out, struct err *e)
{
    AT_END(buf_clear) struct buf body = { .cap_max = INT32_MAX };
    struct buf *wanted = out == NULL ? NULL : &body;

    if (op->op_case == ETCDRPC__REQUEST_OP__OP_PUT)
        TRY(put_run(run->writes, op->put, wanted, e));
    else
        TRY(delete_run(run->writes, op->delete_range, wanted, e));
    return with_header(run, &body, out, e);
}

/* A nested transaction's own header stays empty. */
static enum rc nested(const struct run *run, const Etcdrpc__TxnRequest *r,
                      struct buf *out, struct err *e)
{
    if (out != NULL)
        TRY(reply_header(out, 0, e));
    return execute(run, r, out, e);
}

static enum rc execute_one(const struct run *run, const Etcdrpc__RequestOp *op,
                           struct buf *out, struct err *e)
{
    switch (op->op_case) {
    case ETCDRPC__REQUEST_OP__OP_RANGE:
        return out == NULL ? RC_OK
                           : range_reply(run->m, op->range, run->writes != NULL, out, e);
    case ETCDRPC__REQUEST_OP__OP_PUT:
    case ETCDRPC__REQUEST_OP__OP_DELETE_RANGE:
        return write_one(run, op, out, e);
    case ETCDRPC__REQUEST_OP__OP_TXN:
        return nested(run, op->txn, out, e);
    case ETCDRPC__REQUEST_OP__OP__NOT_SET:
    case _ETCDRPC__REQUEST_OP__OP__CASE_IS_INT_SIZE:
        break;
    }
    return RC_OK;
}

/* One element of `responses`: a ResponseOp whose field has the operation's number. */
static enum rc respond(const struct run *run, const Etcdrpc__RequestOp *op,
                       struct buf *out, struct err *e)
{
    AT_END(buf_clear) struct buf body = { .cap_max = INT32_MAX };
    AT_END(buf_clear) struct buf wrapped = { .cap_max = INT32_MAX };

    if (out == NULL)
        return execute_one(run, op, NULL, e);
    TRY(execute_one(run, op, &body, e));
    if (op->op_case != ETCDRPC__REQUEST_OP__OP__NOT_SET)
        TRY(reply_part(&wrapped, (uint32_t)op->op_case, &body, e));
    return reply_part(out, 3, &wrapped, e);
}

static enum rc execute(const struct run *run, const Etcdrpc__TxnRequest *r,
                       struct buf *out, struct err *e)
{
    struct branch b = branch_next(r, run->path);

    if (out != NULL)
        TRY(reply_number(out, 2, b.succeeded, e));
    for (size_t i = 0; i < b.count; i++)
        TRY(respond(run, b.ops[i], out, e));
    return RC_OK;
}

/* ---- requests -----------------------------------------------------------------------
 */

/* Permission, comparisons and checks; *why says whether it may run. */
static enum rc prepare(const struct machine *m, const struct caller *who,
                       const Etcdrpc__TxnRequest *r, struct path *p, enum refusal *why,
                       struct err *e)
{
    *why = permit_txn(m, who, r);
    if (*why != ALLOWED)
        return RC_OK;
    TRY(decide(m->kv, r, p, e));
    TRY(check_all(m, r, p, why, e));
    p->at = 0;
    return RC_OK;
}

enum rc txn_query(const struct machine *m, const struct caller *who, const void *request,
                  struct machine_outcome *o, struct err *e)
{
    const Etcdrpc__TxnRequest *r = request;
    AT_END(path_end) struct path p = { 0 };
    const struct run run = { .m = m, .path = &p };
    enum refusal why;

    if (!txn_readonly(r))
        return err_set(e, RC_REFUSED, "a transaction that writes is no query");
    TRY(prepare(m, who, r, &p, &why, e));
    if (why != ALLOWED)
        return refused(o, why);
    return execute(&run, r, o->wants_reply ? &o->reply : NULL, e);
}

static bool has_put(const Etcdrpc__TxnRequest *r, bool nested_count)
{
    for (int side = 0; side < 2; side++) {
        struct branch b = branch_of(r, side == 0);

        for (size_t i = 0; i < b.count; i++) {
            const Etcdrpc__RequestOp *op = b.ops[i];

            if (op->op_case == ETCDRPC__REQUEST_OP__OP_PUT ||
                (nested_count && op->op_case == ETCDRPC__REQUEST_OP__OP_TXN &&
                 has_put(op->txn, true)))
                return true;
        }
    }
    return false;
}

/* Under a NOSPACE alarm what could grow is refused; older ones do not look into nested
 * transactions. */
static bool too_large(const struct machine *m, const Etcdrpc__TxnRequest *r)
{
    return m->capped && has_put(r, has(m, (struct since){ { NEVER, 33, 14, 1 } }));
}

enum rc txn_apply(struct machine *m, const struct caller *who, const void *request,
                  struct machine_outcome *o, struct err *e)
{
    const Etcdrpc__TxnRequest *r = request;
    AT_END(path_end) struct path p = { 0 };
    const struct run run = { .m = m, .writes = m->kv, .path = &p };
    enum refusal why;

    if (txn_readonly(r))
        return txn_query(m, who, request, o, e);
    if (too_large(m, r))
        return refused(o, REFUSE_NO_SPACE);
    TRY(prepare(m, who, r, &p, &why, e));
    if (why != ALLOWED)
        return refused(o, why);
    kvstore_begin(m->kv);
    enum rc rc = execute(&run, r, o->wants_reply ? &o->reply : NULL, e);

    (void)kvstore_end(m->kv);
    return rc;
}
