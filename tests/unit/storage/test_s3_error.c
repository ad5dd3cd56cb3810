#include "storage/s3_call.h"

#include "tests/lib/case.h"

static const struct s3_place place = { .bucket = (char[]){ "backups" },
                                       .region = (char[]){ "us-east-1" },
                                       .prefix = (char[]){ "" },
                                       .host = (char[]){ "store:9000" } };
enum { NOON = 1763726400 }; /* Fri, 21 Nov 2025 12:00:00 GMT */

/* What an answer that is no success is told as. */
CASE(s3_error, each_refusal_has_its_sentence)
{
    static const struct {
        struct s3_answer a;
        enum rc rc;
        const char *why, *hint;
    } rows[] = {
        { { .status = 503, .code = "SlowDown" },
          RC_NET,
          "the store asks to slow down (503 SlowDown)",
          "" },
        { { .status = 200, .code = "InternalError" },
          RC_NET,
          "the store has an internal error (200 InternalError)",
          "" },
        { { .status = 502 }, RC_NET, "the store answers 502", "" },
        { { .status = 429 }, RC_NET, "the store answers 429", "" },
        { { .status = 403,
            .code = "RequestTimeTooSkewed",
            .date = "Fri, 21 Nov 2025 11:43:00 GMT" },
          RC_AUTH,
          "this machine's clock is 17m00s ahead of the store's",
          "set the clock: requests are signed with the time" },
        { { .status = 403,
            .code = "RequestTimeTooSkewed",
            .date = "Fri, 21 Nov 2025 13:00:00 GMT" },
          RC_AUTH,
          "this machine's clock is 60m00s behind the store's",
          "set the clock: requests are signed with the time" },
        { { .status = 403, .code = "RequestTimeTooSkewed", .date = "today" },
          RC_AUTH,
          "this machine's clock is not the store's",
          "set the clock" },
        { { .status = 403, .date = "Fri, 21 Nov 2025 11:43:00 GMT" },
          RC_AUTH,
          "this machine's clock is 17m00s ahead of the store's",
          "set the clock: requests are signed with the time" },
        { { .status = 403, .date = "Fri, 21 Nov 2025 11:50:00 GMT" },
          RC_AUTH,
          "the store refuses HeadObject in bucket 'backups': 403",
          "allow s3:GetObject to these credentials" },
        { { .status = 403, .code = "AccessDenied" },
          RC_AUTH,
          "the store refuses HeadObject in bucket 'backups': 403 AccessDenied",
          "allow s3:GetObject to these credentials" },
        { { .status = 403 },
          RC_AUTH,
          "the store refuses HeadObject in bucket 'backups': 403",
          "allow s3:GetObject to these credentials" },
        { { .status = 403, .code = "InvalidObjectState" },
          RC_STORAGE,
          "the object lies in cold storage (403 InvalidObjectState)",
          "have it restored there first, which takes minutes to days, and keep lifecycle "
          "rules away from this prefix" },
        { { .status = 400, .code = "ExpiredToken" },
          RC_AUTH,
          "the temporary credentials have expired (400 ExpiredToken)",
          "let whatever renews the credentials file run again" },
        { { .status = 301, .code = "PermanentRedirect", .bucket_region = "eu-west-1" },
          RC_USAGE,
          "bucket 'backups' is in region eu-west-1, not in us-east-1",
          "write region=eu-west-1 into the URL" },
        { { .status = 400,
            .code = "AuthorizationHeaderMalformed",
            .region = "eu-central-1" },
          RC_USAGE,
          "bucket 'backups' is in region eu-central-1, not in us-east-1",
          "write region=eu-central-1 into the URL" },
        { { .status = 400, .bucket_region = "eu-west-1" },
          RC_USAGE,
          "bucket 'backups' is in region eu-west-1, not in us-east-1",
          "write region=eu-west-1 into the URL" },
        { { .status = 307 },
          RC_USAGE,
          "the store sends us elsewhere for bucket 'backups'",
          "write the right endpoint and region into the URL; redirects are not followed, "
          "since requests are signed" },
        { { .status = 404, .code = "NoSuchBucket" },
          RC_NOTFOUND,
          "there is no bucket 'backups' at store:9000",
          "make it, or correct the URL" },
        { { .status = 404, .code = "NoSuchKey" },
          RC_NOTFOUND,
          "there is no 'key' in bucket 'backups'",
          "" },
        { { .status = 507 },
          RC_STORAGE,
          "the store is full",
          "give it room, or prune what is not needed" },
        { { .status = 418, .code = "Teapot", .message = "short and stout" },
          RC_STORAGE,
          "the store answers 418 Teapot: short and stout",
          "" },
    };
    const struct s3_call c = { .operation = "HeadObject",
                               .method = "HEAD",
                               .key = "key" };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct err e = { 0 };

        cr_assert_eq(s3_refusal(&place, &c, &rows[i].a, NOON, &e), rows[i].rc,
                     "row %zu: %s", i, e.why);
        cr_assert_str_eq(e.why, rows[i].why, "row %zu: %s", i, e.why);
        cr_assert_str_eq(e.hint, rows[i].hint, "row %zu: %s", i, e.hint);
    }
}
