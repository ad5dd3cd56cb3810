/* A machine's life, and the way of one request through it: who asks, what the alarms
 * forbid, and the operation itself (etcd server/etcdserver/apply: uber_applier.go,
 * apply_auth.go). */
#include "machine/machine.h"

#include <stddef.h>

#include "machine/state.h"
#include "util/mem.h"

static const struct kvstore_options kv_options = { .lease = lease_attach };

enum rc machine_new(const struct machine_options *options, struct machine **out,
                    struct err *e)
{
    struct kvstore_options kv = kv_options;
    OWNED(machine) m = NULL;

    if (options->minor < 4 || options->minor > 7)
        return err_set(e, RC_USAGE, "etcd 3.%d is not known", options->minor);
    TRY(mem_new(&m, sizeof *m, "a state machine", e));
    m->options = *options;
    m->buckets[MVCC_LEASE].drop = lease_free;
    m->buckets[MVCC_AUTH_USERS].drop = user_free;
    m->buckets[MVCC_AUTH_ROLES].drop = role_free;
    kv.lease_arg = m;
    kv.drop_tombstone_at_compaction = !has(m, (struct since){ { 34, 16, 0, 0 } });
    TRY(kvstore_new(&kv, &m->kv, e));
    TRY(auth_revise(m, e)); /* a booting server makes it 1 */
    *out = GIVE(m);
    return RC_OK;
}

static void extras_clear(struct machine *m)
{
    for (size_t i = 0; i < m->extra_count; i++)
        table_clear(&m->extras[i].pairs);
    mem_free(m->extras);
}

void machine_free(struct machine *m)
{
    if (m == NULL)
        return;
    kvstore_free(m->kv);
    for (size_t b = 0; b < MVCC_BUCKETS; b++)
        table_clear(&m->buckets[b]);
    extras_clear(m);
    for (size_t i = 0; i < m->member_count; i++)
        mvcc_member_clear(&m->members[i]);
    mem_free(m->members);
    mem_free(m->cluster_version);
    tokens_drop(m, NULL);
    mem_free(m->tokens);
    mem_free(m);
}

/* ---- operations ---------------------------------------------------------------------
 */

enum rule {
    ADMIN = 1,        /* for users with the role root */
    NOT_CAPPED = 2,   /* refused under a NOSPACE alarm */
    NOT_CORRUPT = 4,  /* refused under a CORRUPT alarm */
    INTERNAL = 8,     /* the servers' own, which nobody asked for */
    ADMIN_TO_36 = 16, /* ADMIN up to etcd 3.6, for everybody from 3.7 on */
};

typedef enum rc apply_fn(struct machine *m, const struct caller *who, const void *request,
                         struct machine_outcome *o, struct err *e);
typedef enum rc query_fn(const struct machine *m, const struct caller *who,
                         const void *request, struct machine_outcome *o, struct err *e);

static enum rc nothing_apply(struct machine *m, const struct caller *who,
                             const void *request, struct machine_outcome *o,
                             struct err *e)
{
    (void)m;
    (void)who;
    (void)request;
    (void)o;
    (void)e;
    return RC_OK;
}

struct operation {
    size_t at; /* of its pointer in the InternalRaftRequest */
    unsigned rules;
    apply_fn *apply; /* or, for what changes nothing, */
    query_fn *query;
};

/* In etcd's order: the first that is there is the request. */
#define AT(field) offsetof(Raftreq__InternalRaftRequest, field)
static const struct operation operations[] = {
    { AT(cluster_version_set), INTERNAL, cluster_version_set_apply, NULL },
    { AT(cluster_member_attr_set), INTERNAL, member_attr_set_apply, NULL },
    { AT(downgrade_info_set), INTERNAL, downgrade_info_set_apply, NULL },
    { AT(downgrade_version_test), INTERNAL, nothing_apply, NULL },
    { AT(range), NOT_CORRUPT, NULL, range_query },
    { AT(put), NOT_CAPPED | NOT_CORRUPT, put_apply, NULL },
    { AT(delete_range), NOT_CORRUPT, delete_apply, NULL },
    { AT(txn), NOT_CORRUPT, txn_apply, txn_query },
    { AT(compaction), NOT_CORRUPT, compact_apply, NULL },
    { AT(lease_grant), NOT_CAPPED | NOT_CORRUPT, lease_grant, NULL },
    { AT(lease_revoke), NOT_CORRUPT, lease_revoke, NULL },
    { AT(lease_checkpoint), 0, lease_checkpoint, NULL },
    { AT(alarm), 0, alarm_apply, alarm_query },
    { AT(authenticate), 0, authenticate_apply, NULL },
    { AT(auth_enable), ADMIN, auth_enable_apply, NULL },
    { AT(auth_disable), ADMIN, auth_disable_apply, NULL },
    { AT(auth_status), ADMIN_TO_36, NULL, auth_status_query },
    { AT(user_add), ADMIN, user_add_apply, NULL },
    { AT(user_delete), ADMIN, user_delete_apply, NULL },
    { AT(user_change_password), ADMIN, user_change_password_apply, NULL },
    { AT(user_grant_role), ADMIN, user_grant_role_apply, NULL },
    { AT(user_get), 0, NULL, user_get_query },
    { AT(user_revoke_role), ADMIN, user_revoke_role_apply, NULL },
    { AT(role_add), ADMIN, role_add_apply, NULL },
    { AT(role_grant_permission), ADMIN, role_grant_permission_apply, NULL },
    { AT(role_get), 0, NULL, role_get_query },
    { AT(role_revoke_permission), ADMIN, role_revoke_permission_apply, NULL },
    { AT(role_delete), ADMIN, role_delete_apply, NULL },
    { AT(user_list), ADMIN, NULL, user_list_query },
    { AT(role_list), ADMIN, NULL, role_list_query },
};
#undef AT

/* The request inside, or NULL. */
static const void *request_at(const Raftreq__InternalRaftRequest *r, size_t at)
{
    const void *request;

    memcpy(&request, (const char *)r + at, sizeof request);
    return request;
}

static const struct operation *operation_of(const Raftreq__InternalRaftRequest *r,
                                            const void **request)
{
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
        *request = request_at(r, operations[i].at);
        if (*request != NULL)
            return &operations[i];
    }
    return NULL;
}

static struct caller caller_of(const Raftreq__InternalRaftRequest *r)
{
    struct caller who = { .user = "" };

    if (r->header != NULL)
        who = (struct caller){ .user = r->header->username,
                               .revision = r->header->auth_revision };
    return who;
}

static enum refusal forbidden(const struct machine *m, const struct caller *who,
                              unsigned rules)
{
    bool admin =
        (rules & ADMIN) != 0 || ((rules & ADMIN_TO_36) != 0 && m->options.minor < 7);
    enum refusal why = admin ? permit_admin(m, who) : ALLOWED;

    if (why == ALLOWED && m->corrupt && (rules & NOT_CORRUPT))
        why = REFUSE_CORRUPT;
    if (why == ALLOWED && m->capped && (rules & NOT_CAPPED))
        why = REFUSE_NO_SPACE;
    return why;
}

static enum rc dispatch(struct machine *m, const Raftreq__InternalRaftRequest *r,
                        struct machine_outcome *o, struct err *e)
{
    const void *request;
    const struct operation *op = operation_of(r, &request);
    struct caller who = caller_of(r);
    enum refusal why;

    if (op == NULL)
        return err_set(e, RC_CORRUPT, "an entry holds no request that is known");
    who.trusted = m->unguarded;
    why = forbidden(m, &who, op->rules);
    if (why != ALLOWED)
        return refused(o, why);
    return op->apply != NULL ? op->apply(m, &who, request, o, e)
                             : op->query(m, &who, request, o, e);
}

static void outcome_begin(struct machine_outcome *o)
{
    refuse(o, ALLOWED);
    o->reply.n = 0;
    if (o->reply.cap_max == 0)
        o->reply.cap_max = INT32_MAX; /* what a gRPC message can be */
}

enum rc machine_request(struct machine *m, const Raftreq__InternalRaftRequest *r,
                        struct machine_outcome *o, struct err *e)
{
    struct machine_outcome unwatched = { 0 };
    struct machine_outcome *out = o == NULL ? &unwatched : o;

    outcome_begin(out);
    TRY(dispatch(m, r, out, e));
    if (m->starved)
        return err_set(e, RC_NOMEM, "no memory for the keys of a lease");
    out->revision = kvstore_revision(m->kv);
    return RC_OK;
}

enum rc machine_query(const struct machine *m, const Raftreq__InternalRaftRequest *r,
                      struct machine_outcome *o, struct err *e)
{
    const void *request;
    const struct operation *op = operation_of(r, &request);
    const struct caller who = caller_of(r);
    enum refusal why;

    if (op == NULL || op->query == NULL)
        return err_set(e, RC_REFUSED, "this request is no query");
    outcome_begin(o);
    o->revision = kvstore_revision(m->kv);
    why = op->rules & ADMIN ? permit_admin(m, &who) : ALLOWED;
    return why != ALLOWED ? refused(o, why) : op->query(m, &who, request, o, e);
}

/* ---- entries ------------------------------------------------------------------------
 */

static enum rc apply_data(struct machine *m, struct bytes data, struct machine_outcome *o,
                          struct err *e)
{
    AT_END(codec_end) Raftreq__InternalRaftRequest *r = NULL;

    if (data.n == 0)
        return RC_OK; /* a leader's first entry */
    if (v2_is(data))
        return v2_apply(m, data, e);
    TRY(codec_unpack(&raftreq__internal_raft_request__descriptor, data, &r, e));
    if (r->v2.len > 0)
        return v2_apply(m, field_bytes(r->v2), e);
    return machine_request(m, r, o, e);
}

static enum rc apply_entry(struct machine *m, const struct wal_entry *entry,
                           struct machine_outcome *o, struct err *e)
{
    struct wal_change change;

    switch (entry->type) {
    case WAL_ENTRY_NORMAL:
        return apply_data(m, entry->data, o, e);
    case WAL_ENTRY_CONF_CHANGE:
        TRY(wal_change_parse(entry->data, &change, e));
        return machine_change(m, &change, o, e);
    case WAL_ENTRY_CONF_CHANGE_V2:
        break;
    }
    return err_set(e, RC_CORRUPT, "an entry of a type that etcd never writes");
}

enum rc machine_apply(struct machine *m, const struct wal_entry *entry,
                      struct machine_outcome *o, struct err *e)
{
    if (o != NULL) {
        outcome_begin(o);
        o->revision = kvstore_revision(m->kv);
    }
    if (entry->index <= m->index)
        return RC_OK;
    m->applying = entry->index;
    enum rc rc = apply_entry(m, entry, o, e);

    m->applying = 0;
    if (rc != RC_OK)
        return err_wrap(e, "applying entry %llu", (unsigned long long)entry->index);
    machine_set_index(m, entry->index, entry->term);
    return RC_OK;
}

void machine_set_index(struct machine *m, uint64_t index, uint64_t term)
{
    m->index = index;
    m->term = term;
    m->moved = true;
}

/* ---- facts --------------------------------------------------------------------------
 */

struct kvstore *machine_kv(struct machine *m)
{
    return m->kv;
}

uint64_t machine_index(const struct machine *m)
{
    return m->index;
}

uint64_t machine_term(const struct machine *m)
{
    return m->term;
}
