/* ChaCha20-Poly1305 (RFC 8439) without associated data, under one key. */
#ifndef CRYPTO_AEAD_H
#define CRYPTO_AEAD_H

#include <stdbool.h>

#include "crypto/key.h"
#include "util/bytes.h"
#include "util/err.h"

enum { AEAD_TAG = 16, AEAD_NONCE = 12 };

enum aead_use { AEAD_OPEN, AEAD_SEAL };

struct aead;

enum rc aead_new(const struct key *k, enum aead_use use, struct aead **out,
                 struct err *e);
void aead_free(struct aead *a);
OWN_DEFINE(aead)

/* Writes plain.n + AEAD_TAG bytes; `out` may be plain.p. A nonce is used once per key. */
enum rc aead_seal(struct aead *a, const uint8_t nonce[static AEAD_NONCE],
                  struct bytes plain, uint8_t *out, struct err *e);

/* Writes sealed.n - AEAD_TAG bytes, which are to be used only when *authentic. */
enum rc aead_open(struct aead *a, const uint8_t nonce[static AEAD_NONCE],
                  struct bytes sealed, uint8_t *out, bool *authentic, struct err *e);

#endif
