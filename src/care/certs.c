#include "care/certs.h"

#include <stdio.h>
#include <string.h>

#include "crypto/cert.h"
#include "util/mem.h"
#include "util/stop.h"

enum { PEM_MAX_BYTES = 1 << 20 };

void care_certs_clear(struct care_certs *c)
{
    mem_free(c->items);
    *c = (struct care_certs){ 0 };
}

static struct care_cert *keep(struct care_certs *c, const struct cert_facts *f,
                              const char *at)
{
    struct care_cert *to = &c->items[c->count++];

    to->not_before = f->not_before;
    to->not_after = f->not_after;
    snprintf(to->at, sizeof to->at, "%s", at);
    return to;
}

static void look_at_file(struct care_certs *c, const char *kind, const char *path)
{
    struct cert_facts f = { 0 };
    struct care_cert *to;
    struct err ignored = { 0 };

    if (path == NULL || cert_read_file(path, &f, &ignored) != RC_OK)
        return;
    to = keep(c, &f, path);
    snprintf(to->what, sizeof to->what, "the %s '%.150s'", kind, path);
}

static void look_at_member(struct care_certs *c, const struct care_access *a,
                           const struct care_member *m)
{
    AT_END(buf_clear) struct buf pem = { .cap_max = PEM_MAX_BYTES };
    OWNED(wire_client) w = NULL;
    struct cert_facts f = { 0 };
    struct care_cert *to;
    struct err ignored = { 0 };
    char name[80];

    if (strncmp(m->endpoint, "https://", 8) != 0 || m->state == CARE_DOWN ||
        m->state == CARE_SILENT)
        return;
    if (a->connect(a->arg, m->endpoint, &w, &ignored) != RC_OK ||
        wire_certificate(w, 0, &pem, &ignored) != RC_OK ||
        cert_read((struct bytes){ pem.p, pem.n }, &f, &ignored) != RC_OK)
        return;
    to = keep(c, &f, m->endpoint);
    to->server = true;
    snprintf(to->what, sizeof to->what, "the certificate of %s", care_called(m, name));
}

enum rc care_certs_look(const struct care_access *a, const struct care_view *v,
                        const char *cert, const char *cacert, struct care_certs *out,
                        struct err *e)
{
    AT_END(care_certs_clear) struct care_certs c = { 0 };

    TRY(mem_new(&c.items, (v->count + 2) * sizeof *c.items, "certificates", e));
    look_at_file(&c, "client certificate", cert);
    look_at_file(&c, "CA certificate", cacert);
    for (size_t i = 0; i < v->count; i++) {
        TRY(stop_check(e));
        look_at_member(&c, a, &v->items[i]);
    }
    *out = c;
    c = (struct care_certs){ 0 };
    return RC_OK;
}
