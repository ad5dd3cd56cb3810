/* Where a bucket is, and how requests name what lies in it: percent-encoded the one way
 * that signatures are computed over, so that what is signed is what is sent.
 *
 *     s3://BUCKET[/PREFIX]?endpoint=URL&region=R&style=path|virtual
 *
 * Without an endpoint it is AWS's of the region; without a region, AWS_REGION's or
 * us-east-1. The style is "path" with an endpoint (http://host/BUCKET/key), else
 * "virtual" (https://BUCKET.host/key). */
#ifndef STORAGE_S3_URL_H
#define STORAGE_S3_URL_H

#include <stdbool.h>

#include "util/bytes.h"

struct s3_place {
    char *bucket, *region;
    char *prefix; /* "" or ending in '/' */
    char *host;   /* the endpoint's, with a port that is not the scheme's own */
    bool tls, virtual_host;
};

/* RC_USAGE names what is wrong with the URL. Cleared by the caller in any case. */
enum rc s3_place_parse(const char *url, struct s3_place *out, struct err *e);
void s3_place_clear(struct s3_place *p);

/* A pair of a query; a list of them ends with a NULL name. */
struct s3_param {
    const char *name, *value;
};

/* What a request names. Zero-initialise, end with s3_target_clear. */
struct s3_target {
    char *host;  /* as the Host header has it */
    char *path;  /* "/bucket/key" or "/key" */
    char *query; /* "a=1&b=2", sorted, or "" */
    char *url;   /* all of it */
};

/* `key` NULL: the bucket itself. At most 8 pairs. */
enum rc s3_target_make(const struct s3_place *p, const char *key,
                       const struct s3_param *query, struct s3_target *out,
                       struct err *e);
void s3_target_clear(struct s3_target *t);

/* %41 and, as S3 writes keys in lists, '+' for a blank. In place; false when it is no
 * such text or holds a NUL. */
bool s3_decode(char *text);

#endif
