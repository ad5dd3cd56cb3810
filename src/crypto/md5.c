#include "crypto/md5.h"

#include <openssl/evp.h>

enum rc md5(struct bytes data, uint8_t digest[static MD5_SIZE], struct err *e)
{
    if (EVP_Digest(data.p, data.n, digest, NULL, EVP_md5(), NULL) != 1)
        return err_set(e, RC_INTERNAL, "OpenSSL cannot compute MD5");
    return RC_OK;
}
