/* Users, roles, and whether they count. With authentication on, all need role root,
 * except a user's look at itself and at its roles. */
#ifndef WIRE_AUTH_H
#define WIRE_AUTH_H

#include "util/str.h"
#include "wire/wire.h"

/* WIRE_UNIMPLEMENTED before 3.5. */
enum rc wire_auth_status(struct wire_client *c, bool *enabled, uint64_t *revision,
                         struct err *e);
enum rc wire_auth_enable(struct wire_client *c, struct err *e);
enum rc wire_auth_disable(struct wire_client *c, struct err *e);

/* password NULL: a user that logs in by client certificate only. */
enum rc wire_user_add(struct wire_client *c, const char *name, const char *password,
                      struct err *e);
enum rc wire_user_delete(struct wire_client *c, const char *name, struct err *e);
enum rc wire_user_set_password(struct wire_client *c, const char *name,
                               const char *password, struct err *e);
enum rc wire_user_grant(struct wire_client *c, const char *user, const char *role,
                        struct err *e);
enum rc wire_user_revoke(struct wire_client *c, const char *user, const char *role,
                         struct err *e);
/* Names are appended, as the server has them: print with care. */
enum rc wire_user_list(struct wire_client *c, struct str_list *out, struct err *e);
enum rc wire_user_roles(struct wire_client *c, const char *user, struct str_list *out,
                        struct err *e);

enum wire_access { WIRE_READ, WIRE_WRITE, WIRE_READWRITE };

/* Keys as struct wire_range has them. */
struct wire_permission {
    enum wire_access access;
    struct bytes key, end;
};

struct wire_permissions {
    struct wire_permission *items; /* bytes borrowed from `reply` */
    size_t count;
    void *reply;
};

enum rc wire_role_add(struct wire_client *c, const char *role, struct err *e);
enum rc wire_role_delete(struct wire_client *c, const char *role, struct err *e);
enum rc wire_role_list(struct wire_client *c, struct str_list *out, struct err *e);
enum rc wire_role_get(struct wire_client *c, const char *role,
                      struct wire_permissions *out, struct err *e);
void wire_permissions_clear(struct wire_permissions *p);
enum rc wire_role_grant(struct wire_client *c, const char *role,
                        const struct wire_permission *p, struct err *e);
enum rc wire_role_revoke(struct wire_client *c, const char *role, struct bytes key,
                         struct bytes end, struct err *e);

#endif
