#include "grpcd/h1.h"

#include <stdio.h>
#include <strings.h>

static enum h1_state bad(struct h1_request *out, int status)
{
    out->status = status;
    out->close = true;
    return H1_BAD;
}

/* Cuts the next line, without its CR LF, off the front; false when there is none. */
static bool next_line(struct bytes *in, struct bytes *line)
{
    const uint8_t *lf = in->n == 0 ? NULL : memchr(in->p, '\n', in->n);

    if (lf == NULL || lf == in->p || lf[-1] != '\r')
        return false;
    *line = (struct bytes){ in->p, (size_t)(lf - in->p) - 1 };
    *in = (struct bytes){ lf + 1, in->n - line->n - 2 };
    return true;
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

/* The line's value when it is the named header. */
static bool header_is(struct bytes line, const char *name, struct bytes *value)
{
    size_t n = strlen(name);

    if (line.n <= n || line.p[n] != ':' ||
        strncasecmp((const char *)line.p, name, n) != 0)
        return false;
    *value = (struct bytes){ line.p + n + 1, line.n - n - 1 };
    while (value->n > 0 && is_blank(value->p[0]))
        *value = (struct bytes){ value->p + 1, value->n - 1 };
    while (value->n > 0 && is_blank(value->p[value->n - 1]))
        value->n--;
    return true;
}

static bool word_is(struct bytes value, const char *word)
{
    return value.n == strlen(word) &&
           strncasecmp((const char *)value.p, word, value.n) == 0;
}

/* A name of token characters and a colon right behind it. */
static bool header_wellformed(struct bytes line)
{
    size_t n = 0;

    while (n < line.n && line.p[n] > ' ' && line.p[n] < 0x7f && line.p[n] != ':')
        n++;
    if (n == 0 || n == line.n || line.p[n] != ':')
        return false;
    for (; n < line.n; n++)
        if ((line.p[n] < ' ' && line.p[n] != '\t') || line.p[n] == 0x7f)
            return false;
    return true;
}

static enum h1_state parse_headers(struct bytes in, struct h1_request *out, bool *host)
{
    struct bytes line, value;

    while (next_line(&in, &line) && line.n > 0) {
        if (!header_wellformed(line))
            return bad(out, 400);
        if (header_is(line, "host", &value))
            *host = true;
        else if (header_is(line, "connection", &value))
            out->close =
                out->close ? !word_is(value, "keep-alive") : word_is(value, "close");
        else if (header_is(line, "transfer-encoding", &value) ||
                 (header_is(line, "content-length", &value) && !word_is(value, "0")))
            return bad(out, 400);
    }
    return H1_GET;
}

static enum h1_state parse_target(struct bytes target, struct h1_request *out)
{
    const uint8_t *mark = memchr(target.p, '?', target.n);
    size_t path = mark == NULL ? target.n : (size_t)(mark - target.p);
    size_t query = mark == NULL ? 0 : target.n - path - 1;

    if (target.p[0] != '/')
        return bad(out, 400);
    for (size_t i = 0; i < target.n; i++)
        if (target.p[i] <= ' ' || target.p[i] >= 0x7f)
            return bad(out, 400);
    if (path >= sizeof out->path || query >= sizeof out->query)
        return bad(out, 414);
    memcpy(out->path, target.p, path);
    out->path[path] = '\0';
    if (query > 0)
        memcpy(out->query, mark + 1, query);
    out->query[query] = '\0';
    return H1_GET;
}

/* "GET /path?query HTTP/1.1" */
static enum h1_state parse_first(struct bytes line, struct h1_request *out)
{
    const uint8_t *space = memchr(line.p, ' ', line.n);
    size_t method = space == NULL ? 0 : (size_t)(space - line.p);
    const size_t version = strlen(" HTTP/1.1");

    if (method == 0 || line.n < method + 2 + version ||
        memcmp(line.p + line.n - version, " HTTP/", 6) != 0)
        return bad(out, 400);
    if (memcmp(line.p + line.n - 3, "1.1", 3) != 0 &&
        memcmp(line.p + line.n - 3, "1.0", 3) != 0)
        return bad(out, 505);
    out->close = line.p[line.n - 1] == '0';
    if (method != 3 || memcmp(line.p, "GET", 3) != 0)
        return bad(out, 405);
    return parse_target((struct bytes){ space + 1, line.n - method - 1 - version }, out);
}

enum h1_state h1_parse(struct bytes in, struct h1_request *out)
{
    const uint8_t *end = in.n == 0 ? NULL : memmem(in.p, in.n, "\r\n\r\n", 4);
    struct bytes rest = in, line = { 0 };
    bool host = false;

    *out = (struct h1_request){ 0 };
    /* A TLS hello, say, whose client would wait for ever. */
    if (in.n > 0 && (in.p[0] <= ' ' || in.p[0] >= 0x7f))
        return bad(out, 400);
    if (end == NULL)
        return in.n > H1_REQUEST_MAX ? bad(out, 431) : H1_MORE;
    out->size = (size_t)(end - in.p) + 4;
    if (out->size > H1_REQUEST_MAX)
        return bad(out, 431);
    if (memchr(in.p, '\0', out->size) != NULL || !next_line(&rest, &line) || line.n == 0)
        return bad(out, 400);

    enum h1_state state = parse_first(line, out);
    bool old = out->close;

    if (state == H1_GET)
        state = parse_headers(rest, out, &host);
    if (state == H1_GET && !host && !old)
        return bad(out, 400);
    return state;
}

static const char *reason(int status)
{
    switch (status) {
    case 200:
        return "OK";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 414:
        return "URI Too Long";
    case 415:
        return "Unsupported Media Type";
    case 431:
        return "Request Header Fields Too Large";
    case 500:
        return "Internal Server Error";
    case 503:
        return "Service Unavailable";
    case 505:
        return "HTTP Version Not Supported";
    default:
        return "Bad Request";
    }
}

void h1_refuse(struct grpcd_answer *answer, int status)
{
    struct err e = { 0 };

    answer->status = status;
    answer->type = "text/plain; charset=utf-8";
    answer->body.n = 0;
    if (buf_add(&answer->body, reason(status), strlen(reason(status)), &e) != RC_OK)
        answer->body.n = 0; /* the status line says it as well */
}

void h1_page(const struct grpcd_options *o, const char *path, const char *query,
             struct grpcd_answer *answer)
{
    struct err e = { 0 };

    for (size_t i = 0; i < o->page_count; i++) {
        if (strcmp(o->pages[i].path, path) != 0)
            continue;
        answer->status = 200;
        answer->type = "application/json";
        if (o->pages[i].get(answer, query, o->arg, &e) == RC_OK)
            return;
        h1_refuse(answer, 500);
        if (buf_add(&answer->body, ": ", 2, &e) != RC_OK ||
            buf_add(&answer->body, e.why, strlen(e.why), &e) != RC_OK)
            answer->body.n = 0;
        return;
    }
    h1_refuse(answer, 404);
}

enum rc h1_write(struct buf *out, const struct grpcd_answer *answer, bool close,
                 struct err *e)
{
    char head[512];
    int n =
        snprintf(head, sizeof head,
                 "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s%s\r\n",
                 answer->status, reason(answer->status), answer->type, answer->body.n,
                 answer->status == 405 ? "Allow: GET\r\n" : "",
                 close ? "Connection: close\r\n" : "");

    TRY(buf_add(out, head, (size_t)n, e));
    return buf_add(out, answer->body.p, answer->body.n, e);
}
