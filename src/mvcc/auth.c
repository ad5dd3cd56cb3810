/* Users and roles: the readers of schema.h that own memory. */
#include "mvcc/message.h"
#include "mvcc/schema.h"
#include "util/mem.h"

/* What is being built ends with its scope unless it is handed over. */
static void user_end(struct mvcc_user *u)
{
    mvcc_user_clear(u);
}

static void role_end(struct mvcc_role *r)
{
    mvcc_role_clear(r);
}

/* etcd stores the name twice, as bucket key and in the message. */
static enum rc name_read(struct bytes key, struct bytes name, char **out, struct err *e)
{
    char shown[2][64];
    char *copy;

    if (!bytes_equal(key, name)) {
        str_printable(shown[0], sizeof shown[0], key);
        str_printable(shown[1], sizeof shown[1], name);
        return err_set(e, RC_CORRUPT, "key '%s' holds the name '%s'", shown[0], shown[1]);
    }
    TRY(mem_new(&copy, name.n + 1, "a name", e));
    memcpy(copy, name.p, name.n);
    *out = copy;
    return RC_OK;
}

static enum rc user_options(struct bytes message, struct mvcc_user *u, struct err *e)
{
    struct pb_reader r = pb_reader_of(message);
    struct pb_field f;

    while (pb_next(&r, &f)) {
        if (f.tag == PB_TAG(1, PB_VARINT))
            u->no_password = f.value != 0;
        else
            TRY(message_unknown(&f, 1, e));
    }
    return message_end(&r, message, e);
}

/* authpb.User { bytes name = 1, password = 2; repeated string roles = 3; UserAddOptions
 * options = 4 }. */
static enum rc user_field(const struct pb_field *f, struct mvcc_user *u,
                          struct bytes *name, struct err *e)
{
    switch (f->tag) {
    case PB_TAG(1, PB_BYTES):
        *name = f->bytes;
        return RC_OK;
    case PB_TAG(2, PB_BYTES):
        u->has_password = f->bytes.n > 0;
        return RC_OK;
    case PB_TAG(3, PB_BYTES):
        return str_list_add_n(&u->roles, (const char *)f->bytes.p, f->bytes.n, e);
    case PB_TAG(4, PB_BYTES):
        return user_options(f->bytes, u, e);
    default:
        return message_unknown(f, 4, e);
    }
}

enum rc mvcc_user_read(struct bytes key, struct bytes value, struct mvcc_user *out,
                       struct err *e)
{
    AT_END(user_end) struct mvcc_user u = { 0 };
    struct pb_reader r = pb_reader_of(value);
    struct bytes name = bytes_str("");
    struct pb_field f;

    while (pb_next(&r, &f))
        TRY(user_field(&f, &u, &name, e));
    TRY(message_end(&r, value, e));
    TRY(name_read(key, name, &u.name, e));
    *out = u;
    u = (struct mvcc_user){ 0 };
    return RC_OK;
}

void mvcc_user_clear(struct mvcc_user *u)
{
    mem_free(u->name);
    str_list_clear(&u->roles);
    *u = (struct mvcc_user){ 0 };
}

/* authpb.Permission { Type permType = 1; bytes key = 2, range_end = 3 }; borrowed from
 * the message. */
static enum rc permission_read(struct bytes message, struct mvcc_permission *out,
                               struct err *e)
{
    struct pb_reader r = pb_reader_of(message);
    struct mvcc_permission p = { 0 };
    struct pb_field f;

    while (pb_next(&r, &f)) {
        if (f.tag == PB_TAG(1, PB_VARINT))
            p.kind = (uint32_t)f.value;
        else if (f.tag == PB_TAG(2, PB_BYTES))
            p.key = f.bytes;
        else if (f.tag == PB_TAG(3, PB_BYTES))
            p.range_end = f.bytes;
        else
            TRY(message_unknown(&f, 3, e));
    }
    TRY(message_end(&r, message, e));
    *out = p;
    return RC_OK;
}

/* A failure must leave nothing that looks owned. */
static enum rc own(struct bytes *b, struct err *e)
{
    void *copy = mem_copy(b->p, b->n);

    if (copy == NULL) {
        *b = (struct bytes){ 0 };
        return err_set(e, RC_NOMEM, "no memory for a permission");
    }
    b->p = copy;
    return RC_OK;
}

static enum rc permission_add(struct bytes message, struct mvcc_role *role, struct err *e)
{
    struct mvcc_permission p;

    TRY(permission_read(message, &p, e));
    /* The entry is counted before its bytes are owned, so that whatever happens next it
     * is cleared with the role. */
    void *more_room = mem_resize(role->permissions, role->count + 1, sizeof p);

    if (more_room == NULL)
        return err_set(e, RC_NOMEM, "no memory for a permission");
    role->permissions = more_room;
    role->permissions[role->count] = (struct mvcc_permission){ .kind = p.kind };
    struct mvcc_permission *to = &role->permissions[role->count++];

    TRY(own(&p.key, e));
    to->key = p.key;
    TRY(own(&p.range_end, e));
    to->range_end = p.range_end;
    return RC_OK;
}

/* authpb.Role { bytes name = 1; repeated Permission keyPermission = 2 }. */
enum rc mvcc_role_read(struct bytes key, struct bytes value, struct mvcc_role *out,
                       struct err *e)
{
    AT_END(role_end) struct mvcc_role role = { 0 };
    struct pb_reader r = pb_reader_of(value);
    struct bytes name = bytes_str("");
    struct pb_field f;

    while (pb_next(&r, &f)) {
        if (f.tag == PB_TAG(1, PB_BYTES))
            name = f.bytes;
        else if (f.tag == PB_TAG(2, PB_BYTES))
            TRY(permission_add(f.bytes, &role, e));
        else
            TRY(message_unknown(&f, 2, e));
    }
    TRY(message_end(&r, value, e));
    TRY(name_read(key, name, &role.name, e));
    *out = role;
    role = (struct mvcc_role){ 0 };
    return RC_OK;
}

static void unborrow(struct bytes b)
{
    union {
        const uint8_t *owned;
        void *p;
    } cast = { .owned = b.p };

    mem_free(cast.p);
}

void mvcc_role_clear(struct mvcc_role *r)
{
    for (size_t i = 0; i < r->count; i++) {
        unborrow(r->permissions[i].key);
        unborrow(r->permissions[i].range_end);
    }
    mem_free(r->permissions);
    mem_free(r->name);
    *r = (struct mvcc_role){ 0 };
}
