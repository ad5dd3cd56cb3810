#include "crypto/issue.h"

#include <fcntl.h>
#include <string.h>

#include "crypto/cert.h"
#include "tests/lib/case.h"
#include "tests/lib/fault.h"
#include "tests/lib/proc.h"
#include "tests/lib/tmpdir.h"
#include "util/mem.h"
#include "util/os.h"

static const char *put(const char *dir, const char *name, const char *text)
{
    const char *path = path_in(dir, name);
    struct err e = { 0 };
    OWNED_FD int fd = -1;

    OK(os_open(AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL, 0600, &fd, &e), &e);
    OK(os_write_full(fd, text, strlen(text), name, &e), &e);
    return path;
}

/* What `openssl` of the machine makes of them. */
CASE(crypto_issue, openssl_accepts_what_the_ca_signed)
{
    OWNED(issuer) ca = NULL, *other = NULL;
    AT_END(issued_clear) struct issued server = { 0 };
    AT_END(mem_end) char *root = NULL;
    AT_END(mem_end) char *stranger = NULL;
    const char *dir = tmpdir_new(), *cert;
    struct err e = { 0 };

    OK(issuer_new("holdfast lab", 30, &ca, &e), &e);
    OK(issuer_new("holdfast lab", 30, &other, &e), &e);
    OK(issuer_certificate(ca, &root, &e), &e);
    OK(issuer_certificate(other, &stranger, &e), &e);
    OK(issuer_sign(ca, "server", "DNS:localhost,IP:127.0.0.1", &server, &e), &e);
    put(dir, "ca.crt", root);
    put(dir, "other.crt", stranger);
    cert = put(dir, "server.crt", server.cert);
    put(dir, "server.key", server.key);

    RUN(good, "openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-verify_ip",
        "127.0.0.1", "-CAfile", path_in(dir, "ca.crt"), cert);
    cr_assert_eq(good.status, 0, "%s%s", good.out, good.err);
    RUN(client, "openssl", "verify", "-purpose", "sslclient", "-CAfile",
        path_in(dir, "ca.crt"), cert);
    cr_assert_eq(client.status, 0, "%s%s", client.out, client.err);
    RUN(name, "openssl", "verify", "-verify_ip", "127.0.0.2", "-CAfile",
        path_in(dir, "ca.crt"), cert);
    cr_assert_neq(name.status, 0, "any address will do");
    RUN(bad, "openssl", "verify", "-CAfile", path_in(dir, "other.crt"), cert);
    cr_assert_neq(bad.status, 0, "another CA vouches for it");
    RUN(key, "openssl", "pkey", "-in", path_in(dir, "server.key"), "-pubout");
    RUN(public, "openssl", "x509", "-in", cert, "-noout", "-pubkey");
    cr_assert_str_eq(key.out, public.out);
}

CASE(crypto_issue, dates_names_and_serials)
{
    OWNED(issuer) ca = NULL;
    AT_END(issued_clear) struct issued one = { 0 };
    AT_END(issued_clear) struct issued two = { 0 };
    struct cert_facts f = { 0 };
    struct err e = { 0 };

    OK(issuer_new("holdfast lab", 30, &ca, &e), &e);
    OK(issuer_sign(ca, "client", NULL, &one, &e), &e);
    OK(issuer_sign(ca, "client", NULL, &two, &e), &e);
    OK(cert_read(bytes_str(one.cert), &f, &e), &e);
    cr_assert_str_eq(f.subject, "/CN=client");
    cr_assert_eq(f.not_after - f.not_before, 30 * 86400 + 60);
    cr_assert(strcmp(one.cert, two.cert) != 0);
    cr_assert(strcmp(one.key, two.key) != 0);
}

static enum rc all(struct err *e)
{
    OWNED(issuer) ca = NULL;
    AT_END(issued_clear) struct issued one = { 0 };
    AT_END(mem_end) char *root = NULL;

    TRY(issuer_new("holdfast lab", 30, &ca, e));
    TRY(issuer_certificate(ca, &root, e));
    return issuer_sign(ca, "client", NULL, &one, e);
}

CASE(crypto_issue, any_failing_allocation_is_told)
{
    unsigned runs = 0;

    FAULT_SWEEP(FAULT_ALLOC, nth, 0) {
        struct err e = { 0 };
        enum rc rc = all(&e);

        runs = nth;
        cr_assert(rc == RC_OK || rc == RC_NOMEM, "%s", e.why);
    }
    cr_assert_eq(runs, 5, "the issuer, three texts, a clean run: %u", runs);
}
