#include "snapshot/secrets.h"

#include "util/mem.h"
#include "util/str.h"

static bool holds(struct bytes text, const char *what)
{
    return text.n > 0 && memmem(text.p, text.n, what, strlen(what)) != NULL;
}

/* RSA PRIVATE KEY, EC PRIVATE KEY, ENCRYPTED PRIVATE KEY, OPENSSH PRIVATE KEY ... */
bool snap_is_secret(struct bytes key, struct bytes value)
{
    return bytes_starts(key, "/registry/secrets/") ||
           bytes_starts(key, "/kubernetes.io/secrets/") ||
           (holds(value, "-----BEGIN ") && holds(value, "PRIVATE KEY-----"));
}

#define ENCRYPTED "k8s:enc:"

/* Up to the next colon, which is taken off too; nothing when there is none near. */
static struct bytes take_name(struct bytes *rest)
{
    size_t most = rest->n < SNAP_SCHEME_MAX ? rest->n : SNAP_SCHEME_MAX;
    const uint8_t *colon = most == 0 ? NULL : memchr(rest->p, ':', most);
    struct bytes name = { rest->p, colon == NULL ? 0 : (size_t)(colon - rest->p) };

    if (colon == NULL) {
        rest->n = 0;
    } else {
        rest->p += name.n + 1;
        rest->n -= name.n + 1;
    }
    return name;
}

bool snap_encryption_read(struct bytes value, struct snap_encryption *out)
{
    struct bytes rest = value;
    struct snap_encryption found;

    if (!bytes_starts(value, ENCRYPTED))
        return false;
    rest.p += strlen(ENCRYPTED);
    rest.n -= strlen(ENCRYPTED);
    found.provider = take_name(&rest);
    found.version = take_name(&rest);
    found.key = take_name(&rest);
    if (found.provider.n == 0)
        return false;
    *out = found;
    return true;
}

/* ---- counting --------------------------------------------------------------------- */

/* A cluster has a few; a forged one may have as many as values. */
enum { SCHEMES_MAX = 100 };

void snap_secrets_clear(struct snap_secrets *s)
{
    mem_free(s->schemes);
    *s = (struct snap_secrets){ 0 };
}

static struct snap_scheme scheme_of(struct bytes value)
{
    struct snap_encryption found;
    struct snap_scheme scheme = { .plain = !snap_encryption_read(value, &found) };

    if (scheme.plain)
        return scheme;
    str_printable(scheme.provider, sizeof scheme.provider, found.provider);
    str_printable(scheme.version, sizeof scheme.version, found.version);
    str_printable(scheme.key, sizeof scheme.key, found.key);
    return scheme;
}

static bool same_scheme(const struct snap_scheme *a, const struct snap_scheme *b)
{
    return a->plain == b->plain && strcmp(a->provider, b->provider) == 0 &&
           strcmp(a->version, b->version) == 0 && strcmp(a->key, b->key) == 0;
}

static enum rc find_scheme(struct snap_secrets *s, const struct snap_scheme *wanted,
                           struct snap_scheme **out, struct err *e)
{
    struct snap_scheme *more;

    for (size_t i = 0; i < s->count; i++)
        if (same_scheme(&s->schemes[i], wanted)) {
            *out = &s->schemes[i];
            return RC_OK;
        }
    if (s->count > SCHEMES_MAX) {
        *out = &s->schemes[SCHEMES_MAX];
        return RC_OK;
    }
    more = mem_resize(s->schemes, s->count + 1, sizeof *more);
    if (more == NULL)
        return err_set(e, RC_NOMEM, "no memory for the providers");
    s->schemes = more;
    *out = &more[s->count++];
    **out =
        s->count > SCHEMES_MAX ? (struct snap_scheme){ .provider = "others" } : *wanted;
    return RC_OK;
}

static enum rc count(struct snap_secrets *s, const struct snap_record *record, bool live,
                     struct err *e)
{
    struct snap_scheme wanted = scheme_of(record->kv.value), *scheme;

    TRY(find_scheme(s, &wanted, &scheme, e));
    if (live)
        scheme->live++;
    else
        scheme->history++;
    if (!scheme->plain)
        return RC_OK;
    if (!live) {
        s->plain_history++;
        return RC_OK;
    }
    s->plain_live++;
    return s->plain == NULL ? RC_OK : s->plain(s->plain_arg, record, e);
}

enum rc snap_secrets_check(struct snap_secrets *s, const struct snap_index *ix,
                           struct err *e)
{
    struct snap_record record;
    struct snap_key key = { 0 };

    while (snap_index_next(ix, &key))
        for (size_t i = key.first; i < key.end; i++) {
            TRY(snap_index_record(ix, i, &record, e));
            if (!record.rev.tombstone)
                TRY(count(s, &record, i + 1 == key.end, e));
        }
    return RC_OK;
}
