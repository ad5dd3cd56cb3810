/* Certificates for rehearsals: a CA whose key never leaves memory, and what it signs. */
#ifndef CRYPTO_ISSUE_H
#define CRYPTO_ISSUE_H

#include "util/err.h"
#include "util/own.h"

struct issuer;

/* A new CA (P-256), valid from a minute ago for `days`. */
enum rc issuer_new(const char *common_name, int days, struct issuer **out, struct err *e);
void issuer_free(struct issuer *i); /* NULL is fine */
OWN_DEFINE(issuer)

/* PEM texts: heap strings for the caller; wipe the key. */
struct issued {
    char *cert, *key;
};
void issued_clear(struct issued *i);

/* The CA's own certificate; no key. */
enum rc issuer_certificate(const struct issuer *i, char **out, struct err *e);

/* A certificate for both ends of TLS, as long as the CA's. `names` is what it may be
 * reached as, "DNS:localhost,IP:127.0.0.1"; NULL for one that only clients show. */
enum rc issuer_sign(const struct issuer *i, const char *common_name, const char *names,
                    struct issued *out, struct err *e);

#endif
