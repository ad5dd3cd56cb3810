/* The client against real etcd, every version in the cache of scripts/peers. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "crypto/sha256.h"
#include "tests/lib/case.h"
#include "tests/lib/cluster.h"
#include "tests/lib/proc.h"
#include "tests/lib/tmpdir.h"
#include "util/mem.h"
#include "wire/auth.h"
#include "wire/cluster.h"
#include "wire/kv.h"
#include "wire/lease.h"
#include "wire/maintenance.h"
#include "wire/snapshot.h"

/* Runs the body once for each version that is there. */
#define EACH_BACKEND(b)                                                            \
    for (const struct cluster_backend *b = cluster_backends; b->name != NULL; b++) \
        if (cluster_available(b))

static void connect_to(const struct cluster *k, struct wire_client **c)
{
    struct wire_options o = { .endpoints = cluster_endpoints(k) };
    struct err e = { 0 };

    OK(wire_client_new(&o, c, &e), &e);
}

static enum rc give_password(void *arg, char **out, struct err *e)
{
    (void)e;
    *out = mem_str(arg);
    return RC_OK;
}

static enum rc take_snapshot(struct wire_client *c, struct wire_snapshot *out,
                             struct err *e)
{
    OWNED(sink) sink = NULL;

    TRY(null_sink_new(&sink, e));
    return wire_snapshot_take(c, 0, &(struct wire_snapshot_options){ 0 }, sink, out, e);
}

/* Keeps what it is given, to hash all but the end. */
struct keeper {
    struct sink base;
    struct buf *kept;
};

static enum rc keep(struct sink *s, const uint8_t *p, size_t n, struct err *e)
{
    return buf_add(((struct keeper *)s)->kept, p, n, e);
}

static const struct sink_ops keeper_ops = { .name = "keeper", .write = keep };

static void check_trailer(const struct buf *kept, const struct wire_snapshot *s,
                          const char *name)
{
    OWNED(sha256) hash = NULL;
    uint8_t digest[SHA256_SIZE];
    struct err e = { 0 };

    cr_assert_eq(kept->n, s->bytes, "%s", name);
    OK(sha256_new(&hash, &e), &e);
    OK(sha256_add(hash, kept->p, kept->n - SHA256_SIZE, &e), &e);
    OK(sha256_end(hash, digest, &e), &e);
    cr_assert(memcmp(digest, s->trailer, SHA256_SIZE) == 0, "%s", name);
    cr_assert(memcmp(digest, kept->p + s->db_size, SHA256_SIZE) == 0, "%s", name);
}

CASE(wire_real, status_hashes_and_snapshot, .timeout = 120)
{
    EACH_BACKEND(b)
    {
        CLUSTER k = { 0 };
        OWNED(wire_client) c = NULL;
        struct wire_status s = { 0 };
        struct wire_snapshot snap = { 0 };
        struct wire_hashkv h = { 0 };
        struct buf kept = { 0 };
        struct keeper to = { { .ops = &keeper_ops }, &kept };
        struct err e = { 0 };
        uint32_t hash = 0;

        cluster_start(&k, b, &(struct cluster_options){ 0 });
        connect_to(&k, &c);
        OK(wire_put(c, bytes_str("a"), bytes_str("1"), 0, NULL, &e), &e);
        OK(wire_status_get(c, 0, &s, &e), &e);
        cr_assert(strncmp(s.version, b->version, 3) == 0, "%s: %s", b->name, s.version);
        cr_assert(s.leader == s.header.member_id && wire_cluster_id(c) != 0, "%s",
                  b->name);
        cr_assert_eq(s.header.revision, 2, "%s", b->name);
        OK(wire_snapshot_take(c, 0, &(struct wire_snapshot_options){ 0 }, &to.base, &snap,
                              &e),
           &e);
        check_trailer(&kept, &snap, b->name);
        cr_assert_eq(snap.version[0] != '\0', b->minor >= 6, "%s", b->name);
        OK(wire_hash_get(c, 0, &hash, &e), &e);
        OK(wire_hashkv_get(c, 0, 0, &h, &e), &e);
        cr_assert(h.hash == (uint32_t)cluster_hashkv(&k, 0, 0).hash, "%s", b->name);
        cr_assert_eq(wire_hashkv_get(c, 0, 99, &h, &e), RC_NOTFOUND, "%s", b->name);
        cr_assert_eq(wire_last(c)->detail, WIRE_FUTURE_REVISION, "%s", b->name);
        OK(wire_defragment(c, 0, 0, &e), &e);
        buf_clear(&kept);
        wire_status_clear(&s);
    }
}

static enum rc count_kv(void *arg, const struct wire_kv *kv, struct err *e)
{
    unsigned *n = arg;
    char want[16];

    (void)e;
    snprintf(want, sizeof want, "k%05u", (*n)++);
    cr_assert(bytes_is(kv->key, want), "out of order at %s", want);
    return RC_OK;
}

static void fill(struct wire_client *c, unsigned count, size_t size)
{
    AT_END(mem_end) uint8_t *value = mem_zero(size);
    struct err e = { 0 };

    for (unsigned i = 0; i < count; i++) {
        char key[16];

        snprintf(key, sizeof key, "k%05u", i);
        OK(wire_put(c, bytes_str(key), (struct bytes){ value, size }, 0, NULL, &e), &e);
    }
}

CASE(wire_real, keys_transactions_and_compaction, .timeout = 120)
{
    EACH_BACKEND(b)
    {
        CLUSTER k = { 0 };
        OWNED(wire_client) c = NULL;
        AT_END(wire_kvs_clear) struct wire_kvs kvs = { 0 };
        struct wire_range all = { .key = bytes_str("k"), .end = bytes_str("l") };
        struct err e = { 0 };
        int64_t revision = 0, deleted = 0;
        unsigned n = 0;

        cluster_start(&k, b, &(struct cluster_options){ 0 });
        connect_to(&k, &c);
        fill(c, 300, 100);
        OK(wire_range_each(c, &all, count_kv, &n, &revision, &e), &e);
        cr_assert(n == 300 && revision == 301, "%s: %u keys at %ld", b->name, n,
                  (long)revision);
        OK(wire_range_get(c, &(struct wire_range){ .key = bytes_str("k00007") }, &kvs,
                          &e),
           &e);
        cr_assert(kvs.count == 1 && kvs.total == 1 && kvs.items[0].value.n == 100 &&
                      kvs.items[0].mod_revision == 9,
                  "%s", b->name);
        OK(wire_delete(c, bytes_str("k00007"), (struct bytes){ 0 }, &deleted, NULL, &e),
           &e);
        cr_assert_eq(deleted, 1, "%s", b->name);
        OK(wire_compact(c, 200, true, &e), &e);
        all.revision = 100;
        cr_assert_eq(wire_range_each(c, &all, count_kv, &n, &revision, &e), RC_NOTFOUND);
        cr_assert_eq(wire_last(c)->detail, WIRE_COMPACTED, "%s", b->name);
        cr_assert_str_eq(e.why, "etcdserver: mvcc: required revision has been compacted "
                                "(gRPC OutOfRange)");
    }
}

/* More bytes in 128 values than one message may hold. */
CASE(wire_real, pages_adapt_to_large_values, .timeout = 120)
{
    CLUSTER k = { 0 };
    OWNED(wire_client) c = NULL;
    struct wire_range all = { .key = bytes_str("k"), .end = bytes_str("l") };
    struct err e = { 0 };
    int64_t revision = 0;
    unsigned n = 0;

    cluster_start(&k, cluster_backend("3.5"), &(struct cluster_options){ 0 });
    connect_to(&k, &c);
    fill(c, 40, 1000000);
    OK(wire_range_each(c, &all, count_kv, &n, &revision, &e), &e);
    cr_assert_eq(n, 40);
    struct wire_kvs kvs = { 0 };

    cr_assert_eq(wire_range_get(c, &all, &kvs, &e), RC_CORRUPT);
    cr_assert(strstr(e.why, "the limit is 8388608") != NULL, "%s", e.why);
}

CASE(wire_real, transaction, .timeout = 60)
{
    CLUSTER k = { 0 };
    OWNED(wire_client) c = NULL;
    AT_END(codec_end) Etcdrpc__TxnResponse *r = NULL;
    Etcdrpc__Compare compare = ETCDRPC__COMPARE__INIT;
    Etcdrpc__RequestOp op = ETCDRPC__REQUEST_OP__INIT;
    Etcdrpc__PutRequest put = ETCDRPC__PUT_REQUEST__INIT;
    Etcdrpc__TxnRequest q = ETCDRPC__TXN_REQUEST__INIT;
    struct wire_header h = { 0 };
    struct err e = { 0 };

    cluster_start(&k, cluster_backend("3.5"), &(struct cluster_options){ 0 });
    connect_to(&k, &c);
    compare.key = put.key = codec_field(bytes_str("lock"));
    compare.target = ETCDRPC__COMPARE_TARGET__CMP_CREATE;
    compare.target_union_case = ETCDRPC__COMPARE__TARGET_UNION_CREATE_REVISION;
    op.op_case = ETCDRPC__REQUEST_OP__OP_PUT;
    op.put = &put;
    q.compare = (Etcdrpc__Compare *[]){ &compare };
    q.success = (Etcdrpc__RequestOp *[]){ &op };
    q.n_compare = q.n_success = 1;
    OK(wire_txn(c, &q, &r, &h, &e), &e);
    cr_assert(r->succeeded && r->n_responses == 1 && h.revision == 2);
    codec_free(GIVE(r));
    OK(wire_txn(c, &q, &r, &h, &e), &e);
    cr_assert(!r->succeeded, "the key exists now");
}

CASE(wire_real, leases, .timeout = 120)
{
    EACH_BACKEND(b)
    {
        CLUSTER k = { 0 };
        OWNED(wire_client) c = NULL;
        struct wire_lease granted = { 0 }, l = { 0 };
        AT_END(wire_leases_clear) struct wire_leases list = { 0 };
        struct err e = { 0 };
        int64_t ttl = 0;

        cluster_start(&k, b, &(struct cluster_options){ 0 });
        connect_to(&k, &c);
        OK(wire_lease_grant(c, 0x1234, 500, &granted, &e), &e);
        cr_assert(granted.id == 0x1234 && granted.ttl == 500, "%s", b->name);
        OK(wire_put(c, bytes_str("leased"), bytes_str("v"), 0x1234, NULL, &e), &e);
        OK(wire_lease_keep_alive(c, 0x1234, &ttl, &e), &e);
        cr_assert_eq(ttl, 500, "%s", b->name);
        OK(wire_lease_get(c, 0x1234, true, &l, &e), &e);
        cr_assert(l.key_count == 1 && bytes_is(l.keys[0], "leased") && l.ttl > 400, "%s",
                  b->name);
        wire_lease_clear(&l);
        OK(wire_lease_list(c, &list, &e), &e);
        cr_assert(list.count == 1 && list.ids[0] == 0x1234, "%s", b->name);
        OK(wire_lease_revoke(c, 0x1234, &e), &e);
        cr_assert_eq(wire_lease_revoke(c, 0x1234, &e), RC_NOTFOUND, "%s", b->name);
        cr_assert_eq(wire_last(c)->detail, WIRE_NOT_FOUND, "%s", b->name);
        cr_assert_eq(wire_lease_keep_alive(c, 0x1234, &ttl, &e), RC_NOTFOUND);
        OK(wire_lease_get(c, 0x1234, false, &l, &e), &e);
        cr_assert_eq(l.ttl, -1, "%s", b->name);
        wire_lease_clear(&l);
    }
}

CASE(wire_real, members_alarms_and_failover, .timeout = 240)
{
    EACH_BACKEND(b)
    {
        CLUSTER k = { 0 };
        OWNED(wire_client) c = NULL;
        AT_END(wire_members_clear) struct wire_members m = { 0 };
        AT_END(wire_alarms_clear) struct wire_alarms alarms = { 0 };
        AT_END(str_list_clear) struct str_list urls = { 0 };
        struct err e = { 0 };
        uint64_t id = 0;

        cluster_start(&k, b, &(struct cluster_options){ .members = 3 });
        connect_to(&k, &c);
        cr_assert_eq(wire_endpoint_count(c), 3);
        OK(wire_member_list(c, WIRE_ANY, true, &m, &e), &e);
        cr_assert(m.count == 3 && m.items[0].peer_urls.count == 1, "%s", b->name);
        cluster_kill(&k, 0, SIGKILL);
        /* It may have been the leader: then the first writes have an unknown outcome. */
        for (int i = 0; i < 3; i++)
            if (wire_put(c, bytes_str("x"), bytes_str("y"), 0, NULL, &e) != RC_OK)
                cr_assert(wire_last(c)->unknown && e.code == RC_NET, "%s", e.why);
        OK(wire_put(c, bytes_str("x"), bytes_str("y"), 0, NULL, &e), &e);
        struct wire_alarm alarm = { m.items[1].id, WIRE_ALARM_NOSPACE };

        OK(wire_alarm_activate(c, alarm, &e), &e);
        OK(wire_alarm_list(c, &alarms, &e), &e);
        cr_assert(alarms.count == 1 && alarms.items[0].member_id == alarm.member_id &&
                      alarms.items[0].type == WIRE_ALARM_NOSPACE,
                  "%s", b->name);
        cr_assert_eq(wire_put(c, bytes_str("x"), bytes_str("y"), 0, NULL, &e), RC_STORAGE,
                     "%s", b->name);
        cr_assert_eq(wire_last(c)->detail, WIRE_NO_SPACE, "%s", b->name);
        OK(wire_alarm_disarm(c, alarm, &e), &e);
        cr_assert_eq(wire_member_remove(c, 0x42, &e), RC_NOTFOUND, "%s: %s", b->name,
                     e.why);
        OK(str_list_add(&urls, "http://127.0.0.1:1", &e), &e);
        enum rc rc = wire_member_add(c, &urls, true, &id, &e);

        cr_assert(rc == RC_OK || wire_last(c)->detail == WIRE_UNHEALTHY, "%s: %s",
                  b->name, e.why);
    }
}

CASE(wire_real, a_lone_survivor_says_no_leader, .timeout = 120)
{
    CLUSTER k = { 0 };
    OWNED(wire_client) c = NULL;
    struct wire_status s = { 0 };
    struct wire_snapshot snap = { 0 };
    struct err e = { 0 };

    cluster_start(&k, cluster_backend("3.5"), &(struct cluster_options){ .members = 3 });
    struct wire_options o = { .endpoints = cluster_endpoint(&k, 2),
                              .command_timeout_ms = 8000 };

    OK(wire_client_new(&o, &c, &e), &e);
    cluster_kill(&k, 0, SIGKILL);
    cluster_kill(&k, 1, SIGKILL);
    cr_assert_eq(wire_put(c, bytes_str("x"), bytes_str("y"), 0, NULL, &e), RC_NET);
    /* Until it has noticed, the write itself times out; afterwards it is refused. */
    cr_assert_eq(wire_put(c, bytes_str("x"), bytes_str("y"), 0, NULL, &e), RC_NET);
    cr_assert_eq(wire_last(c)->detail, WIRE_NO_LEADER, "%s", e.why);
    cr_assert(!wire_last(c)->unknown);
    OK(wire_status_get(c, 0, &s, &e), &e);
    cr_assert(s.leader == 0 && s.errors.count == 1);
    wire_status_clear(&s);
    OK(take_snapshot(c, &snap, &e), &e);
}

CASE(wire_real, plain_http, .timeout = 60)
{
    EACH_BACKEND(b)
    {
        CLUSTER k = { 0 };
        OWNED(wire_client) c = NULL;
        AT_END(buf_clear) struct buf body = { .cap_max = 1 << 20 };
        struct err e = { 0 };
        int status = 0;

        cluster_start(&k, b, &(struct cluster_options){ 0 });
        connect_to(&k, &c);
        OK(wire_http_get(c, 0, "/version", &body, &status, &e), &e);
        cr_assert(status == 200 && memmem(body.p, body.n, "etcdserver", 10) != NULL, "%s",
                  b->name);
        struct buf small = { .cap_max = 8 };

        cr_assert_eq(wire_http_get(c, 0, "/version", &small, &status, &e), RC_CORRUPT);
        buf_clear(&small);
        OK(wire_http_get(c, 0, "/nothing", &body, &status, &e), &e);
        cr_assert_eq(status, 404);
    }
}

static void enable_auth(struct wire_client *c)
{
    struct wire_permission p = { WIRE_READWRITE, bytes_str("app/"), bytes_str("app0") };
    AT_END(str_list_clear) struct str_list names = { 0 };
    AT_END(wire_permissions_clear) struct wire_permissions perms = { 0 };
    struct err e = { 0 };

    OK(wire_user_add(c, "root", "secret", &e), &e);
    OK(wire_role_add(c, "root", &e), &e);
    OK(wire_user_grant(c, "root", "root", &e), &e);
    OK(wire_user_add(c, "app", "app", &e), &e);
    OK(wire_user_add(c, "certonly", NULL, &e), &e);
    OK(wire_role_add(c, "app", &e), &e);
    OK(wire_role_grant(c, "app", &p, &e), &e);
    OK(wire_user_grant(c, "app", "app", &e), &e);
    OK(wire_role_get(c, "app", &perms, &e), &e);
    cr_assert(perms.count == 1 && perms.items[0].access == WIRE_READWRITE &&
              bytes_is(perms.items[0].end, "app0"));
    OK(wire_user_roles(c, "app", &names, &e), &e);
    OK(wire_user_list(c, &names, &e), &e);
    OK(wire_role_list(c, &names, &e), &e);
    cr_assert(names.count == 6 && str_list_has(&names, "certonly"), "%zu", names.count);
    cr_assert_eq(wire_user_add(c, "app", "app", &e), RC_REFUSED, "exists");
    cr_assert_eq(wire_last(c)->detail, WIRE_EXISTS, "%s", e.why);
    cr_assert_eq(wire_user_delete(c, "nobody", &e), RC_NOTFOUND, "%s", e.why);
    OK(wire_auth_enable(c, &e), &e);
}

static struct wire_client *as(const struct cluster *k, const char *user,
                              const char *password)
{
    struct wire_options o = { .endpoints = cluster_endpoints(k),
                              .user = user,
                              .password = give_password };
    struct wire_client *c = NULL;
    struct err e = { 0 };

    memcpy(&o.password_arg, &password, sizeof password);
    OK(wire_client_new(&o, &c, &e), &e);
    return c;
}

CASE(wire_real, authentication, .timeout = 240)
{
    EACH_BACKEND(b)
    {
        CLUSTER k = { 0 };
        OWNED(wire_client) nobody = NULL;
        struct wire_snapshot snap = { 0 };
        struct err e = { 0 };
        bool enabled = false;
        uint64_t revision = 0;

        cluster_start(&k, b, &(struct cluster_options){ 0 });
        connect_to(&k, &nobody);
        OWNED(wire_client) root = as(&k, "root", "secret");
        OWNED(wire_client) app = as(&k, "app", "app");
        OWNED(wire_client) wrong = as(&k, "root", "wrong");

        OK(take_snapshot(root, &snap, &e),
           &e); /* auth is off: the user does not matter */
        enable_auth(nobody);
        cr_assert_eq(take_snapshot(nobody, &snap, &e), RC_AUTH, "%s: %s", b->name, e.why);
        cr_assert_eq(wire_last(nobody)->detail, WIRE_NO_LOGIN, "%s: %s", b->name, e.why);
        cr_assert_str_eq(e.hint, "authentication is on: log in with --user; this call "
                                 "needs a user with role root");
        OK(take_snapshot(root, &snap, &e), &e); /* noticed, logged in, tried again */
        OK(wire_put(app, bytes_str("app/1"), bytes_str("v"), 0, NULL, &e), &e);
        cr_assert_eq(wire_put(app, bytes_str("b"), bytes_str("v"), 0, NULL, &e), RC_AUTH);
        cr_assert_eq(wire_last(app)->detail, WIRE_PERMISSION, "%s: %s", b->name, e.why);
        cr_assert_eq(take_snapshot(app, &snap, &e), RC_AUTH, "%s: %s", b->name, e.why);
        cr_assert_eq(wire_put(wrong, bytes_str("b"), bytes_str("v"), 0, NULL, &e),
                     RC_AUTH);
        cr_assert_eq(wire_last(wrong)->detail, WIRE_LOGIN_FAILED, "%s: %s", b->name,
                     e.why);
        if (b->minor >= 5) {
            OK(wire_auth_status(root, &enabled, &revision, &e), &e);
            cr_assert(enabled && revision > 1, "%s", b->name);
        } else {
            cr_assert_eq(wire_auth_status(root, &enabled, &revision, &e), RC_REFUSED);
            cr_assert_eq(wire_last(root)->detail, WIRE_UNIMPLEMENTED, "%s", e.why);
        }
        /* A restart forgets simple tokens. */
        cluster_kill(&k, 0, SIGTERM);
        cluster_boot(&k, 0);
        for (int i = 0; i < 100; i++) {
            if (wire_put(root, bytes_str("x"), bytes_str("v"), 0, NULL, &e) == RC_OK)
                break;
            usleep(100000);
        }
        OK(wire_put(root, bytes_str("x"), bytes_str("v"), 0, NULL, &e), &e);
        OK(take_snapshot(app, &snap, &e) == RC_AUTH ? RC_OK : RC_INTERNAL, &e);
        OK(wire_user_set_password(root, "app", "new", &e), &e); /* bumps the revision */
        OK(wire_put(root, bytes_str("x"), bytes_str("v"), 0, NULL, &e), &e);
        OK(wire_auth_disable(root, &e), &e);
        OK(take_snapshot(nobody, &snap, &e), &e);
    }
}
