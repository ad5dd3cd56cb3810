#include "storage/s3_url.h"

#include <ctype.h>
#include <stdlib.h>

#include "util/str.h"

enum { QUERY_MAX = 8, BUCKET_MIN = 3, BUCKET_MAX = 63, PREFIX_MAX = 512 };

static bool is_unreserved(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("-._~", c) != NULL);
}

static enum rc encode(struct buf *out, const char *text, bool keep_slash, struct err *e)
{
    static const char digits[] = "0123456789ABCDEF";

    for (const char *p = text; *p != '\0'; p++) {
        uint8_t c = (uint8_t)*p;

        if (is_unreserved(c) || (keep_slash && c == '/'))
            TRY(buf_add(out, p, 1, e));
        else
            TRY(buf_add(out, (char[]){ '%', digits[c >> 4], digits[c & 15] }, 3, e));
    }
    return RC_OK;
}

static enum rc add(struct buf *out, const char *text, struct err *e)
{
    return buf_add(out, text, strlen(text), e);
}

bool s3_decode(char *text)
{
    char *to = text;

    for (const char *p = text; *p != '\0'; p++) {
        uint8_t c = (uint8_t)*p;

        if (c == '+')
            c = ' ';
        if (c == '%') {
            char pair[3] = { p[1], p[1] == '\0' ? '\0' : p[2], '\0' };

            if (!str_unhex(pair, &c, 1) || c == '\0')
                return false;
            p += 2;
        }
        *to++ = (char)c;
    }
    *to = '\0';
    return true;
}

/* ---- the URL ---- */

static bool is_bucket(const char *s)
{
    size_t n = strlen(s);

    return n >= BUCKET_MIN && n <= BUCKET_MAX && isalnum((uint8_t)s[0]) != 0 &&
           strspn(s,
                  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
               n;
}

/* The same characters as keys have. */
static bool is_prefix(const char *s)
{
    size_t n = strlen(s);

    if (n > PREFIX_MAX || strstr(s, "//") != NULL || s[0] == '/')
        return false;
    for (size_t i = 0; i < n; i++)
        if (!is_unreserved((uint8_t)s[i]) && s[i] != '/')
            return false;
    return true;
}

static enum rc take_bucket(struct s3_place *p, const char *from, size_t n, struct err *e)
{
    AT_END(mem_end) char *whole = mem_str_n(from, n);
    char *slash = whole == NULL ? NULL : strchr(whole, '/');

    if (whole == NULL)
        return err_set(e, RC_NOMEM, "no memory for a URL");
    if (slash != NULL)
        *slash++ = '\0';
    if (!is_bucket(whole))
        return err_set(e, RC_USAGE,
                       "'%s' is no name of a bucket" HINT "write s3://BUCKET/PREFIX",
                       whole);
    if (slash != NULL && !is_prefix(slash))
        return err_set(e, RC_USAGE,
                       "'%s' is no prefix: letters, digits and ._~- only, "
                       "joined by single '/'",
                       slash);
    p->bucket = mem_str(whole);
    if (p->bucket == NULL)
        return err_set(e, RC_NOMEM, "no memory for a URL");
    if (slash == NULL || slash[0] == '\0')
        slash = NULL;
    return str_format(&p->prefix, e, "%s%s", slash == NULL ? "" : slash,
                      slash == NULL || str_ends(slash, "/") ? "" : "/");
}

static enum rc bad_endpoint(const char *value, struct err *e)
{
    return err_set(e, RC_USAGE,
                   "'%s' is no endpoint" HINT
                   "write endpoint=https://HOST or endpoint=http://HOST:PORT",
                   value);
}

static enum rc take_endpoint(struct s3_place *p, const char *value, struct err *e)
{
    const char *host, *own;
    size_t n;

    p->tls = strncmp(value, "https://", 8) == 0;
    if (!p->tls && strncmp(value, "http://", 7) != 0)
        return bad_endpoint(value, e);
    own = p->tls ? ":443" : ":80";
    host = value + (p->tls ? 8 : 7);
    n = strcspn(host, "/");
    if (n == 0 || strcmp(host + n, "/") > 0 || strpbrk(host, "@?#%\\ ") != NULL)
        return bad_endpoint(value, e);
    p->host = mem_str_n(host, n);
    if (p->host == NULL)
        return err_set(e, RC_NOMEM, "no memory for a URL");
    if (str_ends(p->host, own))
        p->host[n - strlen(own)] = '\0';
    p->virtual_host = false;
    return RC_OK;
}

static enum rc take_option(struct s3_place *p, const char *name, const char *value,
                           const char **style, struct err *e)
{
    if (strcmp(name, "endpoint") == 0 && p->host == NULL)
        return take_endpoint(p, value, e);
    if (strcmp(name, "region") == 0 && p->region == NULL) {
        if (value[0] == '\0' ||
            strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUV"
                          "WXYZ0123456789-_") != strlen(value))
            return err_set(e, RC_USAGE, "'%s' is no region", value);
        p->region = mem_str(value);
        return p->region == NULL ? err_set(e, RC_NOMEM, "no memory for a URL") : RC_OK;
    }
    if (strcmp(name, "style") == 0 && *style == NULL) {
        *style = strcmp(value, "path") == 0 ? "path" : "virtual";
        if (strcmp(value, *style) == 0)
            return RC_OK;
    }
    return err_set(e, RC_USAGE,
                   "'%s=%s' does not belong into an S3 URL" HINT
                   "its options are endpoint, region and style=path or style=virtual, "
                   "each once",
                   name, value);
}

static enum rc take_options(struct s3_place *p, char *text, const char **style,
                            struct err *e)
{
    char *rest = NULL;

    for (char *pair = strtok_r(text, "&", &rest); pair != NULL;
         pair = strtok_r(NULL, "&", &rest)) {
        char *value = strchr(pair, '=');

        if (value == NULL)
            value = pair + strlen(pair);
        else
            *value++ = '\0';
        if (!s3_decode(value))
            return err_set(e, RC_USAGE, "'%s' is badly encoded", value);
        TRY(take_option(p, pair, value, style, e));
    }
    return RC_OK;
}

static const char *region_of_surroundings(void)
{
    static const char *const names[] = { "AWS_REGION", "AWS_DEFAULT_REGION" };

    for (size_t i = 0; i < 2; i++) {
        const char *value = getenv(names[i]);

        if (value != NULL && value[0] != '\0')
            return value;
    }
    return "us-east-1";
}

static enum rc fill_in(struct s3_place *p, const char *style, struct err *e)
{
    if (p->region == NULL)
        TRY(take_option(p, "region", region_of_surroundings(), &style, e));
    if (p->host == NULL) {
        TRY(str_format(&p->host, e, "s3.%s.amazonaws.com", p->region));
        p->tls = p->virtual_host = true;
    }
    if (style != NULL)
        p->virtual_host = strcmp(style, "virtual") == 0;
    return RC_OK;
}

enum rc s3_place_parse(const char *url, struct s3_place *out, struct err *e)
{
    AT_END(mem_end) char *options = NULL;
    const char *style = NULL;
    const char *at = url + 5;
    size_t n;

    *out = (struct s3_place){ 0 };
    if (strncmp(url, "s3://", 5) != 0)
        return err_set(e, RC_USAGE, "'%s' does not begin with s3://", url);
    n = strcspn(at, "?");
    TRY(take_bucket(out, at, n, e));
    if (at[n] == '?') {
        options = mem_str(at + n + 1);
        if (options == NULL)
            return err_set(e, RC_NOMEM, "no memory for a URL");
        TRY(take_options(out, options, &style, e));
    }
    return fill_in(out, style, e);
}

void s3_place_clear(struct s3_place *p)
{
    mem_free(p->bucket);
    mem_free(p->region);
    mem_free(p->prefix);
    mem_free(p->host);
    *p = (struct s3_place){ 0 };
}

/* ---- a request ---- */

static void sort(struct s3_param *list, size_t n)
{
    for (size_t i = 1; i < n; i++)
        for (size_t j = i; j > 0 && strcmp(list[j].name, list[j - 1].name) < 0; j--) {
            struct s3_param held = list[j];

            list[j] = list[j - 1];
            list[j - 1] = held;
        }
}

static enum rc add_query(struct buf *out, const struct s3_param *query, struct err *e)
{
    struct s3_param sorted[QUERY_MAX];
    size_t n = 0;

    for (; query != NULL && query->name != NULL; query++) {
        if (n == QUERY_MAX)
            return err_set(e, RC_INTERNAL, "a request has too many parameters");
        sorted[n++] = *query;
    }
    sort(sorted, n);
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            TRY(add(out, "&", e));
        TRY(encode(out, sorted[i].name, false, e));
        TRY(add(out, "=", e));
        TRY(encode(out, sorted[i].value, false, e));
    }
    return RC_OK;
}

static enum rc add_path(struct buf *out, const struct s3_place *p, const char *key,
                        struct err *e)
{
    TRY(add(out, "/", e));
    if (!p->virtual_host)
        TRY(encode(out, p->bucket, false, e));
    if (key == NULL)
        return RC_OK;
    if (!p->virtual_host)
        TRY(add(out, "/", e));
    TRY(encode(out, p->prefix, true, e));
    return encode(out, key, true, e);
}

enum rc s3_target_make(const struct s3_place *p, const char *key,
                       const struct s3_param *query, struct s3_target *out, struct err *e)
{
    AT_END(buf_clear) struct buf path = { 0 }, pairs = { 0 };

    TRY(add_path(&path, p, key, e));
    TRY(add_query(&pairs, query, e));
    TRY(str_take(&path, &out->path, e));
    TRY(str_take(&pairs, &out->query, e));
    TRY(str_format(&out->host, e, "%s%s%s", p->virtual_host ? p->bucket : "",
                   p->virtual_host ? "." : "", p->host));
    return str_format(&out->url, e, "%s://%s%s%s%s", p->tls ? "https" : "http", out->host,
                      out->path, out->query[0] == '\0' ? "" : "?", out->query);
}

void s3_target_clear(struct s3_target *t)
{
    mem_free(t->host);
    mem_free(t->path);
    mem_free(t->query);
    mem_free(t->url);
    *t = (struct s3_target){ 0 };
}
