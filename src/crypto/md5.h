/* MD5, at once. Only because S3 asks for a Content-MD5 where an object is locked; nothing
 * is protected by it. */
#ifndef CRYPTO_MD5_H
#define CRYPTO_MD5_H

#include <stdint.h>

#include "util/bytes.h"
#include "util/err.h"

enum { MD5_SIZE = 16 };

/* RC_INTERNAL when OpenSSL offers no MD5 (a strict FIPS configuration). */
enum rc md5(struct bytes data, uint8_t digest[static MD5_SIZE], struct err *e);

#endif
