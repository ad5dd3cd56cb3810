#include "repo/identity.h"

#include <stdio.h>
#include <string.h>

#include "repo/memory.h"
#include "util/json.h"
#include "util/log.h"
#include "util/mem.h"

enum { IDENTITY_MAX = 64 << 10 };

static const char format_name[] = "holdfast.repository";

void repo_identity_clear(struct repo_identity *i)
{
    str_list_clear(&i->recipients);
    mem_free(i->retired);
    *i = (struct repo_identity){ 0 };
}

/* ---- as text ---------------------------------------------------------------------- */

static struct json *texts(const struct str_list *l)
{
    struct json *a = json_new_array();

    for (size_t i = 0; i < l->count; i++)
        json_add_str(a, l->items[i]);
    return a;
}

static struct json *traits(const struct store_traits *t)
{
    struct json *o = json_new_object();

    json_set_bool(o, "exclusive", t->exclusive);
    json_set_bool(o, "lockable", t->lockable);
    json_set_bool(o, "versioned", t->versioned);
    return o;
}

static struct json *retired_json(const struct repo_identity *i)
{
    struct json *a = json_new_array();

    for (size_t k = 0; k < i->retired_count; k++) {
        const struct repo_retired *x = &i->retired[k];
        char line[MINISIGN_PUBLIC_SIZE];
        struct json *o = json_new_object();

        repo_key_line(&x->key, line);
        json_set_str(o, "key", line);
        json_set_str(o, "cluster", x->cluster);
        json_set_u64(o, "last", x->last);
        json_add(a, o);
    }
    return a;
}

enum rc repo_identity_retire(struct repo_identity *i, const struct repo_retired *x,
                             struct err *e)
{
    struct repo_retired *more;

    if (i->retired_count >= REPO_RETIRED_MAX)
        return err_set(e, RC_REFUSED, "%d keys and clusters are retired already",
                       REPO_RETIRED_MAX);
    more = mem_resize(i->retired, i->retired_count + 1, sizeof *more);
    if (more == NULL)
        return err_set(e, RC_NOMEM, "no memory for a retired key");
    i->retired = more;
    i->retired[i->retired_count++] = *x;
    return RC_OK;
}

static enum rc encode(const struct repo_identity *i, char **out, struct err *e)
{
    OWNED(json) o = json_new_object();
    AT_END(mem_end) char *line = NULL;

    json_set_str(o, "format", format_name);
    json_set_u64(o, "layout", REPO_LAYOUT);
    json_set_str(o, "id", i->id);
    json_set_str(o, "created", i->created);
    json_set(o, "recipients", texts(&i->recipients));
    json_set(o, "signing_keys", repo_keys_json(&i->keys));
    if (i->changes > 0) {
        json_set_u64(o, "changes", i->changes);
        json_set(o, "retired_keys", retired_json(i));
    }
    json_set(o, "traits", traits(&i->traits));
    TRY(json_render(o, false, &line, e));
    return str_format(out, e, "%s\n", line);
}

/* ---- and back --------------------------------------------------------------------- */

static enum rc malformed(const char *what, struct err *e)
{
    return err_set(e, RC_CORRUPT, "%s is not as it was written: %s", REPO_IDENTITY_KEY,
                   what);
}

static enum rc decode_text(const struct json *o, const char *key, char *out, size_t n,
                           struct err *e)
{
    const char *text = json_get_str(o, key);

    if (text == NULL || text[0] == '\0' || strlen(text) >= n)
        return malformed(key, e);
    memcpy(out, text, strlen(text) + 1);
    return RC_OK;
}

static enum rc decode_recipients(const struct json *o, struct repo_identity *i,
                                 struct err *e)
{
    const struct json *a = json_get(o, "recipients");

    if (json_count(a) > MANIFEST_RECIPIENTS_MAX)
        return malformed("too many recipients", e);
    for (size_t k = 0; k < json_count(a); k++) {
        const char *text = json_str(json_at(a, k));

        if (text == NULL || strlen(text) != MANIFEST_FINGERPRINT_DIGITS)
            return malformed("a recipient", e);
        TRY(str_list_add(&i->recipients, text, e));
    }
    return RC_OK;
}

static enum rc decode_traits(const struct json *o, struct store_traits *t, struct err *e)
{
    const struct json *from = json_get(o, "traits");

    if (!json_get_bool(from, "exclusive", &t->exclusive) ||
        !json_get_bool(from, "lockable", &t->lockable) ||
        !json_get_bool(from, "versioned", &t->versioned))
        return malformed("traits", e);
    return RC_OK;
}

static enum rc decode_retired(const struct json *o, struct repo_identity *i,
                              struct err *e)
{
    const struct json *a = json_get(o, "retired_keys");

    for (size_t k = 0; k < json_count(a); k++) {
        const struct json *from = json_at(a, k);
        const char *key = json_get_str(from, "key");
        const char *cluster = json_get_str(from, "cluster");
        struct repo_retired x = { .last = 0 };

        if (key == NULL || cluster == NULL || strlen(cluster) >= sizeof x.cluster ||
            !json_get_u64(from, "last", &x.last) || x.last > RECORD_SEQUENCE_MAX ||
            minisign_public_parse(bytes_str(key), "retired_keys", &x.key, e) != RC_OK)
            return malformed("a retired key", e);
        memcpy(x.cluster, cluster, strlen(cluster) + 1);
        TRY(repo_identity_retire(i, &x, e));
    }
    return RC_OK;
}

static bool is_id(const char *text)
{
    return strlen(text) == RECORD_REPO_ID_SIZE - 1 &&
           strspn(text, "0123456789abcdef") == RECORD_REPO_ID_SIZE - 1;
}

static enum rc decode(struct bytes text, struct repo_identity *i, struct err *e)
{
    OWNED(json) o = NULL;
    const char *format;
    uint64_t layout = 0;

    TRY(json_parse(text, REPO_IDENTITY_KEY, &o, e));
    format = json_get_str(o, "format");
    if (format == NULL || strcmp(format, format_name) != 0)
        return malformed("it does not say that it is a repository's", e);
    if (!json_get_u64(o, "layout", &layout) || layout == 0)
        return malformed("layout", e);
    if (layout > REPO_LAYOUT)
        return err_set(e, RC_REFUSED,
                       "the repository has layout %llu, and this program knows %d" HINT
                       "use the version that made it, or a newer one",
                       (unsigned long long)layout, REPO_LAYOUT);
    TRY(decode_text(o, "id", i->id, sizeof i->id, e));
    TRY(decode_text(o, "created", i->created, sizeof i->created, e));
    if (!is_id(i->id))
        return malformed("id", e);
    TRY(decode_recipients(o, i, e));
    TRY(repo_keys_parse(json_get(o, "signing_keys"), &i->keys, e));
    (void)json_get_u64(o, "changes", &i->changes);
    TRY(decode_retired(o, i, e));
    return decode_traits(o, &i->traits, e);
}

/* ---- in the store ----------------------------------------------------------------- */

enum { HASH_DIGITS = 16, NAME_SIZE = 40 };

/* Where the signature of a changed one lies. */
static enum rc signature_name(struct bytes text, char out[static NAME_SIZE],
                              struct err *e)
{
    char digits[2 * SHA256_SIZE + 1];
    uint8_t digest[SHA256_SIZE];
    OWNED(sha256) h = NULL;

    TRY(sha256_new(&h, e));
    TRY(sha256_add(h, text.p, text.n, e));
    TRY(sha256_end(h, digest, e));
    str_hex(digits, digest, sizeof digest);
    snprintf(out, NAME_SIZE, "holdfast.%.*s.minisig", HASH_DIGITS, digits);
    return RC_OK;
}

/* Its own, else the one of a repository whose keys have never changed. `name` is where it
 * was. */
static enum rc get_signature(struct store *s, struct bytes text,
                             char name[static NAME_SIZE], struct buf *out, struct err *e)
{
    struct err why = { 0 };
    enum rc rc;

    TRY(signature_name(text, name, e));
    rc = store_get_bytes(s, name, RECORD_SIGNATURE_MAX, out, &why);
    if (rc == RC_NOTFOUND) {
        snprintf(name, NAME_SIZE, "%s", REPO_SIGNATURE_KEY);
        rc = store_get_bytes(s, name, RECORD_SIGNATURE_MAX, out, &why);
    }
    if (rc == RC_OK)
        return RC_OK;
    *e = why;
    return err_wrap(e, "reading %s", name);
}

static enum rc put(struct store *s, const char *name, const struct minisign_secret *key,
                   const char *text, bool replace, struct err *e)
{
    const struct store_put again = { .replace = true }, how = { .replace = replace };
    char signature[MINISIGN_SIGNATURE_SIZE];

    TRY(minisign_sign(key, bytes_str(text), format_name, signature, e));
    TRY(store_put_bytes(s, name, &again, bytes_str(signature), e));
    return store_put_bytes(s, REPO_IDENTITY_KEY, &how, bytes_str(text), e);
}

enum rc repo_identity_put(struct store *s, const struct repo_identity *i,
                          const struct minisign_secret *key, struct err *e)
{
    AT_END(mem_end) char *text = NULL;

    TRY(encode(i, &text, e));
    return put(s, REPO_SIGNATURE_KEY, key, text, false, e);
}

/* The signature of what was replaced means nothing any more. */
static void drop_signature(struct store *s, struct bytes of)
{
    char name[NAME_SIZE];
    struct err e = { 0 };

    if (signature_name(of, name, &e) != RC_OK || store_remove(s, name, &e) != RC_OK ||
        store_remove(s, REPO_SIGNATURE_KEY, &e) != RC_OK)
        log_warn("an old signature of %s stays: %s", REPO_IDENTITY_KEY, e.why);
}

enum rc repo_identity_replace(struct store *s, const struct repo_identity *i,
                              const struct minisign_secret *key, struct err *e)
{
    AT_END(buf_clear) struct buf old = { 0 };
    AT_END(mem_end) char *text = NULL;
    char name[NAME_SIZE];

    TRY(store_get_bytes(s, REPO_IDENTITY_KEY, IDENTITY_MAX, &old, e));
    TRY(encode(i, &text, e));
    TRY(signature_name(bytes_str(text), name, e));
    TRY(put(s, name, key, text, true, e));
    drop_signature(s, (struct bytes){ old.p, old.n });
    return RC_OK;
}

static enum rc check_signature(struct bytes text, struct bytes signature,
                               const struct minisign_trust *trust,
                               const struct repo_identity *i, struct err *e)
{
    const struct minisign_trust *of = trust->count > 0 ? trust : &i->keys;
    const struct minisign_public *by;
    enum rc rc = minisign_verify(of, text, signature, &by, NULL, e);

    if (rc == RC_NOKEY)
        return err_set(
            e, RC_CORRUPT,
            "%s is signed by a key that this host does not believe" HINT
            "if the repository was made anew on purpose, give its key with --public-key",
            REPO_IDENTITY_KEY);
    return rc == RC_OK ? rc : err_wrap(e, "checking who signed %s", REPO_IDENTITY_KEY);
}

enum rc repo_identity_get(struct store *s, const struct minisign_trust *trust,
                          struct repo_identity *out, struct err *e)
{
    AT_END(repo_identity_clear) struct repo_identity i = { 0 };
    AT_END(buf_clear) struct buf text = { 0 };
    AT_END(buf_clear) struct buf signature = { 0 };
    char name[NAME_SIZE];
    enum rc rc = store_get_bytes(s, REPO_IDENTITY_KEY, IDENTITY_MAX, &text, e);

    if (rc == RC_NOTFOUND)
        return err_set(e, RC_NOTFOUND,
                       "there is no repository in '%s'" HINT
                       "mount what belongs there, or make one with 'holdfast repo init'",
                       store_name(s));
    if (rc != RC_OK)
        return err_wrap(e, "reading %s", REPO_IDENTITY_KEY);
    TRY(decode((struct bytes){ text.p, text.n }, &i, e));
    TRY(get_signature(s, (struct bytes){ text.p, text.n }, name, &signature, e));
    TRY(check_signature((struct bytes){ text.p, text.n },
                        (struct bytes){ signature.p, signature.n }, trust, &i, e));
    *out = i;
    i = (struct repo_identity){ 0 };
    return RC_OK;
}

enum rc repo_identity_copy(struct store *from, struct store *to, bool replace,
                           struct err *e)
{
    const struct store_put again = { .replace = true }, how = { .replace = replace };
    AT_END(buf_clear) struct buf text = { 0 };
    AT_END(buf_clear) struct buf signature = { 0 };
    AT_END(buf_clear) struct buf old = { 0 };
    char name[NAME_SIZE];

    TRY(store_get_bytes(from, REPO_IDENTITY_KEY, IDENTITY_MAX, &text, e));
    TRY(get_signature(from, (struct bytes){ text.p, text.n }, name, &signature, e));
    if (replace)
        TRY(store_get_bytes(to, REPO_IDENTITY_KEY, IDENTITY_MAX, &old, e));
    TRY(store_put_bytes(to, name, &again, (struct bytes){ signature.p, signature.n }, e));
    TRY(store_put_bytes(to, REPO_IDENTITY_KEY, &how, (struct bytes){ text.p, text.n },
                        e));
    if (replace)
        drop_signature(to, (struct bytes){ old.p, old.n });
    return RC_OK;
}
