/* HTTP over libcurl, bounded in time and memory; the only user of libcurl.
 *
 * A request is a struct; the answer is pushed to callbacks as it arrives. A callback
 * that fails aborts the transfer, and its error is what http_perform returns. So does
 * a wanted stop, within a fraction of a second. A slow callback is backpressure: the
 * server waits, memory does not grow.
 *
 * Redirects, proxies, cookies and credentials from the environment are never used:
 * an etcd endpoint is the machine it names. One object per thread. */
#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/bytes.h"
#include "util/err.h"
#include "util/own.h"

struct http;

/* Strings are copied; a server is always verified unless asked otherwise. */
struct http_options {
    const char *cacert;      /* PEM; only these CAs are trusted. NULL: the system's */
    const char *cert, *key;  /* PEM; the client's, or NULL */
    const char *server_name; /* expected in the certificate instead of the URL's host */
    bool insecure_skip_verify;
    uint64_t dial_timeout_ms; /* name, TCP and TLS together; 0: 5 s */
};

/* RC_USAGE when a file cannot be read or a certificate comes without its key. */
enum rc http_new(const struct http_options *o, struct http **out, struct err *e);
void http_free(struct http *h); /* NULL is fine */
OWN_DEFINE(http)

/* Name in lower case over HTTP/2. ":status" comes first, perhaps again after a 1xx;
 * trailers come after the body. */
typedef enum rc http_header_fn(void *arg, struct bytes name, struct bytes value,
                               struct err *e);
typedef enum rc http_body_fn(void *arg, struct bytes piece, struct err *e);

struct http_request {
    const char *url;
    const char *const *headers; /* "name: value" lines, NULL ends them; may be NULL */
    struct bytes body;          /* borrowed */
    const char *method;         /* NULL: POST when body.p is set, else GET */
    bool http2;                 /* HTTP/2 or nothing: prior knowledge, or ALPN over TLS */
    bool once; /* never sent twice, whatever libcurl thinks of a reused connection */

    const atomic_bool *cancel; /* ends it with RC_INTERRUPTED once set; may be NULL */
    bool unstoppable; /* goes on although a stop is wanted: to clean up, in short */

    uint64_t total_ms;        /* the whole transfer; 0: no limit */
    uint64_t stall_ms;        /* without progress; 0: no limit */
    uint64_t rate_min;        /* bytes a second on average, once stall_ms have passed */
    const uint64_t *progress; /* a growing count of useful bytes; NULL: all body bytes,
                               * those sent and those received */

    http_header_fn *on_header; /* may be NULL */
    http_body_fn *on_body;
    void *arg;
};

enum http_end {
    HTTP_DONE,    /* the answer is whole, whatever its status */
    HTTP_UNSENT,  /* no connection: the server has seen nothing */
    HTTP_UNTRUST, /* TLS or the certificates do not fit; nothing was carried out */
    HTTP_BROKEN,  /* it failed under way: the outcome is unknown */
    HTTP_LATE,    /* a time limit passed: the outcome is unknown */
    HTTP_ABORTED, /* a callback failed, or a stop was wanted */
};

struct http_answer {
    enum http_end end;
    int status; /* 0 before any */
    uint64_t body_bytes;
};

/* One exchange. RC_OK means HTTP_DONE, whatever the status. Fails with RC_NET, RC_AUTH
 * (HTTP_UNTRUST), RC_INTERRUPTED, RC_CORRUPT (headers without end), RC_USAGE, or what
 * a callback returned. `told` is filled in every case. */
enum rc http_perform(struct http *h, const struct http_request *q,
                     struct http_answer *told, struct err *e);

/* The body of a GET over HTTP/1.1, into a buffer whose cap_max bounds it. Any status
 * is RC_OK. */
enum rc http_get(struct http *h, const char *url, uint64_t timeout_ms, struct buf *out,
                 int *status, struct err *e);

/* The certificate that the server at an https URL shows, as PEM, whether or not anybody
 * vouches for it: for its dates, not for trust. Nothing is sent but the handshake. */
enum rc http_certificate(struct http *h, const char *url, struct buf *out, struct err *e);

#endif
