#include "wire/client.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "http/date.h"
#include "util/mem.h"
#include "util/str.h"

enum {
    DIAL_TIMEOUT_MS = 2000,
    COMMAND_TIMEOUT_MS = 5000,
    STALL_TIMEOUT_MS = 30000,
};

static bool starts_with(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

static bool wants_tls(const struct wire_options *o)
{
    return o->cacert != NULL || o->cert != NULL || o->key != NULL ||
           o->server_name != NULL || o->insecure_skip_tls_verify;
}

/* "host", "host:port", "[v6]:port": what may follow a scheme. */
static bool is_authority(const char *s, bool needs_port)
{
    const char *rest = *s == '[' ? strchr(s, ']') : s + strcspn(s, ":");
    uint64_t port;

    if (rest == NULL || rest == s || strpbrk(s, "/?#@ \\\"<>") != NULL)
        return false;
    rest += *rest == ']' ? 1 : 0;
    if (*rest == '\0')
        return !needs_port;
    return *rest == ':' && str_to_u64(rest + 1, &port) && port > 0 && port < 65536;
}

static enum rc set_url(const char *given, bool tls, char **out, struct err *e)
{
    const char *scheme = tls ? "https://" : "http://";
    AT_END(mem_end) char *url = NULL;
    bool bare = strstr(given, "://") == NULL;

    if (starts_with(given, "http://") || starts_with(given, "https://"))
        scheme = "";
    else if (!bare)
        return err_set(e, RC_USAGE, "endpoint %s: only http:// and https:// are known",
                       given);
    TRY(str_format(&url, e, "%s%s", scheme, given));
    char *authority = strstr(url, "://") + 3;

    if (str_ends(authority, "/"))
        authority[strlen(authority) - 1] = '\0';
    if (!is_authority(authority, bare))
        return err_set(e, RC_USAGE,
                       "endpoint %s is not of the form [http[s]://]host:port" HINT
                       "etcd's client port is usually 2379",
                       given);
    *out = GIVE(url);
    return RC_OK;
}

static enum rc set_endpoints(struct wire_client *c, const struct wire_options *o,
                             const struct str_list *given, struct err *e)
{
    if (given->count == 0)
        return err_set(e, RC_USAGE,
                       "no endpoint is given" HINT
                       "name the cluster's members with --endpoints");
    TRY(mem_new(&c->endpoints, given->count * sizeof *c->endpoints, "endpoints", e));
    TRY(mem_new(&c->order, given->count * sizeof *c->order, "endpoints", e));
    for (size_t i = 0; i < given->count; i++) {
        TRY(set_url(given->items[i], wants_tls(o), &c->endpoints[i].url, e));
        c->order[i] = i;
        c->count++;
    }
    return RC_OK;
}

static enum rc copy(const char *s, char **out, struct err *e)
{
    if (s == NULL)
        return RC_OK;
    *out = mem_str(s);
    return *out == NULL ? err_set(e, RC_NOMEM, "no memory for an etcd client") : RC_OK;
}

static enum rc set_login(struct wire_client *c, const struct wire_options *o,
                         struct err *e)
{
    if (o->user != NULL && o->token != NULL)
        return err_set(e, RC_USAGE, "give either a user or a token, not both");
    if (o->user != NULL && o->password == NULL)
        return err_set(e, RC_USAGE, "no password is given for user %s", o->user);
    if (o->token != NULL && strpbrk(o->token, "\r\n") != NULL)
        return err_set(e, RC_USAGE, "the token contains a line break");
    c->password = o->password;
    c->password_arg = o->password_arg;
    TRY(copy(o->user, &c->user, e));
    return copy(o->token, &c->token, e);
}

static enum rc set_http(struct wire_client *c, const struct wire_options *o,
                        struct err *e)
{
    struct http_options http = {
        .cacert = o->cacert,
        .cert = o->cert,
        .key = o->key,
        .server_name = o->server_name,
        .insecure_skip_verify = o->insecure_skip_tls_verify,
        .dial_timeout_ms = o->dial_timeout_ms == 0 ? DIAL_TIMEOUT_MS : o->dial_timeout_ms,
    };

    return http_new(&http, &c->http, e);
}

static uint64_t or_default(uint64_t given, uint64_t standard)
{
    return given == 0 ? standard : given;
}

enum rc wire_client_new(const struct wire_options *o, struct wire_client **out,
                        struct err *e)
{
    AT_END(str_list_clear) struct str_list given = { 0 };
    OWNED(wire_client) c = NULL;

    TRY(str_split(&given, o->endpoints == NULL ? "" : o->endpoints, ',', e));
    TRY(mem_new(&c, sizeof *c, "an etcd client", e));
    TRY(set_endpoints(c, o, &given, e));
    TRY(set_login(c, o, e));
    TRY(set_http(c, o, e));
    c->cluster_id = o->cluster_id;
    c->command_timeout_ms = or_default(o->command_timeout_ms, COMMAND_TIMEOUT_MS);
    c->stall_timeout_ms = or_default(o->stall_timeout_ms, STALL_TIMEOUT_MS);
    c->last.grpc_code = -1;
    *out = GIVE(c);
    return RC_OK;
}

void wire_token_drop(struct wire_client *c)
{
    if (c->token != NULL)
        mem_wipe(c->token, strlen(c->token));
    mem_free(c->token);
    c->token = NULL;
}

void wire_client_free(struct wire_client *c)
{
    if (c == NULL)
        return;
    for (size_t i = 0; i < c->count; i++)
        mem_free(c->endpoints[i].url);
    mem_free(c->endpoints);
    mem_free(c->order);
    mem_free(c->user);
    wire_token_drop(c);
    http_free(c->http);
    mem_free(c);
}

size_t wire_endpoint_count(const struct wire_client *c)
{
    return c->count;
}

const char *wire_endpoint(const struct wire_client *c, size_t i)
{
    return c->endpoints[i].url;
}

uint64_t wire_cluster_id(const struct wire_client *c)
{
    return c->cluster_id;
}

const struct wire_outcome *wire_last(const struct wire_client *c)
{
    return &c->last;
}

enum rc wire_identity_check(struct wire_client *c, size_t endpoint, bool one_member,
                            const struct wire_header *h, struct err *e)
{
    struct endpoint *at = &c->endpoints[endpoint];

    if (c->cluster_id == 0)
        c->cluster_id = h->cluster_id;
    if (h->cluster_id != c->cluster_id) {
        c->last.detail = WIRE_OTHER_CLUSTER;
        return err_set(e, RC_REFUSED,
                       "%s belongs to cluster %" PRIx64 ", not to cluster %" PRIx64 HINT
                       "check the endpoints: an address may have been given to another "
                       "cluster",
                       at->url, h->cluster_id, c->cluster_id);
    }
    at->known = true;
    if (!one_member)
        return RC_OK;
    if (at->member_id != 0 && h->member_id != at->member_id) {
        c->last.detail = WIRE_OTHER_MEMBER;
        return err_set(e, RC_REFUSED,
                       "%s answered as member %" PRIx64 " before, and now as member "
                       "%" PRIx64 HINT
                       "it leads to several members: give the members' own addresses",
                       at->url, at->member_id, h->member_id);
    }
    at->member_id = h->member_id;
    return RC_OK;
}

enum rc wire_http_get(struct wire_client *c, size_t endpoint, const char *path,
                      struct buf *out, int *status, struct err *e)
{
    AT_END(mem_end) char *url = NULL;

    TRY(str_format(&url, e, "%s%s", c->endpoints[endpoint].url, path));
    return http_get(c->http, url, c->command_timeout_ms, out, status, e);
}

struct page {
    struct buf *body;
    struct wire_page *told;
};

static enum rc on_page_header(void *arg, struct bytes name, struct bytes value,
                              struct err *e)
{
    struct page *p = arg;
    char text[40];

    (void)e;
    snprintf(text, sizeof text, "%.*s", (int)(value.n < 39 ? value.n : 39),
             (const char *)value.p);
    /* HTTP/1.1 has names as the server spells them. */
    if (name.n == 4 && strncasecmp((const char *)name.p, "date", 4) == 0)
        (void)http_date(text, &p->told->date);
    return RC_OK;
}

static enum rc on_page_body(void *arg, struct bytes piece, struct err *e)
{
    return buf_add(((struct page *)arg)->body, piece.p, piece.n, e);
}

enum rc wire_http_page(struct wire_client *c, size_t endpoint, const char *path,
                       struct buf *out, struct wire_page *told, struct err *e)
{
    AT_END(mem_end) char *url = NULL;
    struct page page = { out, told };
    struct http_answer answer;

    TRY(str_format(&url, e, "%s%s", c->endpoints[endpoint].url, path));
    struct http_request q = { .url = url,
                              .total_ms = c->command_timeout_ms,
                              .on_header = on_page_header,
                              .on_body = on_page_body,
                              .arg = &page };

    if (http_perform(c->http, &q, &answer, e) != RC_OK)
        return err_wrap(e, "cannot get %s", url);
    told->status = answer.status;
    return RC_OK;
}

enum rc wire_certificate(struct wire_client *c, size_t endpoint, struct buf *out,
                         struct err *e)
{
    const char *url = c->endpoints[endpoint].url;

    return starts_with(url, "https://") ? http_certificate(c->http, url, out, e) : RC_OK;
}
