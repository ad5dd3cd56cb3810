/* An object on its way to S3. A small one goes in one request. A larger one goes in parts
 * of 16 MiB, each sent by a thread of its own while the next one fills: two parts of
 * memory, whatever the size.
 *
 * Each put carries a number of its own as metadata. It tells, when an answer was lost,
 * whether the object that is there now is ours; ETags say nothing that could be relied
 * upon. And it is looked for after each success, too: an answer of 200 has been seen from
 * stores that kept nothing, or kept it without the lock. */
#include <stdio.h>

#include "crypto/base64.h"
#include "crypto/md5.h"
#include "storage/retry.h"
#include "storage/s3_inside.h"
#include "storage/s3_time.h"
#include "storage/s3_xml.h"
#include "util/log.h"
#include "util/os.h"
#include "util/str.h"
#include "util/task.h"

enum { PART_SIZE = 16 << 20, PARTS_MAX = 10000, NONCE_SIZE = 16 };

struct s3_put {
    struct sink base;
    struct s3 *s;
    char *key;
    bool replace;
    int64_t keep_until;
    char nonce[2 * NONCE_SIZE + 1];

    uint8_t *blocks[2];
    unsigned filling; /* which of them */
    size_t filled;
    uint64_t total;

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
    char put[80], until[80], md5[40];
};

static void add(struct lines *l, const char *line)
{
    l->at[l->n++] = line;
}

/* Those that belong to the object rather than to its parts. */
static void add_of_object(struct lines *l, const struct s3_put *p)
{
    char until[32];

    snprintf(l->put, sizeof l->put, "x-amz-meta-holdfast-put:%s", p->nonce);
    add(l, l->put);
    if (p->keep_until == 0)
        return;
    s3_time_iso(until, p->keep_until);
    snprintf(l->until, sizeof l->until, "x-amz-object-lock-retain-until-date:%s", until);
    add(l, "x-amz-object-lock-mode:COMPLIANCE");
    add(l, l->until);
}

/* S3 asks for it with a lock. */
static enum rc add_digest(struct lines *l, const struct s3_put *p, struct bytes content,
                          struct err *e)
{
    uint8_t digest[MD5_SIZE];
    char text[32];

    if (p->keep_until == 0)
        return RC_OK;
    TRY(md5(content, digest, e));
    snprintf(l->md5, sizeof l->md5, "content-md5:%.*s",
             (int)base64_encode_padded(BYTES_OF(digest), text), text);
    add(l, l->md5);
    return RC_OK;
}

static bool is_conditional(const struct s3_put *p)
{
    return !p->replace && !p->s->unconditional;
}

static void add_condition(struct lines *l, const struct s3_put *p)
{
    if (is_conditional(p))
        add(l, "if-none-match:*");
}

static struct s3_call call_of(const struct s3_put *p, const char *operation,
                              const char *method, const struct lines *l)
{
    struct s3_call c = { .operation = operation, .method = method, .key = p->key };

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

/* ---- what is there ------------------------------------------------------------------
 */

enum seen { SEEN_NOTHING, SEEN_OURS, SEEN_OTHER };

static enum rc look(const struct s3_put *p, struct s3_answer *a, enum seen *seen,
                    struct err *e)
{
    enum rc rc = s3_head(p->s, p->key, NULL, a, e);

    if (rc != RC_OK && !s3_is_absent(a))
        return rc;
    *seen = rc != RC_OK                     ? SEEN_NOTHING
            : strcmp(a->put, p->nonce) == 0 ? SEEN_OURS
                                            : SEEN_OTHER;
    return RC_OK;
}

/* After a request that failed with `rc`: was it carried out all the same? */
static enum rc settle(const struct s3_put *p, const struct s3_answer *a, enum rc rc,
                      struct err *e)
{
    S3_ANSWER now = { 0 };
    struct err blind = { 0 };
    enum seen seen = SEEN_OTHER;

    if (rc == RC_OK || (a->status != 412 && !a->unsure))
        return rc;
    if (look(p, &now, &seen, &blind) != RC_OK && a->unsure)
        return err_set(e, RC_NET, "it is not known whether '%s' was stored: %s", p->key,
                       blind.why);
    if (seen == SEEN_OURS)
        return RC_OK;
    return a->status == 412 ? store_taken(&p->s->base, p->key, e) : rc;
}

/* Takes back an object that must not stay; as far as that goes. */
static void take_back(const struct s3_put *p, const struct s3_answer *seen)
{
    S3_ANSWER a = { 0 };
    struct err ignored = { 0 };
    struct s3_call c = { .operation = "DeleteObject",
                         .method = "DELETE",
                         .key = p->key,
                         .unstoppable = true };

    if (s3_is_versioned(seen))
        c.query[0] = (struct s3_param){ "versionId", seen->version };
    if (s3_try(p->s, &c, S3_CLEANUP_MS, &a, &ignored) != RC_OK)
        log_warn("'%s' stays in %s: %s", p->key, p->s->base.name, ignored.why);
}

static bool is_locked(const struct s3_put *p, const struct s3_answer *a)
{
    return strcmp(a->lock_mode, "COMPLIANCE") == 0 && s3_locked_until(a) >= p->keep_until;
}

/* Some stores overlook the lock of an upload in parts, and lock what is there already. */
static enum rc lock_it(const struct s3_put *p, const struct s3_answer *seen,
                       struct err *e)
{
    AT_END(mem_end) char *text = NULL;
    struct lines l = { 0 };
    S3_ANSWER a = { 0 };
    struct s3_call c;
    char until[32];

    s3_time_iso(until, p->keep_until);
    TRY(str_format(&text, e,
                   "<Retention xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
                   "<Mode>COMPLIANCE</Mode><RetainUntilDate>%s</RetainUntilDate>"
                   "</Retention>",
                   until));
    TRY(add_digest(&l, p, bytes_str(text), e));
    c = call_of(p, "PutObjectRetention", "PUT", &l);
    c.query[0] = (struct s3_param){ "retention", "" };
    if (s3_is_versioned(seen))
        c.query[1] = (struct s3_param){ "versionId", seen->version };
    c.body = bytes_str(text);
    return s3_run(p->s, &c, &a, e);
}

static enum rc check_lock(const struct s3_put *p, const struct s3_answer *seen,
                          struct err *e)
{
    S3_ANSWER again = { 0 };
    struct err refusal = { 0 };
    enum seen what = SEEN_NOTHING;

    if (p->keep_until == 0 || is_locked(p, seen))
        return RC_OK;
    if (lock_it(p, seen, &refusal) != RC_OK)
        log_info("%s refuses a lock: %s", p->s->base.name, refusal.why);
    else
        TRY(look(p, &again, &what, e));
    if (what == SEEN_OURS && is_locked(p, &again))
        return RC_OK;
    return err_set(e, RC_REFUSED,
                   "the store took '%s' and does not lock it against deletion" HINT
                   "use a bucket with object lock, and allow s3:PutObjectRetention and "
                   "s3:GetObjectRetention",
                   p->key);
}

/* RC_NET: it may show later. */
static enum rc examine(const struct s3_put *p, struct err *e)
{
    S3_ANSWER a = { 0 };
    enum seen seen;
    uint64_t size;
    enum rc rc;

    TRY(look(p, &a, &seen, e));
    if (seen != SEEN_OURS)
        return err_set(e, RC_NET, "the store answers that it took '%s', and shows %s",
                       p->key, seen == SEEN_OTHER ? "another object" : "none");
    if (!str_to_u64(a.length, &size) || size != p->total)
        rc = err_set(e, RC_CORRUPT, "the store keeps %s bytes of '%s' instead of %llu",
                     a.length, p->key, (unsigned long long)p->total);
    else
        rc = check_lock(p, &a, e);
    if (rc != RC_OK)
        take_back(p, &a);
    return rc;
}

static enum rc check_stored(const struct s3_put *p, struct err *e)
{
    struct retry r = retry_begin(p->s->deadline_ms);
    enum rc rc;

    do
        rc = examine(p, e);
    while (retry_again(&r, &rc, e));
    if (rc == RC_NET)
        e->code = rc = RC_STORAGE;
    if (rc != RC_AUTH || p->keep_until != 0)
        return rc;
    if (!p->s->blind)
        log_warn("what is put to %s cannot be looked at: %s", p->s->base.name, e->why);
    p->s->blind = true;
    return RC_OK;
}

/* The request that makes the object appear. A store that answers "501 Not Implemented" to
 * the condition gets it without, after one more look at the key. */
typedef enum rc publish_fn(struct s3_put *p, struct s3_answer *a, struct err *e);

static enum rc publish(struct s3_put *p, publish_fn *send, struct s3_answer *a,
                       struct err *e)
{
    enum rc rc;

    if (!p->replace && p->s->unconditional)
        TRY(check_free(p->s, p->key, e));
    rc = send(p, a, e);
    if (rc != RC_OK && a->status == 501 && is_conditional(p)) {
        log_info("%s does not know If-None-Match", p->s->base.name);
        p->s->unconditional = true;
        TRY(check_free(p->s, p->key, e));
        rc = send(p, a, e);
    }
    return settle(p, a, rc, e);
}

/* ---- in one request -----------------------------------------------------------------
 */

/* What a store without locks says when it is asked for one. */
static enum rc name_lock(const struct s3_put *p, const struct s3_answer *a, enum rc rc,
                         struct err *e)
{
    if (p->keep_until == 0 || (a->status != 400 && a->status != 501) || rc != RC_STORAGE)
        return rc;
    e->code = RC_REFUSED;
    return err_wrap(e, "'%s' cannot be locked against deletion", p->key);
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
    return s3_run(p->s, &c, a, e);
}

static enum rc put_whole(struct s3_put *p, struct err *e)
{
    S3_ANSWER a = { 0 };

    return name_lock(p, &a, publish(p, put_once, &a, e), e);
}

/* ---- in parts -----------------------------------------------------------------------
 */

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
    rc = s3_run(p->s, &c, &a, e);
    if (rc != RC_OK)
        return name_lock(p, &a, rc, e);
    TRY(s3_xml_parse((struct bytes){ a.body.p, a.body.n }, take_id, p, e));
    if (p->upload_id == NULL || p->upload_id[0] == '\0')
        return err_set(e, RC_CORRUPT, "the store gives an upload no id");
    return s3_connect(p->s, &p->line, e);
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
    TRY(s3_run(p->s, &c, &a, e));
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
        return err_set(e, RC_STORAGE, "'%s' is larger than S3 takes in %d parts", p->key,
                       PARTS_MAX);
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
    return s3_run(p->s, &c, a, e);
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
                         .key = p->key,
                         .query = { { "uploadId", p->upload_id } },
                         .unstoppable = true };

    if (s3_try(p->s, &c, S3_CLEANUP_MS, &a, &e) != RC_OK && a.status != 404)
        log_warn("parts of '%s' stay in %s until they are swept: %s", p->key,
                 p->s->base.name, e.why);
}

/* ---- the sink -----------------------------------------------------------------------
 */

static enum rc put_write(struct sink *sink, const uint8_t *from, size_t n, struct err *e)
{
    struct s3_put *p = (struct s3_put *)sink;

    p->total += n;
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
    return check_stored(p, e);
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
    mem_free(p->key);
}

static const struct sink_ops ops = {
    .name = "s3", .write = put_write, .finish = put_finish, .release = put_release
};

enum rc s3_put_new(struct store *base, const char *key, const struct store_put *o,
                   struct sink **out, struct err *e)
{
    struct s3 *s = (struct s3 *)base;
    uint8_t random[NONCE_SIZE];
    OWNED(sink) made = NULL;
    struct s3_put *p = NULL;

    if (!o->replace)
        TRY(check_free(s, key, e));
    TRY(os_random(random, sizeof random, e));
    TRY(mem_new(&p, sizeof *p, "an upload", e));
    made = &p->base;
    p->base.ops = &ops;
    p->s = s;
    p->replace = o->replace;
    p->keep_until = o->keep_until;
    str_hex(p->nonce, random, sizeof random);
    p->key = mem_str(key);
    if (p->key == NULL)
        return err_set(e, RC_NOMEM, "no memory for an upload");
    *out = GIVE(made);
    return RC_OK;
}
