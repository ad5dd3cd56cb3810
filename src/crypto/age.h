/* The age file format, version 1: what a sealed file begins with, and who can open it.
 *
 *     header (age_header.h) | 16 random bytes | payload in chunks (stream.h)
 *
 * Files made here open with `age -d`, and the other way round. Each file has its own
 * random file key, wrapped for every recipient (X25519) or by a passphrase (scrypt).
 * age proves that a file is whole, not who made it: anybody who knows a recipient can
 * seal for it. Bytes are sealed and opened by filter/seal.h. */
#ifndef CRYPTO_AGE_H
#define CRYPTO_AGE_H

#include "crypto/age_header.h"
#include "crypto/age_keys.h"
#include "crypto/stream.h"

enum {
    AGE_WORK_FACTOR = 18,     /* log2 of scrypt's N in files we write: 256 MiB, 1 s */
    AGE_WORK_FACTOR_MAX = 22, /* in files we read: 4 GiB */
};

/* Everything that comes before the first chunk of a new file, and the stream that
 * seals its chunks. RC_USAGE when there is no recipient. */
enum rc age_begin(const struct age_recipients *to, struct buf *start,
                  struct stream *payload, struct err *e);

/* The file key, from the first stanza that an identity opens, after the whole header
 * has proved to be unchanged. RC_CORRUPT for a malformed stanza of a kind we know, a
 * passphrase that is not alone, or a changed header; RC_NOKEY, with the kinds of
 * recipient the file has as a hint, when no identity fits. */
enum rc age_unwrap(const struct age_header *h, const struct age_identities *ids,
                   struct file_key *out, struct err *e);

#endif
