#include "tests/flow/history.h"

#include <stdio.h>
#include <string.h>

#include "tests/lib/case.h"
#include "util/mem.h"
#include "wire/auth.h"
#include "wire/kv.h"
#include "wire/lease.h"
#include "wire/maintenance.h"

enum { KEYS = 400, VALUE_MAX = 300, LEASE_TTL = 100000 };

uint32_t history_below(struct history_random *r, uint32_t n)
{
    r->state = r->state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(r->state >> 33) % n;
}

/* One transaction of puts and range deletes. */
struct batch {
    Etcdrpc__RequestOp ops[HISTORY_BATCH_MAX], *list[HISTORY_BATCH_MAX];
    Etcdrpc__PutRequest puts[HISTORY_BATCH_MAX];
    Etcdrpc__DeleteRangeRequest deletes[HISTORY_BATCH_MAX];
    char keys[HISTORY_BATCH_MAX][2][64];
    size_t n;
};

static void batch_put(struct batch *b, const char *key, struct bytes value, int64_t lease)
{
    size_t i = b->n++;

    snprintf(b->keys[i][0], sizeof b->keys[i][0], "%s", key);
    b->puts[i] = (Etcdrpc__PutRequest)ETCDRPC__PUT_REQUEST__INIT;
    b->puts[i].key = codec_field(bytes_str(b->keys[i][0]));
    b->puts[i].value = codec_field(value);
    b->puts[i].lease = lease;
    b->ops[i] = (Etcdrpc__RequestOp)ETCDRPC__REQUEST_OP__INIT;
    b->ops[i].op_case = ETCDRPC__REQUEST_OP__OP_PUT;
    b->ops[i].put = &b->puts[i];
}

static void batch_delete(struct batch *b, const char *key, const char *end)
{
    size_t i = b->n++;

    snprintf(b->keys[i][0], sizeof b->keys[i][0], "%s", key);
    snprintf(b->keys[i][1], sizeof b->keys[i][1], "%s", end);
    b->deletes[i] = (Etcdrpc__DeleteRangeRequest)ETCDRPC__DELETE_RANGE_REQUEST__INIT;
    b->deletes[i].key = codec_field(bytes_str(b->keys[i][0]));
    b->deletes[i].range_end = codec_field(bytes_str(b->keys[i][1]));
    b->ops[i] = (Etcdrpc__RequestOp)ETCDRPC__REQUEST_OP__INIT;
    b->ops[i].op_case = ETCDRPC__REQUEST_OP__OP_DELETE_RANGE;
    b->ops[i].delete_range = &b->deletes[i];
}

static void batch_commit(struct batch *b, struct wire_client *c)
{
    AT_END(codec_end) Etcdrpc__TxnResponse *r = NULL;
    Etcdrpc__TxnRequest q = ETCDRPC__TXN_REQUEST__INIT;
    struct err e = { 0 };

    for (size_t i = 0; i < b->n; i++)
        b->list[i] = &b->ops[i];
    q.success = b->list;
    q.n_success = b->n;
    OK(wire_txn(c, &q, &r, NULL, &e), &e);
    b->n = 0;
}

/* Bytes that differ from call to call, so that a mixed-up value shows. */
static struct bytes some_value(struct history_random *r, size_t n)
{
    static uint8_t pool[1 << 16];
    static bool filled;

    if (!filled)
        for (size_t i = 0; i < sizeof pool; i++)
            pool[i] = (uint8_t)history_below(r, 256);
    filled = true;
    return (struct bytes){ pool + history_below(r, (uint32_t)(sizeof pool - n)), n };
}

void history_fill(struct wire_client *c, const char *prefix, unsigned count, size_t size)
{
    static struct batch b;
    struct history_random r = { count };
    char key[64];

    for (unsigned i = 0; i < count; i++) {
        snprintf(key, sizeof key, "%s/%06u", prefix, i);
        batch_put(&b, key, some_value(&r, size), 0);
        if (b.n == HISTORY_BATCH_MAX)
            batch_commit(&b, c);
    }
    if (b.n > 0)
        batch_commit(&b, c);
}

static const char *key_at(unsigned i)
{
    static char keys[4][32];
    static unsigned turn;
    char *to = keys[turn++ % 4];

    snprintf(to, 32, "h/%04u", i);
    return to;
}

/* A window of neighbouring keys, part of them deleted: etcd refuses a transaction that
 * changes a key twice. */
static void grow_once(struct wire_client *c, struct history_random *r, int64_t lease)
{
    static struct batch b;
    unsigned first = history_below(r, KEYS), n = 1 + history_below(r, 6);

    if (history_below(r, 5) == 0)
        batch_delete(&b, key_at(first), key_at(first + n));
    else
        for (unsigned i = 0; i < n; i++)
            batch_put(&b, key_at(first + i), some_value(r, history_below(r, VALUE_MAX)),
                      lease);
    if (history_below(r, 4) == 0)
        batch_delete(&b, key_at(first + n), key_at(first + n + 3));
    batch_commit(&b, c);
}

void history_grow(struct wire_client *c, struct history_random *r, unsigned revisions,
                  unsigned leases)
{
    int64_t ids[16] = { 0 };
    struct err e = { 0 };

    for (unsigned i = 0; i < leases; i++) {
        struct wire_lease granted;

        OK(wire_lease_grant(c, 0, LEASE_TTL + i, &granted, &e), &e);
        ids[i] = granted.id;
    }
    for (unsigned i = 0; i < revisions; i++)
        grow_once(c, r, leases > 0 && i % 7 == 0 ? ids[i % leases] : 0);
    /* Each lease has a key for certain. */
    for (unsigned i = 0; i < leases; i++)
        OK(wire_put(c, bytes_str(key_at(KEYS + 100 + i)), bytes_str("leased"), ids[i],
                    NULL, &e),
           &e);
}

static void put_odd_ones(struct wire_client *c, struct history_random *r)
{
    static const uint8_t binary[] = { 0, 1, 0xff, '_', 't', 0, 0x80 };
    static uint8_t large[300 << 10];
    struct err e = { 0 };

    for (size_t i = 0; i < sizeof large; i++)
        large[i] = (uint8_t)history_below(r, 256);
    OK(wire_put(c, BYTES_OF(binary), BYTES_OF(binary), 0, NULL, &e), &e);
    OK(wire_put(c, bytes_str("empty"), bytes_str(""), 0, NULL, &e), &e);
    OK(wire_put(c, bytes_str("large"), BYTES_OF(large), 0, NULL, &e), &e);
    OK(wire_put(c, bytes_str("large"), BYTES_OF(large), 0, NULL, &e), &e);
}

int64_t history_make(struct wire_client *c, uint64_t seed)
{
    struct history_random r = { seed };
    struct err e = { 0 };
    int64_t compacted;

    history_fill(c, "fill", 1500, 120);
    history_grow(c, &r, 80, 3);
    put_odd_ones(c, &r);
    compacted = history_revision(c) - 20;
    OK(wire_compact(c, compacted, true, &e), &e);
    history_grow(c, &r, 60, 2);
    history_fill(c, "fill", 200, 90);
    return compacted;
}

void history_add_users(struct wire_client *c)
{
    const struct wire_permission grants[] = {
        { WIRE_READ, bytes_str("fill/"), bytes_str("fill0") },
        { WIRE_READWRITE, bytes_str("h/0001"), { 0 } },
    };
    struct err e = { 0 };

    OK(wire_role_add(c, "root", &e), &e);
    OK(wire_role_add(c, "reader", &e), &e);
    OK(wire_role_grant(c, "reader", &grants[0], &e), &e);
    OK(wire_role_grant(c, "reader", &grants[1], &e), &e);
    OK(wire_user_add(c, "root", "pw", &e), &e);
    OK(wire_user_grant(c, "root", "root", &e), &e);
    OK(wire_user_add(c, "alice", "secret", &e), &e);
    OK(wire_user_grant(c, "alice", "reader", &e), &e);
    OK(wire_user_add(c, "nobody", "none", &e), &e);
}

int64_t history_revision(struct wire_client *c)
{
    struct wire_range q = { .key = bytes_str("x"), .count_only = true };
    struct wire_kvs kvs = { 0 };
    struct err e = { 0 };
    int64_t revision;

    OK(wire_range_get(c, &q, &kvs, &e), &e);
    revision = kvs.header.revision;
    wire_kvs_clear(&kvs);
    return revision;
}

void history_put(struct wire_client *c, const char *key, const char *value)
{
    struct err e = { 0 };

    OK(wire_put(c, bytes_str(key), bytes_str(value), 0, NULL, &e), &e);
}
