/* TLS: what is right passes, and each thing that can be wrong says which it is. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "tests/lib/case.h"
#include "tests/lib/cluster.h"
#include "tests/lib/proc.h"
#include "tests/lib/tmpdir.h"
#include "util/clock.h"
#include "wire/kv.h"
#include "wire/maintenance.h"
#include "wire/snapshot.h"

/* Two CAs; a server certificate of the first, for 127.0.0.1 and localhost, one that has
 * expired, and a client certificate of each CA. */
static const char make_certificates[] =
    "set -e; cd \"$0\"; exec 2>openssl.log\n"
    "for ca in ca other; do\n"
    "  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \\\n"
    "    -keyout $ca.key -out $ca.crt -subj /CN=$ca\n"
    "done\n"
    "printf 'subjectAltName=IP:127.0.0.1,DNS:localhost\\n"
    "extendedKeyUsage=serverAuth,clientAuth\\n' > ext\n"
    "sign() { # name, CA, more options\n"
    "  name=$1 ca=$2; shift 2\n"
    "  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \\\n"
    "    -keyout $name.key -out $name.csr -subj /CN=$name\n"
    "  openssl x509 -req -in $name.csr -CA $ca.crt -CAkey $ca.key -CAcreateserial \\\n"
    "    -extfile ext -out $name.crt \"$@\"\n"
    "}\n"
    "sign server ca -days 2; sign client ca -days 2; sign stranger other -days 2\n"
    "sign expired ca -days -1\n";

static const char *certificates(void)
{
    const char *dir = tmpdir_new();

    RUN(p, "sh", "-c", make_certificates, dir);
    cr_assert_eq(p.status, 0, "openssl failed, see %s/openssl.log: %s", dir, p.err);
    return dir;
}

/* Which files of the directory a client uses; NULL: none. */
struct identity {
    const char *ca, *cert, *key, *server_name;
    bool skip;
};

static enum rc connect_as(const char *dir, const char *endpoint, const struct identity *i,
                          struct wire_client **c, struct err *e)
{
    char ca[512], cert[512], key[512];
    struct wire_options o = { .endpoints = endpoint,
                              .server_name = i->server_name,
                              .insecure_skip_tls_verify = i->skip };

    snprintf(ca, sizeof ca, "%s/%s", dir, i->ca == NULL ? "" : i->ca);
    snprintf(cert, sizeof cert, "%s/%s", dir, i->cert == NULL ? "" : i->cert);
    snprintf(key, sizeof key, "%s/%s", dir, i->key == NULL ? "" : i->key);
    o.cacert = i->ca == NULL ? NULL : ca;
    o.cert = i->cert == NULL ? NULL : cert;
    o.key = i->key == NULL ? NULL : key;
    return wire_client_new(&o, c, e);
}

static enum rc ask(const char *dir, const char *endpoint, const struct identity *i,
                   enum wire_detail *detail, struct err *e)
{
    OWNED(wire_client) c = NULL;
    struct wire_status s = { 0 };

    TRY(connect_as(dir, endpoint, i, &c, e));
    enum rc rc = wire_status_get(c, 0, &s, e);

    *detail = wire_last(c)->detail;
    wire_status_clear(&s);
    return rc;
}

#define CLIENT .cert = "client.crt", .key = "client.key"

static const struct {
    const char *name;
    struct identity who;
    enum rc rc;
    const char *why; /* how it begins */
} rows[] = {
    { "all right", { .ca = "ca.crt", CLIENT }, RC_OK, "" },
    { "another name of the server",
      { .ca = "ca.crt", CLIENT, .server_name = "localhost" },
      RC_OK,
      "" },
    { "verification skipped", { CLIENT, .skip = true }, RC_OK, "" },
    { "wrong CA",
      { .ca = "other.crt", CLIENT },
      RC_AUTH,
      "the server's certificate comes from a CA that is not trusted here" },
    { "the system's CAs",
      { CLIENT },
      RC_AUTH,
      "the server's certificate comes from a CA that is not trusted here" },
    { "wrong host name",
      { .ca = "ca.crt", CLIENT, .server_name = "db.example" },
      RC_AUTH,
      "the server's certificate is for another host name" },
    { "no client certificate",
      { .ca = "ca.crt" },
      RC_AUTH,
      "the server " /* the rest depends on the server's Go version */ },
    { "client certificate of another CA",
      { .ca = "ca.crt", .cert = "stranger.crt", .key = "stranger.key" },
      RC_AUTH,
      "the server " },
    { "key of another certificate",
      { .ca = "ca.crt", .cert = "client.crt", .key = "server.key" },
      RC_USAGE,
      "the client key is no usable key, or belongs to another certificate" },
};

CASE(wire_tls, each_certificate_fault_says_which, .timeout = 240)
{
    const char *dir = certificates();

    for (const struct cluster_backend *b = cluster_backends; b->name != NULL; b++) {
        CLUSTER k = { 0 };

        if (!cluster_available(b))
            continue;
        cluster_start(
            &k, b, &(struct cluster_options){ .tls_dir = dir, .client_cert_auth = true });
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
            enum wire_detail detail = WIRE_OTHER;
            struct err e = { 0 };
            enum rc rc = ask(dir, cluster_endpoint(&k, 0), &rows[i].who, &detail, &e);

            cr_assert_eq(rc, rows[i].rc, "%s, %s: %s %s", b->name, rows[i].name,
                         rc_name(rc), e.why);
            cr_assert(strncmp(e.why, rows[i].why, strlen(rows[i].why)) == 0, "%s, %s: %s",
                      b->name, rows[i].name, e.why);
            cr_assert((rc == RC_AUTH) == (detail == WIRE_UNTRUSTED), "%s, %s", b->name,
                      rows[i].name);
            cr_assert(rc == RC_OK || e.hint[0] != '\0' || rc == RC_USAGE, "%s",
                      rows[i].name);
        }
    }
}

CASE(wire_tls, a_connection_serves_many_calls, .timeout = 60)
{
    const char *dir = certificates();
    CLUSTER k = { 0 };
    OWNED(wire_client) c = NULL;
    OWNED(sink) sink = NULL;
    struct wire_snapshot snap = { 0 };
    AT_END(buf_clear) struct buf body = { .cap_max = 1 << 20 };
    struct err e = { 0 };
    int status = 0;

    cluster_start(&k, cluster_backend("3.5"),
                  &(struct cluster_options){ .tls_dir = dir, .client_cert_auth = true });
    OK(connect_as(dir, cluster_endpoint(&k, 0),
                  &(struct identity){ .ca = "ca.crt", CLIENT }, &c, &e),
       &e);
    for (int i = 0; i < 20; i++) {
        struct wire_status s = { 0 };

        OK(wire_put(c, bytes_str("k"), bytes_str("v"), 0, NULL, &e), &e);
        OK(wire_status_get(c, 0, &s, &e), &e);
        wire_status_clear(&s);
    }
    OK(null_sink_new(&sink, &e), &e);
    OK(wire_snapshot_take(c, 0, &(struct wire_snapshot_options){ 0 }, sink, &snap, &e),
       &e);
    OK(wire_http_get(c, 0, "/health", &body, &status, &e), &e);
    cr_assert_eq(status, 200);
    /* The server went away and came back: a reused connection is dead, a read goes on. */
    cluster_kill(&k, 0, SIGKILL);
    cluster_boot(&k, 0);
    cluster_wait(&k, 0);
    struct wire_status s = { 0 };

    OK(wire_status_get(c, 0, &s, &e), &e);
    wire_status_clear(&s);
    OK(wire_put(c, bytes_str("k"), bytes_str("v"), 0, NULL, &e), &e);
}

CASE(wire_tls, scheme_and_port_may_not_fit, .timeout = 60)
{
    const char *dir = certificates();
    CLUSTER open = { 0 }, closed = { 0 };
    char endpoint[64];
    struct err e = { 0 };
    enum wire_detail detail = WIRE_FINE;

    cluster_start(&open, cluster_backend("3.5"), &(struct cluster_options){ 0 });
    snprintf(endpoint, sizeof endpoint, "https://127.0.0.1:%d",
             open.members[0].client_port);
    cr_assert_eq(ask(dir, endpoint, &(struct identity){ .ca = "ca.crt" }, &detail, &e),
                 RC_NET);
    cr_assert_str_eq(e.hint, "use http:// if the cluster runs without TLS");
    cluster_start(&closed, cluster_backend("3.5"),
                  &(struct cluster_options){ .tls_dir = dir });
    snprintf(endpoint, sizeof endpoint, "http://127.0.0.1:%d",
             closed.members[0].client_port);
    cr_assert_eq(ask(dir, endpoint, &(struct identity){ 0 }, &detail, &e), RC_NET);
    cr_assert_str_eq(e.hint, "the server sent no answer at all: use https:// if it "
                             "expects TLS");
}

/* A TLS server that is no etcd: it has the certificate given, does not offer HTTP/2, and
 * answers whatever it is asked with 404. */
static const char other_server[] =
    "cd \"$0\"; mkfifo answer; exec <>answer\n"
    "printf 'HTTP/1.1 404 Not Found\\r\\nContent-Length: 0\\r\\n\\r\\n' >answer\n"
    "exec openssl s_server -quiet -accept \"$2\" -cert \"$1.crt\" -key \"$1.key\"\n";

static pid_t start_other_server(const char *dir, const char *certificate, int port)
{
    char number[16];

    snprintf(number, sizeof number, "%d", port);
    return proc_start(path_in(dir, "s_server.log"),
                      (const char *const[]){ "sh", "-c", other_server, dir, certificate,
                                             number, NULL });
}

static enum rc ask_other_server(const char *certificate, struct err *e)
{
    const char *dir = certificates();
    struct identity who = { .ca = "ca.crt" };
    enum wire_detail detail = WIRE_FINE;
    int port = free_port();
    pid_t server = start_other_server(dir, certificate, port);
    char endpoint[64];
    enum rc rc = RC_NET;

    snprintf(endpoint, sizeof endpoint, "https://127.0.0.1:%d", port);
    for (int i = 0; i < 200; i++) {
        rc = ask(dir, endpoint, &who, &detail, e);
        if (strstr(e->why, "Connection refused") == NULL)
            break;
        clock_sleep_ms(20); /* it is starting */
    }
    proc_stop(server, SIGTERM);
    return rc;
}

CASE(wire_tls, an_expired_certificate_is_refused, .timeout = 30)
{
    struct err e = { 0 };

    cr_assert_eq(ask_other_server("expired", &e), RC_AUTH, "%s", e.why);
    cr_assert(strstr(e.why, "the server's certificate, or that of its CA, has expired") ==
                  e.why,
              "%s", e.why);
    cr_assert_str_eq(e.hint,
                     "renew the member's certificate, and check this machine's clock");
}

CASE(wire_tls, a_server_without_http_2_is_refused, .timeout = 30)
{
    struct err e = { 0 };

    cr_assert_eq(ask_other_server("server", &e), RC_NET, "%s", e.why);
    cr_assert_str_eq(e.why, "the server answered with HTTP/1 although HTTP/2 was asked "
                            "for");
}
