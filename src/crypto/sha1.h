/* SHA-1, at once. Only to compute etcd's member and cluster ids, which are cut from it;
 * nothing is protected by it. */
#ifndef CRYPTO_SHA1_H
#define CRYPTO_SHA1_H

#include <stdint.h>

#include "util/bytes.h"
#include "util/err.h"

enum { SHA1_SIZE = 20 };

/* RC_INTERNAL when OpenSSL offers no SHA-1 (a strict FIPS configuration). */
enum rc sha1(struct bytes data, uint8_t digest[static SHA1_SIZE], struct err *e);

#endif
