/* AWS Signature Version 4 of one request: the canonical request, the string to sign and
 * the Authorization header, as "Authenticating Requests" of the S3 documentation defines
 * them. libcurl can sign, too; docs/decisions says why it does not. */
#ifndef STORAGE_S3_SIGN_H
#define STORAGE_S3_SIGN_H

#include "storage/s3_keys.h"
#include "storage/s3_url.h"
#include "util/str.h"

struct s3_signing {
    const char *method, *region;
    const struct s3_target *target;
    int64_t now; /* seconds since 1970; a store tolerates 15 minutes */

    /* "name:value" lines in lower case and without blanks around the colon, all of which
     * are signed. s3_sign adds x-amz-date and, for temporary credentials,
     * x-amz-security-token to them; "host" is signed besides, and sent by libcurl. */
    struct str_list *headers;
    const char *payload; /* SHA-256 in hex; also the value of x-amz-content-sha256 */
};

/* Appends what it adds, sorts by name, and appends "authorization:..." last. */
enum rc s3_sign(const struct s3_signing *q, const struct s3_keys *keys, struct err *e);

/* The canonical request, for whoever looks for the reason of a refusal: heap text.
 * `signed_names` gets the list of names in it, "host;x-amz-date". */
enum rc s3_canonical(const struct s3_signing *q, char **out, char **signed_names,
                     struct err *e);

/* Hex of the SHA-256 of a body. */
enum rc s3_payload_hash(struct bytes body, char out[static 65], struct err *e);

#endif
