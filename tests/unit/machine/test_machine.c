/* What the flow test cannot reach: entries that nobody sane wrote, memory that runs out,
 * and the rules that differ between versions. Answers are etcd's. */
#include "machine/machine.h"

#include "tests/lib/case.h"
#include "tests/lib/fault.h"
#include "tests/lib/image.h"
#include "tests/unit/machine/mfixture.h"
#include "tests/unit/mvcc/fixture.h"
#include "util/mem.h"

#define NEW_REQUEST(name) \
    Raftreq__InternalRaftRequest name = RAFTREQ__INTERNAL_RAFT_REQUEST__INIT

static ProtobufCBinaryData text(const char *s)
{
    return codec_field(bytes_str(s));
}

static char *writable(const char *s)
{
    return (char *)(uintptr_t)s;
}

/* The request must be taken; its gRPC code. */
static int code_of(struct machine *m, const Raftreq__InternalRaftRequest *r)
{
    AT_END(machine_outcome_end) struct machine_outcome o = { .wants_reply = true };
    struct err e = { 0 };

    OK(machine_request(m, r, &o, &e), &e);
    return o.code;
}

static int put(struct machine *m, const char *key, const char *value, int64_t lease)
{
    Etcdrpc__PutRequest p = ETCDRPC__PUT_REQUEST__INIT;
    NEW_REQUEST(r);

    p.key = text(key);
    p.value = text(value);
    p.lease = lease;
    r.put = &p;
    return code_of(m, &r);
}

static int grant(struct machine *m, int64_t id, int64_t ttl)
{
    Etcdrpc__LeaseGrantRequest g = ETCDRPC__LEASE_GRANT_REQUEST__INIT;
    NEW_REQUEST(r);

    g.id = id;
    g.ttl = ttl;
    r.lease_grant = &g;
    return code_of(m, &r);
}

static int revoke_lease(struct machine *m, int64_t id)
{
    Etcdrpc__LeaseRevokeRequest l = ETCDRPC__LEASE_REVOKE_REQUEST__INIT;
    NEW_REQUEST(r);

    l.id = id;
    r.lease_revoke = &l;
    return code_of(m, &r);
}

static int alarm_to(struct machine *m, Etcdrpc__AlarmAction action, uint64_t member,
                    Etcdrpc__AlarmType type)
{
    Etcdrpc__AlarmRequest a = ETCDRPC__ALARM_REQUEST__INIT;
    NEW_REQUEST(r);

    a.action = action;
    a.member_id = member;
    a.alarm = type;
    r.alarm = &a;
    return code_of(m, &r);
}

/* ---- entries ------------------------------------------------------------------------
 */

static struct buf packed_put(const char *key)
{
    Etcdrpc__PutRequest p = ETCDRPC__PUT_REQUEST__INIT;
    struct buf out = { 0 };
    struct err e = { 0 };
    NEW_REQUEST(r);

    p.key = text(key);
    r.put = &p;
    OK(codec_pack(&r, &out, &e), &e);
    return out;
}

static enum rc apply(struct machine *m, enum wal_entry_type type, uint64_t index,
                     struct bytes data, struct err *e)
{
    const struct wal_entry entry = {
        .type = type, .term = 3, .index = index, .data = data
    };

    return machine_apply(m, &entry, NULL, e);
}

CASE(machine, an_entry_is_applied_once)
{
    AT_END(buf_clear) struct buf entry = packed_put("k");
    const struct bytes data = { entry.p, entry.n };
    OWNED(machine) m = machine_of(6);
    struct err e = { 0 };

    OK(apply(m, WAL_ENTRY_NORMAL, 5, data, &e), &e);
    OK(apply(m, WAL_ENTRY_NORMAL, 5, data, &e), &e);
    OK(apply(m, WAL_ENTRY_NORMAL, 4, data, &e), &e);
    cr_assert_eq(kvstore_revision(machine_kv(m)), 2);
    OK(apply(m, WAL_ENTRY_NORMAL, 6, (struct bytes){ 0 }, &e), &e);
    cr_assert_eq(machine_index(m), 6);
    cr_assert_eq(machine_term(m), 3);
    OK(apply(m, WAL_ENTRY_NORMAL, 7, data, &e), &e);
    cr_assert_eq(kvstore_revision(machine_kv(m)), 3);
}

CASE(machine, an_entry_that_is_none_is_told)
{
    static const struct {
        enum wal_entry_type type;
        const char *data;
        size_t n;
    } bad[] = {
        { WAL_ENTRY_NORMAL, "\xff\xff\xff", 3 },
        { WAL_ENTRY_NORMAL, "\x08\x01", 2 },     /* a request without any */
        { WAL_ENTRY_NORMAL, "\x22\x7f\x0a", 3 }, /* a put cut off */
        { WAL_ENTRY_NORMAL, "\x12\x03PUT\x1a\x0a/0/version\x22\x01x", 20 },
        { WAL_ENTRY_CONF_CHANGE, "\x18\x07", 2 }, /* no context */
        { WAL_ENTRY_CONF_CHANGE, "\x18\x07\x22\x02[]", 6 },
        { WAL_ENTRY_CONF_CHANGE, "\x18\x07\x22\x08{\"id\":8}", 12 },
        { WAL_ENTRY_CONF_CHANGE_V2, "\x08\x00", 2 },
    };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        OWNED(machine) m = machine_of(6);
        struct err e = { 0 };
        const struct bytes data = { (const uint8_t *)bad[i].data, bad[i].n };

        cr_assert_eq(apply(m, bad[i].type, 1, data, &e), RC_CORRUPT, "%zu: %s", i, e.why);
        cr_assert_eq(machine_index(m), 0);
    }
}

CASE(machine, every_beginning_of_an_entry_is_survived)
{
    AT_END(buf_clear) struct buf entry = packed_put("some key");

    for (size_t n = 0; n <= entry.n; n++) {
        OWNED(machine) m = machine_of(6);
        struct err e = { 0 };
        enum rc rc = apply(m, WAL_ENTRY_NORMAL, 1, (struct bytes){ entry.p, n }, &e);

        cr_assert(rc == RC_OK || rc == RC_CORRUPT);
        cr_assert_eq(rc == RC_OK, n == 0 || n == entry.n, "%zu", n);
    }
}

/* ---- leases -------------------------------------------------------------------------
 */

static enum rc note_key(void *arg, struct bytes key, struct err *e)
{
    struct buf *b = arg;

    TRY(buf_add(b, key.p, key.n, e));
    return buf_add(b, " ", 1, e);
}

static void lease_has(const struct machine *m, int64_t id, const char *keys)
{
    AT_END(buf_clear) struct buf b = { 0 };
    struct err e = { 0 };

    OK(machine_lease_keys(m, id, note_key, &b, &e), &e);
    OK(buf_add(&b, "", 1, &e), &e);
    cr_assert_str_eq((const char *)b.p, keys);
}

CASE(machine, a_key_hangs_on_its_last_lease)
{
    OWNED(machine) m = machine_of(6);

    cr_assert_eq(grant(m, 1, 60), 0);
    cr_assert_eq(grant(m, 2, 60), 0);
    cr_assert_eq(put(m, "b", "", 1), 0);
    cr_assert_eq(put(m, "a", "", 1), 0);
    cr_assert_eq(put(m, "c", "", 2), 0);
    cr_assert_eq(put(m, "b", "", 1), 0);
    lease_has(m, 1, "a b ");
    cr_assert_eq(put(m, "b", "", 2), 0);
    cr_assert_eq(put(m, "a", "", 0), 0);
    lease_has(m, 1, "");
    lease_has(m, 2, "b c ");
    cr_assert_eq(revoke_lease(m, 2), 0);
    lease_has(m, 2, "");
    cr_assert_eq(kvstore_revision(machine_kv(m)), 8);
}

CASE(machine, leases_have_their_limits)
{
    OWNED(machine) m = machine_of(6);
    struct machine_lease l;

    cr_assert_eq(grant(m, 0, 60), 5);
    cr_assert_eq(grant(m, 1, INT64_C(9000000001)), 11);
    cr_assert_eq(grant(m, 1, 0), 0);
    cr_assert_eq(grant(m, 1, 60), 9);
    cr_assert(machine_lease_find(m, 1, &l));
    cr_assert_eq(l.ttl, 2);
    cr_assert_eq(put(m, "k", "", 9), 5);
    cr_assert_eq(revoke_lease(m, 9), 5);
    cr_assert(machine_lease_at(m, 0, &l) && !machine_lease_at(m, 1, &l));
}

static void checkpoint(struct machine *m, int64_t id, int64_t remaining)
{
    Etcdrpc__LeaseCheckpoint one = ETCDRPC__LEASE_CHECKPOINT__INIT, *list[] = { &one };
    Etcdrpc__LeaseCheckpointRequest c = ETCDRPC__LEASE_CHECKPOINT_REQUEST__INIT;
    NEW_REQUEST(r);

    one.id = id;
    one.remaining_ttl = remaining;
    c.checkpoints = list;
    c.n_checkpoints = 1;
    r.lease_checkpoint = &c;
    cr_assert_eq(code_of(m, &r), 0);
}

/* In memory always, in the file once all members are 3.6. */
CASE(machine, checkpoints_are_stored_from_3_6_on)
{
    static const char *const versions[] = { "3.5.0", "3.6.0" };

    for (size_t i = 0; i < 2; i++) {
        Memberpb__ClusterVersionSet v;
        OWNED(machine) m = machine_of(6);
        struct machine_lease l;
        struct bytes value;
        struct err e = { 0 };
        bool found;
        NEW_REQUEST(r);

        memberpb__cluster_version_set__init(&v);
        v.ver = writable(versions[i]);
        r.cluster_version_set = &v;
        cr_assert_eq(code_of(m, &r), 0);
        cr_assert_eq(grant(m, 7, 60), 0);
        checkpoint(m, 7, 33);
        checkpoint(m, 8, 33);
        cr_assert(machine_lease_find(m, 7, &l) && l.remaining_ttl == 33);
        OWNED(bolt_file) f = machine_file(m);

        OK(bolt_file_get(f, "lease", bytes_str(""), &value, &found, &e), &e);
        static const uint8_t key[8] = { [7] = 7 };

        OK(bolt_file_get(f, "lease", BYTES_OF(key), &value, &found, &e), &e);
        cr_assert(found && value.n == (i == 0 ? 4 : 6));
    }
}

/* ---- alarms -------------------------------------------------------------------------
 */

CASE(machine, alarms_forbid_what_etcd_forbids)
{
    for (int minor = 4; minor <= 7; minor++) {
        OWNED(machine) m = machine_of(minor);
        struct mvcc_alarm a[4];
        bool old = minor <= 5;

        cr_assert_eq(grant(m, 1, 60), 0);
        cr_assert_eq(alarm_to(m, 1, 42, 1), 0);
        cr_assert_eq(put(m, "k", "", 0), 8);
        cr_assert_eq(grant(m, 2, 60), 8);
        cr_assert_eq(alarm_to(m, 1, 43, 2), 0);
        cr_assert_eq(put(m, "k", "", 0), 15);
        cr_assert_eq(revoke_lease(m, 1), 15);
        cr_assert_eq(machine_alarms(m, a, 4), 2);
        /* Older ones forget the other kind when one ends. */
        cr_assert_eq(alarm_to(m, 2, 43, 2), 0);
        cr_assert_eq(put(m, "k", "", 0), old ? 0 : 8);
        cr_assert(machine_alarm(m, MVCC_ALARM_NOSPACE));
        cr_assert_eq(alarm_to(m, 2, 42, 1), 0);
        cr_assert_eq(put(m, "k", "", 0), 0);
        cr_assert_eq(alarm_to(m, 2, 42, 1), 0);
    }
}

CASE(machine, a_loaded_alarm_counts)
{
    OWNED(machine) before = machine_of(5);
    OWNED(machine) after = machine_of(5);
    struct err e = { 0 };

    cr_assert_eq(alarm_to(before, 1, 42, 1), 0);
    OWNED(bolt_file) f = machine_file(before);

    OK(machine_load(after, f, &e), &e);
    cr_assert_eq(put(after, "k", "", 0), 8);
}

/* ---- what is checked before the log -------------------------------------------------
 */

/* Operations of a transaction in a line: "p:k" puts, "d:k" deletes one key, "d:a-c" a
 * range, "d:a-" all from a on, "r:k" reads; "(" begins a nested one, "/" its failure
 * branch, ")" ends it. */
struct reader {
    const char *at;
    Etcdrpc__RequestOp ops[64];
    Etcdrpc__PutRequest puts[64];
    Etcdrpc__DeleteRangeRequest deletes[64];
    Etcdrpc__RangeRequest ranges[64];
    Etcdrpc__TxnRequest txns[64];
    Etcdrpc__RequestOp *lists[64][8];
    size_t n, lists_n;
};

static Etcdrpc__RequestOp **read_ops(struct reader *s, size_t *count);

static void read_txn(struct reader *s, Etcdrpc__TxnRequest *t)
{
    etcdrpc__txn_request__init(t);
    t->success = read_ops(s, &t->n_success);
    if (*s->at == '/') {
        s->at++;
        t->failure = read_ops(s, &t->n_failure);
    }
}

static ProtobufCBinaryData read_key(struct reader *s)
{
    const char *from = s->at;

    while (*s->at >= 'a' && *s->at <= 'z')
        s->at++;
    return codec_field((struct bytes){ (const uint8_t *)from, (size_t)(s->at - from) });
}

static void read_delete(struct reader *s, Etcdrpc__DeleteRangeRequest *d)
{
    etcdrpc__delete_range_request__init(d);
    d->key = read_key(s);
    if (*s->at != '-')
        return;
    s->at++;
    d->range_end = read_key(s);
    if (d->range_end.len == 0)
        d->range_end = codec_field((struct bytes){ (const uint8_t *)"", 1 });
}

static Etcdrpc__RequestOp *read_op(struct reader *s)
{
    size_t i = s->n++;
    Etcdrpc__RequestOp *op = &s->ops[i];
    char kind = *s->at;

    etcdrpc__request_op__init(op);
    s->at += kind == '(' ? 1 : 2;
    if (kind == 'p') {
        etcdrpc__put_request__init(&s->puts[i]);
        s->puts[i].key = read_key(s);
        op->op_case = ETCDRPC__REQUEST_OP__OP_PUT;
        op->put = &s->puts[i];
    } else if (kind == 'd') {
        read_delete(s, &s->deletes[i]);
        op->op_case = ETCDRPC__REQUEST_OP__OP_DELETE_RANGE;
        op->delete_range = &s->deletes[i];
    } else if (kind == 'r') {
        etcdrpc__range_request__init(&s->ranges[i]);
        s->ranges[i].key = read_key(s);
        op->op_case = ETCDRPC__REQUEST_OP__OP_RANGE;
        op->range = &s->ranges[i];
    } else {
        read_txn(s, &s->txns[i]);
        s->at++; /* ')' */
        op->op_case = ETCDRPC__REQUEST_OP__OP_TXN;
        op->txn = &s->txns[i];
    }
    return op;
}

static Etcdrpc__RequestOp **read_ops(struct reader *s, size_t *count)
{
    Etcdrpc__RequestOp **list = s->lists[s->lists_n++];

    *count = 0;
    while (*s->at != '\0' && *s->at != ')' && *s->at != '/') {
        if (*s->at == ' ')
            s->at++;
        else
            list[(*count)++] = read_op(s);
    }
    return list;
}

static const char *precheck(const char *ops, unsigned most)
{
    struct reader s = { .at = ops };
    struct machine_outcome o = { 0 };
    Etcdrpc__TxnRequest t;
    NEW_REQUEST(r);

    read_txn(&s, &t);
    cr_assert_eq(*s.at, '\0', "%s", ops);
    r.txn = &t;
    machine_precheck(&r, most, &o);
    return o.message;
}

#define DUPLICATE "etcdserver: duplicate key given in txn request"
#define TOO_MANY "etcdserver: too many operations in txn request"

CASE(machine, a_transaction_is_checked_before_the_log)
{
    static const struct {
        const char *ops, *says;
    } rows[] = {
        { "", "" },
        { "p:a p:b r:a", "" },
        { "p:a p:a", DUPLICATE },
        { "p:a / p:a", "" },
        { "p:b d:b", DUPLICATE },
        { "d:b p:b", DUPLICATE },
        { "d:a-c p:c", "" },
        { "d:a-c p:b", DUPLICATE },
        { "d:a- p:b", "" },  /* etcd does not see it */
        { "d:a d:a-b", "" }, /* deletes may overlap */
        { "(p:a) (p:a)", DUPLICATE },
        { "(p:a/p:a)", "" },
        { "(p:a/p:b) p:b", DUPLICATE },
        { "(p:a) d:a", DUPLICATE },
        { "(p:a/d:a)", "" },
        { "(d:a) p:a", DUPLICATE },
        { "(d:a) (p:a)", DUPLICATE },
        { "(p:a) (d:a)", "" }, /* only in this order */
        { "((p:a)) (/(p:a))", DUPLICATE },
        { "(p:a p:a)", DUPLICATE },
        { "/(/p:a d:a)", DUPLICATE },
        { "p:a p:b p:c p:d", "" },
        { "p:a p:b p:c p:d p:e", TOO_MANY },
        { "(p:b (p:c))", "" },
        { "p:a (p:b p:c (p:d))", TOO_MANY },
        { "p:", "etcdserver: key is not provided" },
        { "(/r:)", "etcdserver: key is not provided" },
        { "d:-c", "etcdserver: key is not provided" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        cr_assert_str_eq(precheck(rows[i].ops, 4), rows[i].says, "'%s'", rows[i].ops);
}

/* ---- files --------------------------------------------------------------------------
 */

static void add_bucket(struct bolt_builder *b, const char *name, const char *key,
                       const char *value)
{
    struct err e = { 0 };

    OK(bolt_builder_bucket(b, bytes_str(name), &e), &e);
    OK(bolt_builder_pair(b, bytes_str(key), bytes_str(value), &e), &e);
}

static const char *stored(const struct bolt_file *f, const char *bucket, const char *key)
{
    static char shown[64];
    struct bytes value;
    struct err e = { 0 };
    bool found;

    OK(bolt_file_get(f, bucket, bytes_str(key), &value, &found, &e), &e);
    if (!found)
        return "nothing";
    str_printable(shown, sizeof shown, value);
    return shown;
}

/* What a newer etcd may have added goes through; what an old one lacks is made. */
CASE(machine, keeps_buckets_and_keys_that_nobody_knows)
{
    AT_END(buf_clear) struct buf image = { 0 };
    const struct bolt_target target = image_target(&image);
    const struct bolt_build_options options = { 0 };
    OWNED(bolt_builder) b = NULL;
    OWNED(bolt_file) file = NULL;
    OWNED(machine) m = machine_of(7);
    struct err e = { 0 };
    uint64_t size;

    OK(bolt_builder_new(&target, &options, &b, &e), &e);
    add_bucket(b, "a-first", "k", "1");
    add_bucket(b, "auth", "newKey", "2");
    add_bucket(b, "between", "k", "3");
    add_bucket(b, "meta", "newKey", "4");
    add_bucket(b, "zz", "k", "5");
    OK(bolt_builder_finish(b, &size, &e), &e);
    OK(image_open((struct bytes){ image.p, image.n }, NULL, &file, &e), &e);
    OK(machine_load(m, file, &e), &e);
    OWNED(bolt_file) made = machine_file(m);

    cr_assert_str_eq(stored(made, "a-first", "k"), "1");
    cr_assert_str_eq(stored(made, "auth", "newKey"), "2");
    cr_assert_str_eq(stored(made, "between", "k"), "3");
    cr_assert_str_eq(stored(made, "meta", "newKey"), "4");
    cr_assert_str_eq(stored(made, "zz", "k"), "5");
    cr_assert_str_eq(stored(made, "auth", MVCC_AUTH_REVISION),
                     "\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x01");
    cr_assert_str_eq(stored(made, "members", "k"), "nothing");
}

CASE(machine, refuses_a_file_that_no_server_could_read)
{
    static const struct {
        enum mvcc_bucket bucket;
        const char *key, *value;
    } bad[] = {
        { MVCC_META, "consistent_index", "short" },
        { MVCC_AUTH, "authEnabled", "7" },
        { MVCC_AUTH_USERS, "u", "\x0a\x01v" },
        { MVCC_AUTH_ROLES, "r", "\xff" },
        { MVCC_MEMBERS, "a", "{}" },
        { MVCC_CLUSTER, "clusterVersion", "old" },
        { MVCC_ALARM, "\x0a", "" },
        { MVCC_LEASE, "lease", "" },
        { MVCC_KEY, "no revision", "" },
    };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct database db = { 0 };
        OWNED(bolt_file) file = NULL;
        OWNED(machine) m = machine_of(6);
        struct err e = { 0 };

        pairs_text(&db.buckets[bad[i].bucket], bad[i].key, bad[i].value);
        AT_END(buf_clear) struct buf image = database_image(&db);

        database_clear(&db);
        OK(image_open((struct bytes){ image.p, image.n }, NULL, &file, &e), &e);
        cr_assert_eq(machine_load(m, file, &e), RC_CORRUPT, "%zu", i);
        cr_assert_not_null(strstr(e.what, mvcc_bucket_name(bad[i].bucket)), "%zu: %s", i,
                           e.what);
    }
}

/* ---- memory -------------------------------------------------------------------------
 */

/* Users, roles and a version. */
static enum rc manage(struct machine *m, struct machine_outcome *o, struct err *e)
{
    Etcdrpc__UserGrantRoleRequest grants;
    Etcdrpc__RoleGrantPermissionRequest permits;
    Authpb__Permission permission = AUTHPB__PERMISSION__INIT;
    Etcdrpc__RoleDeleteRequest deletes;
    Memberpb__ClusterVersionSet version;
    NEW_REQUEST(r);

    etcdrpc__user_grant_role_request__init(&grants);
    grants.user = writable("u");
    grants.role = writable("root");
    r.user_grant_role = &grants;
    TRY(machine_request(m, &r, o, e));
    r.user_grant_role = NULL;
    etcdrpc__role_grant_permission_request__init(&permits);
    permits.name = writable("r");
    permits.perm = &permission;
    permission.key = text("key");
    r.role_grant_permission = &permits;
    TRY(machine_request(m, &r, o, e));
    r.role_grant_permission = NULL;
    etcdrpc__role_delete_request__init(&deletes);
    deletes.role = writable("r");
    r.role_delete = &deletes;
    TRY(machine_request(m, &r, o, e));
    r.role_delete = NULL;
    memberpb__cluster_version_set__init(&version);
    version.ver = writable("3.6.0");
    r.cluster_version_set = &version;
    return machine_request(m, &r, o, e);
}

/* Reads, compares, changes and sorts. */
static enum rc transact(struct machine *m, struct machine_outcome *o, struct err *e)
{
    Etcdrpc__Compare c = ETCDRPC__COMPARE__INIT, *compares[] = { &c };
    Etcdrpc__DeleteRangeRequest d = ETCDRPC__DELETE_RANGE_REQUEST__INIT;
    Etcdrpc__RangeRequest g = ETCDRPC__RANGE_REQUEST__INIT;
    Etcdrpc__RequestOp a = ETCDRPC__REQUEST_OP__INIT, b = a, *ops[] = { &a, &b };
    Etcdrpc__TxnRequest t = ETCDRPC__TXN_REQUEST__INIT;
    NEW_REQUEST(r);

    c.key = d.key = g.key = text("a");
    c.result = ETCDRPC__COMPARE_RESULT__CMP_NOT_EQUAL;
    d.range_end = g.range_end = text("z");
    d.prev_kv = true;
    g.sort_target = ETCDRPC__SORT_TARGET__BY_MOD;
    g.keys_only = true;
    a.op_case = ETCDRPC__REQUEST_OP__OP_RANGE;
    a.range = &g;
    b.op_case = ETCDRPC__REQUEST_OP__OP_DELETE_RANGE;
    b.delete_range = &d;
    t.compare = compares;
    t.n_compare = 1;
    t.success = ops;
    t.n_success = 2;
    r.txn = &t;
    return machine_request(m, &r, o, e);
}

static enum rc live(const struct bolt_file *file, struct err *e)
{
    static const char member[] =
        "{\"id\":9,\"peerURLs\":[\"http://x\"],\"isLearner\":true}";
    const struct machine_options options = { .minor = 6 };
    const struct wal_change change = { .node_id = 9,
                                       .type = WAL_CHANGE_ADD_LEARNER,
                                       .context = bytes_str(member) };
    AT_END(machine_outcome_end) struct machine_outcome o = { .wants_reply = true };
    Etcdrpc__PutRequest p = ETCDRPC__PUT_REQUEST__INIT;
    Etcdrpc__LeaseGrantRequest g = ETCDRPC__LEASE_GRANT_REQUEST__INIT;
    OWNED(machine) m = NULL;
    NEW_REQUEST(r);

    TRY(machine_new(&options, &m, e));
    TRY(machine_load(m, file, e));
    r.lease_grant = &g;
    g.id = 1234;
    TRY(machine_request(m, &r, &o, e));
    r.lease_grant = NULL;
    r.put = &p;
    p.key = text("k");
    p.lease = 1234;
    TRY(machine_request(m, &r, &o, e));
    TRY(transact(m, &o, e));
    TRY(manage(m, &o, e));
    return machine_change(m, &change, &o, e);
}

CASE(machine, survives_every_failing_allocation)
{
    struct database db = { 0 };
    struct err e = { 0 };

    database_meta(&db, -1, -1);
    database_change(&db, &(struct change){ 2, 0, "a", 2, 1, 5, "v" });
    pairs_add(&db.buckets[MVCC_LEASE], BYTES_OF(((uint8_t[8]){ [7] = 5 })),
              bytes_str("\x08\x05\x10\x3c"));
    pairs_text(&db.buckets[MVCC_AUTH_USERS], "u", "\x0a\x01u\x12\x01p\x1a\x01r");
    pairs_text(&db.buckets[MVCC_AUTH_ROLES], "r", "\x0a\x01r\x12\x03\x12\x01k");
    AT_END(buf_clear) struct buf image = database_image(&db);
    OWNED(bolt_file) file = NULL;

    database_clear(&db);
    OK(image_open((struct bytes){ image.p, image.n }, NULL, &file, &e), &e);
    OK(live(file, &e), &e);
    FAULT_SWEEP(FAULT_ALLOC, nth, 0) {
        enum rc rc = live(file, &e);

        cr_assert(rc == RC_OK || rc == RC_NOMEM, "%u: %s", nth, e.why);
    }
}
