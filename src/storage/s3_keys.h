/* The credentials of S3: from a file as the AWS tools write it, else from the
 * environment. They are read for each use, since temporary ones are replaced while a
 * program runs, and wiped after it. No message holds any part of them. */
#ifndef STORAGE_S3_KEYS_H
#define STORAGE_S3_KEYS_H

#include "util/bytes.h"

/* AT_END(s3_keys_wipe) struct s3_keys keys = { 0 }; */
struct s3_keys {
    char access[256], secret[512];
    char token[8192]; /* of temporary credentials; "" else */
};
void s3_keys_wipe(struct s3_keys *k);

/* `file` NULL: AWS_ACCESS_KEY_ID and its like, then AWS_SHARED_CREDENTIALS_FILE, then
 * ~/.aws/credentials. `profile` NULL: AWS_PROFILE, then "default". RC_NOTFOUND when
 * there is no file, RC_USAGE when the profile or a key is not in it or it is malformed.
 */
enum rc s3_keys_load(const char *file, const char *profile, struct s3_keys *out,
                     struct err *e);

/* The text of such a file; `name` is for messages. */
enum rc s3_keys_parse(struct bytes text, const char *name, const char *profile,
                      struct s3_keys *out, struct err *e);

/* Which file s3_keys_load reads, "" for none, into out[n]. */
void s3_keys_file(const char *file, char *out, size_t n);

#endif
