/* Users and tokens, where a server cannot be watched. */
#include "machine/machine.h"
#include "tests/lib/case.h"
#include "tests/unit/machine/mfixture.h"

#define NEW_REQUEST(name) \
    Raftreq__InternalRaftRequest name = RAFTREQ__INTERNAL_RAFT_REQUEST__INIT

static char *writable(const char *s)
{
    return (char *)(uintptr_t)s;
}

static const char *outcome(struct machine *m, const Raftreq__InternalRaftRequest *r)
{
    struct machine_outcome o = { 0 };
    struct err e = { 0 };

    OK(machine_request(m, r, &o, &e), &e);
    return o.message;
}

static const char *user_add(struct machine *m, const char *name, const char *plain,
                            const char *hashed)
{
    Etcdrpc__UserAddRequest u;
    NEW_REQUEST(r);

    etcdrpc__user_add_request__init(&u);
    u.name = writable(name);
    u.password = writable(plain);
    u.hashed_password = writable(hashed);
    r.user_add = &u;
    return outcome(m, &r);
}

static const char *role_add(struct machine *m, const char *name)
{
    Etcdrpc__RoleAddRequest a;
    NEW_REQUEST(r);

    etcdrpc__role_add_request__init(&a);
    a.name = writable(name);
    r.role_add = &a;
    return outcome(m, &r);
}

static const char *grant_role(struct machine *m, const char *user, const char *role)
{
    Etcdrpc__UserGrantRoleRequest g;
    NEW_REQUEST(r);

    etcdrpc__user_grant_role_request__init(&g);
    g.user = writable(user);
    g.role = writable(role);
    r.user_grant_role = &g;
    return outcome(m, &r);
}

static const char *enable(struct machine *m)
{
    Etcdrpc__AuthEnableRequest a = ETCDRPC__AUTH_ENABLE_REQUEST__INIT;
    NEW_REQUEST(r);

    r.auth_enable = &a;
    return outcome(m, &r);
}

static const char *log_in(struct machine *m, const char *user, const char *token)
{
    Raftreq__InternalAuthenticate a;
    NEW_REQUEST(r);

    raftreq__internal_authenticate__init(&a);
    a.name = writable(user);
    a.simple_token = writable(token);
    r.authenticate = &a;
    return outcome(m, &r);
}

/* A put by `user`, who saw the users at `revision`. */
static const char *put_as(struct machine *m, const char *user, uint64_t revision)
{
    Etcdrpc__PutRequest p = ETCDRPC__PUT_REQUEST__INIT;
    Raftreq__RequestHeader h;
    NEW_REQUEST(r);

    raftreq__request_header__init(&h);
    h.username = writable(user);
    h.auth_revision = revision;
    p.key = codec_field(bytes_str("k"));
    r.put = &p;
    r.header = user == NULL ? NULL : &h;
    return outcome(m, &r);
}

static const char *as_root(struct machine *m, Raftreq__InternalRaftRequest *r)
{
    Raftreq__RequestHeader h;

    raftreq__request_header__init(&h);
    h.username = writable("root");
    h.auth_revision = machine_auth_revision(m);
    r->header = &h;
    const char *said = outcome(m, r);

    r->header = NULL;
    return said;
}

/* root and alice, who may nothing. */
static struct machine *guarded(int minor)
{
    struct machine *m = machine_of(minor);

    cr_assert_str_eq(enable(m), "etcdserver: root user does not exist");
    cr_assert_str_eq(user_add(m, "root", "", "aGFzaA=="), "");
    cr_assert_str_eq(enable(m), "etcdserver: root user does not have root role");
    cr_assert_str_eq(user_add(m, "alice", "", "aGFzaA=="), "");
    cr_assert_str_eq(role_add(m, "root"), "");
    cr_assert_str_eq(grant_role(m, "root", "root"), "");
    cr_assert_eq(machine_auth_revision(m), 5);
    cr_assert_str_eq(log_in(m, "root", "t"), "etcdserver: authentication is not enabled");
    cr_assert_str_eq(enable(m), "");
    cr_assert_eq(machine_auth_revision(m), 5);
    return m;
}

CASE(machine_auth, a_request_names_who_asks_and_what_he_knew)
{
    OWNED(machine) m = guarded(6);

    cr_assert_str_eq(put_as(m, NULL, 0), "etcdserver: user name is empty");
    cr_assert_str_eq(put_as(m, "root", 0), "etcdserver: user name is empty");
    cr_assert_str_eq(put_as(m, "root", 4), "etcdserver: revision of auth store is old");
    cr_assert_str_eq(put_as(m, "nobody", 5), "etcdserver: permission denied");
    cr_assert_str_eq(put_as(m, "alice", 5), "etcdserver: permission denied");
    cr_assert_str_eq(put_as(m, "root", 5), "");
    cr_assert_str_eq(role_add(m, "r"), "etcdserver: user name is empty");
    cr_assert(machine_is_root(m, "root") && !machine_is_root(m, "alice"));
    cr_assert(
        !machine_may_read(m, "alice", (struct kvstore_span){ .key = bytes_str("k") }));
}

CASE(machine_auth, a_token_lasts_as_long_as_its_users_password)
{
    static const struct {
        int minor;
        const char *token;
    } rows[] = { { 5, "t.8" }, { 6, "t.7" } };

    for (size_t i = 0; i < 2; i++) {
        Etcdrpc__UserChangePasswordRequest c;
        Etcdrpc__AuthDisableRequest off = ETCDRPC__AUTH_DISABLE_REQUEST__INIT;
        OWNED(machine) m = guarded(rows[i].minor);
        NEW_REQUEST(r);

        machine_set_index(m, 7, 1);
        cr_assert_str_eq(log_in(m, "alice", "t"), "");
        cr_assert_str_eq(log_in(m, "root", "u"), "");
        cr_assert_str_eq(
            log_in(m, "carol", "v"),
            "etcdserver: authentication failed, invalid user ID or password");
        cr_assert_str_eq(machine_token_user(m, rows[i].token), "alice");
        etcdrpc__user_change_password_request__init(&c);
        c.name = writable("alice");
        c.hashed_password = writable("bmV3");
        r.user_change_password = &c;
        cr_assert_str_eq(as_root(m, &r), "");
        cr_assert_null(machine_token_user(m, rows[i].token));
        cr_assert_str_eq(machine_password(m, "alice"), "new");
        cr_assert_not_null(machine_token_user(m, i == 0 ? "u.8" : "u.7"));
        r.user_change_password = NULL;
        r.auth_disable = &off;
        cr_assert_str_eq(as_root(m, &r), "");
        cr_assert_null(machine_token_user(m, i == 0 ? "u.8" : "u.7"));
    }
}

static enum rc reverse(void *arg, const char *password, struct buf *out, struct err *e)
{
    (void)arg;
    for (size_t i = strlen(password); i > 0; i--)
        TRY(buf_add(out, &password[i - 1], 1, e));
    return RC_OK;
}

CASE(machine_auth, a_password_in_the_clear_needs_a_hash)
{
    const struct machine_options options = { .minor = 4, .hash_password = reverse };
    OWNED(machine) with = NULL;
    OWNED(machine) without = machine_of(4);
    struct err e = { 0 };

    OK(machine_new(&options, &with, &e), &e);
    cr_assert_str_eq(user_add(with, "alice", "secret", ""), "");
    cr_assert_str_eq(machine_password(with, "alice"), "terces");
    cr_assert_eq(machine_lost_passwords(with), 0);
    cr_assert_str_eq(user_add(without, "alice", "secret", ""), "");
    cr_assert_str_eq(machine_password(without, "alice"), "*");
    cr_assert_eq(machine_lost_passwords(without), 1);
    cr_assert_null(machine_password(without, "bob"));
}

CASE(machine_auth, a_hash_that_is_no_base64_is_refused)
{
    OWNED(machine) m = machine_of(6);

    cr_assert_str_eq(
        user_add(m, "a", "", "!"),
        "auth: authentication failed, password was given for no password user");
    cr_assert_str_eq(user_add(m, "a", "", ""), "");
    cr_assert_null(machine_password(m, "a"));
}
