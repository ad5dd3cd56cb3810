#include "crypto/age_keys.h"

#include <stdio.h>

#include "crypto/x25519.h"
#include "util/clock.h"
#include "util/os.h"
#include "util/str.h"

/* ---- lines of key files -------------------------------------------------------- */

typedef enum rc add_line(void *list, struct bytes line, struct err *e);

/* Calls `add` for each line that is neither empty nor a comment. */
static enum rc add_lines(struct bytes text, const char *path, add_line *add, void *list,
                         struct err *e)
{
    size_t keys = 0;

    for (size_t no = 1; text.n > 0; no++) {
        const uint8_t *end = memchr(text.p, '\n', text.n);
        struct bytes line = { text.p, end == NULL ? text.n : (size_t)(end - text.p) };
        size_t used = end == NULL ? line.n : line.n + 1;

        text = (struct bytes){ text.p + used, text.n - used };
        if (line.n > 0 && line.p[line.n - 1] == '\r')
            line.n--;
        if (line.n == 0 || line.p[0] == '#')
            continue;
        if (add(list, line, e) != RC_OK)
            return err_wrap(e, "line %zu of '%s'", no, path);
        keys++;
    }
    return keys > 0 ? RC_OK : err_set(e, RC_USAGE, "'%s' contains no key", path);
}

struct foreign {
    const char *prefix, *kind;
};

static const char *kind_of(struct bytes text, const struct foreign *kinds, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (bytes_starts(text, kinds[i].prefix))
            return kinds[i].kind;
    return NULL;
}

/* ---- recipients ------------------------------------------------------------------ */

enum rc age_recipients_new(struct age_recipients **out, struct err *e)
{
    return mem_new(out, sizeof **out, "a list of recipients", e);
}

void age_recipients_free(struct age_recipients *r)
{
    if (r == NULL)
        return;
    secret_free(r->passphrase);
    mem_free(r);
}

/* What stands between "age1" and the last '1': the name of a plugin, or of one of the
 * kinds that age itself has beside X25519. */
static struct bytes plugin_of(struct bytes text)
{
    const uint8_t *last = memrchr(text.p, '1', text.n);

    if (!bytes_starts(text, "age1") || last < text.p + 4)
        return (struct bytes){ 0 };
    return (struct bytes){ text.p + 4, (size_t)(last - text.p) - 4 };
}

static enum rc refuse_foreign_recipient(struct bytes text, struct err *e)
{
    static const struct foreign kinds[] = {
        { "age1pq1", "a post-quantum key" }, { "ssh-ed25519 ", "an ssh-ed25519 key" },
        { "ssh-rsa ", "an ssh-rsa key" },    { "ssh-", "an SSH key" },
        { "sk-ssh-", "an SSH key" },         { "ecdsa-", "an SSH key" },
        { "github:", "a GitHub user" },
    };
    const char *kind = kind_of(text, kinds, sizeof kinds / sizeof kinds[0]);
    struct bytes plugin = plugin_of(text);
    char shown[48], name[32];

    if (bytes_starts(text, AGE_IDENTITY_PREFIX))
        return err_set(e, RC_USAGE,
                       "this is an identity, which is secret; give its "
                       "recipient (age1...) instead");
    if (kind == NULL && plugin.n == 0)
        return RC_OK;
    str_printable(shown, sizeof shown, text);
    str_printable(name, sizeof name, plugin);
    return err_set(e, RC_USAGE,
                   "unsupported recipient '%s': it is %s%s" HINT
                   "use an X25519 recipient (age1... from age-keygen)",
                   shown, kind != NULL ? kind : "for the plugin ",
                   kind != NULL ? "" : name);
}

/* Whoever knows such a key's shared value (everybody) could read the file. */
static enum rc refuse_low_order(const struct key *point, struct err *e)
{
    struct key any = { { 1 } }, shared;
    bool usable;

    TRY(x25519_shared(&any, point, &shared, &usable, e));
    if (!usable)
        return err_set(e, RC_USAGE, "it is a point of low order, which protects nothing");
    return RC_OK;
}

static enum rc parse_recipient(struct bytes text, struct key *point, struct err *e)
{
    char shown[AGE_RECIPIENT_SIZE + 8];
    enum rc rc;

    TRY(refuse_foreign_recipient(text, e));
    rc = bech32_decode(text, AGE_RECIPIENT_PREFIX, point, e);
    if (rc == RC_OK)
        rc = refuse_low_order(point, e);
    str_printable(shown, sizeof shown, text);
    return rc == RC_OK ? rc : err_wrap(e, "'%s' is not a recipient", shown);
}

static enum rc add_recipient(void *list, struct bytes text, struct err *e)
{
    struct age_recipients *r = list;
    struct key point;

    TRY(parse_recipient(text, &point, e));
    for (size_t i = 0; i < r->count; i++)
        if (memcmp(&r->keys[i], &point, sizeof point) == 0)
            return RC_OK;
    if (r->passphrase != NULL)
        return err_set(e, RC_USAGE, "a passphrase and recipients exclude each other");
    if (r->count == AGE_RECIPIENTS_MAX)
        return err_set(e, RC_USAGE, "there are more than %d recipients",
                       AGE_RECIPIENTS_MAX);
    r->keys[r->count++] = point;
    return RC_OK;
}

enum rc age_recipients_add(struct age_recipients *r, const char *text, struct err *e)
{
    return add_recipient(r, bytes_str(text), e);
}

enum rc age_recipients_add_file(struct age_recipients *r, const char *path, struct err *e)
{
    AT_END(mem_end) uint8_t *text = NULL;
    size_t n = 0;

    TRY(os_read_file(path, AGE_KEY_FILE_MAX, &text, &n, e));
    return add_lines((struct bytes){ text, n }, path, add_recipient, r, e);
}

enum rc age_recipients_set_passphrase(struct age_recipients *r,
                                      const struct secret *passphrase, struct err *e)
{
    if (r->count > 0 || r->passphrase != NULL)
        return err_set(e, RC_USAGE, "a passphrase and recipients exclude each other");
    return secret_new(secret_bytes(passphrase), &r->passphrase, e);
}

/* ---- identities ------------------------------------------------------------------ */

enum rc age_identities_new(struct age_identities **out, struct err *e)
{
    return mem_new(out, sizeof **out, "a list of identities", e);
}

static void age_identity_free(struct age_identity *id)
{
    if (id == NULL)
        return;
    secret_free(id->passphrase);
    mem_wipe(id, sizeof *id);
    mem_free(id);
}
OWN_DEFINE(age_identity)

void age_identities_free(struct age_identities *ids)
{
    struct age_identity *id = ids == NULL ? NULL : ids->first;

    while (id != NULL) {
        struct age_identity *next = id->next;

        age_identity_free(id);
        id = next;
    }
    mem_free(ids);
}

/* Owns `id`. */
static void append(struct age_identities *ids, struct age_identity *id)
{
    struct age_identity **end = &ids->first;

    while (*end != NULL)
        end = &(*end)->next;
    *end = id;
    ids->count++;
}

static enum rc refuse_foreign_identity(struct bytes text, struct err *e)
{
    static const struct foreign kinds[] = {
        { "AGE-SECRET-KEY-PQ-1", "a post-quantum key" },
        { "AGE-PLUGIN-", "a key of an age plugin" },
        { "-----BEGIN OPENSSH ", "an SSH key" },
        { "-----BEGIN RSA ", "an SSH key" },
        { "-----BEGIN AGE ENCRYPTED FILE", "an encrypted identity file" },
        { "age-encryption.org/", "an encrypted identity file" },
    };
    const char *kind = kind_of(text, kinds, sizeof kinds / sizeof kinds[0]);

    if (bytes_starts(text, "age1"))
        return err_set(e, RC_USAGE,
                       "this is a recipient, which is public; opening needs "
                       "its identity (AGE-SECRET-KEY-1...)");
    if (kind == NULL)
        return RC_OK;
    return err_set(e, RC_USAGE,
                   "unsupported identity: it is %s" HINT
                   "use an X25519 identity (AGE-SECRET-KEY-1... from age-keygen); an "
                   "encrypted one must be decrypted with age -d first",
                   kind);
}

static enum rc add_identity(void *list, struct bytes text, struct err *e)
{
    OWNED(age_identity) id = NULL;

    TRY(refuse_foreign_identity(text, e));
    TRY(mem_new(&id, sizeof *id, "an identity", e));
    if (bech32_decode(text, AGE_IDENTITY_PREFIX, &id->secret, e) != RC_OK)
        return err_wrap(e, "this is not an identity");
    TRY(x25519_public(&id->secret, &id->point, e));
    append(list, GIVE(id));
    return RC_OK;
}

enum rc age_identities_add(struct age_identities *ids, const char *text, struct err *e)
{
    return add_identity(ids, bytes_str(text), e);
}

enum rc age_identities_add_file(struct age_identities *ids, const char *path,
                                struct err *e)
{
    OWNED(secret) text = NULL;

    TRY(secret_read_file(path, AGE_KEY_FILE_MAX, &text, e));
    return add_lines(secret_bytes(text), path, add_identity, ids, e);
}

enum rc age_identities_add_passphrase(struct age_identities *ids,
                                      const struct secret *passphrase, struct err *e)
{
    OWNED(age_identity) id = NULL;

    TRY(mem_new(&id, sizeof *id, "an identity", e));
    TRY(secret_new(secret_bytes(passphrase), &id->passphrase, e));
    append(ids, GIVE(id));
    return RC_OK;
}

void age_identity_recipient(const struct age_identity *id,
                            char recipient[static AGE_RECIPIENT_SIZE])
{
    bech32_encode(AGE_RECIPIENT_PREFIX, &id->point, recipient);
}

enum rc age_keygen(char file[static AGE_KEYGEN_SIZE],
                   char recipient[static AGE_RECIPIENT_SIZE], struct err *e)
{
    AT_END(key_wipe) struct key secret = { 0 };
    char identity[AGE_IDENTITY_SIZE], now[21];
    struct key point;

    TRY(x25519_generate(&secret, &point, e));
    clock_utc(now);
    bech32_encode(AGE_IDENTITY_PREFIX, &secret, identity);
    bech32_encode(AGE_RECIPIENT_PREFIX, &point, recipient);
    snprintf(file, AGE_KEYGEN_SIZE, "# created: %s\n# public key: %s\n%s\n", now,
             recipient, identity);
    mem_wipe(identity, sizeof identity);
    return RC_OK;
}
