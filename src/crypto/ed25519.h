/* Ed25519 (RFC 8032). Secrets come from the kernel's generator, never from OpenSSL's. */
#ifndef CRYPTO_ED25519_H
#define CRYPTO_ED25519_H

#include <stdbool.h>

#include "crypto/key.h"
#include "util/bytes.h"
#include "util/err.h"

enum { ED25519_SIGNATURE = 64 };

enum rc ed25519_public(const struct key *seed, uint8_t public[static 32], struct err *e);
enum rc ed25519_sign(const struct key *seed, struct bytes message,
                     uint8_t signature[static ED25519_SIGNATURE], struct err *e);
enum rc ed25519_verify(const uint8_t public[static 32], struct bytes message,
                       const uint8_t signature[static ED25519_SIGNATURE], bool *good,
                       struct err *e);

#endif
