/* What an X.509 certificate says of itself. Nothing here vouches for it. */
#ifndef CRYPTO_CERT_H
#define CRYPTO_CERT_H

#include <stdint.h>

#include "util/bytes.h"
#include "util/err.h"

struct cert_facts {
    int64_t not_before, not_after; /* seconds since 1970 */
    char subject[160];             /* one line, safe to print */
};

/* The first certificate of a PEM text. RC_CORRUPT when there is none. */
enum rc cert_read(struct bytes pem, struct cert_facts *out, struct err *e);

/* The same of a file of at most 1 MiB. */
enum rc cert_read_file(const char *path, struct cert_facts *out, struct err *e);

#endif
