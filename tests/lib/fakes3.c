#include "tests/lib/fakes3.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/case.h"
#include "util/bytes.h"
#include "util/mem.h"

enum { OBJECTS = 64, UPLOADS = 8, PARTS = 8, HEAD = 65536, LOG = 1 << 16 };

struct object {
    bool used;
    char key[600], nonce[64], etag[32], mode[32], until[64];
    struct buf content;
};

struct upload {
    bool used;
    char id[16];
    struct object what; /* without content */
    struct buf parts[PARTS];
};

struct fakes3 {
    struct fakes3_script script;
    unsigned seen[FAKES3_RULES]; /* requests that fitted each rule */
    int listener, port;
    pthread_t thread;
    pthread_mutex_t lock; /* over what follows */
    struct object objects[OBJECTS];
    struct upload uploads[UPLOADS];
    unsigned made; /* for ETags and ids */
    char log[LOG];
    size_t log_n;
};

/* One request, and the answer to it. */
struct turn {
    struct fakes3 *f;
    int fd;
    char head[HEAD], *path, *query, *key;
    const char *method;
    struct buf body;
    int status;
    char headers[2048];
    struct buf answer;
};

static const char *header(const struct turn *t, const char *name)
{
    static _Thread_local char value[512];
    size_t n = strlen(name);

    for (const char *line = t->head + strlen(t->head) + 1; *line != '\0';
         line += strlen(line) + 1)
        if (strncasecmp(line, name, n) == 0 && line[n] == ':') {
            snprintf(value, sizeof value, "%s", line + n + 1 + strspn(line + n + 1, " "));
            return value;
        }
    return "";
}

/* A parameter of the query, decoded; NULL when it is not there. */
static const char *param(const struct turn *t, const char *name)
{
    static _Thread_local char value[600];
    size_t n = strlen(name), k = 0;

    for (const char *p = t->query; *p != '\0'; p += strcspn(p, "&"), p += *p == '&') {
        if (strncmp(p, name, n) != 0 || p[n] != '=')
            continue;
        for (const char *v = p + n + 1; *v != '\0' && *v != '&'; v++) {
            unsigned c = (uint8_t)*v;

            if (c == '%' && sscanf(v + 1, "%2x", &c) == 1)
                v += 2;
            value[k++] = (char)c;
        }
        value[k] = '\0';
        return value;
    }
    return NULL;
}

[[gnu::format(printf, 2, 3)]] static void say(struct turn *t, const char *fmt, ...)
{
    char text[4096];
    struct err e = { 0 };
    va_list ap;

    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    OK(buf_add(&t->answer, text, (size_t)n, &e), &e);
}

[[gnu::format(printf, 2, 3)]] static void add_header(struct turn *t, const char *fmt, ...)
{
    size_t used = strlen(t->headers);
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(t->headers + used, sizeof t->headers - used, fmt, ap);
    va_end(ap);
    snprintf(t->headers + strlen(t->headers), 3, "\r\n");
}

static void refuse(struct turn *t, int status, const char *code)
{
    t->status = status;
    buf_clear(&t->answer);
    if (code != NULL)
        say(t, "<Error><Code>%s</Code><Message>m</Message></Error>", code);
}

/* ---- what an honest store does ---- */

static struct object *find(struct fakes3 *f, const char *key)
{
    for (size_t i = 0; i < OBJECTS; i++)
        if (f->objects[i].used && strcmp(f->objects[i].key, key) == 0)
            return &f->objects[i];
    return NULL;
}

static struct object *place_for(struct fakes3 *f, const char *key)
{
    struct object *o = find(f, key);

    for (size_t i = 0; o == NULL && i < OBJECTS; i++)
        if (!f->objects[i].used)
            o = &f->objects[i];
    cr_assert_not_null(o);
    buf_clear(&o->content);
    return o;
}

/* What the headers say of an object to be. */
static struct object described(struct turn *t)
{
    struct object o = { .used = true };

    snprintf(o.key, sizeof o.key, "%s", t->key);
    snprintf(o.nonce, sizeof o.nonce, "%.63s", header(t, "x-amz-meta-holdfast-put"));
    snprintf(o.etag, sizeof o.etag, "\"e%u\"", ++t->f->made);
    if (t->f->script.no_locks)
        return o;
    snprintf(o.mode, sizeof o.mode, "%.31s", header(t, "x-amz-object-lock-mode"));
    snprintf(o.until, sizeof o.until, "%.63s",
             header(t, "x-amz-object-lock-retain-until-date"));
    return o;
}

static bool may_put(struct turn *t)
{
    bool conditional = header(t, "if-none-match")[0] != '\0';

    if (conditional && t->f->script.no_conditions)
        refuse(t, 501, "NotImplemented");
    else if (conditional && find(t->f, t->key) != NULL)
        refuse(t, 412, "PreconditionFailed");
    else
        return true;
    return false;
}

static void put_object(struct turn *t)
{
    struct object *o;

    if (!may_put(t))
        return;
    o = place_for(t->f, t->key);
    *o = described(t);
    o->content = t->body;
    t->body = (struct buf){ 0 };
    add_header(t, "ETag: %s", o->etag);
}

static void get_object(struct turn *t)
{
    const struct object *o = find(t->f, t->key);
    unsigned long long from = 0;
    time_t seconds = time(NULL);
    struct err e = { 0 };
    struct tm tm;
    char now[64];

    strftime(now, sizeof now, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&seconds, &tm));
    if (o == NULL) {
        refuse(t, 404, "NoSuchKey");
        return;
    }
    if (header(t, "if-match")[0] != '\0' && strcmp(header(t, "if-match"), o->etag) != 0) {
        refuse(t, 412, "PreconditionFailed");
        return;
    }
    if (!t->f->script.no_ranges &&
        sscanf(header(t, "range"), "bytes=%llu-", &from) == 1) {
        t->status = 206;
        add_header(t, "Content-Range: bytes %llu-%zu/%zu", from, o->content.n - 1,
                   o->content.n);
    }
    add_header(t, "ETag: %s", o->etag);
    add_header(t, "x-amz-meta-holdfast-put: %s", o->nonce);
    add_header(t, "Last-Modified: %s", now);
    if (o->mode[0] != '\0') {
        add_header(t, "x-amz-object-lock-mode: %s", o->mode);
        add_header(t, "x-amz-object-lock-retain-until-date: %s", o->until);
    }
    OK(buf_add(&t->answer, o->content.p + from, o->content.n - from, &e), &e);
}

static void delete_object(struct turn *t)
{
    struct object *o = find(t->f, t->key);

    if (o != NULL)
        buf_clear(&o->content);
    if (o != NULL)
        *o = (struct object){ 0 };
    t->status = 204;
}

static int by_key(const void *a, const void *b)
{
    const struct object *const *x = a, *const *y = b;

    return strcmp((*x)->key, (*y)->key);
}

/* `after` is a key, or "". */
static size_t chosen(struct fakes3 *f, const char *prefix, const char *after,
                     const struct object *out[static OBJECTS])
{
    size_t n = 0;

    for (size_t i = 0; i < OBJECTS; i++)
        if (f->objects[i].used &&
            strncmp(f->objects[i].key, prefix, strlen(prefix)) == 0 &&
            strcmp(f->objects[i].key, after) > 0)
            out[n++] = &f->objects[i];
    qsort(out, n, sizeof out[0], by_key);
    return n;
}

static void list_objects(struct turn *t)
{
    const struct fakes3_script *script = &t->f->script;
    const struct object *all[OBJECTS];
    char prefix[600], after[600];
    size_t page = script->page == 0 ? 1000 : script->page, n;

    snprintf(prefix, sizeof prefix, "%s", param(t, "prefix"));
    snprintf(after, sizeof after, "%s",
             param(t, "continuation-token") == NULL || script->circles
                 ? ""
                 : param(t, "continuation-token"));
    n = chosen(t->f, prefix, after, all);
    say(t, "<?xml version=\"1.0\"?><ListBucketResult>");
    for (size_t i = 0; i < n && i < page; i++) {
        const struct object *o = script->odd_lists ? all[n - 1 - i] : all[i];

        for (int times = 0; times < (script->odd_lists ? 2 : 1); times++)
            say(t,
                "<Contents><Key>%s</Key><LastModified>2025-11-21T12:00:00.000Z"
                "</LastModified><Size>%zu</Size></Contents>",
                o->key, o->content.n);
    }
    if (n > page)
        say(t, "<NextContinuationToken>%s</NextContinuationToken>", all[page - 1]->key);
    say(t, "<IsTruncated>%s</IsTruncated></ListBucketResult>",
        n > page ? "true" : "false");
}

static struct upload *find_upload(struct turn *t)
{
    const char *id = param(t, "uploadId");

    for (size_t i = 0; id != NULL && i < UPLOADS; i++)
        if (t->f->uploads[i].used && strcmp(t->f->uploads[i].id, id) == 0)
            return &t->f->uploads[i];
    refuse(t, 404, "NoSuchUpload");
    return NULL;
}

static void begin_upload(struct turn *t)
{
    struct upload *u = NULL;

    for (size_t i = 0; u == NULL && i < UPLOADS; i++)
        if (!t->f->uploads[i].used)
            u = &t->f->uploads[i];
    cr_assert_not_null(u);
    *u = (struct upload){ .used = true, .what = described(t) };
    snprintf(u->id, sizeof u->id, "u%u", ++t->f->made);
    say(t,
        "<InitiateMultipartUploadResult><UploadId>%s</UploadId>"
        "</InitiateMultipartUploadResult>",
        u->id);
}

static void put_part(struct turn *t)
{
    struct upload *u = find_upload(t);
    int no = atoi(param(t, "partNumber"));

    if (u == NULL)
        return;
    cr_assert(no >= 1 && no <= PARTS);
    buf_clear(&u->parts[no - 1]);
    u->parts[no - 1] = t->body;
    t->body = (struct buf){ 0 };
    add_header(t, "ETag: \"p%d\"", no);
}

static void drop_upload(struct upload *u)
{
    for (size_t i = 0; i < PARTS; i++)
        buf_clear(&u->parts[i]);
    *u = (struct upload){ 0 };
}

static void complete_upload(struct turn *t)
{
    struct upload *u = find_upload(t);
    struct object *o;
    struct err e = { 0 };

    if (u == NULL || !may_put(t))
        return;
    o = place_for(t->f, t->key);
    *o = u->what;
    o->content.cap_max = (size_t)256 << 20;
    for (size_t i = 0; i < PARTS; i++)
        if (u->parts[i].n > 0)
            OK(buf_add(&o->content, u->parts[i].p, u->parts[i].n, &e), &e);
    drop_upload(u);
    say(t, "<CompleteMultipartUploadResult/>");
}

static void abort_upload(struct turn *t)
{
    struct upload *u = find_upload(t);

    if (u == NULL)
        return;
    drop_upload(u);
    t->status = 204;
}

static void list_uploads(struct turn *t)
{
    const char *when = t->f->script.initiated;

    say(t, "<ListMultipartUploadsResult>");
    for (size_t i = 0; i < UPLOADS; i++)
        if (t->f->uploads[i].used)
            say(t,
                "<Upload><Key>%s</Key><UploadId>%s</UploadId><Initiated>%s"
                "</Initiated></Upload>",
                t->f->uploads[i].what.key, t->f->uploads[i].id,
                when == NULL ? "2020-01-01T00:00:00.000Z" : when);
    say(t, "<IsTruncated>false</IsTruncated></ListMultipartUploadsResult>");
}

static void retain(struct turn *t)
{
    if (t->f->script.no_locks)
        return;
    refuse(t, 400, "InvalidRequest");
}

static void carry_out(struct turn *t)
{
    static const struct {
        const char *method, *param;
        void (*fn)(struct turn *t);
    } all[] = {
        { "PUT", "partNumber", put_part },
        { "POST", "uploads", begin_upload },
        { "POST", "uploadId", complete_upload },
        { "DELETE", "uploadId", abort_upload },
        { "GET", "uploads", list_uploads },
        { "GET", "list-type", list_objects },
        { "PUT", "retention", retain },
        { "PUT", NULL, put_object },
        { "GET", NULL, get_object },
        { "HEAD", NULL, get_object },
        { "DELETE", NULL, delete_object },
    };

    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (strcmp(t->method, all[i].method) == 0 &&
            (all[i].param == NULL || param(t, all[i].param) != NULL)) {
            all[i].fn(t);
            return;
        }
    refuse(t, 405, "MethodNotAllowed");
}

/* ---- one request ---- */

/* The request's head, as lines that end with NUL; what came of the body stays. */
static bool read_head(struct turn *t)
{
    struct err e = { 0 };
    size_t n = 0;
    char *end;

    do {
        ssize_t got = read(t->fd, t->head + n, HEAD - 2 - n);

        if (got <= 0)
            return false;
        n += (size_t)got;
        t->head[n] = '\0';
        end = strstr(t->head, "\r\n\r\n");
    } while (end == NULL);
    OK(buf_add(&t->body, end + 4, n - (size_t)(end + 4 - t->head), &e), &e);
    end[2] = '\0'; /* one empty line ends the list */
    for (char *p = t->head; (p = strstr(p, "\r\n")) != NULL;) {
        memmove(p, p + 1, strlen(p + 1) + 2);
        *p++ = '\0';
    }
    return true;
}

static void read_body(struct turn *t)
{
    static char held[1 << 16];
    size_t size = (size_t)strtoull(header(t, "content-length"), NULL, 10);
    struct err e = { 0 };

    while (t->body.n < size) {
        ssize_t got = read(t->fd, held, sizeof held);

        if (got <= 0)
            return;
        OK(buf_add(&t->body, held, (size_t)got, &e), &e);
    }
}

/* "METHOD /bucket/key?query HTTP/1.1", taken apart; the key without the bucket. */
static void split(struct turn *t)
{
    char *rest = NULL;

    t->method = strtok_r(t->head, " ", &rest);
    t->path = strtok_r(NULL, " ", &rest);
    cr_assert(t->method != NULL && t->path != NULL);
    t->query = t->path + strcspn(t->path, "?");
    if (*t->query == '?')
        *t->query++ = '\0';
    t->key = t->path + 1 + strcspn(t->path + 1, "/");
    if (*t->key == '/')
        t->key++;
}

static const struct fakes3_rule *rule_for(struct fakes3 *f, const char *method,
                                          const char *target)
{
    for (size_t i = 0; i < FAKES3_RULES; i++) {
        const struct fakes3_rule *r = &f->script.rules[i];
        unsigned times = r->times == 0 ? 1 : r->times;

        if (r->does == 0 || (r->method != NULL && strcmp(method, r->method) != 0) ||
            (r->contains != NULL && strstr(target, r->contains) == NULL))
            continue;
        f->seen[i]++;
        if (f->seen[i] > r->skip && f->seen[i] - r->skip <= times)
            return r;
    }
    return NULL;
}

static void send_all(int fd, const void *p, size_t n)
{
    const char *from = p;

    while (n > 0) {
        ssize_t sent = send(fd, from, n, MSG_NOSIGNAL);

        if (sent <= 0)
            return;
        from += sent;
        n -= (size_t)sent;
    }
}

static void answer(struct turn *t, size_t at_most)
{
    char head[4096];
    int n = snprintf(head, sizeof head,
                     "HTTP/1.1 %d X\r\nConnection: close\r\nContent-Length: %zu\r\n"
                     "Date: Fri, 21 Nov 2025 12:00:00 GMT\r\n%s\r\n",
                     t->status, t->answer.n, t->headers);

    send_all(t->fd, head, (size_t)n);
    if (strcmp(t->method, "HEAD") != 0 && t->status != 204)
        send_all(t->fd, t->answer.p, t->answer.n < at_most ? t->answer.n : at_most);
}

static void wait_for_hangup(int fd)
{
    char piece[4096];

    while (read(fd, piece, sizeof piece) > 0) {
    }
}

/* The same bytes upside down, under another ETag. */
static void change(struct turn *t)
{
    struct object *o = find(t->f, t->key);

    if (o == NULL)
        return;
    for (size_t i = 0; i < o->content.n; i++)
        o->content.p[i] ^= 0xff;
    snprintf(o->etag, sizeof o->etag, "\"changed%u\"", ++t->f->made);
}

static void play(struct turn *t, const struct fakes3_rule *r)
{
    enum fakes3_does does = r == NULL ? 0 : r->does;

    if (does == FAKES3_SILENT) {
        wait_for_hangup(t->fd);
        return;
    }
    if (does == FAKES3_RAW) {
        send_all(t->fd, r->raw, r->at == 0 ? strlen(r->raw) : r->at);
        return;
    }
    if (does == FAKES3_CHANGE)
        change(t);
    if (does == FAKES3_STATUS)
        refuse(t, r->status, r->code);
    else if (does == FAKES3_PRETEND)
        add_header(t, "ETag: \"pretended\"");
    else
        carry_out(t);
    if (does == FAKES3_HEADER)
        add_header(t, "%s", r->raw);
    if (does == FAKES3_LATE_ERROR)
        refuse(t, r->status, r->code);
    if (does != FAKES3_LOSE)
        answer(t, does == FAKES3_CUT ? r->at : SIZE_MAX);
}

static void note(struct fakes3 *f, const char *method, const char *target)
{
    int n = snprintf(f->log + f->log_n, LOG - f->log_n, "%s %s\n", method, target);

    cr_assert(f->log_n + (size_t)n < LOG);
    f->log_n += (size_t)n;
}

static void serve_one(struct fakes3 *f, int fd)
{
    AT_END(mem_end) struct turn *t = mem_zero(sizeof *t);
    const struct fakes3_rule *r;
    char target[1200];

    *t = (struct turn){ .f = f, .fd = fd, .status = 200 };
    t->body.cap_max = t->answer.cap_max = (size_t)256 << 20;
    if (read_head(t)) {
        split(t);
        snprintf(target, sizeof target, "%s?%s", t->path, t->query);
        pthread_mutex_lock(&f->lock);
        r = rule_for(f, t->method, target);
        note(f, t->method, target);
        pthread_mutex_unlock(&f->lock);
        read_body(t);
        pthread_mutex_lock(&f->lock);
        play(t, r);
        pthread_mutex_unlock(&f->lock);
        shutdown(fd, SHUT_WR);
        wait_for_hangup(fd);
    }
    buf_clear(&t->body);
    buf_clear(&t->answer);
    close(fd);
}

static void *serve(void *arg)
{
    struct fakes3 *f = arg;
    int fd;

    while ((fd = accept(f->listener, NULL, NULL)) >= 0)
        serve_one(f, fd);
    return NULL;
}

/* ---- its life ---- */

struct fakes3 *fakes3_start(const struct fakes3_script *script)
{
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct fakes3 *f = mem_zero(sizeof *f);
    socklen_t n = sizeof at;

    f->script = *script;
    pthread_mutex_init(&f->lock, NULL);
    f->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert(bind(f->listener, (struct sockaddr *)&at, sizeof at) == 0 &&
              listen(f->listener, 16) == 0 &&
              getsockname(f->listener, (struct sockaddr *)&at, &n) == 0);
    f->port = ntohs(at.sin_port);
    cr_assert_eq(pthread_create(&f->thread, NULL, serve, f), 0);
    return f;
}

void fakes3_stop(struct fakes3 **held)
{
    struct fakes3 *f = *held;

    if (f == NULL)
        return;
    shutdown(f->listener, SHUT_RDWR);
    pthread_join(f->thread, NULL);
    close(f->listener);
    for (size_t i = 0; i < OBJECTS; i++)
        buf_clear(&f->objects[i].content);
    for (size_t i = 0; i < UPLOADS; i++)
        drop_upload(&f->uploads[i]);
    mem_free(f);
    *held = NULL;
}

const char *fakes3_url(const struct fakes3 *f, const char *place)
{
    static char texts[4][256];
    static unsigned turn;
    char *to = texts[turn++ % 4];

    snprintf(to, 256, "s3://bucket/%s?endpoint=http://127.0.0.1:%d", place, f->port);
    return to;
}

unsigned fakes3_count(struct fakes3 *f, const char *method, const char *contains)
{
    unsigned n = 0;

    pthread_mutex_lock(&f->lock);
    for (const char *line = f->log; *line != '\0'; line += strcspn(line, "\n") + 1) {
        size_t word = strcspn(line, " ");
        struct bytes rest = { (const uint8_t *)line + word, strcspn(line, "\n") - word };

        n += (method == NULL ||
              (strlen(method) == word && strncmp(line, method, word) == 0)) &&
             memmem(rest.p, rest.n, contains, strlen(contains)) != NULL;
    }
    pthread_mutex_unlock(&f->lock);
    return n;
}

unsigned fakes3_uploads(struct fakes3 *f)
{
    unsigned n = 0;

    pthread_mutex_lock(&f->lock);
    for (size_t i = 0; i < UPLOADS; i++)
        n += f->uploads[i].used;
    pthread_mutex_unlock(&f->lock);
    return n;
}

unsigned fakes3_objects(struct fakes3 *f)
{
    unsigned n = 0;

    pthread_mutex_lock(&f->lock);
    for (size_t i = 0; i < OBJECTS; i++)
        n += f->objects[i].used;
    pthread_mutex_unlock(&f->lock);
    return n;
}
