#include "crypto/x25519.h"

#include <openssl/err.h>
#include <openssl/evp.h>

#include "util/os.h"

static void pkey_end(EVP_PKEY **key)
{
    EVP_PKEY_free(*key);
}

static void ctx_end(EVP_PKEY_CTX **ctx)
{
    EVP_PKEY_CTX_free(*ctx);
}

static enum rc failed(struct err *e)
{
    ERR_clear_error();
    return err_set(e, RC_INTERNAL, "OpenSSL cannot use X25519");
}

static EVP_PKEY *load(const struct key *secret)
{
    return EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, secret->b,
                                        sizeof secret->b);
}

enum rc x25519_generate(struct key *secret, struct key *point, struct err *e)
{
    AT_END(key_wipe) struct key k = { 0 };

    TRY(os_random(k.b, sizeof k.b, e));
    TRY(x25519_public(&k, point, e));
    *secret = k;
    return RC_OK;
}

enum rc x25519_public(const struct key *secret, struct key *point, struct err *e)
{
    AT_END(pkey_end) EVP_PKEY *key = load(secret);
    struct key p;
    size_t n = sizeof p.b;

    if (key == NULL || EVP_PKEY_get_raw_public_key(key, p.b, &n) != 1)
        return failed(e);
    *point = p;
    return RC_OK;
}

enum rc x25519_shared(const struct key *secret, const struct key *point, struct key *out,
                      bool *usable, struct err *e)
{
    AT_END(key_wipe) struct key shared = { 0 };
    AT_END(pkey_end) EVP_PKEY *own = load(secret);
    AT_END(pkey_end)
    EVP_PKEY *peer =
        EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, point->b, sizeof point->b);
    AT_END(ctx_end) EVP_PKEY_CTX *ctx = own == NULL ? NULL : EVP_PKEY_CTX_new(own, NULL);
    size_t n = sizeof shared.b;

    if (ctx == NULL || peer == NULL || EVP_PKEY_derive_init(ctx) != 1 ||
        EVP_PKEY_derive_set_peer_ex(ctx, peer, 0) != 1)
        return failed(e);
    /* With everything set up, an all-zero result is the only reason left to fail. */
    *usable = EVP_PKEY_derive(ctx, shared.b, &n) == 1;
    ERR_clear_error();
    if (*usable)
        *out = shared;
    return RC_OK;
}
