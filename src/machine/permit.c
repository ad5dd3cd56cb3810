/* May this caller do that? (etcd server/auth: store.go, range_perm_cache.go and
 * server/etcdserver/apply: apply_auth.go) */
#include "machine/state.h"

#define ROOT_ROLE "root"

bool user_has(const struct user *u, const char *role)
{
    for (size_t i = 0; i < u->stored->n_roles; i++)
        if (strcmp(u->stored->roles[i], role) == 0)
            return true;
    return false;
}

/* ---- intervals of keys --------------------------------------------------------------
 */

/* A bound: the bytes, and with `next` a zero byte behind them. No bytes at all is beyond
 * every key. */
struct bound {
    struct bytes bytes;
    bool next;
};

static size_t bound_size(struct bound b)
{
    return b.bytes.n + (b.next ? 1 : 0);
}

static uint8_t bound_byte(struct bound b, size_t i)
{
    return i < b.bytes.n ? b.bytes.p[i] : 0;
}

static int bound_compare(struct bound a, struct bound b)
{
    size_t an = bound_size(a), bn = bound_size(b);
    size_t both = a.bytes.n < b.bytes.n ? a.bytes.n : b.bytes.n;
    int order = both == 0 ? 0 : memcmp(a.bytes.p, b.bytes.p, both);

    if (an == 0 || bn == 0)
        return (an == 0) - (bn == 0);
    for (size_t i = both; order == 0 && i < an && i < bn; i++)
        order = bound_byte(a, i) - bound_byte(b, i);
    return order != 0 ? order : (an > bn) - (an < bn);
}

struct interval {
    struct bound begin, end;
};

static struct interval interval_of(struct bytes key, struct bytes end)
{
    struct interval i = { .begin.bytes = key };

    if (end.n == 0)
        i.end = (struct bound){ key, true };
    else if (end.n != 1 || end.p[0] != 0)
        i.end.bytes = end;
    return i;
}

static bool meet(const struct interval *a, const struct interval *b)
{
    bool left =
        bound_compare(a->begin, b->begin) < 0 && bound_compare(a->end, b->begin) <= 0;

    return !left && bound_compare(a->begin, b->end) < 0;
}

/* ---- what a user's roles allow ------------------------------------------------------
 */

static bool grants(const Authpb__Permission *p, bool write)
{
    switch (p->kind) {
    case AUTHPB__PERM_KIND__PERM_READWRITE:
        return true;
    case AUTHPB__PERM_KIND__PERM_READ:
        return !write;
    case AUTHPB__PERM_KIND__PERM_WRITE:
        return write;
    case _AUTHPB__PERM_KIND_IS_INT_SIZE:
        break;
    }
    return false;
}

/* How far the granted intervals that meet `want` reach without a gap, from the leftmost
 * on. */
struct reach {
    struct interval want, covered;
    bool any, write, grown;
};

static void reach_add(struct reach *r, const struct interval *i)
{
    if (!meet(&r->want, i))
        return;
    if (!r->any) {
        r->covered = *i;
        r->any = r->grown = true;
        return;
    }
    bool apart = bound_compare(r->covered.end, i->begin) < 0 ||
                 bound_compare(i->end, r->covered.begin) < 0;

    if (apart)
        return;
    if (bound_compare(i->begin, r->covered.begin) < 0) {
        r->covered.begin = i->begin;
        r->grown = true;
    }
    if (bound_compare(i->end, r->covered.end) > 0) {
        r->covered.end = i->end;
        r->grown = true;
    }
}

/* The cover begins with an interval that holds the first key wanted. */
static void reach_pass(const struct machine *m, const struct user *u, struct reach *r)
{
    for (size_t i = 0; i < u->stored->n_roles; i++) {
        const Authpb__Role *role = role_find(m, u->stored->roles[i]);

        for (size_t k = 0; role != NULL && k < role->n_perms; k++) {
            const Authpb__Permission *p = role->perms[k];
            const struct interval one =
                interval_of(field_bytes(p->key), field_bytes(p->range_end));
            bool first = bound_compare(one.begin, r->want.begin) <= 0 &&
                         bound_compare(r->want.begin, one.end) < 0;

            if (grants(p, r->write) && (r->any || first))
                reach_add(r, &one);
        }
    }
}

static bool roles_allow(const struct machine *m, const struct user *u,
                        struct kvstore_span span, bool write)
{
    struct reach r = { .want = interval_of(span.key, span.end), .write = write };

    if (bound_compare(r.want.end, r.want.begin) <= 0)
        return false; /* in etcd it depends on the shape of a tree */
    do {
        r.grown = false;
        reach_pass(m, u, &r);
    } while (r.grown);
    return r.any && bound_compare(r.covered.begin, r.want.begin) <= 0 &&
           bound_compare(r.covered.end, r.want.end) >= 0;
}

/* ---- callers ------------------------------------------------------------------------
 */

enum refusal permit_admin(const struct machine *m, const struct caller *who)
{
    const struct user *u;

    if (who->trusted || !m->auth_enabled)
        return ALLOWED;
    if (who->user[0] == '\0')
        return REFUSE_USER_EMPTY;
    u = user_find(m, who->user);
    if (u == NULL)
        return REFUSE_NO_USER;
    return user_has(u, ROOT_ROLE) ? ALLOWED : REFUSE_DENIED;
}

enum refusal permit_span(const struct machine *m, const struct caller *who,
                         struct kvstore_span span, bool write)
{
    const struct user *u;

    if (who->trusted || !m->auth_enabled)
        return ALLOWED;
    if (who->revision == 0)
        return REFUSE_USER_EMPTY;
    if (who->revision < m->auth_revision)
        return REFUSE_OLD_REVISION;
    u = user_find(m, who->user);
    if (u == NULL)
        return REFUSE_DENIED;
    return user_has(u, ROOT_ROLE) || roles_allow(m, u, span, write) ? ALLOWED
                                                                    : REFUSE_DENIED;
}

/* Who may not write all keys of a lease may not put another one to it: it could not be
 * revoked by its owner. */
enum refusal permit_lease(const struct machine *m, const struct caller *who, int64_t id)
{
    const struct lease *l = lease_find(m, id);
    enum refusal why = ALLOWED;

    if (l == NULL || permit_admin(m, who) == ALLOWED)
        return ALLOWED;
    for (size_t i = 0; i < l->count && why == ALLOWED; i++)
        why = permit_span(m, who, (struct kvstore_span){ .key = l->keys[i] }, true);
    return why;
}

enum refusal permit_put(const struct machine *m, const struct caller *who,
                        const Etcdrpc__PutRequest *r)
{
    const struct kvstore_span span = { .key = field_bytes(r->key) };
    enum refusal why = permit_span(m, who, span, true);

    if (why == ALLOWED)
        why = permit_lease(m, who, r->lease);
    if (why == ALLOWED && r->prev_kv)
        why = permit_span(m, who, span, false);
    return why;
}

enum refusal permit_delete(const struct machine *m, const struct caller *who,
                           const Etcdrpc__DeleteRangeRequest *r)
{
    const struct kvstore_span span = { field_bytes(r->key), field_bytes(r->range_end) };
    enum refusal why = permit_span(m, who, span, true);

    if (why == ALLOWED && r->prev_kv)
        why = permit_span(m, who, span, false);
    return why;
}

/* In a transaction older ones look at nothing but the key of a put, and into no nested
 * transaction at all. */
static const struct since puts_seen = { { 44, 30, 11, 0 } };
static const struct since nested_seen = { { 42, 28, 11, 0 } };

static enum refusal permit_put_op(const struct machine *m, const struct caller *who,
                                  const Etcdrpc__PutRequest *r)
{
    const struct kvstore_span span = { .key = field_bytes(r->key) };

    return has(m, puts_seen) ? permit_put(m, who, r) : permit_span(m, who, span, true);
}

static enum refusal permit_op(const struct machine *m, const struct caller *who,
                              const Etcdrpc__RequestOp *op)
{
    switch (op->op_case) {
    case ETCDRPC__REQUEST_OP__OP_RANGE:
        return permit_span(m, who,
                           (struct kvstore_span){ field_bytes(op->range->key),
                                                  field_bytes(op->range->range_end) },
                           false);
    case ETCDRPC__REQUEST_OP__OP_PUT:
        return permit_put_op(m, who, op->put);
    case ETCDRPC__REQUEST_OP__OP_DELETE_RANGE:
        return permit_delete(m, who, op->delete_range);
    case ETCDRPC__REQUEST_OP__OP_TXN:
        return has(m, nested_seen) ? permit_txn(m, who, op->txn) : ALLOWED;
    case ETCDRPC__REQUEST_OP__OP__NOT_SET:
    case _ETCDRPC__REQUEST_OP__OP__CASE_IS_INT_SIZE:
        break;
    }
    return ALLOWED;
}

/* Both branches, whichever will be taken. */
enum refusal permit_txn(const struct machine *m, const struct caller *who,
                        const Etcdrpc__TxnRequest *r)
{
    enum refusal why = ALLOWED;

    for (size_t i = 0; i < r->n_compare && why == ALLOWED; i++)
        why = permit_span(m, who,
                          (struct kvstore_span){ field_bytes(r->compare[i]->key),
                                                 field_bytes(r->compare[i]->range_end) },
                          false);
    for (size_t i = 0; i < r->n_success && why == ALLOWED; i++)
        why = permit_op(m, who, r->success[i]);
    for (size_t i = 0; i < r->n_failure && why == ALLOWED; i++)
        why = permit_op(m, who, r->failure[i]);
    return why;
}

/* ---- for servers --------------------------------------------------------------------
 */

bool machine_is_root(const struct machine *m, const char *user)
{
    const struct user *u = user_find(m, user);

    return u != NULL && user_has(u, ROOT_ROLE);
}

bool machine_may_read(const struct machine *m, const char *user, struct kvstore_span span)
{
    const struct caller who = { .user = user, .revision = m->auth_revision };

    return permit_span(m, &who, span, false) == ALLOWED;
}
