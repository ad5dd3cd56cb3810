#include "tests/flow/flow.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/mem.h"
#include "wire/maintenance.h"

/* CASE looks for leaks inside the test; a second look at exit would only bury the message
 * of a test that failed, whose objects are all still there. */
#ifdef SANITIZE
const char *__lsan_default_options(void);
const char *__lsan_default_options(void)
{
    return "leak_check_at_exit=0";
}
#endif

/* What the tool remembers goes away with the test, too. */
static void keep_state_in_scratch(void)
{
    setenv("HOLDFAST_STATE_DIR", tmpdir_new(), 0);
}

void flow_need(const char *version)
{
    keep_state_in_scratch();
    if (!cluster_available(cluster_backend(version)))
        cr_skip_test("etcd %s is not in the peers' cache", version);
}

static const char *command_line(const char *const argv[])
{
    static char text[2048];
    size_t used = 0;

    for (; *argv != NULL && used < sizeof text; argv++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s ", *argv);
    return text;
}

void flow_tool(struct proc *p, int status, const struct proc_options *o,
               const char *const argv[])
{
    proc_run(p, o, argv);
    cr_assert(p->status == status, "%s: exit status %d, not %d\n%s%s", command_line(argv),
              p->status, status, p->out, p->err);
}

void flow_json(const struct proc *p, struct json **out)
{
    struct err e = { 0 };

    OK(json_parse(bytes_str(p->out), "standard output", out, &e), &e);
}

int64_t flow_number(const struct json *o, const char *key)
{
    int64_t i = 0;
    uint64_t u = 0;

    if (json_get_u64(o, key, &u))
        return (int64_t)u;
    cr_assert(json_get_i64(o, key, &i), "no number '%s'", key);
    return i;
}

const char *flow_text(const struct json *o, const char *key)
{
    const char *text = json_get_str(o, key);

    cr_assert_not_null(text, "no text '%s'", key);
    return text;
}

static enum rc password_of(void *arg, char **out, struct err *e)
{
    const char *colon = strchr(arg, ':');

    *out = mem_str(colon == NULL ? "" : colon + 1);
    return *out == NULL ? err_set(e, RC_NOMEM, "no memory for a password") : RC_OK;
}

static void connect_to(const struct cluster *c, const char *endpoints,
                       struct wire_client **out)
{
    char ca[600], cert[600], key[600], user[64] = "";
    const char *dir = c->options.tls_dir;
    struct wire_options o = { .endpoints = endpoints,
                              .dial_timeout_ms = 20000,
                              .command_timeout_ms = 60000,
                              .password = password_of,
                              .password_arg = (void *)(uintptr_t)c->user };
    struct err e = { 0 };

    if (c->user != NULL) {
        snprintf(user, sizeof user, "%.*s", (int)strcspn(c->user, ":"), c->user);
        o.user = user;
    }
    if (dir != NULL) {
        snprintf(ca, sizeof ca, "%s/ca.crt", dir);
        snprintf(cert, sizeof cert, "%s/client.crt", dir);
        snprintf(key, sizeof key, "%s/client.key", dir);
        o.cacert = ca;
        o.cert = cert;
        o.key = key;
    }
    OK(wire_client_new(&o, out, &e), &e);
}

void flow_connect(const struct cluster *c, struct wire_client **out)
{
    connect_to(c, cluster_endpoints(c), out);
}

void flow_connect_to(const struct cluster *c, unsigned i, struct wire_client **out)
{
    connect_to(c, cluster_endpoint(c, i), out);
}

struct flow_hash flow_hashkv(struct wire_client *c, size_t i, int64_t revision)
{
    struct wire_hashkv h = { 0 };
    struct err e = { 0 };

    OK(wire_hashkv_get(c, i, revision, &h, &e), &e);
    return (struct flow_hash){ h.hash, h.header.revision, h.compact_revision };
}

const char *flow_keygen(const char *dir)
{
    static char recipient[128];
    const char *at;

    TOOL(p, 0, "keygen", "-o", path_in(dir, "key"));
    at = strstr(p.err, "age1");
    cr_assert_not_null(at, "keygen said no public key: %s", p.err);
    snprintf(recipient, sizeof recipient, "%.*s", (int)strcspn(at, "\n"), at);
    return recipient;
}

void flow_plan(struct cluster *c, const struct cluster_backend *b, unsigned members)
{
    cluster_plan(c, b, &(struct cluster_options){ .members = members });
}
