/* The payload of an age file: chunks of 64 KiB, each sealed under a nonce that counts
 * chunks and marks the last one (STREAM). Chunks can thus be neither reordered, nor
 * dropped, nor can the file be cut short at a chunk boundary. */
#ifndef CRYPTO_STREAM_H
#define CRYPTO_STREAM_H

#include "crypto/aead.h"

enum {
    STREAM_CHUNK = 64 << 10,
    STREAM_SEALED = STREAM_CHUNK + AEAD_TAG,
    STREAM_SALT = 16
};

/* Zero-initialise, end with stream_clear. */
struct stream {
    struct aead *aead;
    uint64_t chunk; /* number of the next chunk, from 0 */
};

/* `salt` is the nonce at the start of the payload, from which its key is derived. */
enum rc stream_init(struct stream *s, const struct file_key *k,
                    const uint8_t salt[static STREAM_SALT], enum aead_use use,
                    struct err *e);
void stream_clear(struct stream *s);

/* Every chunk but the last is full; the last is empty only when the payload is.
 * RC_REFUSED when the counter is used up: a nonce is never used twice. */
enum rc stream_seal(struct stream *s, struct bytes plain, bool last, uint8_t *out,
                    struct err *e);

/* The counter moves on only when the chunk is authentic. */
enum rc stream_open(struct stream *s, struct bytes sealed, bool last, uint8_t *out,
                    bool *authentic, struct err *e);

#endif
