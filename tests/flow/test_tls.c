/* Who may, and whom to trust: certificates, users, passwords. A refusal is exit status 7
 * and says what is wrong. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "tests/flow/certs.h"
#include "tests/flow/flow.h"
#include "tests/flow/history.h"
#include "wire/auth.h"

/* The server shows `name`'s certificate instead of its own. */
static void serve_as(const char *dir, const char *name)
{
    char line[1024];

    snprintf(line, sizeof line, "cd '%s' && cp %s.crt server.crt && cp %s.key server.key",
             dir, name, name);
    PEER(p, "sh", "-c", line);
}

static void refused(const struct proc *p, const char *word, const char *what)
{
    cr_assert(strstr(p->err, word) != NULL, "%s: '%s' is not in: %s", what, word, p->err);
    cr_assert(strstr(p->err, "next:") != NULL, "%s: %s", what, p->err);
}

EACH_BACKEND(tls, good_certificates_work)
{
    CLUSTER c = { 0 };
    const char *dir = certificates(), *ca = path_in(dir, "ca.crt");
    const char *cert = path_in(dir, "client.crt"), *key = path_in(dir, "client.key");

    cluster_start(&c, b,
                  &(struct cluster_options){ .tls_dir = dir, .client_cert_auth = true });
    TOOL(p, 0, "snapshot", "save", path_in(c.dir, "x.db"), "--endpoints",
         cluster_endpoints(&c), "--cacert", ca, "--cert", cert, "--key", key);
    TOOL(v, 0, "snapshot", "verify", path_in(c.dir, "x.db"), "--against-cluster",
         "--endpoints", cluster_endpoints(&c), "--cacert", ca, "--cert", cert, "--key",
         key);
    cr_assert_str_eq(dir_listing(c.dir), "m0 m0.log x.db");
}

EACH_BACKEND(tls, whom_nobody_vouches_for_is_refused)
{
    CLUSTER c = { 0 };
    const char *dir = certificates(), *ca = path_in(dir, "ca.crt");
    const char *cert = path_in(dir, "client.crt"), *key = path_in(dir, "client.key");
    const char *stranger = path_in(dir, "stranger.crt");
    const char *stranger_key = path_in(dir, "stranger.key"), *file, *at;

    cluster_start(&c, b,
                  &(struct cluster_options){ .tls_dir = dir, .client_cert_auth = true });
    file = path_in(c.dir, "x.db");
    at = cluster_endpoints(&c);
    TOOL(wrong_ca, 7, "snapshot", "save", file, "--endpoints", at, "--cacert", stranger,
         "--cert", cert, "--key", key);
    refused(&wrong_ca, "CA that is not trusted here", b->name);
    TOOL(no_ca, 7, "snapshot", "save", file, "--endpoints", at, "--cert", cert, "--key",
         key);
    refused(&no_ca, "--cacert", b->name);
    TOOL(no_cert, 7, "snapshot", "save", file, "--endpoints", at, "--cacert", ca);
    refused(&no_cert, "client certificate", b->name);
    TOOL(bad_cert, 7, "snapshot", "save", file, "--endpoints", at, "--cacert", ca,
         "--cert", stranger, "--key", stranger_key);
    refused(&bad_cert, "client certificate", b->name);
    cr_assert_str_eq(dir_listing(c.dir), "m0 m0.log");
}

static void save_over_tls(const struct cluster *c, const char *dir, const char *name,
                          int status, const char *word)
{
    TOOL(p, status, "snapshot", "save", path_in(c->dir, name), "--endpoints",
         cluster_endpoints(c), "--cacert", path_in(dir, "ca.crt"));
    if (word != NULL)
        refused(&p, word, c->backend->name);
}

/* etcd reads its certificate anew for each connection, so one server shows them all; not
 * before the first one, since it does not start on a key that is just being replaced. */
EACH_ETCD(tls, a_server_that_is_not_who_it_should_be_is_refused)
{
    CLUSTER c = { 0 };
    const char *dir = certificates();

    cluster_start(&c, b, &(struct cluster_options){ .tls_dir = dir });
    save_over_tls(&c, dir, "1.db", 0, NULL);
    serve_as(dir, "old");
    save_over_tls(&c, dir, "2.db", 7, "expired");
    serve_as(dir, "other");
    save_over_tls(&c, dir, "2.db", 7, "another host name");
    TOOL(p, 0, "snapshot", "save", path_in(c.dir, "3.db"), "--endpoints",
         cluster_endpoints(&c), "--insecure-skip-tls-verify");
    serve_as(dir, "client");
    save_over_tls(&c, dir, "4.db", 0, NULL);
    cr_assert_str_eq(dir_listing(c.dir), "1.db 3.db 4.db m0 m0.log");
}

/* Speaking TLS to a server that does not, and the reverse. */
EACH_BACKEND(tls, both_sides_must_agree_to_use_it)
{
    CLUSTER with = { 0 }, without = { 0 };
    const char *dir = certificates(), *file;
    char plain[64], https[64];

    cluster_start(&with, b, &(struct cluster_options){ .tls_dir = dir });
    cluster_start(&without, b, NULL);
    file = path_in(with.dir, "x.db");
    snprintf(plain, sizeof plain, "http://127.0.0.1:%d", with.members[0].client_port);
    snprintf(https, sizeof https, "https://127.0.0.1:%d", without.members[0].client_port);
    TOOL(p, 4, "snapshot", "save", file, "--endpoints", plain);
    refused(&p, "https://", b->name);
    TOOL(q, 4, "snapshot", "save", file, "--endpoints", https, "--cacert",
         path_in(dir, "ca.crt"));
    refused(&q, "use http://", b->name);
    cr_assert_str_eq(dir_listing(with.dir), "m0 m0.log");
}

/* ---- users ---------------------------------------------------------------------------
 */

static void start_with_users(struct cluster *c, const struct cluster_backend *b)
{
    OWNED(wire_client) w = NULL;
    struct err e = { 0 };

    cluster_start(c, b, NULL);
    flow_connect(c, &w);
    history_fill(w, "fill", 20, 10);
    history_add_users(w);
    OK(wire_auth_enable(w, &e), &e);
}

static const char *password_file(const char *dir, const char *name, const char *text)
{
    const char *path = path_in(dir, name);
    char line[512];

    snprintf(line, sizeof line, "printf '%s\\n' > '%s' && chmod 600 '%s'", text, path,
             path);
    PEER(p, "sh", "-c", line);
    return path;
}

EACH_BACKEND(tls, only_root_may_take_a_snapshot)
{
    CLUSTER c = { 0 };
    const char *file, *at, *right, *wrong;

    start_with_users(&c, b);
    file = path_in(c.dir, "x.db");
    at = cluster_endpoints(&c);
    right = password_file(c.dir, "right", "pw");
    wrong = password_file(c.dir, "wrong", "pw ");
    TOOL(nobody, 7, "snapshot", "save", file, "--endpoints", at);
    refused(&nobody, "--user", b->name);
    TOOL(alice, 7, "snapshot", "save", file, "--endpoints", at, "--user", "alice:secret");
    refused(&alice, "role root", b->name);
    TOOL(mistyped, 7, "snapshot", "save", file, "--endpoints", at, "--user", "root",
         "--password-file", wrong);
    refused(&mistyped, "password", b->name);
    TOOL(unknown, 7, "snapshot", "save", file, "--endpoints", at, "--user", "eve:pw");
    refused(&unknown, "password", b->name);
    cr_assert_str_eq(dir_listing(c.dir), "m0 m0.log right wrong");
    TOOL(root, 0, "snapshot", "save", file, "--endpoints", at, "--user", "root",
         "--password-file", right);
    TOOL(v, 0, "snapshot", "verify", file, "--against-cluster", "--endpoints", at,
         "--user", "root", "--password-file", right);
}

/* A user where no login is needed is no mistake: scripts outlive settings. */
EACH_BACKEND(tls, a_login_that_is_not_needed_does_no_harm)
{
    CLUSTER c = { 0 };

    cluster_start(&c, b, NULL);
    TOOL(p, 0, "snapshot", "save", path_in(c.dir, "x.db"), "--endpoints",
         cluster_endpoints(&c), "--user", "root:pw");
}

/* ---- the environment -----------------------------------------------------------------
 */

#define SETTING(name, fmt, ...) \
    char name[700];             \
    snprintf(name, sizeof name, fmt, __VA_ARGS__)

/* etcdctl's variables count, HOLDFAST_ before them, and a flag before both. */
EACH_BACKEND(tls, the_environment_of_etcdctl_counts)
{
    CLUSTER c = { 0 };
    const char *dir = certificates();

    cluster_start(&c, b,
                  &(struct cluster_options){ .tls_dir = dir, .client_cert_auth = true });
    SETTING(endpoints, "ETCDCTL_ENDPOINTS=%s", cluster_endpoints(&c));
    SETTING(own, "HOLDFAST_ENDPOINTS=%s", cluster_endpoints(&c));
    SETTING(ca, "ETCDCTL_CACERT=%s/ca.crt", dir);
    SETTING(cert, "ETCDCTL_CERT=%s/client.crt", dir);
    SETTING(key, "ETCDCTL_KEY=%s/client.key", dir);
    const char *dead = "ETCDCTL_ENDPOINTS=https://127.0.0.1:1";
    const struct {
        const char *env[7];
        const char *flag;
        int status;
    } table[] = {
        { { endpoints, ca, cert, key }, NULL, 0 },
        { { dead, ca, cert, key }, NULL, 4 },
        { { dead, own, ca, cert, key }, NULL, 0 },
        { { dead, ca, cert, key }, cluster_endpoints(&c), 0 },
        { { endpoints, ca }, NULL, 7 },
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const struct proc_options o = { .env = table[i].env };
        [[gnu::cleanup(proc_end)]] struct proc p = { 0 };
        char name[32];

        snprintf(name, sizeof name, "%zu.db", i);
        flow_tool(&p, table[i].status, &o,
                  (const char *const[]){ HOLDFAST_BIN, "snapshot", "save",
                                         path_in(c.dir, name),
                                         table[i].flag == NULL ? NULL : "--endpoints",
                                         table[i].flag, NULL });
    }
}

EACH_BACKEND(tls, user_and_password_come_from_the_environment)
{
    CLUSTER c = { 0 };

    start_with_users(&c, b);
    SETTING(endpoints, "ETCDCTL_ENDPOINTS=%s", cluster_endpoints(&c));
    const char *joined[] = { endpoints, "ETCDCTL_USER=root:pw", NULL };
    const char *apart[] = { endpoints, "ETCDCTL_USER=root", "ETCDCTL_PASSWORD=pw", NULL };
    const struct proc_options o = { .env = joined }, q = { .env = apart };
    [[gnu::cleanup(proc_end)]] struct proc p1 = { 0 }, p2 = { 0 };

    flow_tool(&p1, 0, &o,
              (const char *const[]){ HOLDFAST_BIN, "snapshot", "save",
                                     path_in(c.dir, "1.db"), NULL });
    flow_tool(&p2, 0, &q,
              (const char *const[]){ HOLDFAST_BIN, "snapshot", "save",
                                     path_in(c.dir, "2.db"), NULL });
    cr_assert_null(strstr(p2.err, "command line"), "%s", p2.err);
}
