/* X25519 (RFC 7748). Secrets come from the kernel's generator, never from OpenSSL's. */
#ifndef CRYPTO_X25519_H
#define CRYPTO_X25519_H

#include <stdbool.h>

#include "crypto/key.h"
#include "util/err.h"

enum rc x25519_generate(struct key *secret, struct key *point, struct err *e);
enum rc x25519_public(const struct key *secret, struct key *point, struct err *e);

/* *usable is false for a point of low order, whose shared value would be all zero and
 * known to everybody; *out is then not set. */
enum rc x25519_shared(const struct key *secret, const struct key *point, struct key *out,
                      bool *usable, struct err *e);

#endif
