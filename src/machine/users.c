/* Users: bucket authUsers (etcd server/auth/store.go). A changed user is packed and read
 * again, so that what is stored and what it means cannot differ. */
#include "crypto/base64.h"
#include "machine/reply.h"
#include "machine/state.h"
#include "util/mem.h"

#define ROOT "root"

void user_free(void *meaning)
{
    struct user *u = meaning;

    codec_free(u->stored);
    mem_free(u->password);
    mem_free(u);
}

static void user_end(struct user **u)
{
    if (*u != NULL)
        user_free(*u);
}

const struct user *user_find(const struct machine *m, const char *name)
{
    const struct table_row *row =
        table_row(&m->buckets[MVCC_AUTH_USERS], bytes_str(name));

    return row == NULL ? NULL : row->meaning;
}

static enum rc user_read(struct bytes key, struct bytes value, struct user **out,
                         struct err *e)
{
    AT_END(user_end) struct user *u = NULL;

    TRY(mem_new(&u, sizeof *u, "a user", e));
    TRY(codec_unpack(&authpb__user__descriptor, value, &u->stored, e));
    if (!bytes_equal(field_bytes(u->stored->name), key))
        return err_set(e, RC_CORRUPT, "a user is stored under another one's name");
    u->password = mem_zero(u->stored->password.len + 1);
    if (u->password == NULL)
        return err_set(e, RC_NOMEM, "no memory for a user");
    if (u->stored->password.len > 0)
        memcpy(u->password, u->stored->password.data, u->stored->password.len);
    *out = GIVE(u);
    return RC_OK;
}

enum rc user_load(struct machine *m, struct bytes key, struct bytes value, struct err *e)
{
    struct user *u;

    TRY(user_read(key, value, &u, e));
    return table_lend(bucket_of(m, MVCC_AUTH_USERS), key, value, u, e);
}

enum rc user_store(struct machine *m, const Authpb__User *changed, struct err *e)
{
    AT_END(buf_clear) struct buf value = { 0 };
    struct user *u;

    TRY(codec_pack(changed, &value, e));
    TRY(user_read(field_bytes(changed->name), buf_bytes(&value), &u, e));
    return table_put(bucket_of(m, MVCC_AUTH_USERS), field_bytes(changed->name),
                     buf_bytes(&value), u, e);
}

/* ---- passwords ----------------------------------------------------------------------
 */

static enum rc decode_hash(const char *text, struct buf *out, bool *ok, struct err *e)
{
    size_t n = strlen(text);

    TRY(buf_reserve(out, n * 3 / 4 + 3, e));
    *ok = base64_decode_padded(bytes_str(text), out->p, &out->n);
    return RC_OK;
}

/* From 3.5 on the entry carries the hash, before it the password itself. */
static enum rc password_choose(struct machine *m, const char *plain, const char *hashed,
                               struct buf *out, bool *ok, struct err *e)
{
    *ok = true;
    if (hashed[0] != '\0')
        return decode_hash(hashed, out, ok, e);
    if (plain[0] == '\0' && m->options.minor >= 5)
        return RC_OK;
    if (m->options.hash_password != NULL)
        return m->options.hash_password(m->options.hash_arg, plain, out, e);
    m->lost_passwords++;
    return buf_add(out, "*", 1, e); /* no bcrypt text: nothing compares equal to it */
}

static void wipe(struct buf *b)
{
    buf_wipe(b);
}

/* ---- requests -----------------------------------------------------------------------
 */

static enum rc add(struct machine *m, const Etcdrpc__UserAddRequest *r,
                   struct machine_outcome *o, struct err *e)
{
    AT_END(wipe) struct buf password = { 0 };
    Authpb__UserOptions none = AUTHPB__USER_OPTIONS__INIT;
    Authpb__User u = AUTHPB__USER__INIT;
    bool ok = true;

    u.name = codec_field(bytes_str(r->name));
    u.options = r->options != NULL ? r->options : &none;
    if (!u.options->no_password)
        TRY(password_choose(m, r->password, r->hashed_password, &password, &ok, e));
    if (!ok)
        return refused(o, REFUSE_PASSWORD);
    u.password = codec_field(buf_bytes(&password));
    TRY(user_store(m, &u, e));
    return auth_revise(m, e);
}

enum rc user_add_apply(struct machine *m, const struct caller *who, const void *request,
                       struct machine_outcome *o, struct err *e)
{
    const Etcdrpc__UserAddRequest *r = request;

    (void)who;
    if (r->name[0] == '\0')
        return refused(o, REFUSE_USER_EMPTY);
    if (user_find(m, r->name) != NULL)
        return refused(o, REFUSE_USER_EXISTS);
    return add(m, r, o, e);
}

enum rc user_delete_apply(struct machine *m, const struct caller *who,
                          const void *request, struct machine_outcome *o, struct err *e)
{
    const Etcdrpc__UserDeleteRequest *r = request;
    size_t at;

    (void)who;
    if (m->auth_enabled && strcmp(r->name, ROOT) == 0)
        return refused(o, REFUSE_AUTH_MANAGEMENT);
    if (!table_find(bucket_of(m, MVCC_AUTH_USERS), bytes_str(r->name), &at))
        return refused(o, REFUSE_NO_USER);
    table_remove(bucket_of(m, MVCC_AUTH_USERS), at);
    tokens_drop(m, r->name);
    return auth_revise(m, e);
}

enum rc user_change_password_apply(struct machine *m, const struct caller *who,
                                   const void *request, struct machine_outcome *o,
                                   struct err *e)
{
    const Etcdrpc__UserChangePasswordRequest *r = request;
    const struct user *u = user_find(m, r->name);
    AT_END(wipe) struct buf password = { 0 };
    bool ok = true;

    (void)who;
    if (u == NULL)
        return refused(o, REFUSE_NO_USER);
    Authpb__User changed = *u->stored;
    bool none = changed.options != NULL && changed.options->no_password;

    if (!none || m->options.minor < 5)
        TRY(password_choose(m, r->password, r->hashed_password, &password, &ok, e));
    if (!ok)
        return refused(o, REFUSE_PASSWORD);
    changed.password = codec_field(buf_bytes(&password));
    TRY(user_store(m, &changed, e));
    tokens_drop(m, r->name);
    return auth_revise(m, e);
}

/* Roles are kept sorted. */
static enum rc grant(struct machine *m, const struct user *u, char *role, struct err *e)
{
    Authpb__User changed = *u->stored;
    size_t at = 0;
    AT_END(mem_end) char **roles = NULL;

    TRY(mem_new(&roles, (changed.n_roles + 1) * sizeof *roles, "a user's roles", e));
    while (at < changed.n_roles && strcmp(changed.roles[at], role) < 0)
        at++;
    for (size_t i = 0; i < changed.n_roles; i++)
        roles[i < at ? i : i + 1] = changed.roles[i];
    roles[at] = role;
    changed.roles = roles;
    changed.n_roles++;
    TRY(user_store(m, &changed, e));
    return auth_revise(m, e);
}

enum rc user_grant_role_apply(struct machine *m, const struct caller *who,
                              const void *request, struct machine_outcome *o,
                              struct err *e)
{
    const Etcdrpc__UserGrantRoleRequest *r = request;
    const struct user *u = user_find(m, r->user);

    (void)who;
    if (u == NULL)
        return refused(o, REFUSE_NO_USER);
    if (strcmp(r->role, ROOT) != 0 && role_find(m, r->role) == NULL)
        return refused(o, REFUSE_NO_ROLE);
    return user_has(u, r->role) ? RC_OK : grant(m, u, r->role, e);
}

enum rc user_store_without(struct machine *m, const struct user *u, const char *role,
                           bool *found, struct err *e)
{
    Authpb__User changed = *u->stored;
    size_t kept = 0;
    AT_END(mem_end) char **roles = NULL;

    TRY(mem_new(&roles, (changed.n_roles + 1) * sizeof *roles, "a user's roles", e));
    for (size_t i = 0; i < changed.n_roles; i++)
        if (strcmp(changed.roles[i], role) != 0)
            roles[kept++] = changed.roles[i];
    *found = kept < changed.n_roles;
    changed.roles = roles;
    changed.n_roles = kept;
    return *found ? user_store(m, &changed, e) : RC_OK;
}

enum rc user_revoke_role_apply(struct machine *m, const struct caller *who,
                               const void *request, struct machine_outcome *o,
                               struct err *e)
{
    const Etcdrpc__UserRevokeRoleRequest *r = request;
    const struct user *u = user_find(m, r->name);
    bool found;

    (void)who;
    if (m->auth_enabled && strcmp(r->name, ROOT) == 0 && strcmp(r->role, ROOT) == 0)
        return refused(o, REFUSE_AUTH_MANAGEMENT);
    if (u == NULL)
        return refused(o, REFUSE_NO_USER);
    TRY(user_store_without(m, u, r->role, &found, e));
    return found ? auth_revise(m, e) : refused(o, REFUSE_ROLE_NOT_GRANTED);
}

/* A user may look at itself. */
enum rc user_get_query(const struct machine *m, const struct caller *who,
                       const void *request, struct machine_outcome *o, struct err *e)
{
    const Etcdrpc__UserGetRequest *r = request;
    enum refusal why = permit_admin(m, who);
    const struct user *u = user_find(m, r->name);

    if (why != ALLOWED && strcmp(r->name, who->user) != 0)
        return refused(o, why);
    if (u == NULL)
        return refused(o, REFUSE_NO_USER);
    for (size_t i = 0; o->wants_reply && i < u->stored->n_roles; i++)
        TRY(pb_put_bytes(&o->reply, 2, bytes_str(u->stored->roles[i]), e));
    return RC_OK;
}

enum rc user_list_query(const struct machine *m, const struct caller *who,
                        const void *request, struct machine_outcome *o, struct err *e)
{
    const struct table *t = &m->buckets[MVCC_AUTH_USERS];

    (void)who;
    (void)request;
    for (size_t i = 0; o->wants_reply && i < t->count; i++)
        TRY(pb_put_bytes(&o->reply, 2, t->rows[i].key, e));
    return RC_OK;
}

const char *machine_password(const struct machine *m, const char *user)
{
    const struct user *u = user_find(m, user);

    return u == NULL || u->password[0] == '\0' ? NULL : u->password;
}

bool machine_without_password(const struct machine *m, const char *user)
{
    const struct user *u = user_find(m, user);

    return u != NULL && u->stored->options != NULL && u->stored->options->no_password;
}

uint64_t machine_lost_passwords(const struct machine *m)
{
    return m->lost_passwords;
}
