/* Bech32 (BIP 173) as age uses it: 32 bytes, a prefix, no limit of 90 characters.
 * The checksum finds any four mistyped characters. */
#ifndef CRYPTO_BECH32_H
#define CRYPTO_BECH32_H

#include "crypto/key.h"
#include "util/bytes.h"
#include "util/err.h"

/* Characters that a key with this prefix (a literal) takes, with the NUL. */
#define BECH32_SIZE(prefix) (sizeof(prefix) + 1 + 52 + 6)

/* All in the case of `prefix`, NUL-terminated. */
void bech32_encode(const char *prefix, const struct key *k, char *out);

/* RC_USAGE says what is wrong and never quotes the text, which may be secret. */
enum rc bech32_decode(struct bytes text, const char *prefix, struct key *out,
                      struct err *e);

#endif
