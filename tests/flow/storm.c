#include "tests/flow/storm.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/flow/flow.h"
#include "tests/flow/history.h"
#include "util/clock.h"
#include "wire/auth.h"
#include "wire/cluster.h"
#include "wire/kv.h"
#include "wire/lease.h"
#include "wire/maintenance.h"

enum { KEYS = 60, LEASES = 8, LONG_TTL = 100000 };

struct storm {
    struct wire_client *client;
    struct history_random r;
    pthread_t thread;
    int64_t leases[LEASES]; /* 0: none there */
    int64_t revision;       /* newest that was answered */
    unsigned done;
    bool lazy;
};

/* ---- one transaction --------------------------------------------------------------- */

/* Texts of its requests live until it was sent. */
enum { OPS = 12, TEXT = 48 };
struct txn {
    Etcdrpc__RequestOp ops[OPS], *then[OPS], *otherwise[OPS];
    Etcdrpc__PutRequest puts[OPS];
    Etcdrpc__DeleteRangeRequest deletes[OPS];
    Etcdrpc__RangeRequest ranges[OPS];
    Etcdrpc__Compare compares[4], *all[4];
    char texts[4 * OPS][TEXT];
    unsigned ops_used, texts_used;
    Etcdrpc__TxnRequest q;
};

static ProtobufCBinaryData text(struct txn *t, const char *prefix, unsigned n)
{
    char *to = t->texts[t->texts_used++];

    snprintf(to, TEXT, "%s%03u", prefix, n);
    return codec_field(bytes_str(to));
}

static Etcdrpc__RequestOp *put_op(struct txn *t, unsigned key, unsigned value,
                                  int64_t lease)
{
    unsigned i = t->ops_used++;

    t->puts[i] = (Etcdrpc__PutRequest)ETCDRPC__PUT_REQUEST__INIT;
    t->puts[i].key = text(t, "s/", key);
    t->puts[i].value = text(t, "value ", value);
    t->puts[i].lease = lease;
    t->ops[i] = (Etcdrpc__RequestOp)ETCDRPC__REQUEST_OP__INIT;
    t->ops[i].op_case = ETCDRPC__REQUEST_OP__OP_PUT;
    t->ops[i].put = &t->puts[i];
    return &t->ops[i];
}

static Etcdrpc__RequestOp *delete_op(struct txn *t, unsigned from, unsigned to)
{
    unsigned i = t->ops_used++;

    t->deletes[i] = (Etcdrpc__DeleteRangeRequest)ETCDRPC__DELETE_RANGE_REQUEST__INIT;
    t->deletes[i].key = text(t, "s/", from);
    t->deletes[i].range_end = text(t, "s/", to);
    t->ops[i] = (Etcdrpc__RequestOp)ETCDRPC__REQUEST_OP__INIT;
    t->ops[i].op_case = ETCDRPC__REQUEST_OP__OP_DELETE_RANGE;
    t->ops[i].delete_range = &t->deletes[i];
    return &t->ops[i];
}

static Etcdrpc__RequestOp *range_op(struct txn *t, unsigned key)
{
    unsigned i = t->ops_used++;

    t->ranges[i] = (Etcdrpc__RangeRequest)ETCDRPC__RANGE_REQUEST__INIT;
    t->ranges[i].key = text(t, "s/", key);
    t->ops[i] = (Etcdrpc__RequestOp)ETCDRPC__REQUEST_OP__INIT;
    t->ops[i].op_case = ETCDRPC__REQUEST_OP__OP_RANGE;
    t->ops[i].range = &t->ranges[i];
    return &t->ops[i];
}

/* About a key: something of it is equal to, or larger or smaller than a small number. */
static Etcdrpc__Compare *compare(struct txn *t, struct storm *s, unsigned i)
{
    static const Etcdrpc__CompareTarget targets[] = {
        ETCDRPC__COMPARE_TARGET__CMP_VERSION, ETCDRPC__COMPARE_TARGET__CMP_CREATE,
        ETCDRPC__COMPARE_TARGET__CMP_MOD,     ETCDRPC__COMPARE_TARGET__CMP_VALUE,
        ETCDRPC__COMPARE_TARGET__CMP_LEASE,
    };
    Etcdrpc__Compare *c = &t->compares[i];
    unsigned kind = history_below(&s->r, 5);
    int64_t near = s->revision - history_below(&s->r, 40);

    *c = (Etcdrpc__Compare)ETCDRPC__COMPARE__INIT;
    c->result = (Etcdrpc__CompareResult)history_below(&s->r, 4);
    c->target = targets[kind];
    c->key = text(t, "s/", history_below(&s->r, KEYS));
    if (history_below(&s->r, 5) == 0)
        c->range_end = text(t, "s/", KEYS);
    switch (kind) {
    case 0:
        c->target_union_case = ETCDRPC__COMPARE__TARGET_UNION_VERSION;
        c->version = history_below(&s->r, 4);
        break;
    case 1:
        c->target_union_case = ETCDRPC__COMPARE__TARGET_UNION_CREATE_REVISION;
        c->create_revision = history_below(&s->r, 2) == 0 ? 0 : near;
        break;
    case 2:
        c->target_union_case = ETCDRPC__COMPARE__TARGET_UNION_MOD_REVISION;
        c->mod_revision = near;
        break;
    case 3:
        c->target_union_case = ETCDRPC__COMPARE__TARGET_UNION_VALUE;
        c->value = text(t, "value ", history_below(&s->r, 100));
        break;
    default:
        c->target_union_case = ETCDRPC__COMPARE__TARGET_UNION_LEASE;
        c->lease = s->leases[history_below(&s->r, LEASES)];
    }
    return c;
}

/* Compares, and both branches with puts, a range and a delete; etcd refuses a branch that
 * touches a key twice, so they take keys from three ranges. */
static enum rc send_txn(struct storm *s, struct err *e)
{
    AT_END(codec_end) Etcdrpc__TxnResponse *reply = NULL;
    struct txn *t = calloc(1, sizeof *t);
    unsigned a = history_below(&s->r, 20), n = history_below(&s->r, 3);
    Etcdrpc__TxnRequest inner = ETCDRPC__TXN_REQUEST__INIT;
    Etcdrpc__RequestOp *inner_then[] = { put_op(t, 41 + a % 10, a, 0) };
    Etcdrpc__RequestOp nested = ETCDRPC__REQUEST_OP__INIT;
    struct wire_header h = { 0 };
    enum rc rc;

    t->q = (Etcdrpc__TxnRequest)ETCDRPC__TXN_REQUEST__INIT;
    for (unsigned i = 0; i < n; i++)
        t->all[i] = compare(t, s, i);
    t->then[0] =
        put_op(t, a, history_below(&s->r, 100), s->leases[history_below(&s->r, LEASES)]);
    t->then[1] = range_op(t, history_below(&s->r, KEYS));
    t->then[2] = delete_op(t, 21 + a % 8, 24 + a % 8);
    inner.success = inner_then;
    inner.n_success = 1;
    nested.op_case = ETCDRPC__REQUEST_OP__OP_TXN;
    nested.txn = &inner;
    t->then[3] = &nested;
    t->otherwise[0] = put_op(t, a + 20, history_below(&s->r, 100), 0);
    t->otherwise[1] = delete_op(t, 50, 50 + a % 10);
    t->q.compare = t->all;
    t->q.n_compare = n;
    t->q.success = t->then;
    t->q.n_success = 4;
    t->q.failure = t->otherwise;
    t->q.n_failure = history_below(&s->r, 3);
    rc = wire_txn(s->client, &t->q, &reply, &h, e);
    free(t);
    if (rc == RC_OK)
        s->revision = h.revision;
    return rc;
}

/* ---- the storm --------------------------------------------------------------------- */

static enum rc put(struct storm *s, struct err *e)
{
    static uint8_t value[20000];
    struct wire_header h = { 0 };
    uint32_t size = history_below(&s->r, 20) == 0 ? sizeof value : 200;
    char key[32];

    snprintf(key, sizeof key, "s/%03u", history_below(&s->r, KEYS));
    memset(value, 'a' + (int)history_below(&s->r, 26), 16);
    TRY(wire_put(
        s->client, bytes_str(key), (struct bytes){ value, history_below(&s->r, size) },
        history_below(&s->r, 4) == 0 ? s->leases[history_below(&s->r, LEASES)] : 0, &h,
        e));
    s->revision = h.revision;
    return RC_OK;
}

static enum rc delete_some(struct storm *s, struct err *e)
{
    unsigned from = history_below(&s->r, KEYS);
    struct wire_header h = { 0 };
    char key[32], end[32];
    int64_t n;

    snprintf(key, sizeof key, "s/%03u", from);
    snprintf(end, sizeof end, "s/%03u", from + history_below(&s->r, 4));
    TRY(wire_delete(s->client, bytes_str(key),
                    history_below(&s->r, 2) == 0 ? (struct bytes){ 0 } : bytes_str(end),
                    &n, &h, e));
    s->revision = h.revision;
    return RC_OK;
}

static enum rc change_lease(struct storm *s, struct err *e)
{
    int64_t *slot = &s->leases[history_below(&s->r, LEASES)], id = *slot;
    struct wire_lease granted = { 0 };

    *slot = 0;
    if (id != 0 && !s->lazy)
        return wire_lease_revoke(s->client, id, e);
    TRY(wire_lease_grant(s->client, 0, LONG_TTL, &granted, e));
    *slot = granted.id;
    return RC_OK;
}

static enum rc one(struct storm *s, struct err *e)
{
    uint32_t kind = history_below(&s->r, 60);

    if (kind == 0 && !s->lazy)
        return wire_compact(s->client, s->revision - history_below(&s->r, 30), false, e);
    if (kind < 25)
        return put(s, e);
    if (kind < 45)
        return send_txn(s, e);
    return kind < 52 ? delete_some(s, e) : change_lease(s, e);
}

/* Refusals are part of it: a lease that is gone, a revision compacted twice. */
static void *blow(void *arg)
{
    struct storm *s = arg;
    struct err e = { 0 };
    enum rc rc;

    do {
        rc = one(s, &e);
        s->done += rc == RC_OK;
    } while (rc != RC_NET && rc != RC_INTERNAL);
    return NULL;
}

struct storm *storm_start(const struct cluster *c, uint64_t seed, bool lazy)
{
    struct storm *s = calloc(1, sizeof *s);

    flow_connect(c, &s->client);
    s->r.state = seed;
    s->lazy = lazy;
    s->revision = history_revision(s->client);
    cr_assert_eq(pthread_create(&s->thread, NULL, blow, s), 0);
    return s;
}

unsigned storm_join(struct storm *s)
{
    unsigned done = s->done;

    cr_assert_eq(pthread_join(s->thread, NULL), 0);
    done = s->done;
    wire_client_free(s->client);
    free(s);
    return done;
}

/* ---- what comes before it ---------------------------------------------------------- */

static void wait_until_gone(struct wire_client *c, int64_t lease)
{
    uint64_t end = clock_ms() + 30000;
    struct wire_lease l = { 0 };
    struct err e = { 0 };

    do {
        wire_lease_clear(&l);
        clock_sleep_ms(50);
        OK(wire_lease_get(c, lease, false, &l, &e), &e);
        cr_assert(clock_ms() < end, "the lease does not expire");
    } while (l.ttl != -1);
    wire_lease_clear(&l);
}

static void expire_some(struct wire_client *c)
{
    struct wire_lease with = { 0 }, without = { 0 };
    struct err e = { 0 };

    OK(wire_lease_grant(c, 0, 1, &with, &e), &e);
    OK(wire_lease_grant(c, 0, 1, &without, &e), &e);
    for (int i = 0; i < 3; i++) {
        char key[32];

        snprintf(key, sizeof key, "short/%d", i);
        OK(wire_put(c, bytes_str(key), bytes_str("lived"), with.id, NULL, &e), &e);
    }
    wait_until_gone(c, with.id);
    wait_until_gone(c, without.id);
}

/* While the alarm is on, puts reach the log and are refused by every member. */
static void raise_alarm(struct wire_client *c)
{
    struct wire_alarm nospace = { 0, WIRE_ALARM_NOSPACE };
    AT_END(wire_members_clear) struct wire_members m = { 0 };
    struct err e = { 0 };

    OK(wire_member_list(c, WIRE_ANY, false, &m, &e), &e);
    nospace.member_id = m.items[0].id;
    OK(wire_alarm_activate(c, nospace, &e), &e);
    cr_assert_neq(wire_put(c, bytes_str("full"), bytes_str("1"), 0, NULL, &e), RC_OK);
    OK(wire_alarm_disarm(c, nospace, &e), &e);
}

static void change_users(struct wire_client *c)
{
    struct wire_permission all = { WIRE_READWRITE, bytes_str("s/"), bytes_str("s0") };
    struct err e = { 0 };

    OK(wire_user_set_password(c, "alice", "another", &e), &e);
    OK(wire_role_grant(c, "reader", &all, &e), &e);
    OK(wire_role_revoke(c, "reader", bytes_str("h/0001"), (struct bytes){ 0 }, &e), &e);
    OK(wire_user_delete(c, "nobody", &e), &e);
    OK(wire_role_add(c, "spare", &e), &e);
    OK(wire_user_grant(c, "alice", "spare", &e), &e);
    OK(wire_role_delete(c, "spare", &e), &e);
}

/* Nobody answers there: it stays a learner that has not started. */
static void add_learner(struct wire_client *c)
{
    AT_END(str_list_clear) struct str_list urls = { 0 };
    struct err e = { 0 };
    uint64_t id;

    OK(str_list_add(&urls, "http://127.0.0.1:1", &e), &e);
    OK(wire_member_add(c, &urls, true, &id, &e), &e);
}

void storm_prepare(struct wire_client *c, unsigned turn)
{
    struct history_random r = { turn };
    struct err e = { 0 };

    history_fill(c, "fill", 250, 40);
    OK(wire_compact(c, history_revision(c) - 1, turn % 2 == 0, &e), &e);
    history_grow(c, &r, 20, 2);
    if (turn == 0)
        history_add_users(c);
    if (turn == 1) {
        change_users(c);
        add_learner(c);
    }
    raise_alarm(c);
    if (turn % 3 == 1)
        expire_some(c); /* takes two seconds */
}
