/* Keys from other keys and from passphrases; the keyed checksum of a header. */
#ifndef CRYPTO_KDF_H
#define CRYPTO_KDF_H

#include "crypto/key.h"
#include "util/bytes.h"
#include "util/err.h"

/* HKDF-SHA-256 (RFC 5869) with 32 bytes of output; salt.n may be 0. */
enum rc kdf_hkdf(struct bytes secret, struct bytes salt, const char *info,
                 struct key *out, struct err *e);

/* HMAC-SHA-256. */
enum rc kdf_hmac(const struct key *k, struct bytes data, uint8_t mac[static 32],
                 struct err *e);

/* The same with a key of any length. */
enum rc kdf_hmac_any(struct bytes key, struct bytes data, uint8_t mac[static 32],
                     struct err *e);

/* scrypt (RFC 7914) with N = 2^work_factor, r = 8, p = 1: N KiB of memory.
 * RC_NOMEM when that is more than half of the machine's, so that a passphrase file
 * cannot push a server into the arms of the OOM killer. */
enum rc kdf_scrypt(struct bytes passphrase, struct bytes salt, unsigned work_factor,
                   struct key *out, struct err *e);

/* The same with all its numbers, and n bytes of output. */
struct kdf_scrypt_cost {
    unsigned log_n;
    uint32_t r, p;
};
enum rc kdf_scrypt_with(struct bytes passphrase, struct bytes salt,
                        struct kdf_scrypt_cost cost, uint8_t *out, size_t n,
                        struct err *e);

#endif
