#include "crypto/issue.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "util/mem.h"
#include "util/os.h"

enum { MINUTE_S = 60, DAY_S = 86400, SERIAL_BYTES = 16 };

struct issuer {
    X509 *cert;
    EVP_PKEY *key;
    int days;
};

static void bio_end(BIO **b)
{
    BIO_free(*b);
}

static void x509_end(X509 **x)
{
    X509_free(*x);
}

static void pkey_end(EVP_PKEY **k)
{
    EVP_PKEY_free(*k);
}

static void number_end(BIGNUM **n)
{
    BN_free(*n);
}

static enum rc failed(struct err *e)
{
    ERR_clear_error();
    return err_set(e, RC_NOMEM, "OpenSSL could not make a certificate");
}

void issuer_free(struct issuer *i)
{
    if (i == NULL)
        return;
    X509_free(i->cert);
    EVP_PKEY_free(i->key);
    mem_free(i);
}

void issued_clear(struct issued *i)
{
    mem_free(i->cert);
    if (i->key != NULL)
        mem_wipe(i->key, strlen(i->key));
    mem_free(i->key);
    *i = (struct issued){ 0 };
}

/* ---- the parts of a certificate ------------------------------------------------------
 */

static bool set_serial(X509 *x, struct err *e)
{
    uint8_t random[SERIAL_BYTES];
    AT_END(number_end) BIGNUM *n = NULL;

    if (os_random(random, sizeof random, e) != RC_OK)
        return false;
    random[0] &= 0x7f; /* a number above zero */
    n = BN_bin2bn(random, sizeof random, NULL);
    return n != NULL && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(x)) != NULL;
}

static bool set_subject(X509 *x, const char *name)
{
    return X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_UTF8,
                                      (const unsigned char *)name, -1, -1, 0) == 1;
}

static bool add(X509 *x, X509V3_CTX *ctx, int what, const char *value)
{
    X509_EXTENSION *one = X509V3_EXT_conf_nid(NULL, ctx, what, value);
    bool ok = one != NULL && X509_add_ext(x, one, -1) == 1;

    X509_EXTENSION_free(one);
    return ok;
}

static bool set_extensions(X509 *x, X509 *signer, const char *names)
{
    bool ca = x == signer;
    X509V3_CTX ctx;

    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, signer, x, NULL, NULL, 0);
    return add(x, &ctx, NID_basic_constraints, ca ? "critical,CA:TRUE" : "CA:FALSE") &&
           add(x, &ctx, NID_key_usage,
               ca ? "critical,keyCertSign,cRLSign" : "critical,digitalSignature") &&
           (ca || add(x, &ctx, NID_ext_key_usage, "serverAuth,clientAuth")) &&
           add(x, &ctx, NID_subject_key_identifier, "hash") &&
           add(x, &ctx, NID_authority_key_identifier, "keyid:always") &&
           (names == NULL || add(x, &ctx, NID_subject_alt_name, names));
}

/* `by` NULL: by itself. */
static enum rc make(const struct issuer *by, const char *common_name, const char *names,
                    int days, X509 **cert, EVP_PKEY **key, struct err *e)
{
    AT_END(x509_end) X509 *x = X509_new();
    AT_END(pkey_end) EVP_PKEY *k = EVP_EC_gen("P-256");
    X509 *signer = by == NULL ? x : by->cert;

    if (x == NULL || k == NULL || X509_set_version(x, X509_VERSION_3) != 1 ||
        !set_serial(x, e) || !set_subject(x, common_name) ||
        X509_set_issuer_name(x, X509_get_subject_name(signer)) != 1 ||
        X509_gmtime_adj(X509_getm_notBefore(x), -MINUTE_S) == NULL ||
        X509_gmtime_adj(X509_getm_notAfter(x), (long)days * DAY_S) == NULL ||
        X509_set_pubkey(x, k) != 1 || !set_extensions(x, signer, names) ||
        X509_sign(x, by == NULL ? k : by->key, EVP_sha256()) == 0)
        return failed(e);
    *cert = GIVE(x);
    *key = GIVE(k);
    return RC_OK;
}

enum rc issuer_new(const char *common_name, int days, struct issuer **out, struct err *e)
{
    OWNED(issuer) i = NULL;

    TRY(mem_new(&i, sizeof *i, "a CA", e));
    i->days = days;
    TRY(make(NULL, common_name, NULL, days, &i->cert, &i->key, e));
    *out = GIVE(i);
    return RC_OK;
}

/* ---- as text -------------------------------------------------------------------------
 */

static enum rc text_of(BIO *b, char **out, struct err *e)
{
    char *p;
    long n = BIO_get_mem_data(b, &p);

    *out = n <= 0 ? NULL : mem_str_n(p, (size_t)n);
    return *out == NULL ? failed(e) : RC_OK;
}

static enum rc certificate_text(X509 *x, char **out, struct err *e)
{
    AT_END(bio_end) BIO *b = BIO_new(BIO_s_mem());

    return b == NULL || PEM_write_bio_X509(b, x) != 1 ? failed(e) : text_of(b, out, e);
}

static enum rc key_text(EVP_PKEY *k, char **out, struct err *e)
{
    AT_END(bio_end) BIO *b = BIO_new(BIO_s_secmem());

    if (b == NULL || PEM_write_bio_PrivateKey(b, k, NULL, NULL, 0, NULL, NULL) != 1)
        return failed(e);
    return text_of(b, out, e);
}

enum rc issuer_certificate(const struct issuer *i, char **out, struct err *e)
{
    return certificate_text(i->cert, out, e);
}

enum rc issuer_sign(const struct issuer *i, const char *common_name, const char *names,
                    struct issued *out, struct err *e)
{
    AT_END(x509_end) X509 *x = NULL;
    AT_END(pkey_end) EVP_PKEY *k = NULL;
    AT_END(issued_clear) struct issued made = { 0 };

    TRY(make(i, common_name, names, i->days, &x, &k, e));
    TRY(certificate_text(x, &made.cert, e));
    TRY(key_text(k, &made.key, e));
    *out = made;
    made = (struct issued){ 0 };
    return RC_OK;
}
