#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "http/transfer.h"
#include "util/mem.h"
#include "util/str.h"

enum {
    HEADER_BYTES_MAX = 64 << 10, /* all headers and trailers of an answer together */
    KEEPALIVE_IDLE_S = 10,
    KEEPALIVE_INTERVAL_S = 5,
};

/* libcurl checks the types of its varargs only in a direct call, so this is a macro. */
#define SET(t, option, value)            \
    ((t)->setup = (t)->setup != CURLE_OK \
                      ? (t)->setup       \
                      : curl_easy_setopt((t)->transfer->easy, (option), (value)))

struct setting {
    struct transfer *transfer;
    CURLcode setup; /* the first failure */
};

static enum rc keep(struct transfer *t, enum rc rc)
{
    if (t->rc == RC_OK)
        t->rc = rc;
    return rc;
}

/* "HTTP/2 200" or "HTTP/1.1 404 Not Found", handed on as HTTP/2's ":status". */
static enum rc take_status(struct transfer *t, struct bytes line)
{
    char text[32];
    int major = 0, minor = 0, status = 0;

    snprintf(text, sizeof text, "%.*s", (int)(line.n < 31 ? line.n : 31),
             (const char *)line.p);
    if (sscanf(text, "HTTP/%d.%d %d", &major, &minor, &status) != 3 &&
        sscanf(text, "HTTP/%d %d", &major, &status) != 2)
        return err_set(&t->err, RC_NET, "the answer does not begin with an HTTP status");
    if (t->q->http2 && major != 2)
        return err_set(
            &t->err, RC_NET,
            "the server answered with HTTP/1 although HTTP/2 was asked for" HINT
            "this is not etcd's gRPC port, or a proxy in between does not "
            "pass HTTP/2 (ALPN \"h2\") on");
    t->told.status = status;
    if (t->q->on_header == NULL)
        return RC_OK;
    snprintf(text, sizeof text, "%d", status);
    return t->q->on_header(t->q->arg, bytes_str(":status"), bytes_str(text), &t->err);
}

static enum rc take_header(struct transfer *t, struct bytes line)
{
    const uint8_t *colon = line.n == 0 ? NULL : memchr(line.p, ':', line.n);
    size_t n = colon == NULL ? 0 : (size_t)(colon - line.p);

    t->header_bytes += line.n;
    if (t->header_bytes > HEADER_BYTES_MAX)
        return err_set(&t->err, RC_CORRUPT, "the answer has more than %d KiB of headers",
                       HEADER_BYTES_MAX >> 10);
    if (bytes_starts(line, "HTTP/"))
        return take_status(t, line);
    if (n == 0 || t->q->on_header == NULL)
        return RC_OK;
    return t->q->on_header(t->q->arg, (struct bytes){ line.p, n },
                           bytes_trim((struct bytes){ colon + 1, line.n - n - 1 }),
                           &t->err);
}

static size_t on_header(char *p, size_t size, size_t count, void *arg)
{
    struct transfer *t = arg;
    struct bytes line = { (const uint8_t *)p, size * count };

    t->unconfirmed |= !t->q->http2 && bytes_is(line, "\r\n");
    return keep(t, take_header(t, line)) == RC_OK ? line.n : 0;
}

static size_t on_body(char *p, size_t size, size_t count, void *arg)
{
    struct transfer *t = arg;
    struct bytes piece = { (const uint8_t *)p, size * count };

    t->told.body_bytes += piece.n;
    /* 0 for a piece of 0 bytes would be taken as success; there is no such piece. */
    return keep(t, t->q->on_body(t->q->arg, piece, &t->err)) == RC_OK ? piece.n : 0;
}

static enum rc add_header(struct transfer *t, const char *line, struct err *e)
{
    struct curl_slist *longer = curl_slist_append(t->headers, line);

    if (longer == NULL)
        return err_set(e, RC_NOMEM, "no memory for request headers");
    t->headers = longer;
    return RC_OK;
}

static enum rc add_headers(struct transfer *t, struct err *e)
{
    /* Empty: libcurl would wait a second for "100 Continue", and accept anything. */
    TRY(add_header(t, "Expect:", e));
    TRY(add_header(t, "Accept:", e));
    for (const char *const *h = t->q->headers; h != NULL && *h != NULL; h++)
        TRY(add_header(t, *h, e));
    return RC_OK;
}

/* For another server name the URL carries that name, and libcurl is told where to
 * connect in its stead: the name then serves SNI and the certificate check alike. */
static enum rc set_url(struct setting *s, struct err *e)
{
    struct transfer *t = s->transfer;
    AT_END(mem_end) char *url = NULL, *to = NULL;
    const char *name = t->http->server_name, *host, *rest;

    if (name == NULL || strncmp(t->q->url, "https://", 8) != 0) {
        SET(s, CURLOPT_URL, t->q->url);
        return RC_OK;
    }
    host = t->q->url + 8;
    rest = host + strcspn(host, "/");
    const char *port = memrchr(host, ':', (size_t)(rest - host));

    if (port == NULL || memchr(port, ']', (size_t)(rest - port)) != NULL)
        port = rest;
    TRY(str_format(&url, e, "https://%s%s", name, port));
    TRY(str_format(&to, e, "::%.*s%s", (int)(rest - host), host,
                   port == rest ? ":443" : ""));
    t->connect_to = curl_slist_append(NULL, to);
    if (t->connect_to == NULL)
        return err_set(e, RC_NOMEM, "no memory for a request");
    SET(s, CURLOPT_URL, url);
    SET(s, CURLOPT_CONNECT_TO, t->connect_to);
    return RC_OK;
}

static void set_tls(struct setting *s, const struct http *h)
{
    SET(s, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(s, CURLOPT_SSL_VERIFYPEER, h->insecure_skip_verify ? 0L : 1L);
    SET(s, CURLOPT_SSL_VERIFYHOST, h->insecure_skip_verify ? 0L : 2L);
    if (h->cacert != NULL) {
        SET(s, CURLOPT_CAINFO, h->cacert);
        /* Debian's libcurl would go on trusting /etc/ssl/certs beside it. */
        SET(s, CURLOPT_CAPATH, (char *)NULL);
    }
    if (h->cert != NULL) {
        SET(s, CURLOPT_SSLCERT, h->cert);
        SET(s, CURLOPT_SSLKEY, h->key);
    }
}

/* Nothing is told to a server that nobody vouches for. */
static void set_handshake_only(struct setting *s)
{
    SET(s, CURLOPT_SSL_VERIFYPEER, 0L);
    SET(s, CURLOPT_SSL_VERIFYHOST, 0L);
    SET(s, CURLOPT_CERTINFO, 1L);
    SET(s, CURLOPT_CONNECT_ONLY, 1L);
    SET(s, CURLOPT_FRESH_CONNECT, 1L);
}

static void set_protocol(struct setting *s)
{
    const struct transfer *t = s->transfer;
    bool tls = strncmp(t->q->url, "https:", 6) == 0;
    long version = CURL_HTTP_VERSION_1_1;

    if (t->q->http2)
        version = tls ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE;
    SET(s, CURLOPT_HTTP_VERSION, version);
    SET(s, CURLOPT_PROTOCOLS_STR, "http,https");
    SET(s, CURLOPT_PROXY, "");
    SET(s, CURLOPT_NOSIGNAL, 1L);
    SET(s, CURLOPT_TCP_KEEPALIVE, 1L);
    SET(s, CURLOPT_TCP_KEEPIDLE, (long)KEEPALIVE_IDLE_S);
    SET(s, CURLOPT_TCP_KEEPINTVL, (long)KEEPALIVE_INTERVAL_S);
    SET(s, CURLOPT_CONNECTTIMEOUT_MS, (long)t->http->dial_timeout_ms);
    /* Before 8.0 libcurl sends the HTTP/2 preface again on a reused plaintext
     * connection (curl issue 10634). On any connection that it reuses it repeats a
     * request that got no answer, even a POST: not for requests to be sent once. */
    if (t->q->once || (t->q->http2 && !tls &&
                       curl_version_info(CURLVERSION_NOW)->version_num < 0x080000))
        SET(s, CURLOPT_FRESH_CONNECT, 1L);
    if (t->q->http2 && !tls)
        SET(s, CURLOPT_FORBID_REUSE, 1L);
}

/* A body is sent from memory whatever the method: libcurl can begin again with it. */
static void set_method(struct setting *s)
{
    const struct http_request *q = s->transfer->q;

    if (q->body.p != NULL) {
        SET(s, CURLOPT_POST, 1L);
        SET(s, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->body.n);
        SET(s, CURLOPT_POSTFIELDS, (const char *)q->body.p);
    }
    if (q->method == NULL)
        return;
    if (strcmp(q->method, "HEAD") == 0)
        SET(s, CURLOPT_NOBODY, 1L);
    else
        SET(s, CURLOPT_CUSTOMREQUEST, q->method);
}

enum rc transfer_configure(struct transfer *t, struct err *e)
{
    struct setting s = { t, CURLE_OK };

    TRY(add_headers(t, e));
    TRY(set_url(&s, e));
    set_protocol(&s);
    set_tls(&s, t->http);
    SET(&s, CURLOPT_HTTPHEADER, t->headers);
    set_method(&s);
    SET(&s, CURLOPT_HEADERFUNCTION, on_header);
    SET(&s, CURLOPT_HEADERDATA, t);
    SET(&s, CURLOPT_WRITEFUNCTION, on_body);
    SET(&s, CURLOPT_WRITEDATA, t);
    SET(&s, CURLOPT_ERRORBUFFER, t->curl_says);
    if (t->only_certificate)
        set_handshake_only(&s);
    if (s.setup == CURLE_OUT_OF_MEMORY)
        return err_set(e, RC_NOMEM, "no memory for a request");
    if (s.setup != CURLE_OK)
        return err_set(e, RC_INTERNAL, "libcurl refuses an option: %s",
                       curl_easy_strerror(s.setup));
    return RC_OK;
}
