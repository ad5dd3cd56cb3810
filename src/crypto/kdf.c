#include "crypto/kdf.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <unistd.h>

static void ctx_end(EVP_KDF_CTX **ctx)
{
    EVP_KDF_CTX_free(*ctx);
}

static EVP_KDF_CTX *hkdf_new(void)
{
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);

    EVP_KDF_free(kdf); /* the context keeps its own reference */
    return ctx;
}

/* OSSL_PARAM wants pointers to non-const although it only reads these. */
static OSSL_PARAM octets(const char *name, struct bytes value)
{
    union {
        const void *read;
        void *write;
    } p = { .read = value.p };

    return OSSL_PARAM_construct_octet_string(name, p.write, value.n);
}

enum rc kdf_hkdf(struct bytes secret, struct bytes salt, const char *info,
                 struct key *out, struct err *e)
{
    char digest[] = "SHA256";
    OSSL_PARAM params[5] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
        octets(OSSL_KDF_PARAM_KEY, secret),
        octets(OSSL_KDF_PARAM_INFO, bytes_str(info)),
        OSSL_PARAM_construct_end(),
        OSSL_PARAM_construct_end(),
    };
    AT_END(ctx_end) EVP_KDF_CTX *ctx = hkdf_new();

    if (salt.n > 0)
        params[3] = octets(OSSL_KDF_PARAM_SALT, salt);
    if (ctx == NULL || EVP_KDF_derive(ctx, out->b, sizeof out->b, params) != 1) {
        ERR_clear_error();
        return err_set(e, RC_INTERNAL, "OpenSSL cannot compute HKDF");
    }
    return RC_OK;
}

enum rc kdf_hmac_any(struct bytes key, struct bytes data, uint8_t mac[static 32],
                     struct err *e)
{
    if (HMAC(EVP_sha256(), key.p, (int)key.n, data.p, data.n, mac, NULL) == NULL) {
        ERR_clear_error();
        return err_set(e, RC_INTERNAL, "OpenSSL cannot compute HMAC");
    }
    return RC_OK;
}

enum rc kdf_hmac(const struct key *k, struct bytes data, uint8_t mac[static 32],
                 struct err *e)
{
    return kdf_hmac_any(BYTES_OF(k->b), data, mac, e);
}

static uint64_t half_of_memory(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGE_SIZE);

    return pages <= 0 || size <= 0 ? UINT64_MAX : (uint64_t)pages * (uint64_t)size / 2;
}

/* What the derivation holds at once, in bytes; UINT64_MAX for numbers beyond reason. */
static uint64_t scrypt_need(struct kdf_scrypt_cost cost)
{
    if (cost.log_n >= 43 || cost.r == 0 || cost.r > 1024 || cost.p == 0 || cost.p > 1024)
        return UINT64_MAX;
    return ((UINT64_C(1) << cost.log_n) + cost.p) * 128 * cost.r + (1 << 20);
}

enum rc kdf_scrypt_with(struct bytes passphrase, struct bytes salt,
                        struct kdf_scrypt_cost cost, uint8_t *out, size_t n,
                        struct err *e)
{
    uint64_t need = scrypt_need(cost);
    union {
        const void *read;
        const char *text;
    } p = { .read = passphrase.p };

    if (need > half_of_memory() ||
        EVP_PBE_scrypt(p.text, passphrase.n, salt.p, salt.n, UINT64_C(1) << cost.log_n,
                       cost.r, cost.p, need, out, n) != 1) {
        ERR_clear_error();
        return err_set(e, RC_NOMEM, "scrypt with work factor %u needs %llu MiB of memory",
                       cost.log_n, (unsigned long long)(need >> 20));
    }
    return RC_OK;
}

enum rc kdf_scrypt(struct bytes passphrase, struct bytes salt, unsigned work_factor,
                   struct key *out, struct err *e)
{
    return kdf_scrypt_with(passphrase, salt,
                           (struct kdf_scrypt_cost){ work_factor, 8, 1 }, out->b,
                           sizeof out->b, e);
}
