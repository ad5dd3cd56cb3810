#include "lab/reach.h"

#include <stdio.h>
#include <string.h>

#include "util/mem.h"
#include "util/os.h"

enum { PASSWORD_MAX = 256 };

static enum rc append(char **text, const char *more, struct err *e)
{
    AT_END(mem_end) char *old = GIVE(*text);

    return str_format(text, e, "%s%s%s", old == NULL ? "" : old, old == NULL ? "" : ",",
                      more);
}

enum rc lab_endpoints(const struct lab *l, const bool *which, char **out, struct err *e)
{
    AT_END(mem_end) char *all = NULL;

    for (size_t i = 0; i < l->count; i++) {
        char one[64];

        if (which != NULL && !which[i])
            continue;
        snprintf(one, sizeof one, "%s://127.0.0.1:%u", l->tls ? "https" : "http",
                 l->members[i].client_port);
        TRY(append(&all, one, e));
    }
    *out = GIVE(all);
    return RC_OK;
}

enum rc lab_initial_cluster(const struct lab *l, char **out, struct err *e)
{
    AT_END(mem_end) char *all = NULL;

    for (size_t i = 0; i < l->count; i++) {
        char one[64];

        snprintf(one, sizeof one, "%s=http://127.0.0.1:%u", l->members[i].name,
                 l->members[i].peer_port);
        TRY(append(&all, one, e));
    }
    *out = GIVE(all);
    return RC_OK;
}

/* A wire_password_fn; `arg` is the lab. */
static enum rc password_of(void *arg, char **out, struct err *e)
{
    AT_END(mem_end) char *path = NULL;
    AT_END(mem_end) uint8_t *text = NULL;
    size_t n;

    TRY(lab_path(arg, "root.password", &path, e));
    TRY(os_read_file(path, PASSWORD_MAX, &text, &n, e));
    *out = mem_str_n((const char *)text, n);
    mem_wipe(text, n);
    return *out == NULL ? err_set(e, RC_NOMEM, "no memory for a password") : RC_OK;
}

enum rc lab_client(const struct lab *l, const bool *which, uint64_t patience_ms,
                   struct wire_client **out, struct err *e)
{
    AT_END(mem_end) char *endpoints = NULL;
    AT_END(mem_end) char *cacert = NULL;
    AT_END(mem_end) char *cert = NULL;
    AT_END(mem_end) char *key = NULL;
    struct wire_options o = { .dial_timeout_ms = patience_ms,
                              .command_timeout_ms = patience_ms };

    TRY(lab_endpoints(l, which, &endpoints, e));
    if (endpoints == NULL)
        return err_set(e, RC_INTERNAL, "a client of no member");
    o.endpoints = endpoints;
    if (l->tls) {
        TRY(lab_path(l, "pki/ca.crt", &cacert, e));
        TRY(lab_path(l, "pki/client.crt", &cert, e));
        TRY(lab_path(l, "pki/client.key", &key, e));
        o.cacert = cacert;
        o.cert = cert;
        o.key = key;
    }
    if (l->auth) {
        o.user = "root";
        o.password = password_of;
        o.password_arg = (void *)(uintptr_t)l;
    }
    return wire_client_new(&o, out, e);
}
