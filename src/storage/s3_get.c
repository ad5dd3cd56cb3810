#include <stdio.h>
#include <stdlib.h>

#include "storage/retry.h"
#include "storage/s3_inside.h"
#include "util/clock.h"
#include "util/str.h"

/* An object on its way, over as many tries as it takes. */
struct fetch {
    const char *key;
    struct sink *to;
    uint64_t got, total;
    uint64_t skip;  /* of this try: bytes that came before */
    bool fresh;     /* nothing of this try has come yet */
    bool known;     /* total is */
    bool refused;   /* by `to`: no other try would help */
    char etag[256]; /* of the first try */
};

static enum rc changed(const struct fetch *f, struct err *e)
{
    return err_set(e, RC_CORRUPT, "'%s' became another object while it was read", f->key);
}

/* "bytes 100-199/200": the beginning and the total. */
static bool read_range(const char *text, uint64_t *from, uint64_t *total)
{
    char copy[64], *dash, *slash;

    if (strncmp(text, "bytes ", 6) != 0)
        return false;
    snprintf(copy, sizeof copy, "%s", text + 6);
    dash = strchr(copy, '-');
    slash = strchr(copy, '/');
    if (dash == NULL || slash == NULL)
        return false;
    *dash = '\0';
    return str_to_u64(copy, from) && str_to_u64(slash + 1, total);
}

static enum rc begin_whole(struct fetch *f, const struct s3_answer *a, struct err *e)
{
    uint64_t total;
    bool known = str_to_u64(a->length, &total);

    if (f->got > 0 && (strcmp(a->etag, f->etag) != 0 || known != f->known ||
                       (known && total != f->total)))
        return changed(f, e);
    snprintf(f->etag, sizeof f->etag, "%s", a->etag);
    f->known = known;
    f->total = known ? total : 0;
    f->skip = f->got; /* a range was asked for, and ignored */
    return RC_OK;
}

static enum rc begin_range(struct fetch *f, const struct s3_answer *a, struct err *e)
{
    uint64_t from, total;

    if (!read_range(a->range, &from, &total) || from != f->got)
        return err_set(e, RC_CORRUPT, "the store sends another part of '%s' than asked",
                       f->key);
    if (strcmp(a->etag, f->etag) != 0 || (f->known && total != f->total))
        return changed(f, e);
    f->skip = 0;
    return RC_OK;
}

static enum rc begin(struct fetch *f, const struct s3_answer *a, struct err *e)
{
    f->fresh = false;
    if (a->encoding[0] != '\0' && strcmp(a->encoding, "identity") != 0 &&
        strcmp(a->encoding, "aws-chunked") != 0)
        return err_set(e, RC_CORRUPT, "'%s' was changed on its way: encoded as %s",
                       f->key, a->encoding);
    return a->status == 206 ? begin_range(f, a, e) : begin_whole(f, a, e);
}

static enum rc on_content(void *arg, const struct s3_answer *a, struct bytes piece,
                          struct err *e)
{
    struct fetch *f = arg;

    if (f->fresh)
        TRY(begin(f, a, e));
    if (f->skip > 0) {
        size_t n = piece.n < f->skip ? piece.n : (size_t)f->skip;

        f->skip -= n;
        piece = (struct bytes){ piece.p + n, piece.n - n };
    }
    if (piece.n == 0)
        return RC_OK;
    f->refused = true;
    TRY(sink_write(f->to, piece.p, piece.n, e));
    f->refused = false;
    f->got += piece.n;
    return RC_OK;
}

static enum rc try_once(struct s3 *s, struct fetch *f, struct s3_answer *a, struct err *e)
{
    char range[48], match[300];
    struct s3_call c = { .operation = "GetObject",
                         .method = "GET",
                         .key = f->key,
                         .on_content = on_content,
                         .arg = f };

    if (f->got > 0) {
        snprintf(range, sizeof range, "range:bytes=%llu-", (unsigned long long)f->got);
        snprintf(match, sizeof match, "if-match:%s", f->etag);
        c.headers[0] = match;
        c.headers[1] = range;
    }
    f->fresh = true;
    return s3_try(s, &c, 0, a, e);
}

/* What no other try would help against. */
static enum rc final_failure(struct s3 *s, const struct fetch *f,
                             const struct s3_answer *a, enum rc rc, struct err *e)
{
    if (s3_is_absent(a) && f->got == 0)
        return store_missing(&s->base, f->key, e);
    if (f->got > 0 && (a->status == 404 || a->status == 412 || a->status == 416))
        return changed(f, e);
    if (rc == RC_NET && f->got > 0 && f->etag[0] == '\0')
        return err_set(e, RC_STORAGE,
                       "'%s' cannot be taken up where it broke off: the "
                       "store gives no ETag to know it by",
                       f->key);
    return rc;
}

static enum rc check_end(const struct fetch *f, struct err *e)
{
    if (f->known && f->got != f->total)
        return err_set(e, RC_CORRUPT, "'%s' has %llu bytes instead of %llu", f->key,
                       (unsigned long long)f->got, (unsigned long long)f->total);
    return RC_OK;
}

enum rc s3_get(struct store *base, const char *key, struct sink *to, struct err *e)
{
    struct s3 *s = (struct s3 *)base;
    struct fetch f = { .key = key, .to = to };
    struct retry r = retry_begin(s->deadline_ms);
    S3_ANSWER a = { 0 };
    enum rc rc;

    do {
        uint64_t before = f.got;

        rc = try_once(s, &f, &a, e);
        if (rc == RC_OK)
            return check_end(&f, e);
        if (f.refused)
            return rc;
        rc = final_failure(s, &f, &a, rc, e);
        if (f.got > before) /* the limit is for time without progress */
            r = retry_begin(s->deadline_ms);
    } while (retry_again(&r, &rc, e));
    return rc;
}
