/* What is there after a put, whatever was answered.
 *
 * Each put carries a number of its own as metadata. It tells, when an answer was lost,
 * whether the object that is there now is ours; ETags say nothing that could be relied
 * upon. And it is looked for after each success, too: an answer of 200 has been seen from
 * stores that kept nothing, or kept it without the lock. */
#ifndef STORAGE_S3_STORED_H
#define STORAGE_S3_STORED_H

#include "storage/s3_call.h"

enum { S3_NONCE = 16, S3_DIGEST_LINE = 40 };

/* By what an object of ours is known. */
struct s3_mark {
    struct s3 *s;
    char *key;
    char nonce[2 * S3_NONCE + 1]; /* its x-amz-meta-holdfast-put */
    uint64_t total;               /* bytes */
    int64_t keep_until;           /* 0: without a lock */
};

/* After a request that failed with `rc`: RC_OK when it was carried out all the same,
 * RC_REFUSED when the key is somebody else's, RC_NET when nobody can know. */
enum rc s3_settle(const struct s3_mark *m, const struct s3_answer *a, enum rc rc,
                  struct err *e);

/* After a success: is it all there, and locked as was asked? If not, what is there is
 * taken back: RC_CORRUPT (another size), RC_REFUSED (no lock in force). RC_STORAGE when
 * it is not there. Who may not look takes the store's word, except for a lock. */
enum rc s3_check_stored(const struct s3_mark *m, struct err *e);

/* "content-md5:...", which S3 wants where an object is locked. */
enum rc s3_digest_line(struct bytes content, char out[static S3_DIGEST_LINE],
                       struct err *e);

#endif
