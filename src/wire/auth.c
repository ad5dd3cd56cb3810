#include "wire/auth.h"

#include "util/mem.h"
#include "wire/call.h"

/* Generated structs want writable strings and never write them. */
static char *unconst(const char *s)
{
    union {
        const char *from;
        char *to;
    } p = { .from = s };

    return p.to;
}

static enum rc look(struct wire_client *c, const char *method, const void *request,
                    const ProtobufCMessageDescriptor *reply, void *out, struct err *e)
{
    struct wire_call q = {
        .method = method,
        .request = request,
        .reply = reply,
        .endpoint = WIRE_ANY,
        .role = WIRE_ROOT,
    };

    return wire_call(c, &q, out, NULL, e);
}

static enum rc change(struct wire_client *c, const char *method, const void *request,
                      struct err *e)
{
    return wire_change(c, method, request, &etcdrpc__header_only_response__descriptor,
                       NULL, e);
}

static enum rc copy_names(struct str_list *out, char **names, size_t n, struct err *e)
{
    for (size_t i = 0; i < n; i++)
        TRY(str_list_add(out, names[i], e));
    return RC_OK;
}

enum rc wire_auth_status(struct wire_client *c, bool *enabled, uint64_t *revision,
                         struct err *e)
{
    Etcdrpc__AuthStatusRequest q = ETCDRPC__AUTH_STATUS_REQUEST__INIT;
    AT_END(codec_end) Etcdrpc__AuthStatusResponse *r = NULL;

    TRY(look(c, "Auth/AuthStatus", &q, &etcdrpc__auth_status_response__descriptor, &r,
             e));
    *enabled = r->enabled;
    *revision = r->auth_revision;
    return RC_OK;
}

enum rc wire_auth_enable(struct wire_client *c, struct err *e)
{
    Etcdrpc__AuthEnableRequest q = ETCDRPC__AUTH_ENABLE_REQUEST__INIT;

    return change(c, "Auth/AuthEnable", &q, e);
}

enum rc wire_auth_disable(struct wire_client *c, struct err *e)
{
    Etcdrpc__AuthDisableRequest q = ETCDRPC__AUTH_DISABLE_REQUEST__INIT;

    return change(c, "Auth/AuthDisable", &q, e);
}

enum rc wire_user_add(struct wire_client *c, const char *name, const char *password,
                      struct err *e)
{
    Authpb__UserOptions options = AUTHPB__USER_OPTIONS__INIT;
    Etcdrpc__UserAddRequest q;

    etcdrpc__user_add_request__init(&q);
    q.name = unconst(name);
    options.no_password = password == NULL;
    q.options = &options;
    if (password != NULL)
        q.password = unconst(password);
    return change(c, "Auth/UserAdd", &q, e);
}

enum rc wire_user_delete(struct wire_client *c, const char *name, struct err *e)
{
    Etcdrpc__UserDeleteRequest q;

    etcdrpc__user_delete_request__init(&q);
    q.name = unconst(name);
    return change(c, "Auth/UserDelete", &q, e);
}

enum rc wire_user_set_password(struct wire_client *c, const char *name,
                               const char *password, struct err *e)
{
    Etcdrpc__UserChangePasswordRequest q;

    etcdrpc__user_change_password_request__init(&q);
    q.name = unconst(name);
    q.password = unconst(password);
    return change(c, "Auth/UserChangePassword", &q, e);
}

enum rc wire_user_grant(struct wire_client *c, const char *user, const char *role,
                        struct err *e)
{
    Etcdrpc__UserGrantRoleRequest q;

    etcdrpc__user_grant_role_request__init(&q);
    q.user = unconst(user);
    q.role = unconst(role);
    return change(c, "Auth/UserGrantRole", &q, e);
}

enum rc wire_user_revoke(struct wire_client *c, const char *user, const char *role,
                         struct err *e)
{
    Etcdrpc__UserRevokeRoleRequest q;

    etcdrpc__user_revoke_role_request__init(&q);
    q.name = unconst(user);
    q.role = unconst(role);
    return change(c, "Auth/UserRevokeRole", &q, e);
}

enum rc wire_user_list(struct wire_client *c, struct str_list *out, struct err *e)
{
    Etcdrpc__UserListRequest q = ETCDRPC__USER_LIST_REQUEST__INIT;
    AT_END(codec_end) Etcdrpc__UserListResponse *r = NULL;

    TRY(look(c, "Auth/UserList", &q, &etcdrpc__user_list_response__descriptor, &r, e));
    return copy_names(out, r->users, r->n_users, e);
}

enum rc wire_user_roles(struct wire_client *c, const char *user, struct str_list *out,
                        struct err *e)
{
    AT_END(codec_end) Etcdrpc__UserGetResponse *r = NULL;
    Etcdrpc__UserGetRequest q;

    etcdrpc__user_get_request__init(&q);
    q.name = unconst(user);
    TRY(look(c, "Auth/UserGet", &q, &etcdrpc__user_get_response__descriptor, &r, e));
    return copy_names(out, r->roles, r->n_roles, e);
}

enum rc wire_role_add(struct wire_client *c, const char *role, struct err *e)
{
    Etcdrpc__RoleAddRequest q;

    etcdrpc__role_add_request__init(&q);
    q.name = unconst(role);
    return change(c, "Auth/RoleAdd", &q, e);
}

enum rc wire_role_delete(struct wire_client *c, const char *role, struct err *e)
{
    Etcdrpc__RoleDeleteRequest q;

    etcdrpc__role_delete_request__init(&q);
    q.role = unconst(role);
    return change(c, "Auth/RoleDelete", &q, e);
}

enum rc wire_role_list(struct wire_client *c, struct str_list *out, struct err *e)
{
    Etcdrpc__RoleListRequest q = ETCDRPC__ROLE_LIST_REQUEST__INIT;
    AT_END(codec_end) Etcdrpc__RoleListResponse *r = NULL;

    TRY(look(c, "Auth/RoleList", &q, &etcdrpc__role_list_response__descriptor, &r, e));
    return copy_names(out, r->roles, r->n_roles, e);
}

static enum rc fill(struct wire_permissions *p, const Etcdrpc__RoleGetResponse *r,
                    struct err *e)
{
    TRY(mem_new(&p->items, r->n_perms * sizeof *p->items, "permissions", e));
    for (size_t i = 0; i < r->n_perms; i++)
        p->items[i] = (struct wire_permission){
            (enum wire_access)r->perms[i]->kind,
            codec_bytes(&r->perms[i]->key),
            codec_bytes(&r->perms[i]->range_end),
        };
    p->count = r->n_perms;
    return RC_OK;
}

enum rc wire_role_get(struct wire_client *c, const char *role,
                      struct wire_permissions *out, struct err *e)
{
    AT_END(codec_end) Etcdrpc__RoleGetResponse *r = NULL;
    struct wire_permissions p = { 0 };
    Etcdrpc__RoleGetRequest q;

    etcdrpc__role_get_request__init(&q);
    q.role = unconst(role);
    TRY(look(c, "Auth/RoleGet", &q, &etcdrpc__role_get_response__descriptor, &r, e));
    TRY(fill(&p, r, e));
    p.reply = GIVE(r);
    *out = p;
    return RC_OK;
}

void wire_permissions_clear(struct wire_permissions *p)
{
    mem_free(p->items);
    codec_free(p->reply);
    *p = (struct wire_permissions){ 0 };
}

enum rc wire_role_grant(struct wire_client *c, const char *role,
                        const struct wire_permission *p, struct err *e)
{
    Authpb__Permission permission = AUTHPB__PERMISSION__INIT;
    Etcdrpc__RoleGrantPermissionRequest q;

    etcdrpc__role_grant_permission_request__init(&q);
    permission.kind = (Authpb__PermKind)p->access;
    permission.key = codec_field(p->key);
    permission.range_end = codec_field(p->end);
    q.name = unconst(role);
    q.perm = &permission;
    return change(c, "Auth/RoleGrantPermission", &q, e);
}

enum rc wire_role_revoke(struct wire_client *c, const char *role, struct bytes key,
                         struct bytes end, struct err *e)
{
    Etcdrpc__RoleRevokePermissionRequest q;

    etcdrpc__role_revoke_permission_request__init(&q);
    q.role = unconst(role);
    q.key = codec_field(key);
    q.range_end = codec_field(end);
    return change(c, "Auth/RoleRevokePermission", &q, e);
}
