#include "raftstore/serve.h"

#include <inttypes.h>
#include <stdio.h>

#include "codec/message.h"
#include "codec/pb.h"
#include "crypto/tls_engine.h"
#include "raftstore/node_priv.h"
#include "util/mem.h"

/* ---- before a call ---------------------------------------------------------------- */

static struct refusal_text identify(struct node *n, struct grpcd_call *call,
                                    unsigned gates, struct caller *who)
{
    const char *token = grpcd_meta(call, "token");
    const char *name = grpcd_peer_name(call);
    bool bare = (gates & GATE_BARE) != 0 && n->o.minor <= 5;

    *who = (struct caller){ 0 };
    if (!machine_auth_enabled(n->fsm.machine))
        return (struct refusal_text){ 0 };
    if (token == NULL)
        token = grpcd_meta(call, "authorization");
    who->revision = machine_auth_revision(n->fsm.machine);
    if (token != NULL) {
        who->user = machine_token_user(n->fsm.machine, token);
        if (who->user == NULL)
            return (struct refusal_text){ GRPCD_UNAUTHENTICATED,
                                          "etcdserver: invalid auth token" };
        tokens_touch(n, token);
    } else if (name != NULL && n->o.client_cert_auth) {
        who->user = name;
    }
    if ((gates & (GATE_ROOT | GATE_USER)) != 0 && who->user == NULL)
        return bare ? (struct refusal_text){ GRPCD_UNKNOWN, "auth: user name is empty" }
                    : (struct refusal_text){ GRPCD_INVALID_ARGUMENT,
                                             "etcdserver: user name is empty" };
    if ((gates & GATE_ROOT) != 0 && !machine_is_root(n->fsm.machine, who->user))
        return bare ? (struct refusal_text){ GRPCD_UNKNOWN, "auth: permission denied" }
                    : (struct refusal_text){ GRPCD_PERMISSION_DENIED,
                                             "etcdserver: permission denied" };
    return (struct refusal_text){ 0 };
}

struct refusal_text serve_gate(struct node *n, struct grpcd_call *call, unsigned gates,
                               struct caller *who)
{
    const char *has_leader = grpcd_meta(call, "hasleader");

    if (n->stopping)
        return (struct refusal_text){ GRPCD_UNAVAILABLE, "etcdserver: server stopped" };
    if ((gates & GATE_LEARNER) == 0 && node_is_learner(n))
        return (struct refusal_text){ GRPCD_FAILED_PRECONDITION,
                                      "etcdserver: rpc not supported for learner" };
    if (has_leader != NULL && strcmp(has_leader, "true") == 0 && node_leader(n) == 0)
        return (struct refusal_text){ GRPCD_UNAVAILABLE, "etcdserver: no leader" };
    return identify(n, call, gates, who);
}

bool serve_enter(struct node *n, struct grpcd_call *call, unsigned gates,
                 struct caller *who)
{
    struct refusal_text no = serve_gate(n, call, gates, who);

    if (no.code != 0)
        grpcd_finish(call, (enum grpcd_code)no.code, no.message);
    return no.code == 0;
}

/* ---- answers ---------------------------------------------------------------------- */

enum rc serve_header(struct node *n, int64_t revision, struct buf *out, struct err *e)
{
    Etcdrpc__ResponseHeader h;
    AT_END(buf_clear) struct buf b = { 0 };

    etcdrpc__response_header__init(&h);
    h.cluster_id = n->home.cluster;
    h.member_id = n->home.member;
    h.revision = revision != 0 ? revision : kvstore_revision(machine_kv(n->fsm.machine));
    h.raft_term = node_term(n);
    TRY(codec_pack(&h, &b, e));
    return pb_put_bytes(out, 1, (struct bytes){ b.p, b.n }, e);
}

void serve_broken(struct grpcd_call *call, const struct err *e)
{
    grpcd_finish(call, GRPCD_INTERNAL, e->why);
}

static enum rc compose(struct node *n, int64_t revision, struct bytes fields,
                       struct buf *out, struct err *e)
{
    TRY(serve_header(n, revision, out, e));
    return fields.n == 0 ? RC_OK : buf_add(out, fields.p, fields.n, e);
}

void serve_reply(struct node *n, struct grpcd_call *call, int64_t revision,
                 struct bytes fields)
{
    AT_END(buf_clear) struct buf b = { .cap_max = SIZE_MAX / 2 };
    struct err e;

    if (compose(n, revision, fields, &b, &e) != RC_OK)
        serve_broken(call, &e);
    else
        grpcd_reply(call, (struct bytes){ b.p, b.n });
}

void serve_outcome(struct node *n, struct grpcd_call *call,
                   const struct machine_outcome *o)
{
    if (o->code != 0)
        grpcd_finish(call, (enum grpcd_code)o->code, o->message);
    else
        serve_reply(n, call, o->revision, (struct bytes){ o->reply.p, o->reply.n });
}

/* ---- requests for the log --------------------------------------------------------- */

static enum rc header_of(const struct caller *who, uint64_t id, struct buf *out,
                         struct err *e)
{
    Raftreq__RequestHeader h;

    raftreq__request_header__init(&h);
    h.id = id;
    if (who->user != NULL) {
        h.username = (char *)(uintptr_t)who->user;
        h.auth_revision = who->revision;
    }
    return codec_pack(&h, out, e);
}

enum rc serve_wrap(struct node *n, unsigned number, struct bytes request,
                   const struct caller *who, uint64_t *id, struct buf *out, struct err *e)
{
    AT_END(buf_clear) struct buf header = { 0 };

    *id = propose_number(n);
    TRY(header_of(who, *id, &header, e));
    TRY(pb_put_bytes(out, number, request, e));
    return pb_put_bytes(out, 100, (struct bytes){ header.p, header.n }, e);
}

struct write {
    struct node *n;
    struct grpcd_call *call;
    uint64_t number;
};

static void on_canceled(struct grpcd_call *call, void *state)
{
    const struct write *w = state;

    (void)call;
    propose_forget(w->n, w->number);
}

static const struct grpcd_hooks write_hooks = { .canceled = on_canceled };

static void on_written(void *arg, int code, const char *message,
                       struct machine_outcome *o)
{
    struct write *w = arg;

    if (o != NULL)
        serve_outcome(w->n, w->call, o);
    else
        grpcd_finish(w->call, (enum grpcd_code)code, message);
    mem_free(w);
}

static enum rc checked(struct node *n, struct bytes wrapped, struct machine_outcome *o,
                       struct err *e)
{
    AT_END(codec_end) Raftreq__InternalRaftRequest *r = NULL;

    TRY(codec_unpack(&raftreq__internal_raft_request__descriptor, wrapped, &r, e));
    machine_precheck(r, (unsigned)n->o.max_txn_ops, o);
    if (o->code == 0 && wrapped.n > n->o.max_request_bytes) {
        o->code = GRPCD_INVALID_ARGUMENT;
        o->message = "etcdserver: request is too large";
    }
    return RC_OK;
}

void serve_write(struct node *n, struct grpcd_call *call, unsigned number,
                 struct bytes request, const struct caller *who)
{
    AT_END(buf_clear) struct buf b = { 0 };
    AT_END(machine_outcome_end) struct machine_outcome refused = { 0 };
    struct write *w;
    uint64_t id;
    struct err e;

    if (serve_wrap(n, number, request, who, &id, &b, &e) != RC_OK ||
        checked(n, (struct bytes){ b.p, b.n }, &refused, &e) != RC_OK) {
        serve_broken(call, &e);
        return;
    }
    if (refused.code != 0) {
        grpcd_finish(call, (enum grpcd_code)refused.code, refused.message);
        return;
    }
    w = mem_zero(sizeof *w);
    if (w == NULL) {
        grpcd_finish(call, GRPCD_RESOURCE_EXHAUSTED, "out of memory");
        return;
    }
    *w = (struct write){ n, call, id };
    grpcd_hook(call, &write_hooks, w);
    propose(n, PAYLOAD_REQUEST, id, (struct bytes){ b.p, b.n }, on_written, w);
}

/* ---- the table -------------------------------------------------------------------- */

/* Methods that are one request in the log, and nothing else. */
static const struct {
    const char *path;
    unsigned number;
    unsigned gates;
} plain[] = {
    { "/etcdserverpb.KV/DeleteRange", 5, 0 },
    { "/etcdserverpb.KV/Compact", 7, GATE_ROOT },
    { "/etcdserverpb.Lease/LeaseRevoke", 9, 0 },
    { "/etcdserverpb.Maintenance/Alarm", 10, 0 },
    { "/etcdserverpb.Auth/AuthEnable", 1000, 0 },
    { "/etcdserverpb.Auth/AuthDisable", 1011, 0 },
    { "/etcdserverpb.Auth/AuthStatus", 1013, 0 },
    { "/etcdserverpb.Auth/UserDelete", 1101, 0 },
    { "/etcdserverpb.Auth/UserGet", 1102, 0 },
    { "/etcdserverpb.Auth/UserGrantRole", 1104, 0 },
    { "/etcdserverpb.Auth/UserRevokeRole", 1105, 0 },
    { "/etcdserverpb.Auth/UserList", 1106, 0 },
    { "/etcdserverpb.Auth/RoleList", 1107, 0 },
    { "/etcdserverpb.Auth/RoleAdd", 1200, 0 },
    { "/etcdserverpb.Auth/RoleDelete", 1201, 0 },
    { "/etcdserverpb.Auth/RoleGet", 1202, 0 },
    { "/etcdserverpb.Auth/RoleGrantPermission", 1203, 0 },
    { "/etcdserverpb.Auth/RoleRevokePermission", 1204, 0 },
};

void serve_plain_write(struct grpcd_call *call, struct bytes request, void *arg)
{
    struct node *n = arg;
    const char *path = grpcd_meta(call, ":path");
    struct caller who;
    size_t i = 0;

    while (strcmp(plain[i].path, path) != 0)
        i++;
    if (serve_enter(n, call, plain[i].gates, &who))
        serve_write(n, call, plain[i].number, request, &who);
}

#define PLAIN(path)                          \
    {                                        \
        path, GRPCD_UNARY, serve_plain_write \
    }

static const struct grpcd_method methods[] = {
    { "/etcdserverpb.KV/Range", GRPCD_UNARY, serve_range },
    { "/etcdserverpb.KV/Put", GRPCD_UNARY, serve_put },
    { "/etcdserverpb.KV/Txn", GRPCD_UNARY, serve_txn },
    PLAIN("/etcdserverpb.KV/DeleteRange"),
    PLAIN("/etcdserverpb.KV/Compact"),
    { "/etcdserverpb.Watch/Watch", GRPCD_BIDI, serve_watch },
    { "/etcdserverpb.Lease/LeaseGrant", GRPCD_UNARY, serve_lease_grant },
    PLAIN("/etcdserverpb.Lease/LeaseRevoke"),
    { "/etcdserverpb.Lease/LeaseKeepAlive", GRPCD_BIDI, serve_keep_alive },
    { "/etcdserverpb.Lease/LeaseTimeToLive", GRPCD_UNARY, serve_time_to_live },
    { "/etcdserverpb.Lease/LeaseLeases", GRPCD_UNARY, serve_leases },
    { "/etcdserverpb.Cluster/MemberList", GRPCD_UNARY, serve_member_list },
    { "/etcdserverpb.Cluster/MemberAdd", GRPCD_UNARY, serve_member_add },
    { "/etcdserverpb.Cluster/MemberRemove", GRPCD_UNARY, serve_member_remove },
    { "/etcdserverpb.Cluster/MemberUpdate", GRPCD_UNARY, serve_member_update },
    { "/etcdserverpb.Cluster/MemberPromote", GRPCD_UNARY, serve_member_promote },
    { "/etcdserverpb.Maintenance/Status", GRPCD_UNARY, serve_status },
    { "/etcdserverpb.Maintenance/Snapshot", GRPCD_STREAM, serve_snapshot },
    { "/etcdserverpb.Maintenance/Hash", GRPCD_UNARY, serve_hash },
    { "/etcdserverpb.Maintenance/HashKV", GRPCD_UNARY, serve_hashkv },
    { "/etcdserverpb.Maintenance/Defragment", GRPCD_UNARY, serve_defragment },
    { "/etcdserverpb.Maintenance/MoveLeader", GRPCD_UNARY, serve_move_leader },
    { "/etcdserverpb.Maintenance/Downgrade", GRPCD_UNARY, serve_downgrade },
    PLAIN("/etcdserverpb.Maintenance/Alarm"),
    { "/etcdserverpb.Auth/Authenticate", GRPCD_UNARY, serve_authenticate },
    { "/etcdserverpb.Auth/UserAdd", GRPCD_UNARY, serve_user_add },
    { "/etcdserverpb.Auth/UserChangePassword", GRPCD_UNARY, serve_change_password },
    PLAIN("/etcdserverpb.Auth/AuthEnable"),
    PLAIN("/etcdserverpb.Auth/AuthDisable"),
    PLAIN("/etcdserverpb.Auth/AuthStatus"),
    PLAIN("/etcdserverpb.Auth/UserDelete"),
    PLAIN("/etcdserverpb.Auth/UserGet"),
    PLAIN("/etcdserverpb.Auth/UserGrantRole"),
    PLAIN("/etcdserverpb.Auth/UserRevokeRole"),
    PLAIN("/etcdserverpb.Auth/UserList"),
    PLAIN("/etcdserverpb.Auth/RoleList"),
    PLAIN("/etcdserverpb.Auth/RoleAdd"),
    PLAIN("/etcdserverpb.Auth/RoleDelete"),
    PLAIN("/etcdserverpb.Auth/RoleGet"),
    PLAIN("/etcdserverpb.Auth/RoleGrantPermission"),
    PLAIN("/etcdserverpb.Auth/RoleRevokePermission"),
};

/* ---- pages ------------------------------------------------------------------------ */

static enum rc page_version(struct grpcd_answer *answer, const char *query, void *arg,
                            struct err *e)
{
    struct node *n = arg;
    const char *cluster = machine_cluster_version(n->fsm.machine);
    char text[128];

    (void)query;
    snprintf(text, sizeof text, "{\"etcdserver\":\"3.%d.0\",\"etcdcluster\":\"%s\"}",
             n->o.minor, cluster == NULL ? "not_decided" : cluster);
    return buf_add(&answer->body, text, strlen(text), e);
}

/* The others know where clients find us. A real etcd listens for them only then. */
static bool is_published(struct node *n)
{
    size_t count;
    const struct mvcc_member *all = machine_members(n->fsm.machine, &count);

    for (size_t i = 0; i < count; i++)
        if (all[i].id == n->home.member)
            return all[i].client_urls.count > 0;
    return false;
}

static enum rc page_health(struct grpcd_answer *answer, const char *query, void *arg,
                           struct err *e)
{
    struct node *n = arg;
    struct mvcc_alarm alarm;
    const char *text = "{\"health\":\"true\",\"reason\":\"\"}";

    (void)query;
    if (node_leader(n) == 0)
        text = "{\"health\":\"false\",\"reason\":\"RAFT NO LEADER\"}";
    else if (machine_alarms(n->fsm.machine, &alarm, 1) > 0)
        text = "{\"health\":\"false\",\"reason\":\"ALARM\"}";
    else if (!is_published(n))
        text = "{\"health\":\"false\",\"reason\":\"NOT PUBLISHED\"}";
    if (strstr(text, "false") != NULL)
        answer->status = 503;
    return buf_add(&answer->body, text, strlen(text), e);
}

static const struct grpcd_page pages[] = {
    { "/version", page_version },
    { "/health", page_health },
};

/* ---- starting --------------------------------------------------------------------- */

static enum rc load_tls(struct node *n, struct err *e)
{
    const struct tls_files files = {
        .cert = n->o.cert,
        .key = n->o.key,
        .client_ca = n->o.client_cert_auth ? n->o.trusted_ca : NULL,
    };

    return tls_server_new(&files, &n->tls, e);
}

enum rc serve_start(struct node *n, struct err *e)
{
    char host[16];
    struct grpcd_options o = {
        .host = host,
        .methods = methods,
        .method_count = sizeof methods / sizeof *methods,
        .pages = pages,
        .page_count = sizeof pages / sizeof *pages,
        .arg = n,
        .message_max = n->o.max_request_bytes + (512 << 10),
    };

    TRY(hello_address(n->o.listen_client, host, &o.port, e));
    if (n->o.cert != NULL)
        TRY(load_tls(n, e));
    o.tls = n->tls;
    return grpcd_listen(&n->loop, &o, &n->server, e);
}
