#include "crypto/sha256.h"

#include <openssl/evp.h>

#include "util/mem.h"

struct sha256 {
    EVP_MD_CTX *ctx;
};

static enum rc failed(struct err *e)
{
    return err_set(e, RC_INTERNAL, "OpenSSL cannot compute SHA-256");
}

enum rc sha256_new(struct sha256 **out, struct err *e)
{
    OWNED(sha256) h = NULL;

    TRY(mem_new(&h, sizeof *h, "a SHA-256", e));
    h->ctx = EVP_MD_CTX_new();
    if (h->ctx == NULL)
        return err_set(e, RC_NOMEM, "no memory for a SHA-256");
    if (EVP_DigestInit_ex(h->ctx, EVP_sha256(), NULL) != 1)
        return failed(e);
    *out = GIVE(h);
    return RC_OK;
}

enum rc sha256_add(struct sha256 *h, const void *p, size_t n, struct err *e)
{
    return EVP_DigestUpdate(h->ctx, p, n) == 1 ? RC_OK : failed(e);
}

enum rc sha256_end(struct sha256 *h, uint8_t digest[static SHA256_SIZE], struct err *e)
{
    return EVP_DigestFinal_ex(h->ctx, digest, NULL) == 1 ? RC_OK : failed(e);
}

enum rc sha256_copy(const struct sha256 *h, struct sha256 **out, struct err *e)
{
    OWNED(sha256) copy = NULL;

    TRY(sha256_new(&copy, e));
    if (EVP_MD_CTX_copy_ex(copy->ctx, h->ctx) != 1)
        return failed(e);
    *out = GIVE(copy);
    return RC_OK;
}

void sha256_free(struct sha256 *h)
{
    if (h == NULL)
        return;
    EVP_MD_CTX_free(h->ctx);
    mem_free(h);
}
