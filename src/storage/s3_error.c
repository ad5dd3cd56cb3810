#include <inttypes.h>
#include <stdio.h>

#include "http/date.h"
#include "storage/s3_call.h"
#include "util/str.h"

enum { TOLERATED_S = 15 * 60 };

/* What a code of S3 means here. `rc` RC_OK: it depends, see below. */
struct meaning {
    const char *code;
    enum rc rc;
    const char *why, *hint;
};

static const struct meaning meanings[] = {
    { "InvalidAccessKeyId", RC_AUTH, "the store does not know the access key",
      "look at the credentials file and its profile" },
    { "SignatureDoesNotMatch", RC_AUTH, "the secret key is not that of the access key",
      "look at the credentials file and its profile" },
    { "ExpiredToken", RC_AUTH, "the temporary credentials have expired",
      "let whatever renews the credentials file run again" },
    { "InvalidToken", RC_AUTH, "the session token is not valid",
      "let whatever renews the credentials file run again" },
    { "TokenRefreshRequired", RC_AUTH, "the temporary credentials have expired",
      "let whatever renews the credentials file run again" },
    { "AccountProblem", RC_AUTH, "the account has a problem", "ask its provider" },
    { "QuotaExceeded", RC_STORAGE, "the quota is used up",
      "raise it, or prune what is not needed" },
    { "XMinioStorageFull", RC_STORAGE, "the store is full",
      "give it room, or prune what is not needed" },
    { "EntityTooLarge", RC_STORAGE, "the store does not take an object of that size",
      "raise its limit" },
    { "InvalidObjectState", RC_STORAGE, "the object lies in cold storage",
      "have it restored there first, which takes minutes to days, and keep lifecycle "
      "rules away from this prefix" },
    { "RequestTimeout", RC_NET, "the store waited too long for us", "" },
    { "SlowDown", RC_NET, "the store asks to slow down", "" },
    { "InternalError", RC_NET, "the store has an internal error", "" },
    { "ServiceUnavailable", RC_NET, "the store is not available", "" },
    { "OperationAborted", RC_NET, "another operation on the same object is under way",
      "" },
    { "ConditionalRequestConflict", RC_NET,
      "another operation on the same object is under way", "" },
    { "BadDigest", RC_NET, "the content was damaged on its way", "" },
    { "XAmzContentSHA256Mismatch", RC_NET, "the content was damaged on its way", "" },
};

static const struct meaning *meaning_of(const char *code)
{
    for (size_t i = 0; i < sizeof meanings / sizeof meanings[0]; i++)
        if (strcmp(code, meanings[i].code) == 0)
            return &meanings[i];
    return NULL;
}

/* A refusal without a body, as of a HEAD, may be for the clock as well: stores tolerate a
 * quarter of an hour. */
static bool looks_skewed(const struct s3_answer *a, int64_t now)
{
    int64_t there;

    return a->status == 403 && a->code[0] == '\0' && http_date(a->date, &there) &&
           (there - now > TOLERATED_S || now - there > TOLERATED_S);
}

/* Without a header to tell from, the sentence still names what to look at. */
static enum rc skewed(const struct s3_answer *a, int64_t now, struct err *e)
{
    int64_t there, apart;
    char text[32];

    if (!http_date(a->date, &there))
        return err_set(e, RC_AUTH,
                       "this machine's clock is not the store's" HINT "set the clock");
    apart = now > there ? now - there : there - now;
    str_seconds(text, sizeof text, (uint64_t)apart * 1000);
    return err_set(e, RC_AUTH,
                   "this machine's clock is %s %s the store's" HINT
                   "set the clock: requests are signed with the time",
                   text, now > there ? "ahead of" : "behind");
}

static const char *region_of(const struct s3_answer *a)
{
    return a->region[0] != '\0' ? a->region : a->bucket_region;
}

static enum rc elsewhere(const struct s3_place *p, const struct s3_answer *a,
                         struct err *e)
{
    const char *region = region_of(a);

    if (region[0] == '\0')
        return err_set(e, RC_USAGE,
                       "the store sends us elsewhere for bucket '%s'" HINT
                       "write the right endpoint and region into the URL; redirects are "
                       "not followed, since requests are signed",
                       p->bucket);
    return err_set(e, RC_USAGE,
                   "bucket '%s' is in region %s, not in %s" HINT
                   "write region=%s into the URL",
                   p->bucket, region, p->region, region);
}

static bool is_elsewhere(const struct s3_place *p, const struct s3_answer *a)
{
    bool other = region_of(a)[0] != '\0' && strcmp(region_of(a), p->region) != 0;

    return (a->status >= 300 && a->status < 400 && a->status != 304) ||
           strcmp(a->code, "PermanentRedirect") == 0 ||
           strcmp(a->code, "TemporaryRedirect") == 0 ||
           (other && (strcmp(a->code, "AuthorizationHeaderMalformed") == 0 ||
                      strcmp(a->code, "IllegalLocationConstraintException") == 0 ||
                      a->status == 400));
}

static bool passes_by_itself(int status)
{
    return status == 408 || status == 425 || status == 429 || status == 500 ||
           status == 502 || status == 503 || status == 504;
}

/* "403 AccessDenied", for sentences. */
static const char *named(const struct s3_answer *a, char out[static 96])
{
    snprintf(out, 96, "%d%s%s", a->status, a->code[0] == '\0' ? "" : " ", a->code);
    return out;
}

/* Operations whose permission has another name. */
static const char *permission(const char *operation)
{
    static const char *const pairs[][2] = {
        { "HeadObject", "GetObject" },
        { "CreateMultipartUpload", "PutObject" },
        { "UploadPart", "PutObject" },
        { "CompleteMultipartUpload", "PutObject" },
        { "ListObjectsV2", "ListBucket" },
        { "ListMultipartUploads", "ListBucketMultipartUploads" },
    };

    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        if (strcmp(operation, pairs[i][0]) == 0)
            return pairs[i][1];
    return operation;
}

static enum rc denied(const struct s3_place *p, const struct s3_call *c,
                      const struct s3_answer *a, struct err *e)
{
    char what[96];

    return err_set(e, RC_AUTH,
                   "the store refuses %s in bucket '%s': %s" HINT
                   "allow s3:%s to these credentials",
                   c->operation, p->bucket, named(a, what), permission(c->operation));
}

static enum rc other(const struct s3_answer *a, struct err *e)
{
    char what[96];

    if (passes_by_itself(a->status))
        return err_set(e, RC_NET, "the store answers %s", named(a, what));
    if (a->status == 507)
        return err_set(e, RC_STORAGE,
                       "the store is full" HINT
                       "give it room, or prune what is not needed");
    return err_set(e, RC_STORAGE, "the store answers %s%s%s", named(a, what),
                   a->message[0] == '\0' ? "" : ": ", a->message);
}

enum rc s3_refusal(const struct s3_place *p, const struct s3_call *c,
                   const struct s3_answer *a, int64_t now, struct err *e)
{
    const struct meaning *m = meaning_of(a->code);

    if (strcmp(a->code, "RequestTimeTooSkewed") == 0 ||
        strcmp(a->code, "RequestExpired") == 0 || looks_skewed(a, now))
        return skewed(a, now, e);
    if (is_elsewhere(p, a))
        return elsewhere(p, a, e);
    if (strcmp(a->code, "NoSuchBucket") == 0)
        return err_set(e, RC_NOTFOUND,
                       "there is no bucket '%s' at %s" HINT "make it, or correct the URL",
                       p->bucket, p->host);
    if (m != NULL)
        return err_set(e, m->rc, "%s (%d %s)" HINT "%s", m->why, a->status, a->code,
                       m->hint);
    if (a->status == 401 || a->status == 403)
        return denied(p, c, a, e);
    if (a->status == 404)
        return err_set(e, RC_NOTFOUND, "there is no '%s' in bucket '%s'",
                       c->key == NULL ? "" : c->key, p->bucket);
    return other(a, e);
}
