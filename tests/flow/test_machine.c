/* The state machine against the real one: the same requests get the same answers, and
 * the same log makes the same database. Seeds are fixed; HOLDFAST_LONG=1 tries more. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "boltdb/file.h"
#include "codec/pb.h"
#include "tests/flow/flow.h"
#include "tests/flow/requests.h"
#include "tests/unit/machine/mfixture.h"
#include "wire/auth.h"
#include "wire/call.h"
#include "wire/cluster.h"
#include "wire/kv.h"
#include "wire/lease.h"
#include "wire/maintenance.h"

enum { REQUESTS = 300, SEEDS_LONG = 20, MAX_TXN_OPS = 128 };

/* ---- one request, twice -------------------------------------------------------------
 */

enum { ROOT, ALICE, BOB, CALLERS };
static const char *const names[CALLERS] = { "root", "alice", "bob" };

struct twins {
    struct machine *m;
    struct wire_client *clients[CALLERS]; /* without authentication all the same */
    unsigned caller;
    bool auth;
    const char *what;
    unsigned n, refused;
};

/* Generated structs want writable strings and never write them. */
static char *writable(const char *s)
{
    return (char *)(uintptr_t)s;
}

/* Those with strings have no constant to begin with. */
#define MESSAGE(type, prefix, name) \
    type name;                      \
    prefix##__init(&(name))

static struct bytes without_header(const struct buf *packed)
{
    struct pb_reader r = pb_reader_of((struct bytes){ packed->p, packed->n });
    struct pb_field f;

    cr_assert(pb_next(&r, &f) && f.tag == PB_TAG(1, PB_BYTES));
    return (struct bytes){ r.at, (size_t)(r.end - r.at) };
}

/* What a server does: refuse at once, answer from the state, or put it into the log. */
static void ours(struct twins *t, Raftreq__InternalRaftRequest *r,
                 struct machine_outcome *o)
{
    MESSAGE(Raftreq__RequestHeader, raftreq__request_header, header);
    struct err e = { 0 };
    enum rc rc;

    if (t->auth) {
        header.username = writable(names[t->caller]);
        header.auth_revision = machine_auth_revision(t->m);
        r->header = &header;
    }
    machine_precheck(r, MAX_TXN_OPS, o);
    if (o->code == 0) {
        rc = machine_query(t->m, r, o, &e);
        if (rc == RC_REFUSED)
            rc = machine_request(t->m, r, o, &e);
        cr_assert_eq(rc, RC_OK, "%s: request %u: %s", t->what, t->n, e.why);
    }
    r->header = NULL;
}

static void same_bytes(const struct twins *t, const char *method, struct bytes a,
                       struct bytes b)
{
    char shown[2][400];

    str_printable(shown[0], sizeof shown[0], a);
    str_printable(shown[1], sizeof shown[1], b);
    cr_assert(bytes_equal(a, b), "%s: request %u, %s: we answer\n%s\nand etcd\n%s",
              t->what, t->n, method, shown[0], shown[1]);
}

static void both(struct twins *t, const char *method, const void *request,
                 const ProtobufCMessageDescriptor *reply, Raftreq__InternalRaftRequest *r)
{
    AT_END(machine_outcome_end) struct machine_outcome o = { .wants_reply = true };
    AT_END(codec_end) void *answer = NULL;
    AT_END(buf_clear) struct buf packed = { 0 };
    const struct wire_call call = { .method = method,
                                    .request = request,
                                    .reply = reply,
                                    .endpoint = WIRE_ANY,
                                    .role = WIRE_ROOT,
                                    .writes = true };
    struct wire_client *c = t->clients[t->auth ? t->caller : ROOT];
    struct wire_header h;
    struct err e = { 0 };

    t->n++;
    enum rc rc = wire_call(c, &call, &answer, &h, &e);

    ours(t, r, &o);
    cr_assert_eq(rc == RC_OK, o.code == 0,
                 "%s: request %u, %s: we say '%s', etcd %d '%s' (%s)", t->what, t->n,
                 method, o.message, wire_last(c)->grpc_code, wire_last(c)->message,
                 e.why);
    if (rc != RC_OK) {
        t->refused++;
        cr_assert_eq(wire_last(c)->grpc_code, o.code, "%s: request %u, %s", t->what, t->n,
                     method);
        cr_assert_str_eq(wire_last(c)->message, o.message, "%s: request %u, %s", t->what,
                         t->n, method);
        return;
    }
    OK(codec_pack(answer, &packed, &e), &e);
    same_bytes(t, method, (struct bytes){ o.reply.p, o.reply.n },
               without_header(&packed));
    cr_assert_eq(h.revision, o.revision, "%s: request %u, %s", t->what, t->n, method);
}

/* The request in its field, and sent as METHOD. */
#define BOTH(t, method, message, reply, field)                                  \
    do {                                                                        \
        Raftreq__InternalRaftRequest r_ = RAFTREQ__INTERNAL_RAFT_REQUEST__INIT; \
        __auto_type message_ = (message);                                       \
        r_.field = message_;                                                    \
        both((t), method, message_, &reply##__descriptor, &r_);                 \
    } while (0)

/* The patch release that serves, as versions differ in small ways. */
static unsigned patch_of(struct wire_client *c)
{
    AT_END(wire_status_clear) struct wire_status s = { 0 };
    unsigned patch;
    struct err e = { 0 };

    OK(wire_status_get(c, 0, &s, &e), &e);
    cr_assert_eq(sscanf(s.version, "3.%*u.%u", &patch), 1, "%s", s.version);
    return patch;
}

/* ---- random requests ----------------------------------------------------------------
 */

static uint32_t below(struct requests *p, uint32_t n)
{
    return history_below(&p->random, n);
}

static ProtobufCBinaryData text(const char *s)
{
    return codec_field(bytes_str(s));
}

static void grant_lease(struct twins *t, int64_t id, int64_t ttl)
{
    Etcdrpc__LeaseGrantRequest r = ETCDRPC__LEASE_GRANT_REQUEST__INIT;

    r.id = id;
    r.ttl = ttl;
    BOTH(t, "Lease/LeaseGrant", &r, etcdrpc__lease_grant_response, lease_grant);
}

static void revoke_lease(struct twins *t, int64_t id)
{
    Etcdrpc__LeaseRevokeRequest r = ETCDRPC__LEASE_REVOKE_REQUEST__INIT;

    r.id = id;
    BOTH(t, "Lease/LeaseRevoke", &r, etcdrpc__lease_revoke_response, lease_revoke);
}

static void compact(struct twins *t, struct requests *p)
{
    Etcdrpc__CompactionRequest r = ETCDRPC__COMPACTION_REQUEST__INIT;
    unsigned caller = t->caller;

    t->caller = ROOT;
    r.revision = p->head - 8 + (int64_t)below(p, 10);
    BOTH(t, "KV/Compact", &r, etcdrpc__compaction_response, compaction);
    t->caller = caller;
}

static void any_request(struct twins *t, struct requests *p)
{
    requests_begin(p);
    p->head = kvstore_revision(machine_kv(t->m));
    t->caller = below(p, CALLERS);
    switch (below(p, 16)) {
    case 0:
        grant_lease(t, 1 + below(p, REQUESTS_LEASES), 3600);
        break;
    case 1:
        revoke_lease(t, 1 + below(p, REQUESTS_LEASES));
        break;
    case 2:
        compact(t, p);
        break;
    case 3:
    case 4:
    case 5:
        BOTH(t, "KV/Range", requests_range(p), etcdrpc__range_response, range);
        break;
    case 6:
    case 7:
    case 8:
        BOTH(t, "KV/Put", requests_put(p), etcdrpc__put_response, put);
        break;
    case 9:
        BOTH(t, "KV/DeleteRange", requests_delete(p), etcdrpc__delete_range_response,
             delete_range);
        break;
    default:
        BOTH(t, "KV/Txn", requests_txn(p, 2), etcdrpc__txn_response, txn);
        break;
    }
}

/* Of the revision of a compaction servers tell what they hashed on its way, so one more
 * put leads away from there; and 0 may have been one. */
static void same_hash(struct twins *t)
{
    Etcdrpc__PutRequest last = ETCDRPC__PUT_REQUEST__INIT;
    struct mvcc_hashkv h;
    struct err e = { 0 };

    t->caller = ROOT;
    last.key = text("z");
    BOTH(t, "KV/Put", &last, etcdrpc__put_response, put);
    OK(kvstore_hashkv(machine_kv(t->m), 0, &h, &e), &e);
    struct flow_hash theirs = flow_hashkv(t->clients[ROOT], 0, h.revision);

    cr_assert(h.hash == theirs.hash && h.compact_revision == theirs.compact,
              "%s: %u (%" PRId64 "), and theirs %u (%" PRId64 ")", t->what, h.hash,
              h.compact_revision, theirs.hash, theirs.compact);
}

static void many_requests(struct twins *t, uint64_t seed)
{
    static struct requests p;

    p = (struct requests){ .random = { seed }, .upright = t->auth };
    for (unsigned i = 0; i < REQUESTS; i++)
        any_request(t, &p);
    same_hash(t);
    cr_assert_gt(t->refused, 10, "%s: %u requests", t->what, t->refused);
}

EACH_ETCD(machine, answers_as_the_server_does)
{
    unsigned seeds = getenv("HOLDFAST_LONG") == NULL ? 1 : SEEDS_LONG;

    for (uint64_t seed = 1; seed <= seeds; seed++) {
        OWNED(wire_client) c = NULL;
        CLUSTER k = { 0 };
        char what[64];

        snprintf(what, sizeof what, "%s, seed %" PRIu64, b->name, seed);
        cluster_start(&k, b, NULL);
        flow_connect(&k, &c);
        OWNED(machine) m = machine_of_patch(b->minor, patch_of(c));
        struct twins t = { .m = m, .clients = { c, c, c }, .what = what };

        many_requests(&t, seed);
    }
}

/* ---- with authentication ------------------------------------------------------------
 */

/* The server hashes the password itself; nobody compares the hashes here. */
static void add_user(struct twins *t, const char *name)
{
    MESSAGE(Etcdrpc__UserAddRequest, etcdrpc__user_add_request, r);
    Raftreq__InternalRaftRequest internal = RAFTREQ__INTERNAL_RAFT_REQUEST__INIT;
    MESSAGE(Etcdrpc__UserAddRequest, etcdrpc__user_add_request, hashed);

    r.name = hashed.name = writable(name);
    r.password = writable("pw");
    hashed.hashed_password = writable("aGFzaA==");
    internal.user_add = &hashed;
    both(t, "Auth/UserAdd", &r, &etcdrpc__header_only_response__descriptor, &internal);
}

static void add_role(struct twins *t, const char *name)
{
    MESSAGE(Etcdrpc__RoleAddRequest, etcdrpc__role_add_request, r);

    r.name = writable(name);
    BOTH(t, "Auth/RoleAdd", &r, etcdrpc__header_only_response, role_add);
}

static void grant_role(struct twins *t, const char *user, const char *role)
{
    MESSAGE(Etcdrpc__UserGrantRoleRequest, etcdrpc__user_grant_role_request, r);

    r.user = writable(user);
    r.role = writable(role);
    BOTH(t, "Auth/UserGrantRole", &r, etcdrpc__header_only_response, user_grant_role);
}

static void revoke_role(struct twins *t, const char *user, const char *role)
{
    MESSAGE(Etcdrpc__UserRevokeRoleRequest, etcdrpc__user_revoke_role_request, r);

    r.name = writable(user);
    r.role = writable(role);
    BOTH(t, "Auth/UserRevokeRole", &r, etcdrpc__header_only_response, user_revoke_role);
}

static void permit(struct twins *t, const char *role, Authpb__PermKind kind,
                   const char *key, struct bytes end)
{
    MESSAGE(Etcdrpc__RoleGrantPermissionRequest, etcdrpc__role_grant_permission_request,
            r);
    Authpb__Permission p = AUTHPB__PERMISSION__INIT;

    p.kind = kind;
    p.key = text(key);
    p.range_end = codec_field(end);
    r.name = writable(role);
    r.perm = &p;
    BOTH(t, "Auth/RoleGrantPermission", &r, etcdrpc__header_only_response,
         role_grant_permission);
}

static void forbid(struct twins *t, const char *role, const char *key, const char *end)
{
    MESSAGE(Etcdrpc__RoleRevokePermissionRequest, etcdrpc__role_revoke_permission_request,
            r);

    r.role = writable(role);
    r.key = text(key);
    r.range_end = text(end);
    BOTH(t, "Auth/RoleRevokePermission", &r, etcdrpc__header_only_response,
         role_revoke_permission);
}

static void look_at(struct twins *t, const char *user, const char *role)
{
    MESSAGE(Etcdrpc__UserGetRequest, etcdrpc__user_get_request, u);
    MESSAGE(Etcdrpc__RoleGetRequest, etcdrpc__role_get_request, r);
    Etcdrpc__UserListRequest users = ETCDRPC__USER_LIST_REQUEST__INIT;
    Etcdrpc__RoleListRequest roles = ETCDRPC__ROLE_LIST_REQUEST__INIT;

    u.name = writable(user);
    r.role = writable(role);
    BOTH(t, "Auth/UserGet", &u, etcdrpc__user_get_response, user_get);
    BOTH(t, "Auth/RoleGet", &r, etcdrpc__role_get_response, role_get);
    BOTH(t, "Auth/UserList", &users, etcdrpc__user_list_response, user_list);
    BOTH(t, "Auth/RoleList", &roles, etcdrpc__role_list_response, role_list);
}

static void set_up_users(struct twins *t)
{
    static const char *const users[] = { "alice", "root", "bob", "alice", "" };
    static const char *const roles[] = {
        "root", "reader", "writer", "all", "reader", ""
    };
    Etcdrpc__AuthEnableRequest on = ETCDRPC__AUTH_ENABLE_REQUEST__INIT;
    const struct bytes from_on = { (const uint8_t *)"", 1 };

    BOTH(t, "Auth/AuthEnable", &on, etcdrpc__header_only_response, auth_enable);
    for (size_t i = 0; i < 5; i++)
        add_user(t, users[i]);
    BOTH(t, "Auth/AuthEnable", &on, etcdrpc__header_only_response, auth_enable);
    for (size_t i = 0; i < 6; i++)
        add_role(t, roles[i]);
    permit(t, "reader", AUTHPB__PERM_KIND__PERM_READ, "b/1", bytes_str("b/3"));
    permit(t, "reader", AUTHPB__PERM_KIND__PERM_READ, "b/3", bytes_str("c"));
    permit(t, "reader", AUTHPB__PERM_KIND__PERM_READ, "a", bytes_str(""));
    permit(t, "reader", AUTHPB__PERM_KIND__PERM_READ, "a", bytes_str("a0"));
    permit(t, "reader", AUTHPB__PERM_KIND__PERM_READ, "x", bytes_str("c"));
    permit(t, "writer", AUTHPB__PERM_KIND__PERM_WRITE, "a", bytes_str("c"));
    permit(t, "writer", AUTHPB__PERM_KIND__PERM_READWRITE, "d/1", bytes_str(""));
    permit(t, "all", AUTHPB__PERM_KIND__PERM_READWRITE, "b", from_on);
    permit(t, "nobody", AUTHPB__PERM_KIND__PERM_READWRITE, "b", from_on);
    grant_role(t, "alice", "writer");
    grant_role(t, "alice", "reader");
    grant_role(t, "alice", "reader");
    grant_role(t, "alice", "nobody");
    grant_role(t, "nobody", "reader");
    grant_role(t, "bob", "all");
    grant_role(t, "root", "root");
    look_at(t, "alice", "reader");
    BOTH(t, "Auth/AuthEnable", &on, etcdrpc__header_only_response, auth_enable);
}

static void change_users(struct twins *t)
{
    MESSAGE(Etcdrpc__UserDeleteRequest, etcdrpc__user_delete_request, user);
    MESSAGE(Etcdrpc__RoleDeleteRequest, etcdrpc__role_delete_request, role);

    for (t->caller = 0; t->caller < CALLERS; t->caller++) {
        look_at(t, "alice", "reader");
        look_at(t, "bob", "root");
        look_at(t, "carol", "nobody");
        forbid(t, "reader", "b/3", "c");
        forbid(t, "reader", "b/4", "c");
        forbid(t, "nobody", "b/3", "c");
        revoke_role(t, "root", "root");
        revoke_role(t, "bob", "reader");
        revoke_role(t, "carol", "reader");
        permit(t, "all", AUTHPB__PERM_KIND__PERM_READ, "a", bytes_str("a0"));
        role.role = writable("root");
        BOTH(t, "Auth/RoleDelete", &role, etcdrpc__header_only_response, role_delete);
        user.name = writable("root");
        BOTH(t, "Auth/UserDelete", &user, etcdrpc__header_only_response, user_delete);
    }
    t->caller = ROOT;
    role.role = writable("writer");
    BOTH(t, "Auth/RoleDelete", &role, etcdrpc__header_only_response, role_delete);
    look_at(t, "alice", "writer");
}

static void turn_off(struct twins *t)
{
    Etcdrpc__AuthDisableRequest off = ETCDRPC__AUTH_DISABLE_REQUEST__INIT;

    t->caller = ALICE;
    BOTH(t, "Auth/AuthDisable", &off, etcdrpc__header_only_response, auth_disable);
    t->caller = ROOT;
    BOTH(t, "Auth/AuthDisable", &off, etcdrpc__header_only_response, auth_disable);
    cr_assert(!machine_auth_enabled(t->m));
}

EACH_ETCD(machine, permits_what_the_server_permits)
{
    OWNED(wire_client) plain = NULL;
    OWNED(wire_client) root = NULL;
    OWNED(wire_client) alice = NULL;
    OWNED(wire_client) bob = NULL;
    CLUSTER k = { 0 };

    cluster_start(&k, b, NULL);
    flow_connect(&k, &plain);
    OWNED(machine) m = machine_of_patch(b->minor, patch_of(plain));
    struct twins t = { .m = m, .clients = { plain }, .what = b->name };

    set_up_users(&t);
    k.user = "root:pw";
    flow_connect(&k, &root);
    k.user = "alice:pw";
    flow_connect(&k, &alice);
    k.user = "bob:pw";
    flow_connect(&k, &bob);
    t = (struct twins){
        .m = m, .clients = { root, alice, bob }, .auth = true, .what = b->name
    };
    many_requests(&t, 7);
    change_users(&t);
    many_requests(&t, 8);
    turn_off(&t);
}

/* ---- the log ------------------------------------------------------------------------
 */

enum { ENTRIES = 60 };

/* Members of 3.4 salt their hashes of passwords each for itself: take theirs. */
struct hashes {
    const struct bolt_file *theirs;
};

static enum rc hash_as_theirs(void *arg, const char *password, struct buf *out,
                              struct err *e)
{
    const struct hashes *h = arg;
    AT_END(codec_end) Authpb__User *user = NULL;
    struct bytes value;
    bool found;

    /* In these tests everybody's password is "pw-" and the name. */
    cr_assert_eq(strncmp(password, "pw-", 3), 0);
    TRY(bolt_file_get(h->theirs, "authUsers", bytes_str(password + 3), &value, &found,
                      e));
    if (!found)
        return RC_OK;
    TRY(codec_unpack(&authpb__user__descriptor, value, &user, e));
    return buf_add(out, user->password.data, user->password.len, e);
}

static void grow(struct wire_client *c)
{
    struct history_random r = { 5 };
    struct wire_lease lease = { 0 };
    struct err e = { 0 };

    history_grow(c, &r, ENTRIES, 4);
    OK(wire_compact(c, history_revision(c) - 20, true, &e), &e);
    OK(wire_lease_grant(c, 77, 1, &lease, &e), &e);
    OK(wire_put(c, bytes_str("leased/2"), bytes_str("v"), 77, NULL, &e), &e);
    OK(wire_put(c, bytes_str("leased/1"), bytes_str("v"), 77, NULL, &e), &e);
    OK(wire_lease_revoke(c, 77, &e), &e);
    OK(wire_lease_grant(c, 78, 3600, &lease, &e), &e);
    OK(wire_put(c, bytes_str("leased/3"), bytes_str("v"), 78, NULL, &e), &e);
}

static void change_members(struct cluster *k, struct wire_client *c)
{
    AT_END(str_list_clear) struct str_list urls = { 0 };
    AT_END(str_list_clear) struct str_list other = { 0 };
    AT_END(str_list_clear) struct str_list third = { 0 };
    struct err e = { 0 };
    uint64_t id;

    (void)k;
    OK(str_list_add(&urls, "http://127.0.0.1:1", &e), &e);
    OK(str_list_add(&other, "http://127.0.0.1:2", &e), &e);
    OK(str_list_add(&third, "http://127.0.0.1:3", &e), &e);
    OK(wire_member_add(c, &urls, true, &id, &e), &e);
    OK(wire_member_update(c, id, &other, &e), &e);
    OK(wire_member_remove(c, id, &e), &e);
    OK(wire_member_add(c, &third, true, &id, &e), &e);
}

static void raise_alarms(struct wire_client *c)
{
    struct wire_alarm nospace = { 42, WIRE_ALARM_NOSPACE };
    struct wire_alarm corrupt = { 43, WIRE_ALARM_CORRUPT };
    int64_t deleted;
    struct wire_lease lease = { 0 };
    struct err e = { 0 };

    OK(wire_alarm_activate(c, nospace, &e), &e);
    cr_assert_neq(wire_put(c, bytes_str("full"), bytes_str("v"), 0, NULL, &e), RC_OK);
    cr_assert_neq(wire_lease_grant(c, 79, 60, &lease, &e), RC_OK);
    OK(wire_delete(c, bytes_str("h/0001"), bytes_str("h/0009"), &deleted, NULL, &e), &e);
    OK(wire_alarm_activate(c, corrupt, &e), &e);
    cr_assert_neq(wire_delete(c, bytes_str("h"), bytes_str("i"), &deleted, NULL, &e),
                  RC_OK);
    OK(wire_alarm_disarm(c, nospace, &e), &e);
    (void)wire_put(c, bytes_str("perhaps"), bytes_str("v"), 0, NULL, &e);
    OK(wire_alarm_disarm(c, corrupt, &e), &e);
    OK(wire_put(c, bytes_str("again"), bytes_str("v"), 0, NULL, &e), &e);
    OK(wire_alarm_activate(c, nospace, &e), &e);
}

static void manage_users(struct cluster *k, struct wire_client *c)
{
    const struct wire_permission p = { WIRE_READWRITE, bytes_str("h/"), bytes_str("h0") };
    OWNED(wire_client) alice = NULL;
    OWNED(wire_client) root = NULL;
    struct err e = { 0 };

    OK(wire_user_add(c, "root", "pw-root", &e), &e);
    OK(wire_user_add(c, "alice", "pw-alice", &e), &e);
    OK(wire_user_add(c, "certified", NULL, &e), &e);
    OK(wire_role_add(c, "root", &e), &e);
    OK(wire_role_add(c, "h", &e), &e);
    OK(wire_role_grant(c, "h", &p, &e), &e);
    OK(wire_user_grant(c, "root", "root", &e), &e);
    OK(wire_user_grant(c, "alice", "h", &e), &e);
    OK(wire_auth_enable(c, &e), &e);
    k->user = "alice:pw-alice";
    flow_connect(k, &alice);
    OK(wire_put(alice, bytes_str("h/alice"), bytes_str("v"), 0, NULL, &e), &e);
    cr_assert_neq(wire_put(alice, bytes_str("x"), bytes_str("v"), 0, NULL, &e), RC_OK);
    cr_assert_neq(wire_user_delete(alice, "root", &e), RC_OK);
    k->user = "root:pw-root";
    flow_connect(k, &root);
    OK(wire_user_set_password(root, "alice", "pw-alice", &e), &e);
    OK(wire_put(root, bytes_str("x"), bytes_str("v"), 0, NULL, &e), &e);
    OK(wire_role_delete(root, "h", &e), &e);
    raise_alarms(root);
    OK(wire_auth_disable(root, &e), &e);
    k->user = NULL;
}

EACH_ETCD(machine, makes_of_the_log_what_the_server_made)
{
    OWNED(bolt_file) theirs = NULL;
    OWNED(wire_client) c = NULL;
    OWNED(machine) m = NULL;
    CLUSTER k = { 0 };
    struct hashes hashes = { 0 };
    struct machine_options options = { .minor = b->minor,
                                       .hash_password = hash_as_theirs,
                                       .hash_arg = &hashes };
    struct err e = { 0 };
    char path[600];

    cluster_start(&k, b, NULL);
    flow_connect(&k, &c);
    options.patch = patch_of(c);
    grow(c);
    change_members(&k, c);
    manage_users(&k, c);
    usleep(600 * 1000); /* it commits every 100 ms */
    cluster_kill(&k, 0, SIGKILL);
    snprintf(path, sizeof path, "%s/member/snap/db", k.members[0].data_dir);
    OK(bolt_file_open(path, NULL, &theirs, &e), &e);
    hashes.theirs = theirs;
    OK(machine_new(&options, &m, &e), &e);
    snprintf(path, sizeof path, "%s/member/wal", k.members[0].data_dir);
    replay(m, path, index_in(theirs));
    OWNED(bolt_file) made = machine_file(m);

    same_files(made, theirs, NULL, b->name);
}
