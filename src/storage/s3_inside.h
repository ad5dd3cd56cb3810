/* The parts of the S3 driver, for each other; s3.c puts them together. */
#ifndef STORAGE_S3_INSIDE_H
#define STORAGE_S3_INSIDE_H

#include "storage/s3_call.h"

enum { S3_CLEANUP_MS = 10000 }; /* for what is undone after a failure: one try */

/* ---- s3_put.c */
enum rc s3_put_new(struct store *s, const char *key, const struct store_put *o,
                   struct sink **out, struct err *e);

/* ---- s3_get.c */
enum rc s3_get(struct store *s, const char *key, struct sink *to, struct err *e);

/* ---- s3_list.c */
enum rc s3_list(struct store *s, const char *prefix, store_list_fn *fn, void *arg,
                struct err *e);
enum rc s3_sweep(struct store *s, const char *prefix, uint64_t *swept, struct err *e);
/* The same with another age than a day. */
enum rc s3_sweep_older(struct s3 *s, const char *prefix, int64_t age_s, uint64_t *swept,
                       struct err *e);

/* ---- s3_probe.c */
enum rc s3_probe(struct store *s, const char *scratch, struct store_traits *out,
                 struct err *e);

/* ---- s3.c */

/* HeadObject with all its tries; of an older version when `version` is not NULL. */
enum rc s3_head(struct s3 *s, const char *key, const char *version, struct s3_answer *a,
                struct err *e);

/* DeleteObject: of one version, or the key as such. */
enum rc s3_delete(struct s3 *s, const char *key, const char *version, struct s3_answer *a,
                  struct err *e);

/* Until when the object of this answer cannot be deleted; 0: it can. */
int64_t s3_locked_until(const struct s3_answer *a);

/* The other side's clock, else ours; seconds since 1970. */
int64_t s3_now(const struct s3_answer *a);

/* Is it one of several versions? */
bool s3_is_versioned(const struct s3_answer *a);

#endif
