/* An object on its way to S3. A small one goes in one request. A larger one goes in parts
 * of 16 MiB, each sent by a thread of its own while the next one fills: two parts of
 * memory, whatever the size. What came of it: s3_stored.h. */
#include <stdio.h>

#include "storage/s3_inside.h"
#include "storage/s3_stored.h"
#include "storage/s3_xml.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/os.h"
#include "util/str.h"
#include "util/task.h"

enum { PART_SIZE = 16 << 20, PARTS_MAX = 10000 };

struct s3_put {
    struct sink base;
    struct s3_mark mark;
    bool replace;

    uint8_t *blocks[2];
    unsigned filling; /* which of them */
    size_t filled;

    char *upload_id; /* set while there is something to abort */
    struct str_list etags;
    struct buf parts;  /* what completes them, as XML */
    struct http *line; /* of the thread */
    struct task task;
    struct bytes content; /* of the part under way */
    char etag[256];       /* and its result */
    atomic_bool dropped;
};

/* Headers of one request, with the texts they are made of. */
struct lines {
    const char *at[S3_HEADERS + 1];
    size_t n;
    char put[80], until[80], md5[S3_DIGEST_LINE];
};

static void add(struct lines *l, const char *line)
{
    l->at[l->n++] = line;
}

/* Those that belong to the object rather than to its parts. */
static void add_of_object(struct lines *l, const struct s3_put *p)
{
    char until[32];

    snprintf(l->put, sizeof l->put, "x-amz-meta-holdfast-put:%s", p->mark.nonce);
    add(l, l->put);
    if (p->mark.keep_until == 0)
        return;
    clock_utc_at(p->mark.keep_until, until);
    snprintf(l->until, sizeof l->until, "x-amz-object-lock-retain-until-date:%s", until);
    add(l, "x-amz-object-lock-mode:COMPLIANCE");
    add(l, l->until);
}

/* S3 asks for it with a lock. */
static enum rc add_digest(struct lines *l, const struct s3_put *p, struct bytes content,
                          struct err *e)
{
    if (p->mark.keep_until == 0)
        return RC_OK;
    add(l, l->md5);
    return s3_digest_line(content, l->md5, e);
}

static bool is_conditional(const struct s3_put *p)
{
    return !p->replace && !p->mark.s->unconditional;
}

static void add_condition(struct lines *l, const struct s3_put *p)
{
    if (is_conditional(p))
        add(l, "if-none-match:*");
}

static struct s3_call call_of(const struct s3_put *p, const char *operation,
                              const char *method, const struct lines *l)
{
    struct s3_call c = { .operation = operation, .method = method, .key = p->mark.key };

    memcpy(c.headers, l->at, l->n * sizeof l->at[0]);
    return c;
}

/* Early, so that nothing is uploaded in vain; and where there is no condition it is all
 * the safety there is. Who may not look goes on: the condition will tell. */
static enum rc check_free(struct s3 *s, const char *key, struct err *e)
{
    S3_ANSWER a = { 0 };
    enum rc rc = s3_head(s, key, NULL, &a, e);

    if (rc == RC_OK)
        return store_taken(&s->base, key, e);
    return s3_is_absent(&a) || rc == RC_AUTH ? RC_OK : rc;
}

/* The request that makes the object appear. A store that answers "501 Not Implemented" to
 * the condition gets it without, after one more look at the key. */
typedef enum rc publish_fn(struct s3_put *p, struct s3_answer *a, struct err *e);

static enum rc publish(struct s3_put *p, publish_fn *send, struct s3_answer *a,
                       struct err *e)
{
    enum rc rc;

    if (!p->replace && p->mark.s->unconditional)
        TRY(check_free(p->mark.s, p->mark.key, e));
    rc = send(p, a, e);
    if (rc != RC_OK && a->status == 501 && is_conditional(p)) {
        log_info("%s does not know If-None-Match", p->mark.s->base.name);
        p->mark.s->unconditional = true;
        TRY(check_free(p->mark.s, p->mark.key, e));
        rc = send(p, a, e);
    }
    return s3_settle(&p->mark, a, rc, e);
}

/* ---- in one request ---- */

/* What a store without locks says when it is asked for one. */
static enum rc name_lock(const struct s3_put *p, const struct s3_answer *a, enum rc rc,
                         struct err *e)
{
    if (p->mark.keep_until == 0 || (a->status != 400 && a->status != 501) ||
        rc != RC_STORAGE)
        return rc;
    e->code = RC_REFUSED;
    return err_wrap(e, "'%s' cannot be locked against deletion", p->mark.key);
}

static enum rc put_once(struct s3_put *p, struct s3_answer *a, struct err *e)
{
    struct bytes content = { p->blocks[0], p->filled };
    struct lines l = { 0 };
    struct s3_call c;

    if (p->filled == 0)
        content = bytes_str("");
    add_condition(&l, p);
    add_of_object(&l, p);
    TRY(add_digest(&l, p, content, e));
    c = call_of(p, "PutObject", "PUT", &l);
    c.body = content;
    return s3_run(p->mark.s, &c, a, e);
}

static enum rc put_whole(struct s3_put *p, struct err *e)
{
    S3_ANSWER a = { 0 };

    return name_lock(p, &a, publish(p, put_once, &a, e), e);
}

/* ---- in parts ---- */

static enum rc take_id(void *arg, const char *path, const char *text, struct err *e)
{
    struct s3_put *p = arg;

    if (strcmp(path, "InitiateMultipartUploadResult/UploadId") != 0 ||
        p->upload_id != NULL)
        return RC_OK;
    p->upload_id = mem_str(text);
    return p->upload_id == NULL ? err_set(e, RC_NOMEM, "no memory for an upload") : RC_OK;
}

static enum rc begin_parts(struct s3_put *p, struct err *e)
{
    S3_ANSWER a = { 0 };
    struct lines l = { 0 };
    struct s3_call c;
    enum rc rc;

    add_of_object(&l, p);
    c = call_of(p, "CreateMultipartUpload", "POST", &l);
    c.query[0] = (struct s3_param){ "uploads", "" };
    c.body = bytes_str("");
    rc = s3_run(p->mark.s, &c, &a, e);
    if (rc != RC_OK)
        return name_lock(p, &a, rc, e);
    TRY(s3_xml_parse((struct bytes){ a.body.p, a.body.n }, take_id, p, e));
    if (p->upload_id == NULL || p->upload_id[0] == '\0')
        return err_set(e, RC_CORRUPT, "the store gives an upload no id");
    return s3_connect(p->mark.s, &p->line, e);
}

/* On the thread; its number is that of the next ETag. */
static enum rc send_part(void *arg, struct err *e)
{
    struct s3_put *p = arg;
    char number[16];
    struct lines l = { 0 };
    S3_ANSWER a = { 0 };
    struct s3_call c;

    snprintf(number, sizeof number, "%zu", p->etags.count + 1);
    TRY(add_digest(&l, p, p->content, e));
    c = call_of(p, "UploadPart", "PUT", &l);
    c.query[0] = (struct s3_param){ "partNumber", number };
    c.query[1] = (struct s3_param){ "uploadId", p->upload_id };
    c.body = p->content;
    c.http = p->line;
    c.cancel = &p->dropped;
    TRY(s3_run(p->mark.s, &c, &a, e));
    if (a.etag[0] == '\0')
        return err_set(e, RC_CORRUPT, "the store gives part %s no ETag", number);
    memcpy(p->etag, a.etag, sizeof p->etag);
    return RC_OK;
}

/* Waits for the part under way. */
static enum rc collect(struct s3_put *p, struct err *e)
{
    if (!p->task.running)
        return RC_OK;
    TRY(task_join(&p->task, e));
    return str_list_add(&p->etags, p->etag, e);
}

/* The block that fills goes on its way, and the other one fills. */
static enum rc hand_over(struct s3_put *p, struct err *e)
{
    if (p->upload_id == NULL)
        TRY(begin_parts(p, e));
    TRY(collect(p, e));
    if (p->etags.count == PARTS_MAX)
        return err_set(e, RC_STORAGE, "'%s' is larger than S3 takes in %d parts",
                       p->mark.key, PARTS_MAX);
    p->content = (struct bytes){ p->blocks[p->filling], p->filled };
    TRY(task_start(&p->task, send_part, p, e));
    p->filling ^= 1;
    p->filled = 0;
    return RC_OK;
}

static enum rc add_text(struct buf *b, const char *text, struct err *e)
{
    return buf_add(b, text, strlen(text), e);
}

static enum rc list_parts(struct s3_put *p, struct err *e)
{
    struct buf *to = &p->parts;
    char number[64];

    TRY(add_text(to, "<CompleteMultipartUpload>", e));
    for (size_t i = 0; i < p->etags.count; i++) {
        snprintf(number, sizeof number, "<Part><PartNumber>%zu</PartNumber><ETag>",
                 i + 1);
        TRY(add_text(to, number, e));
        TRY(s3_xml_escape(to, p->etags.items[i], e));
        TRY(add_text(to, "</ETag></Part>", e));
    }
    return add_text(to, "</CompleteMultipartUpload>", e);
}

static enum rc complete_once(struct s3_put *p, struct s3_answer *a, struct err *e)
{
    struct lines l = { 0 };
    struct s3_call c;

    add_condition(&l, p);
    c = call_of(p, "CompleteMultipartUpload", "POST", &l);
    c.query[0] = (struct s3_param){ "uploadId", p->upload_id };
    c.body = (struct bytes){ p->parts.p, p->parts.n };
    return s3_run(p->mark.s, &c, a, e);
}

static enum rc complete(struct s3_put *p, struct err *e)
{
    S3_ANSWER a = { 0 };

    TRY(list_parts(p, e));
    TRY(publish(p, complete_once, &a, e));
    mem_free(GIVE(p->upload_id));
    return RC_OK;
}

static enum rc put_rest(struct s3_put *p, struct err *e)
{
    if (p->filled > 0)
        TRY(hand_over(p, e));
    TRY(collect(p, e));
    return complete(p, e);
}

/* Parts without an end cost money until somebody sweeps them. */
static void abort_parts(struct s3_put *p)
{
    S3_ANSWER a = { 0 };
    struct err e = { 0 };
    struct s3_call c = { .operation = "AbortMultipartUpload",
                         .method = "DELETE",
                         .key = p->mark.key,
                         .query = { { "uploadId", p->upload_id } },
                         .unstoppable = true };

    if (s3_try(p->mark.s, &c, S3_CLEANUP_MS, &a, &e) != RC_OK && a.status != 404)
        log_warn("parts of '%s' stay in %s until they are swept: %s", p->mark.key,
                 p->mark.s->base.name, e.why);
}

/* ---- the sink ---- */

static enum rc put_write(struct sink *sink, const uint8_t *from, size_t n, struct err *e)
{
    struct s3_put *p = (struct s3_put *)sink;

    p->mark.total += n;
    while (n > 0) {
        size_t room = PART_SIZE - p->filled, some = n < room ? n : room;
        uint8_t **block;

        if (room == 0) {
            TRY(hand_over(p, e));
            continue;
        }
        block = &p->blocks[p->filling];
        if (*block == NULL)
            TRY(mem_new(block, PART_SIZE, "a part of an upload", e));
        memcpy(*block + p->filled, from, some);
        p->filled += some;
        from += some;
        n -= some;
    }
    return RC_OK;
}

static enum rc put_finish(struct sink *sink, struct err *e)
{
    struct s3_put *p = (struct s3_put *)sink;

    TRY(p->upload_id == NULL ? put_whole(p, e) : put_rest(p, e));
    return s3_check_stored(&p->mark, e);
}

static void put_release(struct sink *sink)
{
    struct s3_put *p = (struct s3_put *)sink;
    struct err ignored = { 0 };

    atomic_store(&p->dropped, true);
    (void)task_join(&p->task, &ignored);
    if (p->upload_id != NULL)
        abort_parts(p);
    http_free(p->line);
    str_list_clear(&p->etags);
    buf_clear(&p->parts);
    mem_free(p->upload_id);
    mem_free(p->blocks[0]);
    mem_free(p->blocks[1]);
    mem_free(p->mark.key);
}

static const struct sink_ops ops = {
    .name = "s3", .write = put_write, .finish = put_finish, .release = put_release
};

enum rc s3_put_new(struct store *base, const char *key, const struct store_put *o,
                   struct sink **out, struct err *e)
{
    struct s3 *s = (struct s3 *)base;
    uint8_t random[S3_NONCE];
    OWNED(sink) made = NULL;
    struct s3_put *p = NULL;

    if (!o->replace)
        TRY(check_free(s, key, e));
    TRY(os_random(random, sizeof random, e));
    TRY(mem_new(&p, sizeof *p, "an upload", e));
    made = &p->base;
    p->base.ops = &ops;
    p->mark.s = s;
    p->replace = o->replace;
    p->mark.keep_until = o->keep_until;
    str_hex(p->mark.nonce, random, sizeof random);
    p->mark.key = mem_str(key);
    if (p->mark.key == NULL)
        return err_set(e, RC_NOMEM, "no memory for an upload");
    *out = GIVE(made);
    return RC_OK;
}
