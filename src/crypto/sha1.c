#include "crypto/sha1.h"

#include <openssl/evp.h>

enum rc sha1(struct bytes data, uint8_t digest[static SHA1_SIZE], struct err *e)
{
    if (EVP_Digest(data.p, data.n, digest, NULL, EVP_sha1(), NULL) != 1)
        return err_set(e, RC_INTERNAL, "OpenSSL cannot compute SHA-1");
    return RC_OK;
}
