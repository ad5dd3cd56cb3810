#include "tests/flow/requests.h"

#include <stdio.h>
#include <stdlib.h>

enum { KEYS = 9 };

static uint32_t below(struct requests *p, uint32_t n)
{
    return history_below(&p->random, n);
}

void requests_begin(struct requests *p)
{
    p->range_n = p->put_n = p->delete_n = p->txn_n = p->compare_n = p->op_n = 0;
    p->listed = p->name_n = 0;
}

static ProtobufCBinaryData text(const char *s)
{
    return codec_field(bytes_str(s));
}

static ProtobufCBinaryData one_of_many(struct requests *p)
{
    char *name = p->names[p->name_n++];

    snprintf(name, sizeof p->names[0], "%c/%03u", "abcd"[below(p, 4)], below(p, p->keys));
    return text(name);
}

static ProtobufCBinaryData any_key(struct requests *p)
{
    static const char *const keys[KEYS] = { "a",   "a/1", "a/2", "b/1", "b/2",
                                            "b/3", "c",   "d/1", "d/2" };

    if (p->keys > 0 && below(p, 3) != 0)
        return one_of_many(p);
    return below(p, 60) == 0 ? text("") : text(keys[below(p, KEYS)]);
}

static ProtobufCBinaryData any_end(struct requests *p, ProtobufCBinaryData key)
{
    static const char *const ends[] = { "a0", "b0", "c", "e", "a" };
    ProtobufCBinaryData end;
    bool backwards;

    switch (below(p, 4)) {
    case 0:
        end = text(ends[below(p, 5)]);
        backwards = bytes_compare(codec_bytes(&end), codec_bytes(&key)) <= 0;
        return p->upright && backwards ? text("") : end;
    case 1:
        return codec_field((struct bytes){ (const uint8_t *)"", 1 });
    default:
        return text("");
    }
}

/* Of equals in more than twelve results the order is nobody's: Go's sort is not stable.
 */
static ProtobufCBinaryData near_end(struct requests *p, ProtobufCBinaryData key)
{
    char *name = p->names[p->name_n++];
    char number[8] = "";

    if (key.len != 5)
        return text("");
    memcpy(number, key.data + 2, 3);
    snprintf(name, sizeof p->names[0], "%c/%03u", key.data[0],
             (unsigned)strtoul(number, NULL, 10) % 1000 + 8);
    return text(name);
}

static int64_t any_revision(struct requests *p)
{
    int64_t head = p->head;

    switch (below(p, 8)) {
    case 0:
        return head - (int64_t)below(p, 12);
    case 1:
        return head + (int64_t)below(p, 2);
    case 2:
        return (int64_t)below(p, (uint32_t)head) + 1;
    default:
        return 0;
    }
}

Etcdrpc__RangeRequest *requests_range(struct requests *p)
{
    Etcdrpc__RangeRequest *r = &p->ranges[p->range_n++];

    etcdrpc__range_request__init(r);
    r->key = any_key(p);
    r->range_end = any_end(p, r->key);
    r->revision = any_revision(p);
    r->limit = below(p, 3) == 0 ? (int64_t)below(p, 5) : 0;
    r->sort_order = below(p, 2) == 0 ? ETCDRPC__SORT_ORDER__SORT_NONE : below(p, 3);
    r->sort_target = below(p, 2) == 0 ? ETCDRPC__SORT_TARGET__BY_KEY : below(p, 5);
    if (p->keys > 0 && r->sort_target != ETCDRPC__SORT_TARGET__BY_KEY)
        r->range_end = near_end(p, r->key);
    r->keys_only = below(p, 5) == 0;
    r->count_only = below(p, 8) == 0;
    if (below(p, 4) == 0)
        r->min_mod_revision = any_revision(p);
    if (below(p, 5) == 0)
        r->max_mod_revision = any_revision(p);
    if (below(p, 5) == 0)
        r->min_create_revision = any_revision(p);
    if (below(p, 5) == 0)
        r->max_create_revision = any_revision(p);
    return r;
}

/* Enough of them that a mixed-up one shows. */
static ProtobufCBinaryData some_bytes(struct requests *p)
{
    static uint8_t all[4096];
    size_t at = below(p, sizeof all / 2);

    for (size_t i = 0; all[1] == 0 && i < sizeof all; i++)
        all[i] = (uint8_t)(i * 167 >> 3) ^ (uint8_t)i;
    return codec_field((struct bytes){ all + at, below(p, sizeof all / 2) });
}

Etcdrpc__PutRequest *requests_put(struct requests *p)
{
    static const char *const values[] = { "", "x", "y", "a longer value", "\x01\x02" };
    Etcdrpc__PutRequest *r = &p->puts[p->put_n++];

    etcdrpc__put_request__init(r);
    r->key = any_key(p);
    r->value =
        p->keys > 0 && below(p, 2) == 0 ? some_bytes(p) : text(values[below(p, 5)]);
    r->lease = below(p, 3) == 0 ? 1 + below(p, REQUESTS_LEASES + 1) : 0;
    r->prev_kv = below(p, 3) == 0;
    r->ignore_value = below(p, 8) == 0;
    r->ignore_lease = below(p, 8) == 0;
    if (r->ignore_value && below(p, 8) != 0)
        r->value = text("");
    if (r->ignore_lease && below(p, 8) != 0)
        r->lease = 0;
    return r;
}

Etcdrpc__DeleteRangeRequest *requests_delete(struct requests *p)
{
    Etcdrpc__DeleteRangeRequest *r = &p->deletes[p->delete_n++];

    etcdrpc__delete_range_request__init(r);
    r->key = any_key(p);
    if (p->keys == 0 || below(p, 6) == 0) /* else little would grow old */
        r->range_end = any_end(p, r->key);
    r->prev_kv = below(p, 3) == 0;
    return r;
}

static Etcdrpc__Compare *any_compare(struct requests *p)
{
    static const Etcdrpc__Compare__TargetUnionCase cases[] = {
        ETCDRPC__COMPARE__TARGET_UNION_VERSION,
        ETCDRPC__COMPARE__TARGET_UNION_CREATE_REVISION,
        ETCDRPC__COMPARE__TARGET_UNION_MOD_REVISION,
        ETCDRPC__COMPARE__TARGET_UNION_VALUE,
        ETCDRPC__COMPARE__TARGET_UNION_LEASE,
    };
    Etcdrpc__Compare *c = &p->compares[p->compare_n++];

    etcdrpc__compare__init(c);
    c->key = any_key(p);
    c->range_end = below(p, 3) == 0 ? any_end(p, c->key) : text("");
    c->result = below(p, 4);
    c->target = below(p, 5);
    c->target_union_case = cases[below(p, 10) == 0 ? below(p, 5) : (uint32_t)c->target];
    if (c->target_union_case == ETCDRPC__COMPARE__TARGET_UNION_VALUE)
        c->value = text(below(p, 2) == 0 ? "x" : "");
    else if (c->target_union_case == ETCDRPC__COMPARE__TARGET_UNION_VERSION ||
             c->target_union_case == ETCDRPC__COMPARE__TARGET_UNION_LEASE)
        c->version = below(p, 3);
    else
        c->mod_revision = any_revision(p);
    return c;
}

/* Of a delete from a key on etcd does not see that it overlaps with a put, and when that
 * put is to keep the value, the server ends (all versions, for good: the log has it). So
 * there is none in transactions. */
static Etcdrpc__RequestOp *any_op(struct requests *p, unsigned depth)
{
    Etcdrpc__RequestOp *op = &p->ops[p->op_n];

    p->op_n++;
    etcdrpc__request_op__init(op);
    op->op_case = below(p, 100) == 0 ? 0 : 1 + below(p, depth > 0 ? 4 : 3);
    switch (op->op_case) {
    case ETCDRPC__REQUEST_OP__OP_RANGE:
        op->range = requests_range(p);
        break;
    case ETCDRPC__REQUEST_OP__OP_PUT:
        op->put = requests_put(p);
        break;
    case ETCDRPC__REQUEST_OP__OP_DELETE_RANGE:
        op->delete_range = requests_delete(p);
        if (op->delete_range->range_end.len == 1 &&
            *op->delete_range->range_end.data == 0)
            op->delete_range->range_end = text("");
        break;
    case ETCDRPC__REQUEST_OP__OP_TXN:
        op->txn = requests_txn(p, depth - 1);
        break;
    case ETCDRPC__REQUEST_OP__OP__NOT_SET:
    case _ETCDRPC__REQUEST_OP__OP__CASE_IS_INT_SIZE:
        break;
    }
    return op;
}

/* Room in the list is taken first, as nested ones use it too. */
static Etcdrpc__RequestOp **any_ops(struct requests *p, unsigned depth, size_t *n)
{
    Etcdrpc__RequestOp **list = &p->op_list[p->listed];

    *n = below(p, 4);
    p->listed += (unsigned)*n;
    for (size_t i = 0; i < *n; i++)
        list[i] = any_op(p, depth);
    return list;
}

Etcdrpc__TxnRequest *requests_txn(struct requests *p, unsigned depth)
{
    Etcdrpc__TxnRequest *r = &p->txns[p->txn_n++];

    etcdrpc__txn_request__init(r);
    r->n_compare = below(p, 3);
    r->compare = &p->compare_list[p->compare_n];
    for (size_t i = 0; i < r->n_compare; i++)
        r->compare[i] = any_compare(p);
    r->success = any_ops(p, depth, &r->n_success);
    r->failure = any_ops(p, depth, &r->n_failure);
    return r;
}
