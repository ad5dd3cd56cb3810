#include "crypto/aead.h"

#include <openssl/err.h>
#include <openssl/evp.h>

struct aead {
    EVP_CIPHER_CTX *ctx;
};

/* OpenSSL's error queue is per thread; what we leave there would be taken for a TLS
 * failure by whoever looks next. */
static enum rc failed(struct err *e)
{
    ERR_clear_error();
    return err_set(e, RC_INTERNAL, "OpenSSL cannot use ChaCha20-Poly1305");
}

enum rc aead_new(const struct key *k, enum aead_use use, struct aead **out, struct err *e)
{
    OWNED(aead) a = NULL;

    TRY(mem_new(&a, sizeof *a, "a cipher", e));
    a->ctx = EVP_CIPHER_CTX_new();
    if (a->ctx == NULL)
        return err_set(e, RC_NOMEM, "no memory for a cipher");
    if (EVP_CipherInit_ex(a->ctx, EVP_chacha20_poly1305(), NULL, k->b, NULL,
                          use == AEAD_SEAL) != 1)
        return failed(e);
    *out = GIVE(a);
    return RC_OK;
}

void aead_free(struct aead *a)
{
    if (a == NULL)
        return;
    EVP_CIPHER_CTX_free(a->ctx); /* wipes the key */
    mem_free(a);
}

static bool run(struct aead *a, const uint8_t *nonce, struct bytes in, uint8_t *out)
{
    int n = 0;

    return EVP_CipherInit_ex(a->ctx, NULL, NULL, NULL, nonce, -1) == 1 &&
           (in.n == 0 || EVP_CipherUpdate(a->ctx, out, &n, in.p, (int)in.n) == 1);
}

enum rc aead_seal(struct aead *a, const uint8_t nonce[static AEAD_NONCE],
                  struct bytes plain, uint8_t *out, struct err *e)
{
    int n = 0;

    if (!run(a, nonce, plain, out) ||
        EVP_CipherFinal_ex(a->ctx, out + plain.n, &n) != 1 ||
        EVP_CIPHER_CTX_ctrl(a->ctx, EVP_CTRL_AEAD_GET_TAG, AEAD_TAG, out + plain.n) != 1)
        return failed(e);
    return RC_OK;
}

enum rc aead_open(struct aead *a, const uint8_t nonce[static AEAD_NONCE],
                  struct bytes sealed, uint8_t *out, bool *authentic, struct err *e)
{
    uint8_t tag[AEAD_TAG], rest[AEAD_TAG];
    int n = 0;

    if (sealed.n < AEAD_TAG) {
        *authentic = false;
        return RC_OK;
    }
    sealed.n -= AEAD_TAG;
    memcpy(tag, sealed.p + sealed.n, sizeof tag);
    if (!run(a, nonce, sealed, out) ||
        EVP_CIPHER_CTX_ctrl(a->ctx, EVP_CTRL_AEAD_SET_TAG, AEAD_TAG, tag) != 1)
        return failed(e);
    *authentic = EVP_CipherFinal_ex(a->ctx, rest, &n) == 1;
    ERR_clear_error();
    return RC_OK;
}
