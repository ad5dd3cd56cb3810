#include "crypto/stream.h"

#include "crypto/kdf.h"

enum rc stream_init(struct stream *s, const struct file_key *k,
                    const uint8_t salt[static STREAM_SALT], enum aead_use use,
                    struct err *e)
{
    AT_END(key_wipe) struct key payload = { 0 };
    struct aead *aead = NULL;

    TRY(kdf_hkdf(BYTES_OF(k->b), (struct bytes){ salt, STREAM_SALT }, "payload", &payload,
                 e));
    TRY(aead_new(&payload, use, &aead, e));
    *s = (struct stream){ .aead = aead };
    return RC_OK;
}

void stream_clear(struct stream *s)
{
    aead_free(s->aead);
    *s = (struct stream){ 0 };
}

/* Eleven bytes of counter, big end first, then the mark of the last chunk. The format
 * allows 88 bits; 64 of them are more than any file has. */
static void nonce_of(const struct stream *s, bool last, uint8_t nonce[static AEAD_NONCE])
{
    memset(nonce, 0, AEAD_NONCE);
    put_be64(nonce + 3, s->chunk);
    nonce[11] = last;
}

static enum rc check_counter(const struct stream *s, struct err *e)
{
    if (s->chunk == UINT64_MAX)
        return err_set(e, RC_REFUSED, "an age file cannot have more chunks");
    return RC_OK;
}

enum rc stream_seal(struct stream *s, struct bytes plain, bool last, uint8_t *out,
                    struct err *e)
{
    uint8_t nonce[AEAD_NONCE];

    TRY(check_counter(s, e));
    nonce_of(s, last, nonce);
    TRY(aead_seal(s->aead, nonce, plain, out, e));
    s->chunk++;
    return RC_OK;
}

enum rc stream_open(struct stream *s, struct bytes sealed, bool last, uint8_t *out,
                    bool *authentic, struct err *e)
{
    uint8_t nonce[AEAD_NONCE];

    TRY(check_counter(s, e));
    nonce_of(s, last, nonce);
    TRY(aead_open(s->aead, nonce, sealed, out, authentic, e));
    if (*authentic)
        s->chunk++;
    return RC_OK;
}
