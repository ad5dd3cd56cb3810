#include "crypto/cert.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <time.h>

#include "util/mem.h"
#include "util/os.h"
#include "util/str.h"

enum { FILE_MAX_BYTES = 1 << 20 };

static void bio_end(BIO **b)
{
    BIO_free(*b);
}

static void x509_end(X509 **x)
{
    X509_free(*x);
}

/* No passphrase is ever asked for on the terminal. */
static int no_passphrase(char *buf, int size, int rwflag, void *arg)
{
    (void)buf;
    (void)size;
    (void)rwflag;
    (void)arg;
    return 0;
}

static enum rc seconds(const ASN1_TIME *t, int64_t *out, struct err *e)
{
    struct tm tm = { 0 };

    if (t == NULL || ASN1_TIME_to_tm(t, &tm) != 1)
        return err_set(e, RC_CORRUPT, "a certificate has no readable date");
    *out = (int64_t)timegm(&tm);
    return RC_OK;
}

enum rc cert_read(struct bytes pem, struct cert_facts *out, struct err *e)
{
    AT_END(bio_end) BIO *bio = NULL;
    AT_END(x509_end) X509 *x = NULL;
    struct cert_facts facts = { 0 };
    char subject[256] = "";

    if (pem.n > FILE_MAX_BYTES)
        return err_set(e, RC_CORRUPT, "a certificate of %zu bytes", pem.n);
    bio = BIO_new_mem_buf(pem.p == NULL ? (const uint8_t *)"" : pem.p, (int)pem.n);
    if (bio == NULL)
        return err_set(e, RC_NOMEM, "no memory for a certificate");
    x = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL);
    ERR_clear_error();
    if (x == NULL)
        return err_set(e, RC_CORRUPT, "there is no PEM certificate in it");
    TRY(seconds(X509_get0_notBefore(x), &facts.not_before, e));
    TRY(seconds(X509_get0_notAfter(x), &facts.not_after, e));
    X509_NAME_oneline(X509_get_subject_name(x), subject, sizeof subject);
    str_printable(facts.subject, sizeof facts.subject, bytes_str(subject));
    *out = facts;
    return RC_OK;
}

enum rc cert_read_file(const char *path, struct cert_facts *out, struct err *e)
{
    AT_END(mem_end) uint8_t *p = NULL;
    size_t n;

    TRY(os_read_file(path, FILE_MAX_BYTES, &p, &n, e));
    if (cert_read((struct bytes){ p, n }, out, e) != RC_OK)
        return err_wrap(e, "reading the certificate '%s'", path);
    return RC_OK;
}
