/* An object on its way to S3. A small one goes in one request. A larger one goes in parts
 * of 5 MiB, each sent by a thread of its own while the next one fills: three parts of
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

/* S3 takes no parts below 5 MiB but the last, and no more than 10000: an object of 50
 * GB. */
enum { PART_SIZE = 5 << 20, PARTS_MAX = 10000, AT_ONCE = 3 };

/* One of those at hand: it fills, or is under way. */
struct part {
    struct s3_put *of;
    uint8_t *block;
    size_t filled, number;
    struct http *line; /* of its thread */
    struct task task;
    char etag[256]; /* what came of it */
};

struct s3_put {
    struct sink base;
    struct s3_mark mark;
    bool replace;

    struct part at_hand[AT_ONCE];
    size_t begun; /* parts before the one that fills */

    char *upload_id; /* set while there is something to abort */
    struct str_list etags;
    struct buf list; /* of all parts, as XML */
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
    struct bytes content = { p->at_hand[0].block, p->at_hand[0].filled };
    struct lines l = { 0 };
    struct s3_call c;

    if (content.n == 0)
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
    return RC_OK;
}

/* On its thread. */
static enum rc send_part(void *arg, struct err *e)
{
    struct part *part = arg;
    const struct s3_put *p = part->of;
    const struct bytes content = { part->block, part->filled };
    char number[16];
    struct lines l = { 0 };
    S3_ANSWER a = { 0 };
    struct s3_call c;

    snprintf(number, sizeof number, "%zu", part->number);
    TRY(add_digest(&l, p, content, e));
    c = call_of(p, "UploadPart", "PUT", &l);
    c.query[0] = (struct s3_param){ "partNumber", number };
    c.query[1] = (struct s3_param){ "uploadId", p->upload_id };
    c.body = content;
    c.http = part->line;
    c.cancel = &p->dropped;
    TRY(s3_run(p->mark.s, &c, &a, e));
    if (a.etag[0] == '\0')
        return err_set(e, RC_CORRUPT, "the store gives part %s no ETag", number);
    memcpy(part->etag, a.etag, sizeof part->etag);
    return RC_OK;
}

static struct part *part_at(struct s3_put *p, size_t i)
{
    return &p->at_hand[i % AT_ONCE];
}

/* Waits for a part that is under way; called in the order of their numbers. */
static enum rc collect(struct s3_put *p, struct part *part, struct err *e)
{
    if (!part->task.running)
        return RC_OK;
    TRY(task_join(&part->task, e));
    part->filled = 0;
    return str_list_add(&p->etags, part->etag, e);
}

/* What has filled goes on its way, and the place of the oldest one fills. */
static enum rc hand_over(struct s3_put *p, struct err *e)
{
    struct part *part = part_at(p, p->begun);

    if (p->upload_id == NULL)
        TRY(begin_parts(p, e));
    if (part->line == NULL)
        TRY(s3_connect(p->mark.s, &part->line, e));
    if (p->begun == PARTS_MAX)
        return err_set(e, RC_STORAGE, "'%s' is larger than S3 takes in %d parts",
                       p->mark.key, PARTS_MAX);
    part->of = p;
    part->number = ++p->begun;
    TRY(task_start(&part->task, send_part, part, e));
    return collect(p, part_at(p, p->begun), e);
}

static enum rc add_text(struct buf *b, const char *text, struct err *e)
{
    return buf_add(b, text, strlen(text), e);
}

static enum rc list_parts(struct s3_put *p, struct err *e)
{
    struct buf *to = &p->list;
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
    c.body = (struct bytes){ p->list.p, p->list.n };
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
    if (part_at(p, p->begun)->filled > 0)
        TRY(hand_over(p, e));
    for (size_t i = 1; i < AT_ONCE; i++)
        TRY(collect(p, part_at(p, p->begun + i), e));
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
        struct part *part = part_at(p, p->begun);
        size_t room = PART_SIZE - part->filled, some = n < room ? n : room;

        if (room == 0) {
            TRY(hand_over(p, e));
            continue;
        }
        if (part->block == NULL)
            TRY(mem_new(&part->block, PART_SIZE, "a part of an upload", e));
        memcpy(part->block + part->filled, from, some);
        part->filled += some;
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

static void part_end(struct part *part)
{
    struct err ignored = { 0 };

    (void)task_join(&part->task, &ignored);
    http_free(part->line);
    mem_free(part->block);
}

static void put_release(struct sink *sink)
{
    struct s3_put *p = (struct s3_put *)sink;

    atomic_store(&p->dropped, true);
    for (size_t i = 0; i < AT_ONCE; i++)
        part_end(&p->at_hand[i]);
    if (p->upload_id != NULL)
        abort_parts(p);
    str_list_clear(&p->etags);
    buf_clear(&p->list);
    mem_free(p->upload_id);
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
