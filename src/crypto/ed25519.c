#include "crypto/ed25519.h"

#include <openssl/err.h>
#include <openssl/evp.h>

static void pkey_end(EVP_PKEY **key)
{
    EVP_PKEY_free(*key);
}

static void ctx_end(EVP_MD_CTX **ctx)
{
    EVP_MD_CTX_free(*ctx);
}

static enum rc failed(struct err *e)
{
    ERR_clear_error();
    return err_set(e, RC_INTERNAL, "OpenSSL cannot use Ed25519");
}

static EVP_PKEY *load(const struct key *seed)
{
    return EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed->b, sizeof seed->b);
}

enum rc ed25519_public(const struct key *seed, uint8_t public[static 32], struct err *e)
{
    AT_END(pkey_end) EVP_PKEY *key = load(seed);
    uint8_t out[32];
    size_t n = sizeof out;

    if (key == NULL || EVP_PKEY_get_raw_public_key(key, out, &n) != 1)
        return failed(e);
    memcpy(public, out, sizeof out);
    return RC_OK;
}

enum rc ed25519_sign(const struct key *seed, struct bytes message,
                     uint8_t signature[static ED25519_SIGNATURE], struct err *e)
{
    AT_END(pkey_end) EVP_PKEY *key = load(seed);
    AT_END(ctx_end) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    uint8_t out[ED25519_SIGNATURE];
    size_t n = sizeof out;

    if (key == NULL || ctx == NULL ||
        EVP_DigestSignInit(ctx, NULL, NULL, NULL, key) != 1 ||
        EVP_DigestSign(ctx, out, &n, message.p, message.n) != 1)
        return failed(e);
    memcpy(signature, out, sizeof out);
    return RC_OK;
}

enum rc ed25519_verify(const uint8_t public[static 32], struct bytes message,
                       const uint8_t signature[static ED25519_SIGNATURE], bool *good,
                       struct err *e)
{
    AT_END(pkey_end)
    EVP_PKEY *key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public, 32);
    AT_END(ctx_end) EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    if (key == NULL || ctx == NULL ||
        EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key) != 1)
        return failed(e);
    /* With everything set up, a signature that does not fit is the reason left to fail.
     */
    *good =
        EVP_DigestVerify(ctx, signature, ED25519_SIGNATURE, message.p, message.n) == 1;
    ERR_clear_error();
    return RC_OK;
}
