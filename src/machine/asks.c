#include "machine/asks.h"

#include <stdio.h>

#include "codec/message.h"
#include "machine/state.h"

enum { BRANCH_SIZE = 6 * CODEC_DEPTH_MAX };

struct telling {
    machine_ask_fn *tell;
    void *arg;
};

static enum rc tell(const struct telling *t, struct machine_ask ask, struct err *e)
{
    if (ask.branch == NULL)
        ask.branch = "";
    return t->tell(t->arg, &ask, e);
}

/* ---- keys -------------------------------------------------------------------------- */

static enum rc tell_put(const struct telling *t, const char *branch,
                        const Etcdrpc__PutRequest *p, struct err *e)
{
    return tell(t,
                (struct machine_ask){ .what = "put",
                                      .branch = branch,
                                      .key = codec_bytes(&p->key),
                                      .value = codec_bytes(&p->value),
                                      .lease = p->lease },
                e);
}

static enum rc tell_deletion(const struct telling *t, const char *branch,
                             const Etcdrpc__DeleteRangeRequest *d, struct err *e)
{
    return tell(t,
                (struct machine_ask){ .what = "delete_range",
                                      .branch = branch,
                                      .key = codec_bytes(&d->key),
                                      .range_end = codec_bytes(&d->range_end) },
                e);
}

static enum rc tell_txn(const struct telling *t, const char *branch,
                        const Etcdrpc__TxnRequest *txn, struct err *e);

static enum rc tell_operations(const struct telling *t, const char *branch,
                               Etcdrpc__RequestOp *const *ops, size_t count,
                               struct err *e)
{
    for (size_t i = 0; i < count; i++) {
        const Etcdrpc__RequestOp *op = ops[i];

        if (op->op_case == ETCDRPC__REQUEST_OP__OP_PUT)
            TRY(tell_put(t, branch, op->put, e));
        else if (op->op_case == ETCDRPC__REQUEST_OP__OP_DELETE_RANGE)
            TRY(tell_deletion(t, branch, op->delete_range, e));
        else if (op->op_case == ETCDRPC__REQUEST_OP__OP_TXN)
            TRY(tell_txn(t, branch, op->txn, e));
    }
    return RC_OK;
}

/* Unpacking has bounded how deep they lie in each other. */
static enum rc tell_txn(const struct telling *t, const char *branch,
                        const Etcdrpc__TxnRequest *txn, struct err *e)
{
    const char *between = *branch == '\0' ? "" : "/";
    char path[BRANCH_SIZE];

    snprintf(path, sizeof path, "%s%sthen", branch, between);
    TRY(tell_operations(t, path, txn->success, txn->n_success, e));
    snprintf(path, sizeof path, "%s%selse", branch, between);
    return tell_operations(t, path, txn->failure, txn->n_failure, e);
}

/* ---- the rest ---------------------------------------------------------------------- */

/* Of these no more is told than that they were asked for; passwords are among them. */
static const char *const others[] = {
    "alarm",
    "lease_checkpoint",
    "auth_enable",
    "auth_disable",
    "user_add",
    "user_delete",
    "user_change_password",
    "user_grant_role",
    "user_revoke_role",
    "role_add",
    "role_delete",
    "role_grant_permission",
    "role_revoke_permission",
    "cluster_version_set",
    "cluster_member_attr_set",
    "downgrade_info_set",
};

static enum rc tell_other(const struct telling *t, const Raftreq__InternalRaftRequest *r,
                          struct err *e)
{
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (codec_child(r, others[i]) != NULL)
            return tell(t, (struct machine_ask){ .what = others[i] }, e);
    return RC_OK;
}

static enum rc tell_request(const struct telling *t,
                            const Raftreq__InternalRaftRequest *r, struct err *e)
{
    struct machine_ask ask = { 0 };

    if (r->put != NULL)
        return tell_put(t, "", r->put, e);
    if (r->delete_range != NULL)
        return tell_deletion(t, "", r->delete_range, e);
    if (r->txn != NULL)
        return tell_txn(t, "", r->txn, e);
    if (r->compaction != NULL)
        ask = (struct machine_ask){ .what = "compaction",
                                    .revision = r->compaction->revision };
    else if (r->lease_grant != NULL)
        ask = (struct machine_ask){ .what = "lease_grant", .lease = r->lease_grant->id };
    else if (r->lease_revoke != NULL)
        ask =
            (struct machine_ask){ .what = "lease_revoke", .lease = r->lease_revoke->id };
    else if (r->v2.len > 0)
        ask = (struct machine_ask){ .what = "v2" };
    return ask.what != NULL ? tell(t, ask, e) : tell_other(t, r, e);
}

static enum rc tell_change(const struct telling *t, struct bytes data, struct err *e)
{
    static const char *const names[] = {
        [WAL_CHANGE_ADD] = "member_add",
        [WAL_CHANGE_REMOVE] = "member_remove",
        [WAL_CHANGE_UPDATE] = "member_update",
        [WAL_CHANGE_ADD_LEARNER] = "member_add_learner",
    };
    struct wal_change change;

    TRY(wal_change_parse(data, &change, e));
    return tell(
        t, (struct machine_ask){ .what = names[change.type], .member = change.node_id },
        e);
}

static enum rc tell_data(const struct telling *t, struct bytes data, struct err *e)
{
    AT_END(codec_end) Raftreq__InternalRaftRequest *r = NULL;

    if (data.n == 0)
        return RC_OK;
    if (v2_is(data))
        return tell(t, (struct machine_ask){ .what = "v2" }, e);
    TRY(codec_unpack(&raftreq__internal_raft_request__descriptor, data, &r, e));
    return tell_request(t, r, e);
}

enum rc machine_asks(const struct wal_entry *entry, machine_ask_fn *tell_it, void *arg,
                     struct err *e)
{
    const struct telling t = { tell_it, arg };

    switch (entry->type) {
    case WAL_ENTRY_NORMAL:
        return tell_data(&t, entry->data, e);
    case WAL_ENTRY_CONF_CHANGE:
        return tell_change(&t, entry->data, e);
    case WAL_ENTRY_CONF_CHANGE_V2:
        break;
    }
    return err_set(e, RC_CORRUPT, "an entry of a type that etcd never writes");
}
