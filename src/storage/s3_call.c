#include "storage/s3_call.h"

#include <stdio.h>
#include <strings.h>

#include "storage/retry.h"
#include "storage/s3_sign.h"
#include "storage/s3_xml.h"
#include "util/clock.h"

enum { LINES_MAX = S3_HEADERS + 8 };

void s3_answer_clear(struct s3_answer *a)
{
    buf_clear(&a->body);
}

enum rc s3_connect(const struct s3 *s, struct http **out, struct err *e)
{
    return http_new(&(struct http_options){ .cacert = s->cacert }, out, e);
}

/* ---- what comes back ---- */

/* Which headers are kept, and where. */
static const struct kept {
    const char *name;
    size_t at, room;
} kept[] = {
#define KEEP(header, member)                         \
    {                                                \
        header, offsetof(struct s3_answer, member),  \
            sizeof((struct s3_answer *)NULL)->member \
    }
    KEEP("etag", etag),
    KEEP("x-amz-version-id", version),
    KEEP("x-amz-meta-holdfast-put", put),
    KEEP("x-amz-object-lock-mode", lock_mode),
    KEEP("x-amz-object-lock-retain-until-date", lock_until),
    KEEP("content-length", length),
    KEEP("content-range", range),
    KEEP("content-encoding", encoding),
    KEEP("last-modified", modified),
    KEEP("date", date),
    KEEP("x-amz-bucket-region", bucket_region),
#undef KEEP
};

/* Text of the other side that may stand in a message or a request. */
static bool is_visible(struct bytes text)
{
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] < ' ' || text.p[i] > '~')
            return false;
    return true;
}

static enum rc keep(struct s3_answer *a, const struct kept *k, struct bytes value,
                    struct err *e)
{
    char *to = (char *)a + k->at;

    if (value.n >= k->room || !is_visible(value))
        return err_set(e, RC_CORRUPT, "the store's header %s is too long, or no text",
                       k->name);
    memcpy(to, value.p, value.n);
    to[value.n] = '\0';
    return RC_OK;
}

struct exchange {
    const struct s3_call *call;
    struct s3_answer *answer;
};

/* An answer of 1xx may stand before the real one: what it said does not count. */
static void begin_answer(struct s3_answer *a, struct bytes status)
{
    bool unsure = a->unsure;
    struct buf body = a->body;
    int n = 0;

    for (size_t i = 0; i < status.n && i < 3; i++)
        n = n * 10 + (status.p[i] - '0');
    *a = (struct s3_answer){ .status = n, .unsure = unsure, .body = body };
}

static enum rc on_header(void *arg, struct bytes name, struct bytes value, struct err *e)
{
    struct exchange *x = arg;

    if (bytes_is(name, ":status")) {
        begin_answer(x->answer, value);
        return RC_OK;
    }
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
        if (name.n == strlen(kept[i].name) &&
            strncasecmp((const char *)name.p, kept[i].name, name.n) == 0)
            return keep(x->answer, &kept[i], value, e);
    return RC_OK;
}

static bool is_content(const struct s3_answer *a)
{
    return a->status == 200 || a->status == 206;
}

static enum rc on_body(void *arg, struct bytes piece, struct err *e)
{
    struct exchange *x = arg;

    if (x->call->on_content != NULL && is_content(x->answer))
        return x->call->on_content(x->call->arg, x->answer, piece, e);
    return buf_add(&x->answer->body, piece.p, piece.n, e);
}

static enum rc take_error(void *arg, const char *path, const char *text, struct err *e)
{
    struct s3_answer *a = arg;

    (void)e;
    if (strcmp(path, "Error/Code") == 0)
        str_printable(a->code, sizeof a->code, bytes_str(text));
    if (strcmp(path, "Error/Message") == 0)
        str_printable(a->message, sizeof a->message, bytes_str(text));
    if (strcmp(path, "Error/Region") == 0)
        str_printable(a->region, sizeof a->region, bytes_str(text));
    return RC_OK;
}

/* A body that is no XML is a proxy's page: the status has to say it all. */
static void read_error(struct s3_answer *a)
{
    struct err ignored = { 0 };

    if (s3_xml_parse((struct bytes){ a->body.p, a->body.n }, take_error, a, &ignored) !=
        RC_OK)
        a->message[0] = '\0';
}

/* ---- one try ---- */

static enum rc sign(const struct s3 *s, const struct s3_call *c,
                    const struct s3_target *target, struct str_list *lines, struct err *e)
{
    AT_END(s3_keys_wipe) struct s3_keys keys = { 0 };
    char hash[65];
    struct s3_signing q = { .method = c->method,
                            .region = s->place.region,
                            .target = target,
                            .now = clock_unix_ms() / 1000,
                            .headers = lines,
                            .payload = hash };

    for (size_t i = 0; c->headers[i] != NULL; i++)
        TRY(str_list_add(lines, c->headers[i], e));
    TRY(s3_payload_hash(c->body, hash, e));
    TRY(s3_keys_load(s->credentials_file, s->profile, &keys, e));
    return s3_sign(&q, &keys, e);
}

/* A list whose lines are wiped at its end: a token is among them. */
static void wipe_lines(struct str_list *l)
{
    for (size_t i = 0; i < l->count; i++)
        mem_wipe(l->items[i], strlen(l->items[i]));
    str_list_clear(l);
}

static enum rc send_it(struct s3 *s, const struct s3_call *c, const char *url,
                       const struct str_list *lines, uint64_t total_ms,
                       struct exchange *x, struct err *e)
{
    const char *headers[LINES_MAX + 3];
    size_t n = 0;
    struct http_answer told;
    struct http_request q = { .url = url,
                              .headers = headers,
                              .body = c->body,
                              .method = c->method,
                              .total_ms = total_ms,
                              .stall_ms = s->stall_ms,
                              .cancel = c->cancel,
                              .unstoppable = c->unstoppable,
                              .on_header = on_header,
                              .on_body = on_body,
                              .arg = x };
    enum rc rc;

    for (; n < lines->count && n < LINES_MAX; n++)
        headers[n] = lines->items[n];
    headers[n++] = "accept-encoding:identity";
    if (c->body.p != NULL)
        headers[n++] = "content-type:application/octet-stream";
    headers[n] = NULL;
    rc = http_perform(c->http == NULL ? s->http : c->http, &q, &told, e);
    if (told.end == HTTP_UNTRUST) /* the transport's advice is for etcd */
        err_hint(e, "this is about the object store's certificate: its CA, the names in "
                    "it, its dates");
    else if (told.end != HTTP_DONE && told.end != HTTP_UNSENT)
        x->answer->unsure = true;
    if (rc != RC_OK)
        x->answer->status = 0; /* what it began with is not its end */
    return rc;
}

static enum rc judge(const struct s3 *s, const struct s3_call *c, struct s3_answer *a,
                     struct err *e)
{
    bool good = a->status >= 200 && a->status < 300;
    enum rc rc;

    if (a->body.n > 0)
        read_error(a);
    if (good && a->code[0] == '\0')
        return RC_OK;
    rc = s3_refusal(&s->place, c, a, clock_unix_ms() / 1000, e);
    if (rc == RC_NET)
        a->unsure = true;
    return rc;
}

enum rc s3_try(struct s3 *s, const struct s3_call *c, uint64_t total_ms,
               struct s3_answer *a, struct err *e)
{
    AT_END(s3_target_clear) struct s3_target target = { 0 };
    AT_END(wipe_lines) struct str_list lines = { 0 };
    struct exchange x = { c, a };
    bool unsure = a->unsure;

    buf_clear(&a->body);
    *a = (struct s3_answer){ .unsure = unsure, .body.cap_max = S3_ANSWER_MAX };
    TRY(s3_target_make(&s->place, c->key, c->query, &target, e));
    TRY(sign(s, c, &target, &lines, e));
    if (send_it(s, c, target.url, &lines, total_ms, &x, e) != RC_OK)
        return err_wrap(e, "%s at %s", c->operation, s->place.host);
    if (judge(s, c, a, e) != RC_OK)
        return err_wrap(e, "%s at %s", c->operation, s->place.host);
    return RC_OK;
}

/* ---- until it went well ---- */

/* Temporary credentials may have been replaced in their file while the request was under
 * way: one more look at it. */
static bool may_be_renewed(const struct s3_answer *a, bool *renewed)
{
    bool expired = strcmp(a->code, "ExpiredToken") == 0 ||
                   strcmp(a->code, "InvalidToken") == 0 ||
                   strcmp(a->code, "TokenRefreshRequired") == 0;

    if (!expired || *renewed)
        return false;
    *renewed = true;
    return true;
}

enum rc s3_run(struct s3 *s, const struct s3_call *c, struct s3_answer *a, struct err *e)
{
    struct retry r = retry_begin(s->deadline_ms);
    bool renewed = false;
    enum rc rc;

    do {
        rc = s3_try(s, c, retry_left_ms(&r), a, e);
        if (rc == RC_AUTH && may_be_renewed(a, &renewed))
            rc = s3_try(s, c, retry_left_ms(&r), a, e);
    } while ((c->cancel == NULL || !atomic_load(c->cancel)) && retry_again(&r, &rc, e));
    return rc;
}
