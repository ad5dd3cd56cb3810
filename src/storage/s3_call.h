/* One operation of S3: signed, sent, answered, judged, and tried again while that makes
 * sense. Redirects are never followed: a signature is for the host it was made for.
 *
 * An operation is a struct; what came back is another. RC_OK only for a 2xx that carries
 * no <Error> (CompleteMultipartUpload sends its 200 before it knows). RC_NET is what may
 * go better next time. */
#ifndef STORAGE_S3_CALL_H
#define STORAGE_S3_CALL_H

#include "http/http.h"
#include "storage/driver.h"
#include "storage/s3_url.h"

struct s3 {
    struct store base;
    struct s3_place place;
    struct http *http;
    char *cacert, *credentials_file, *profile;
    uint64_t deadline_ms, stall_ms;
    bool unconditional; /* the other side does not know If-None-Match */
    bool blind;         /* we may put, and not look: said once */
};

/* Of the headers and the <Error> of an answer; "" where there was none. */
struct s3_answer {
    int status;
    bool unsure; /* it may have been carried out, by this try or an earlier one */
    char etag[256], version[1100], put[64], lock_mode[32], lock_until[64];
    char length[24], range[64], encoding[32], modified[64], date[64];
    char bucket_region[64];
    char code[64], message[256], region[64]; /* of an <Error> */
    struct buf body;                         /* of what was not pushed on */
};
void s3_answer_clear(struct s3_answer *a);
#define S3_ANSWER AT_END(s3_answer_clear) struct s3_answer

/* A piece of the body of a 200 or 206. */
typedef enum rc s3_content_fn(void *arg, const struct s3_answer *a, struct bytes piece,
                              struct err *e);

enum { S3_PARAMS = 6, S3_HEADERS = 6, S3_ANSWER_MAX = 4 << 20 };

struct s3_call {
    const char *operation, *method;
    const char *key; /* below the place's prefix; NULL: the bucket */
    struct s3_param query[S3_PARAMS + 1];
    const char *headers[S3_HEADERS + 1]; /* "name:value" in lower case */
    struct bytes body;                   /* p may be NULL */
    struct http *http; /* NULL: the store's own, which one thread may use at a time */
    const atomic_bool *cancel; /* may be NULL */
    bool unstoppable;          /* for a single try: although a stop is wanted */
    s3_content_fn *on_content; /* NULL: into the answer's body */
    void *arg;
};

/* Until it went well, failed for good, or the store's deadline. `a` is filled in every
 * case, for the caller to look at status and code. */
enum rc s3_run(struct s3 *s, const struct s3_call *c, struct s3_answer *a, struct err *e);

/* One try, within `total_ms` when it is not 0. */
enum rc s3_try(struct s3 *s, const struct s3_call *c, uint64_t total_ms,
               struct s3_answer *a, struct err *e);

/* What an answer that is no success means: RC_NET for what passes by itself, and else
 * what to tell, with the operation, the bucket and what to do. `now` is our clock, in
 * seconds since 1970. */
enum rc s3_refusal(const struct s3_place *p, const struct s3_call *c,
                   const struct s3_answer *a, int64_t now, struct err *e);

/* Is it all gone, or never was? */
static inline bool s3_is_absent(const struct s3_answer *a)
{
    return a->status == 404 && strcmp(a->code, "NoSuchBucket") != 0;
}

/* A second connection like the store's own, for another thread. */
enum rc s3_connect(const struct s3 *s, struct http **out, struct err *e);

#endif
