/* What a store says of itself is not asked: some answer 200 to a lock and ignore it, and
 * some take If-None-Match only where there are no versions. */
#include <stdio.h>

#include "storage/s3_inside.h"
#include "util/clock.h"
#include "util/log.h"

enum { VERSIONS_MAX = 8, LOCK_S = 60 };

static const char first[] = "first", second[] = "second";

/* Around the look that a put takes first: only the condition itself is on trial. */
static enum rc try_exclusive(struct s3 *s, const char *scratch, bool *exclusive,
                             struct err *e)
{
    AT_END(buf_clear) struct buf back = { 0 };
    S3_ANSWER a = { 0 };
    struct err refusal = { 0 };
    struct s3_call c = { .operation = "PutObject",
                         .method = "PUT",
                         .key = scratch,
                         .headers = { "if-none-match:*" },
                         .body = bytes_str(second) };
    enum rc rc = s3_run(s, &c, &a, &refusal);

    if (rc == RC_NET || rc == RC_INTERRUPTED || rc == RC_NOMEM) {
        *e = refusal;
        return rc;
    }
    TRY(store_get_bytes(&s->base, scratch, sizeof second, &back, e));
    *exclusive = a.status == 412 && bytes_is((struct bytes){ back.p, back.n }, first);
    return RC_OK;
}

/* Removes all versions that can be removed, the newest first. */
static enum rc purge(struct s3 *s, const char *scratch, struct err *e)
{
    for (unsigned i = 0; i < VERSIONS_MAX; i++) {
        S3_ANSWER seen = { 0 }, a = { 0 };
        enum rc rc = s3_head(s, scratch, NULL, &seen, e);

        if (s3_is_absent(&seen))
            return RC_OK;
        if (rc == RC_OK)
            rc = s3_delete(s, scratch, s3_is_versioned(&seen) ? seen.version : NULL, &a,
                           e);
        if (rc != RC_OK)
            return rc;
    }
    return RC_OK;
}

/* Deletes the object and looks for it by its version. */
static enum rc try_versions(struct s3 *s, const char *scratch, bool *versioned,
                            struct err *e)
{
    S3_ANSWER seen = { 0 }, marker = { 0 }, again = { 0 }, a = { 0 };
    struct err refusal = { 0 };

    TRY(s3_head(s, scratch, NULL, &seen, e));
    if (!s3_is_versioned(&seen))
        return RC_OK;
    TRY(s3_delete(s, scratch, NULL, &marker, e));
    *versioned = s3_head(s, scratch, seen.version, &again, &refusal) == RC_OK;
    if (s3_is_versioned(&marker))
        return s3_delete(s, scratch, marker.version, &a, e);
    return RC_OK;
}

/* A lock counts when the object outlives an attempt to delete it. */
static enum rc try_lock(struct s3 *s, const char *scratch, bool *lockable, struct err *e)
{
    S3_ANSWER seen = { 0 }, a = { 0 }, again = { 0 };
    struct err refusal = { 0 };
    const char *version;
    struct store_put o = { .replace = true,
                           .keep_until = clock_unix_ms() / 1000 + LOCK_S };
    enum rc rc = store_put_bytes(&s->base, scratch, &o, bytes_str(first), &refusal);

    if (rc == RC_NET || rc == RC_INTERRUPTED || rc == RC_NOMEM) {
        *e = refusal;
        return rc;
    }
    if (rc != RC_OK) {
        log_info("no lock is in force in %s: %s", s->base.name, refusal.why);
        return RC_OK;
    }
    TRY(s3_head(s, scratch, NULL, &seen, e));
    version = s3_is_versioned(&seen) ? seen.version : NULL;
    if (s3_delete(s, scratch, version, &a, &refusal) == RC_OK)
        return RC_OK;
    *lockable = s3_head(s, scratch, version, &again, &refusal) == RC_OK;
    /* A version stays; hidden, at least. */
    return version == NULL ? RC_OK : s3_delete(s, scratch, NULL, &a, e);
}

enum rc s3_probe(struct store *base, const char *scratch, struct store_traits *out,
                 struct err *e)
{
    struct s3 *s = (struct s3 *)base;
    struct store_put o = { .replace = true };

    TRY(store_put_bytes(base, scratch, &o, bytes_str(first), e));
    TRY(try_exclusive(s, scratch, &out->exclusive, e));
    TRY(try_versions(s, scratch, &out->versioned, e));
    TRY(purge(s, scratch, e));
    return try_lock(s, scratch, &out->lockable, e);
}
