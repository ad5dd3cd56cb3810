/* Certificates and how long they last: the one we show, the CA we trust, and what each
 * member shows us. */
#ifndef CARE_CERTS_H
#define CARE_CERTS_H

#include "care/look.h"

struct care_cert {
    char what[200]; /* "the certificate of m0", "the client certificate 'x.crt'" */
    char at[300];   /* the file, or the member's endpoint */
    bool server;
    int64_t not_before, not_after;
};

struct care_certs {
    struct care_cert *items;
    size_t count;
};
void care_certs_clear(struct care_certs *c);

/* `cert` and `cacert` are files or NULL. One that cannot be read is left out: connecting
 * has told why. */
enum rc care_certs_look(const struct care_access *a, const struct care_view *v,
                        const char *cert, const char *cacert, struct care_certs *out,
                        struct err *e);

#endif
