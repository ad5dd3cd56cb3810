/* etcd's v3 API as C calls.
 *
 * A client knows some endpoints and one cluster. The first answer pins the cluster id
 * (or the caller does), and an answer from any other cluster is RC_REFUSED: names and
 * addresses get reused, clusters do not. Likewise an endpoint must stay the member it
 * was, since a load balancer would mix the facts of two.
 *
 * Calls about one member take an endpoint's index. The others go to the endpoint that
 * last worked; one that fails goes to the back. A read is tried at every endpoint. A
 * write is repeated only when it is certain that nobody has seen it; else it fails, and
 * wire_last() says that its outcome is unknown.
 *
 * Calls are in kv.h, lease.h, cluster.h, maintenance.h, snapshot.h and auth.h. Results
 * are structs that own their memory; zero-initialise, end with their _clear. One client
 * per thread. */
#ifndef WIRE_WIRE_H
#define WIRE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/bytes.h"
#include "util/err.h"
#include "util/own.h"

struct wire_client;

/* Hands out a heap string that is wiped and freed after use. Called at each login, so
 * that nothing needs to hold the password and a rotated one is found. */
typedef enum rc wire_password_fn(void *arg, char **out, struct err *e);

/* Strings are copied. */
struct wire_options {
    /* "host:port,https://host:port,...": at least one. Without a scheme it is https
     * when any TLS option is given, else http, as etcdctl has it. */
    const char *endpoints;

    const char *cacert, *cert, *key; /* PEM files, or NULL */
    const char *server_name;         /* expected in certificates; NULL: the host */
    bool insecure_skip_tls_verify;

    const char *user; /* logs in by password; NULL: no login */
    wire_password_fn *password;
    void *password_arg;
    const char *token; /* sent as it is instead of a login, e.g. a JWT */

    uint64_t cluster_id; /* 0: that of the first answer */

    uint64_t dial_timeout_ms;    /* 0: 2 s */
    uint64_t command_timeout_ms; /* at each endpoint; 0: 5 s */
    uint64_t stall_timeout_ms;   /* a stream without payload; 0: 30 s */
};

/* Connects to nothing yet. RC_USAGE for options that cannot work. */
enum rc wire_client_new(const struct wire_options *o, struct wire_client **out,
                        struct err *e);
void wire_client_free(struct wire_client *c); /* NULL is fine */
OWN_DEFINE(wire_client)

/* As an endpoint: the client chooses, and tries the others. */
#define WIRE_ANY SIZE_MAX

size_t wire_endpoint_count(const struct wire_client *c);
const char *wire_endpoint(const struct wire_client *c, size_t i); /* with its scheme */
uint64_t wire_cluster_id(const struct wire_client *c);            /* 0: not known yet */

/* What an error code leaves out. */
enum wire_detail {
    WIRE_FINE,
    WIRE_UNREACHABLE, /* no connection, or it broke */
    WIRE_UNTRUSTED,   /* TLS or certificates */
    WIRE_TIMEOUT,     /* ours or the server's */
    WIRE_STALLED,     /* a stream made no progress, or too little */
    WIRE_NO_LEADER,   /* no quorum */
    WIRE_UNAVAILABLE, /* stopping, or the leader changed */
    WIRE_BUSY,        /* too many requests */
    WIRE_UNHEALTHY,   /* membership changes are refused until members have settled */
    WIRE_NOT_LEADER,
    WIRE_LEARNER,         /* a learner does not answer this call */
    WIRE_COMPACTED,       /* the revision is gone */
    WIRE_FUTURE_REVISION, /* the revision is not there yet */
    WIRE_NO_SPACE,        /* the quota, with its alarm */
    WIRE_CORRUPT_ALARM,
    WIRE_READ_ERROR, /* a snapshot without data: the member's disk */
    WIRE_BAD_STREAM, /* messages that contradict each other */
    WIRE_NO_LOGIN,   /* authentication is on and nobody logged in */
    WIRE_LOGIN_FAILED,
    WIRE_TOKEN_LOST, /* expired, or the server forgot it, or auth changed */
    WIRE_PERMISSION,
    WIRE_AUTH_OFF,
    WIRE_NOT_FOUND,
    WIRE_EXISTS,
    WIRE_UNIMPLEMENTED, /* the server's version has no such call */
    WIRE_OTHER_CLUSTER,
    WIRE_OTHER_MEMBER, /* an endpoint answered as two members */
    WIRE_OTHER,
};

/* How the last call of this client ended. */
struct wire_outcome {
    enum wire_detail detail;
    int grpc_code;     /* -1: none arrived */
    char message[256]; /* the server's, safe to print */
    bool unknown;      /* a write that may have been made */
    size_t endpoint;   /* where it was tried last */
};
const struct wire_outcome *wire_last(const struct wire_client *c);

/* The end of every answer of etcd. */
struct wire_header {
    uint64_t cluster_id, member_id;
    int64_t revision;
    uint64_t raft_term;
};

/* Plain HTTP on the client port ("/version", "/health", "/metrics"), into a buffer whose
 * cap_max bounds it. Any HTTP status is RC_OK. */
enum rc wire_http_get(struct wire_client *c, size_t endpoint, const char *path,
                      struct buf *out, int *status, struct err *e);

/* The same, with what the page's head says. */
struct wire_page {
    int status;
    int64_t date; /* the server's clock in seconds since 1970; 0: not told */
};
enum rc wire_http_page(struct wire_client *c, size_t endpoint, const char *path,
                       struct buf *out, struct wire_page *told, struct err *e);

/* The certificate that an endpoint shows, as PEM, trusted or not; nothing for one that is
 * reached without TLS. */
enum rc wire_certificate(struct wire_client *c, size_t endpoint, struct buf *out,
                         struct err *e);

#endif
