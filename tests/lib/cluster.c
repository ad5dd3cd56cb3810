#include "tests/lib/cluster.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "tests/lib/peer.h"
#include "tests/lib/proc.h"
#include "tests/lib/tmpdir.h"
#include "util/clock.h"

const struct cluster_backend cluster_backends[] = {
    { "etcd 3.4", "3.4", 4, false }, { "etcd 3.5", "3.5", 5, false },
    { "etcd 3.6", "3.6", 6, false }, { "etcd 3.7", "3.7", 7, false },
    { "lab", "3.6", 6, true },       { NULL, NULL, 0, false },
};

static char *rotating(void)
{
    static char texts[16][4096];
    static unsigned turn;

    return texts[turn++ % 16];
}

const struct cluster_backend *cluster_backend(const char *which)
{
    for (const struct cluster_backend *b = cluster_backends; b->name != NULL; b++)
        if (strcmp(b->store ? b->name : b->version, which) == 0)
            return b;
    cr_assert_fail("no backend %s", which);
    return NULL;
}

const char *cluster_tool(const struct cluster_backend *b, const char *tool)
{
    char name[64];

    if (b->store && strcmp(tool, "etcd") == 0)
        return HOLDFAST_LAB_BIN;
    snprintf(name, sizeof name, "%s/%s", b->version, tool);
    return peer_path(name);
}

bool cluster_available(const struct cluster_backend *b)
{
    if (access(cluster_tool(b, "etcd"), X_OK) == 0 &&
        access(cluster_tool(b, "etcdctl"), X_OK) == 0)
        return true;
    fprintf(stderr, "SKIPPED: %s is not in the peers' cache (run scripts/peers)\n",
            b->name);
    cr_assert_null(getenv("HOLDFAST_REQUIRE_PEERS"), "%s is required here", b->name);
    return false;
}

static const char *scheme(const struct cluster *c)
{
    return c->options.tls_dir == NULL ? "http" : "https";
}

const char *cluster_peer_url(const struct cluster *c, unsigned i)
{
    char *s = rotating();

    snprintf(s, 4096, "http://127.0.0.1:%d", c->members[i].peer_port);
    return s;
}

const char *cluster_endpoint(const struct cluster *c, unsigned i)
{
    char *s = rotating();

    snprintf(s, 4096, "%s://127.0.0.1:%d", scheme(c), c->members[i].client_port);
    return s;
}

const char *cluster_endpoints(const struct cluster *c)
{
    char *s = rotating();

    s[0] = '\0';
    for (unsigned i = 0; i < c->count; i++) {
        size_t used = strlen(s);

        snprintf(s + used, 4096 - used, "%s%s", i == 0 ? "" : ",",
                 cluster_endpoint(c, i));
    }
    return s;
}

const char *cluster_initial(const struct cluster *c, unsigned n)
{
    char *s = rotating();

    s[0] = '\0';
    for (unsigned i = 0; i < n; i++) {
        size_t used = strlen(s);

        snprintf(s + used, 4096 - used, "%s%s=%s", i == 0 ? "" : ",", c->members[i].name,
                 cluster_peer_url(c, i));
    }
    return s;
}

void cluster_plan(struct cluster *c, const struct cluster_backend *b,
                  const struct cluster_options *o)
{
    const char *dir = tmpdir_new();

    *c = (struct cluster){ .backend = b, .dir = dir };
    if (o != NULL)
        c->options = *o;
    c->count = c->options.members == 0 ? 1 : c->options.members;
    for (unsigned i = 0; i < c->count; i++) {
        struct cluster_member *m = &c->members[i];

        snprintf(m->name, sizeof m->name, "m%u", i);
        snprintf(m->data_dir, sizeof m->data_dir, "%s/m%u", dir, i);
        snprintf(m->log, sizeof m->log, "%s/m%u.log", dir, i);
        m->client_port = free_port();
        m->peer_port = free_port();
        m->metrics_port = free_port();
    }
}

/* --name value pairs pushed onto an argument list. */
struct args {
    const char *v[64];
    size_t n;
};

static void push(struct args *a, const char *flag, const char *value)
{
    a->v[a->n++] = flag;
    if (value != NULL)
        a->v[a->n++] = value;
}

static void push_tls(struct args *a, const struct cluster *c)
{
    static char cert[600], key[600], ca[600];

    if (c->options.tls_dir == NULL)
        return;
    snprintf(cert, sizeof cert, "%s/server.crt", c->options.tls_dir);
    snprintf(key, sizeof key, "%s/server.key", c->options.tls_dir);
    snprintf(ca, sizeof ca, "%s/ca.crt", c->options.tls_dir);
    push(a, "--cert-file", cert);
    push(a, "--key-file", key);
    if (c->options.client_cert_auth) {
        push(a, "--trusted-ca-file", ca);
        push(a, "--client-cert-auth", NULL);
    }
}

static void boot(struct cluster *c, unsigned i, const char *initial, const char *state)
{
    struct cluster_member *m = &c->members[i];
    struct args a = { 0 };
    char metrics[64];

    snprintf(metrics, sizeof metrics, "http://127.0.0.1:%d", m->metrics_port);
    push(&a, cluster_tool(c->backend, "etcd"), NULL);
    push(&a, "--name", m->name);
    push(&a, "--data-dir", m->data_dir);
    push(&a, "--listen-client-urls", cluster_endpoint(c, i));
    push(&a, "--advertise-client-urls", cluster_endpoint(c, i));
    push(&a, "--listen-peer-urls", cluster_peer_url(c, i));
    push(&a, "--initial-advertise-peer-urls", cluster_peer_url(c, i));
    push(&a, "--listen-metrics-urls", metrics);
    push(&a, "--initial-cluster", initial);
    push(&a, "--initial-cluster-state", state);
    push_tls(&a, c);
    for (const char *const *f = c->options.flags; f != NULL && *f != NULL; f++)
        push(&a, *f, NULL);
    m->pid = proc_start(m->log, a.v);
}

void cluster_boot(struct cluster *c, unsigned i)
{
    boot(c, i, cluster_initial(c, c->count), "new");
}

void cluster_boot_first(struct cluster *c, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        boot(c, i, cluster_initial(c, n), "new");
    for (unsigned i = 0; i < n; i++)
        cluster_wait(c, i);
}

void cluster_boot_joining(struct cluster *c, unsigned i, const char *initial_cluster)
{
    boot(c, i, initial_cluster, "existing");
}

void cluster_start(struct cluster *c, const struct cluster_backend *b,
                   const struct cluster_options *o)
{
    cluster_plan(c, b, o);
    cluster_boot_first(c, c->count);
}

void cluster_kill(struct cluster *c, unsigned i, int signal)
{
    proc_stop(c->members[i].pid, signal);
    c->members[i].pid = 0;
}

void cluster_stop(struct cluster *c)
{
    for (unsigned i = 0; i < c->count; i++)
        cluster_kill(c, i, SIGKILL);
}

bool cluster_ctl_try(const struct cluster *c, unsigned i, const char *const args[],
                     const char **out)
{
    /* 3.4 speaks the v2 API without it; newer ones warn about it. */
    static const char *const v3[] = { "ETCDCTL_API=3", NULL };
    const struct proc_options o = { .env = c->backend->minor == 4 ? v3 : NULL,
                                    .timeout_s = 60 };
    char cert[600], key[600], ca[600];
    struct args a = { 0 };
    struct proc p;

    push(&a, cluster_tool(c->backend, "etcdctl"), NULL);
    push(&a, "--endpoints", cluster_endpoint(c, i));
    if (c->options.tls_dir != NULL) {
        snprintf(ca, sizeof ca, "%s/ca.crt", c->options.tls_dir);
        snprintf(cert, sizeof cert, "%s/client.crt", c->options.tls_dir);
        snprintf(key, sizeof key, "%s/client.key", c->options.tls_dir);
        push(&a, "--cacert", ca);
        push(&a, "--cert", cert);
        push(&a, "--key", key);
    }
    if (c->user != NULL)
        push(&a, "--user", c->user);
    for (; *args != NULL; args++)
        push(&a, *args, NULL);
    proc_run(&p, &o, a.v);

    char *text = rotating();
    bool ok = p.status == 0;

    snprintf(text, 4096, "%s%s", p.out, ok ? "" : p.err);
    proc_clear(&p);
    if (out != NULL)
        *out = text;
    return ok;
}

const char *cluster_ctl(const struct cluster *c, unsigned i, const char *const args[])
{
    const char *out;

    cr_assert(cluster_ctl_try(c, i, args, &out), "%s: etcdctl %s %s: %s",
              c->backend->name, args[0], args[1] == NULL ? "" : args[1], out);
    return out;
}

/* The server's own health check is a linearizable read. Asked by hand, on the metrics
 * port where there is one: it needs no login and no certificate there, and no etcdctl. */
static bool healthy(int port)
{
    static const char get[] = "GET /health HTTP/1.0\r\n\r\n";
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    const struct timeval patience = { .tv_sec = 10 };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char line[64] = "";
    bool ok = setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0 &&
              connect(fd, (struct sockaddr *)&to, sizeof to) == 0 &&
              send(fd, get, sizeof get - 1, MSG_NOSIGNAL) == (ssize_t)sizeof get - 1 &&
              recv(fd, line, sizeof line - 1, MSG_WAITALL) > 0 &&
              strstr(line, " 200 ") != NULL;

    close(fd);
    return ok;
}

static bool serves(const struct cluster *c, unsigned i)
{
    const struct cluster_member *m = &c->members[i];

    if (!c->backend->store)
        return healthy(m->metrics_port);
    if (c->options.tls_dir == NULL)
        return healthy(m->client_port);
    return cluster_ctl_try(c, i, (const char *const[]){ "get", "x", NULL }, NULL);
}

void cluster_wait(struct cluster *c, unsigned i)
{
    struct cluster_member *m = &c->members[i];
    uint64_t end = clock_ms() + 60000;

    while (clock_ms() < end && proc_runs(m->pid)) {
        if (serves(c, i))
            return;
        clock_sleep_ms(20);
    }
    RUN(tail, "grep", "-m5", "-aE", "panic|fatal|error", m->log);
    cr_assert_fail("%s member %u does not serve:\n%s", c->backend->name, i, tail.out);
}

int64_t json_number(const char *text, const char *key)
{
    char quoted[64];
    const char *at;

    snprintf(quoted, sizeof quoted, "\"%s\":", key);
    at = strstr(text, quoted);
    cr_assert_not_null(at, "no %s in: %s", key, text);
    return (int64_t)strtoull(at + strlen(quoted), NULL, 10);
}

struct cluster_hash cluster_hashkv(const struct cluster *c, unsigned i, int64_t rev)
{
    char number[32];
    const char *out;

    snprintf(number, sizeof number, "--rev=%" PRId64, rev);
    out = CTL(c, i, "endpoint", "hashkv", number, "-w", "json");
    return (struct cluster_hash){
        .hash = json_number(out, "hash"),
        .revision = json_number(out, "revision"),
        .compact = json_number(out, "compact_revision"),
    };
}

int64_t cluster_revision(const struct cluster *c, unsigned i)
{
    return json_number(CTL(c, i, "endpoint", "status", "-w", "json"), "revision");
}
