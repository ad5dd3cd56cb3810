/* SHA-256, incremental and at once. */
#ifndef CRYPTO_SHA256_H
#define CRYPTO_SHA256_H

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"
#include "util/own.h"

enum { SHA256_SIZE = 32 };

struct sha256;

enum rc sha256_new(struct sha256 **out, struct err *e);
enum rc sha256_add(struct sha256 *h, const void *p, size_t n, struct err *e);
/* The digest; the object may only be freed afterwards. */
enum rc sha256_end(struct sha256 *h, uint8_t digest[static SHA256_SIZE], struct err *e);
/* A second object in the same state: one pass, digests of a prefix and of the whole. */
enum rc sha256_copy(const struct sha256 *h, struct sha256 **out, struct err *e);
void sha256_free(struct sha256 *h);
OWN_DEFINE(sha256)

#endif
