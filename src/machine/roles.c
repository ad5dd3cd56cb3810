/* Roles: bucket authRoles (etcd server/auth/store.go). */
#include "machine/reply.h"
#include "machine/state.h"
#include "util/mem.h"

#define ROOT "root"

void role_free(void *meaning)
{
    codec_free(meaning);
}

const Authpb__Role *role_find(const struct machine *m, const char *name)
{
    const struct table_row *row =
        table_row(&m->buckets[MVCC_AUTH_ROLES], bytes_str(name));

    return row == NULL ? NULL : row->meaning;
}

static enum rc role_read(struct bytes key, struct bytes value, Authpb__Role **out,
                         struct err *e)
{
    AT_END(codec_end) Authpb__Role *role = NULL;

    TRY(codec_unpack(&authpb__role__descriptor, value, &role, e));
    if (!bytes_equal(field_bytes(role->name), key))
        return err_set(e, RC_CORRUPT, "a role is stored under another one's name");
    *out = GIVE(role);
    return RC_OK;
}

enum rc role_load(struct machine *m, struct bytes key, struct bytes value, struct err *e)
{
    Authpb__Role *role;

    TRY(role_read(key, value, &role, e));
    return table_lend(bucket_of(m, MVCC_AUTH_ROLES), key, value, role, e);
}

static enum rc role_store(struct machine *m, const Authpb__Role *changed, struct err *e)
{
    AT_END(buf_clear) struct buf value = { 0 };
    Authpb__Role *role;

    TRY(codec_pack(changed, &value, e));
    TRY(role_read(field_bytes(changed->name), buf_bytes(&value), &role, e));
    return table_put(bucket_of(m, MVCC_AUTH_ROLES), field_bytes(changed->name),
                     buf_bytes(&value), role, e);
}

enum rc role_add_apply(struct machine *m, const struct caller *who, const void *request,
                       struct machine_outcome *o, struct err *e)
{
    const Etcdrpc__RoleAddRequest *r = request;
    Authpb__Role role = AUTHPB__ROLE__INIT;

    (void)who;
    if (r->name[0] == '\0')
        return refused(o, REFUSE_ROLE_EMPTY);
    if (role_find(m, r->name) != NULL)
        return refused(o, REFUSE_ROLE_EXISTS);
    role.name = codec_field(bytes_str(r->name));
    TRY(role_store(m, &role, e));
    return auth_revise(m, e);
}

/* The table may move its rows, but keeps their number and order. */
static enum rc take_from_users(struct machine *m, const char *role, struct err *e)
{
    const struct table *t = &m->buckets[MVCC_AUTH_USERS];
    bool found;

    for (size_t i = 0; i < t->count; i++)
        TRY(user_store_without(m, t->rows[i].meaning, role, &found, e));
    return RC_OK;
}

enum rc role_delete_apply(struct machine *m, const struct caller *who,
                          const void *request, struct machine_outcome *o, struct err *e)
{
    const Etcdrpc__RoleDeleteRequest *r = request;
    size_t at;

    (void)who;
    if (m->auth_enabled && strcmp(r->role, ROOT) == 0)
        return refused(o, REFUSE_AUTH_MANAGEMENT);
    if (!table_find(bucket_of(m, MVCC_AUTH_ROLES), bytes_str(r->role), &at))
        return refused(o, REFUSE_NO_ROLE);
    table_remove(bucket_of(m, MVCC_AUTH_ROLES), at);
    TRY(take_from_users(m, r->role, e));
    return auth_revise(m, e);
}

/* ---- permissions --------------------------------------------------------------------
 */

static bool same_span(const Authpb__Permission *p, struct bytes key, struct bytes end)
{
    return bytes_equal(field_bytes(p->key), key) &&
           bytes_equal(field_bytes(p->range_end), end);
}

/* One key, a range that is not empty, or everything from a key on. */
static bool span_valid(struct bytes key, struct bytes end)
{
    if (key.n == 0)
        return false;
    return end.n == 0 || bytes_compare(key, end) < 0 || (end.n == 1 && end.p[0] == 0);
}

static bool spans_are_checked(const struct machine *m)
{
    return has(m, (struct since){ { 25, 8, 0, 0 } });
}

/* Permissions are sorted by key alone, and etcd only looks at the first one of a key: so
 * a second range from there is found and changed only when it is that first one. */
static enum rc grant(struct machine *m, const Authpb__Role *role, Authpb__Permission *p,
                     struct err *e)
{
    AT_END(mem_end) Authpb__Permission **perms = NULL;
    Authpb__Permission plain = AUTHPB__PERMISSION__INIT;
    Authpb__Role changed = *role;
    size_t at = 0, behind = 0;

    TRY(mem_new(&perms, (role->n_perms + 1) * sizeof *perms, "a role's permissions", e));
    plain.kind = p->kind;
    plain.key = p->key;
    plain.range_end = p->range_end;
    while (at < role->n_perms &&
           bytes_compare(field_bytes(role->perms[at]->key), field_bytes(p->key)) < 0)
        at++;
    bool same = at < role->n_perms && same_span(role->perms[at], field_bytes(p->key),
                                                field_bytes(p->range_end));

    while (!same && at < role->n_perms &&
           bytes_equal(field_bytes(role->perms[at]->key), field_bytes(p->key)))
        at++;
    for (size_t i = 0; i < role->n_perms; i++) {
        behind = i >= at && !same ? 1 : 0;
        perms[i + behind] = role->perms[i];
    }
    perms[at] = &plain;
    changed.perms = perms;
    changed.n_perms = role->n_perms + (same ? 0 : 1);
    TRY(role_store(m, &changed, e));
    return auth_revise(m, e);
}

enum rc role_grant_permission_apply(struct machine *m, const struct caller *who,
                                    const void *request, struct machine_outcome *o,
                                    struct err *e)
{
    const Etcdrpc__RoleGrantPermissionRequest *r = request;
    const Authpb__Role *role = role_find(m, r->name);

    (void)who;
    if (r->perm == NULL)
        return refused(o, REFUSE_NO_PERMISSION);
    if (spans_are_checked(m) &&
        !span_valid(field_bytes(r->perm->key), field_bytes(r->perm->range_end)))
        return refused(o, REFUSE_AUTH_MANAGEMENT);
    if (role == NULL)
        return refused(o, REFUSE_NO_ROLE);
    return grant(m, role, r->perm, e);
}

enum rc role_revoke_permission_apply(struct machine *m, const struct caller *who,
                                     const void *request, struct machine_outcome *o,
                                     struct err *e)
{
    const Etcdrpc__RoleRevokePermissionRequest *r = request;
    const Authpb__Role *role = role_find(m, r->role);
    AT_END(mem_end) Authpb__Permission **perms = NULL;
    size_t kept = 0;

    (void)who;
    if (role == NULL)
        return refused(o, REFUSE_NO_ROLE);
    TRY(mem_new(&perms, (role->n_perms + 1) * sizeof *perms, "a role's permissions", e));
    for (size_t i = 0; i < role->n_perms; i++)
        if (!same_span(role->perms[i], field_bytes(r->key), field_bytes(r->range_end)))
            perms[kept++] = role->perms[i];
    if (kept == role->n_perms)
        return refused(o, REFUSE_NOT_GRANTED);
    Authpb__Role changed = *role;

    changed.perms = perms;
    changed.n_perms = kept;
    TRY(role_store(m, &changed, e));
    return auth_revise(m, e);
}

/* ---- queries ------------------------------------------------------------------------
 */

static enum rc reply_permission(const Authpb__Permission *p, struct buf *out,
                                struct err *e)
{
    AT_END(buf_clear) struct buf packed = { 0 };

    TRY(codec_pack(p, &packed, e));
    return reply_part(out, 2, &packed, e);
}

/* From 3.6 on the role root shows what it may do: everything. */
static enum rc reply_root(struct buf *out, struct err *e)
{
    static const uint8_t everything[1] = { 0 };
    Authpb__Permission p = AUTHPB__PERMISSION__INIT;

    p.kind = AUTHPB__PERM_KIND__PERM_READWRITE;
    p.range_end = codec_field(BYTES_OF(everything));
    return reply_permission(&p, out, e);
}

enum rc role_get_query(const struct machine *m, const struct caller *who,
                       const void *request, struct machine_outcome *o, struct err *e)
{
    const Etcdrpc__RoleGetRequest *r = request;
    const Authpb__Role *role = role_find(m, r->role);
    const struct user *u = user_find(m, who->user);
    enum refusal why = permit_admin(m, who);

    if (why != ALLOWED && (u == NULL || !user_has(u, r->role)))
        return refused(o, why);
    if (role == NULL)
        return refused(o, REFUSE_NO_ROLE);
    if (!o->wants_reply)
        return RC_OK;
    if (m->options.minor >= 6 && strcmp(r->role, ROOT) == 0)
        return reply_root(&o->reply, e);
    for (size_t i = 0; i < role->n_perms; i++)
        TRY(reply_permission(role->perms[i], &o->reply, e));
    return RC_OK;
}

enum rc role_list_query(const struct machine *m, const struct caller *who,
                        const void *request, struct machine_outcome *o, struct err *e)
{
    const struct table *t = &m->buckets[MVCC_AUTH_ROLES];

    (void)who;
    (void)request;
    for (size_t i = 0; o->wants_reply && i < t->count; i++)
        TRY(pb_put_bytes(&o->reply, 2, t->rows[i].key, e));
    return RC_OK;
}
