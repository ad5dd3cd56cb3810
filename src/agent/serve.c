#include "agent/serve.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "util/mem.h"
#include "util/str.h"

enum { CONNECTIONS = 32, IDLE_S = 15, ADDRESS_SIZE = 64, PORT_MAX = 65535 };
static const char text_type[] = "text/plain; version=0.0.4; charset=utf-8";
static const char open_type[] =
    "application/openmetrics-text; version=1.0.0; charset=utf-8";

struct serve {
    struct MHD_Daemon *daemon;
    struct serve_pages pages;
};

void serve_free(struct serve *s)
{
    if (s != NULL && s->daemon != NULL)
        MHD_stop_daemon(s->daemon);
    mem_free(s);
}

/* ---- answers -------------------------------------------------------------------------
 */

static enum MHD_Result answer(struct MHD_Connection *to, unsigned status,
                              const char *type, struct bytes text)
{
    struct MHD_Response *r = MHD_create_response_from_buffer(
        text.n, (void *)(uintptr_t)text.p, MHD_RESPMEM_MUST_COPY);
    enum MHD_Result sent = MHD_NO;

    if (r == NULL)
        return MHD_NO;
    if (MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type) == MHD_YES)
        sent = MHD_queue_response(to, status, r);
    MHD_destroy_response(r);
    return sent;
}

static enum MHD_Result metrics(const struct serve *s, struct MHD_Connection *to)
{
    const char *accept =
        MHD_lookup_connection_value(to, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT);
    const bool open = accept != NULL && strstr(accept, "application/openmetrics-text");
    AT_END(buf_clear) struct buf text = { 0 };
    struct err e = { 0 };

    if (s->pages.metrics(s->pages.arg, open, &text, &e) != RC_OK)
        return answer(to, MHD_HTTP_INTERNAL_SERVER_ERROR, text_type, bytes_str(e.why));
    return answer(to, MHD_HTTP_OK, open ? open_type : text_type,
                  (struct bytes){ text.p, text.n });
}

static enum MHD_Result health(const struct serve *s, struct MHD_Connection *to)
{
    AT_END(buf_clear) struct buf text = { 0 };
    struct err e = { 0 };
    bool well = false;

    if (s->pages.health(s->pages.arg, &well, &text, &e) != RC_OK)
        return answer(to, MHD_HTTP_INTERNAL_SERVER_ERROR, text_type, bytes_str(e.why));
    return answer(to, well ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE,
                  "text/plain; charset=utf-8", (struct bytes){ text.p, text.n });
}

static enum MHD_Result asked(void *arg, struct MHD_Connection *from, const char *url,
                             const char *method, const char *version, const char *body,
                             size_t *body_size, void **state)
{
    const struct serve *s = arg;

    (void)version;
    (void)body;
    (void)state;
    if (*body_size != 0)
        return MHD_NO;
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
        return answer(from, MHD_HTTP_METHOD_NOT_ALLOWED, text_type,
                      bytes_str("only GET\n"));
    if (strcmp(url, "/metrics") == 0)
        return metrics(s, from);
    if (strcmp(url, "/healthz") == 0)
        return health(s, from);
    return answer(from, MHD_HTTP_NOT_FOUND, text_type,
                  bytes_str("/metrics and /healthz are here\n"));
}

/* ---- listen --------------------------------------------------------------------------
 */

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static enum rc bad(const char *listen, struct err *e)
{
    return err_set(e, RC_USAGE,
                   "'%s' is no address to listen on" HINT "such as 127.0.0.1:9379",
                   listen);
}

static enum rc parse(const char *listen, union address *out, struct err *e)
{
    const char *colon = strrchr(listen, ':');
    char host[ADDRESS_SIZE];
    uint64_t port;

    *out = (union address){ .any = { 0 } };
    if (colon == NULL || !str_to_u64(colon + 1, &port) || port > PORT_MAX ||
        (size_t)(colon - listen) >= sizeof host)
        return bad(listen, e);
    snprintf(host, sizeof host, "%.*s", (int)(colon - listen), listen);
    if (inet_pton(AF_INET, host, &out->v4.sin_addr) == 1) {
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = htons((uint16_t)port);
        return RC_OK;
    }
    if (host[0] != '[' || !str_ends(host, "]"))
        return bad(listen, e);
    host[strlen(host) - 1] = '\0';
    if (inet_pton(AF_INET6, host + 1, &out->v6.sin6_addr) != 1)
        return bad(listen, e);
    out->v6.sin6_family = AF_INET6;
    out->v6.sin6_port = htons((uint16_t)port);
    return RC_OK;
}

enum rc serve_check(const char *listen, struct err *e)
{
    union address at;

    return parse(listen, &at, e);
}

enum rc serve_new(const char *listen, const struct serve_pages *pages, struct serve **out,
                  struct err *e)
{
    OWNED(serve) s = NULL;
    union address at;
    unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_EPOLL;

    TRY(parse(listen, &at, e));
    TRY(mem_new(&s, sizeof *s, "a listener", e));
    s->pages = *pages;
    if (at.any.sa_family == AF_INET6)
        flags |= MHD_USE_IPv6;
    s->daemon =
        MHD_start_daemon(flags, 0, NULL, NULL, asked, s, MHD_OPTION_SOCK_ADDR, &at.any,
                         MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS,
                         MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_S, MHD_OPTION_END);
    if (s->daemon == NULL)
        return err_sys(e, RC_STORAGE,
                       "cannot listen on %s" HINT
                       "does another agent run? else choose another 'listen'",
                       listen);
    *out = GIVE(s);
    return RC_OK;
}
