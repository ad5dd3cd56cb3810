#include "crypto/cert.h"

#include <string.h>

#include "tests/lib/case.h"
#include "tests/lib/proc.h"
#include "tests/lib/tmpdir.h"
#include "util/mem.h"
#include "util/os.h"

static const char *made(const char *dir)
{
    RUN(p, "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
        "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", "/CN=m0", "-keyout",
        path_in(dir, "key"), "-out", path_in(dir, "crt"));
    cr_assert_eq(p.status, 0, "%s", p.err);
    return path_in(dir, "crt");
}

CASE(crypto_cert, dates_and_subject_are_read)
{
    const char *dir = tmpdir_new(), *path = made(dir);
    struct cert_facts f = { 0 };
    struct err e = { 0 };

    OK(cert_read_file(path, &f, &e), &e);
    cr_assert_eq(f.not_after - f.not_before, 30 * 86400);
    cr_assert_str_eq(f.subject, "/CN=m0");
}

CASE(crypto_cert, what_is_no_certificate_is_refused)
{
    const char *dir = tmpdir_new();
    struct cert_facts f = { 0 };
    struct err e = { 0 };

    made(dir);
    cr_assert_eq(cert_read_file(path_in(dir, "key"), &f, &e), RC_CORRUPT);
    cr_assert(strstr(e.what, "key'") != NULL, "%s", e.what);
    cr_assert_eq(cert_read_file(path_in(dir, "none"), &f, &e), RC_NOTFOUND);
    cr_assert_eq(cert_read((struct bytes){ NULL, 0 }, &f, &e), RC_CORRUPT);
    cr_assert_eq(cert_read((struct bytes){ (const uint8_t *)"x", 2 << 20 }, &f, &e),
                 RC_CORRUPT);
}

/* Each byte of a certificate changed in turn: read or refused, never a crash. */
CASE(crypto_cert, hostile_bytes_are_harmless)
{
    const char *dir = tmpdir_new(), *path = made(dir);
    AT_END(mem_end) uint8_t *p = NULL;
    struct err e = { 0 };
    size_t n = 0;

    OK(os_read_file(path, 1 << 16, &p, &n, &e), &e);
    for (size_t at = 0; at < n; at++) {
        struct cert_facts f = { 0 };
        uint8_t was = p[at];
        enum rc rc;

        p[at] ^= 5;
        rc = cert_read((struct bytes){ p, n }, &f, &e);
        cr_assert(rc == RC_OK || rc == RC_CORRUPT, "byte %zu: %d", at, rc);
        p[at] = was;
    }
}
