#include "storage/s3_stored.h"

#include <stdio.h>

#include "crypto/base64.h"
#include "crypto/md5.h"
#include "storage/retry.h"
#include "storage/s3_inside.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/str.h"

enum rc s3_digest_line(struct bytes content, char out[static S3_DIGEST_LINE],
                       struct err *e)
{
    uint8_t digest[MD5_SIZE];
    char text[32];

    TRY(md5(content, digest, e));
    snprintf(out, S3_DIGEST_LINE, "content-md5:%.*s",
             (int)base64_encode_padded(BYTES_OF(digest), text), text);
    return RC_OK;
}

enum seen { SEEN_NOTHING, SEEN_OURS, SEEN_OTHER };

static enum rc look(const struct s3_mark *m, struct s3_answer *a, enum seen *seen,
                    struct err *e)
{
    enum rc rc = s3_head(m->s, m->key, NULL, a, e);

    if (rc != RC_OK && !s3_is_absent(a))
        return rc;
    *seen = rc != RC_OK                     ? SEEN_NOTHING
            : strcmp(a->put, m->nonce) == 0 ? SEEN_OURS
                                            : SEEN_OTHER;
    return RC_OK;
}

enum rc s3_settle(const struct s3_mark *m, const struct s3_answer *a, enum rc rc,
                  struct err *e)
{
    S3_ANSWER now = { 0 };
    struct err blind = { 0 };
    enum seen seen = SEEN_OTHER;

    if (rc == RC_OK || (a->status != 412 && !a->unsure))
        return rc;
    if (look(m, &now, &seen, &blind) != RC_OK && a->unsure)
        return err_set(e, RC_NET, "it is not known whether '%s' was stored: %s", m->key,
                       blind.why);
    if (seen == SEEN_OURS)
        return RC_OK;
    return a->status == 412 ? store_taken(&m->s->base, m->key, e) : rc;
}

/* Takes back an object that must not stay; as far as that goes. */
static void take_back(const struct s3_mark *m, const struct s3_answer *seen)
{
    S3_ANSWER a = { 0 };
    struct err ignored = { 0 };
    struct s3_call c = { .operation = "DeleteObject",
                         .method = "DELETE",
                         .key = m->key,
                         .unstoppable = true };

    if (s3_is_versioned(seen))
        c.query[0] = (struct s3_param){ "versionId", seen->version };
    if (s3_try(m->s, &c, S3_CLEANUP_MS, &a, &ignored) != RC_OK)
        log_warn("'%s' stays in %s: %s", m->key, m->s->base.name, ignored.why);
}

static bool is_locked(const struct s3_mark *m, const struct s3_answer *a)
{
    return strcmp(a->lock_mode, "COMPLIANCE") == 0 && s3_locked_until(a) >= m->keep_until;
}

/* Some stores overlook the lock of an upload in parts, and lock what is there already. */
static enum rc lock_it(const struct s3_mark *m, const struct s3_answer *seen,
                       struct err *e)
{
    AT_END(mem_end) char *text = NULL;
    char digest[S3_DIGEST_LINE];
    S3_ANSWER a = { 0 };
    struct s3_call c;
    char until[32];

    clock_utc_at(m->keep_until, until);
    TRY(str_format(&text, e,
                   "<Retention xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
                   "<Mode>COMPLIANCE</Mode><RetainUntilDate>%s</RetainUntilDate>"
                   "</Retention>",
                   until));
    TRY(s3_digest_line(bytes_str(text), digest, e));
    c = (struct s3_call){ .operation = "PutObjectRetention",
                          .method = "PUT",
                          .key = m->key,
                          .query = { { "retention", "" } },
                          .headers = { digest } };
    if (s3_is_versioned(seen))
        c.query[1] = (struct s3_param){ "versionId", seen->version };
    c.body = bytes_str(text);
    return s3_run(m->s, &c, &a, e);
}

static enum rc check_lock(const struct s3_mark *m, const struct s3_answer *seen,
                          struct err *e)
{
    S3_ANSWER again = { 0 };
    struct err refusal = { 0 };
    enum seen what = SEEN_NOTHING;

    if (m->keep_until == 0 || is_locked(m, seen))
        return RC_OK;
    if (lock_it(m, seen, &refusal) != RC_OK)
        log_info("%s refuses a lock: %s", m->s->base.name, refusal.why);
    else
        TRY(look(m, &again, &what, e));
    if (what == SEEN_OURS && is_locked(m, &again))
        return RC_OK;
    return err_set(e, RC_REFUSED,
                   "the store took '%s' and does not lock it against deletion" HINT
                   "use a bucket with object lock, and allow s3:PutObjectRetention and "
                   "s3:GetObjectRetention",
                   m->key);
}

/* RC_NET: it may show later. */
static enum rc examine(const struct s3_mark *m, struct err *e)
{
    S3_ANSWER a = { 0 };
    enum seen seen;
    uint64_t size;
    enum rc rc;

    TRY(look(m, &a, &seen, e));
    if (seen != SEEN_OURS)
        return err_set(e, RC_NET, "the store answers that it took '%s', and shows %s",
                       m->key, seen == SEEN_OTHER ? "another object" : "none");
    if (!str_to_u64(a.length, &size) || size != m->total)
        rc = err_set(e, RC_CORRUPT, "the store keeps %s bytes of '%s' instead of %llu",
                     a.length, m->key, (unsigned long long)m->total);
    else
        rc = check_lock(m, &a, e);
    if (rc != RC_OK)
        take_back(m, &a);
    return rc;
}

enum rc s3_check_stored(const struct s3_mark *m, struct err *e)
{
    struct retry r = retry_begin(m->s->deadline_ms);
    enum rc rc;

    do
        rc = examine(m, e);
    while (retry_again(&r, &rc, e));
    if (rc == RC_NET)
        e->code = rc = RC_STORAGE;
    if (rc != RC_AUTH || m->keep_until != 0)
        return rc;
    if (!m->s->blind)
        log_warn("what is put to %s cannot be looked at: %s", m->s->base.name, e->why);
    m->s->blind = true;
    return RC_OK;
}
