#include "crypto/age.h"

#include <stdio.h>

#include "crypto/base64.h"
#include "crypto/kdf.h"
#include "crypto/x25519.h"
#include "util/os.h"
#include "util/str.h"

static const char x25519_info[] = "age-encryption.org/v1/X25519";
static const char scrypt_label[] = "age-encryption.org/v1/scrypt";

enum {
    WRAPPED = sizeof(struct file_key) + AEAD_TAG,
    SHARE_DIGITS = BASE64_DIGITS(32),
    SALT = 16,
    SALT_DIGITS = BASE64_DIGITS(SALT),
};

/* Wrapping keys are used once each, so their nonce can be zero. */
static const uint8_t zero_nonce[AEAD_NONCE];

/* ---- the key that wraps the file key --------------------------------------------- */

static enum rc x25519_wrapping_key(const struct key *shared, const struct key *share,
                                   const struct key *recipient, struct key *out,
                                   struct err *e)
{
    struct key salt[2] = { *share, *recipient };

    return kdf_hkdf(BYTES_OF(shared->b),
                    (struct bytes){ (const uint8_t *)salt, sizeof salt }, x25519_info,
                    out, e);
}

static enum rc scrypt_wrapping_key(const struct secret *passphrase,
                                   const uint8_t salt[static SALT], unsigned work_factor,
                                   struct key *out, struct err *e)
{
    uint8_t labelled[sizeof scrypt_label - 1 + SALT];

    memcpy(labelled, scrypt_label, sizeof scrypt_label - 1);
    memcpy(labelled + sizeof scrypt_label - 1, salt, SALT);
    return kdf_scrypt(secret_bytes(passphrase), BYTES_OF(labelled), work_factor, out, e);
}

/* ---- sealing --------------------------------------------------------------------- */

static enum rc write_wrapped(struct buf *out, const char *args,
                             const struct key *wrapping, const struct file_key *k,
                             struct err *e)
{
    OWNED(aead) a = NULL;
    uint8_t body[WRAPPED];
    struct age_stanza s = { bytes_str(args), BYTES_OF(body) };

    TRY(aead_new(wrapping, AEAD_SEAL, &a, e));
    TRY(aead_seal(a, zero_nonce, BYTES_OF(k->b), body, e));
    return age_header_write_stanza(out, &s, e);
}

static enum rc wrap_for_key(struct buf *out, const struct key *recipient,
                            const struct file_key *k, struct err *e)
{
    AT_END(key_wipe) struct key ephemeral = { 0 };
    AT_END(key_wipe) struct key shared = { 0 };
    AT_END(key_wipe) struct key wrapping = { 0 };
    char args[7 + SHARE_DIGITS + 1] = "X25519 ";
    struct key share;
    bool usable;

    TRY(x25519_generate(&ephemeral, &share, e));
    TRY(x25519_shared(&ephemeral, recipient, &shared, &usable, e));
    if (!usable)
        return err_set(e, RC_USAGE, "a recipient is a point of low order");
    TRY(x25519_wrapping_key(&shared, &share, recipient, &wrapping, e));
    base64_encode(BYTES_OF(share.b), args + 7);
    return write_wrapped(out, args, &wrapping, k, e);
}

static enum rc wrap_for_passphrase(struct buf *out, const struct secret *passphrase,
                                   const struct file_key *k, struct err *e)
{
    AT_END(key_wipe) struct key wrapping = { 0 };
    char args[64], digits[SALT_DIGITS];
    uint8_t salt[SALT];

    TRY(os_random(salt, sizeof salt, e));
    TRY(scrypt_wrapping_key(passphrase, salt, AGE_WORK_FACTOR, &wrapping, e));
    base64_encode(BYTES_OF(salt), digits);
    snprintf(args, sizeof args, "scrypt %.*s %d", SALT_DIGITS, digits, AGE_WORK_FACTOR);
    return write_wrapped(out, args, &wrapping, k, e);
}

static enum rc write_stanzas(struct buf *out, const struct age_recipients *to,
                             const struct file_key *k, struct err *e)
{
    if (to->passphrase != NULL)
        return wrap_for_passphrase(out, to->passphrase, k, e);
    if (to->count == 0)
        return err_set(e, RC_USAGE, "there is no recipient to encrypt for");
    for (size_t i = 0; i < to->count; i++)
        TRY(wrap_for_key(out, &to->keys[i], k, e));
    return RC_OK;
}

enum rc age_begin(const struct age_recipients *to, struct buf *start,
                  struct stream *payload, struct err *e)
{
    AT_END(file_key_wipe) struct file_key k = { 0 };
    uint8_t salt[STREAM_SALT];

    TRY(os_random(k.b, sizeof k.b, e));
    TRY(os_random(salt, sizeof salt, e));
    TRY(age_header_write_begin(start, e));
    TRY(write_stanzas(start, to, &k, e));
    TRY(age_header_write_end(start, &k, e));
    TRY(buf_add(start, salt, sizeof salt, e));
    return stream_init(payload, &k, salt, AEAD_SEAL, e);
}

/* ---- opening --------------------------------------------------------------------- */

/* A stanza of a kind that can be opened here, read. */
struct wrapped {
    enum { OTHER, X25519, SCRYPT } kind;
    struct key share;   /* X25519 */
    uint8_t salt[SALT]; /* scrypt */
    unsigned work_factor;
    struct bytes body;
};

static enum rc malformed(const char *kind, const char *why, struct err *e)
{
    return err_set(e, RC_CORRUPT, "the age header is malformed: an %s recipient %s", kind,
                   why);
}

static bool decode_exactly(struct bytes digits, uint8_t *out, size_t want)
{
    size_t n;

    return digits.n == BASE64_DIGITS(want) && base64_decode(digits, out, &n);
}

static enum rc read_x25519(const struct age_stanza *s, struct wrapped *out, struct err *e)
{
    struct bytes share = age_stanza_arg(s, 1);

    if (age_stanza_arg(s, 2).n > 0 ||
        !decode_exactly(share, out->share.b, sizeof out->share.b))
        return malformed("X25519", "does not have one share of 32 bytes", e);
    if (s->body.n != WRAPPED)
        return malformed("X25519", "does not wrap 16 bytes", e);
    out->kind = X25519;
    return RC_OK;
}

/* "18": no sign, no leading zero; 0 for anything else. */
static unsigned small_decimal(struct bytes text)
{
    unsigned v = 0;

    if (text.n == 0 || text.n > 3 || text.p[0] == '0')
        return 0;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return 0;
        v = v * 10 + text.p[i] - '0';
    }
    return v;
}

static enum rc read_scrypt(const struct age_stanza *s, struct wrapped *out, struct err *e)
{
    if (age_stanza_arg(s, 3).n > 0 ||
        !decode_exactly(age_stanza_arg(s, 1), out->salt, sizeof out->salt))
        return malformed("scrypt", "does not have one salt of 16 bytes", e);
    out->work_factor = small_decimal(age_stanza_arg(s, 2));
    if (out->work_factor == 0)
        return malformed("scrypt", "does not have a work factor", e);
    if (out->work_factor > AGE_WORK_FACTOR_MAX)
        return malformed("scrypt", "asks for a work factor over 22 (4 GiB of memory)", e);
    if (s->body.n != WRAPPED)
        return malformed("scrypt", "does not wrap 16 bytes", e);
    out->kind = SCRYPT;
    return RC_OK;
}

static enum rc read_wrapped(const struct age_stanza *s, struct wrapped *out,
                            struct err *e)
{
    struct bytes kind = age_stanza_arg(s, 0);

    *out = (struct wrapped){ .kind = OTHER, .body = s->body };
    if (bytes_is(kind, "X25519"))
        return read_x25519(s, out, e);
    return bytes_is(kind, "scrypt") ? read_scrypt(s, out, e) : RC_OK;
}

/* All stanzas, before any is tried: whether a file is well-formed must not depend on
 * who opens it. */
static enum rc check_stanzas(const struct age_header *h, struct err *e)
{
    struct wrapped w;

    for (size_t i = 0; i < h->count; i++) {
        TRY(read_wrapped(&h->stanzas[i], &w, e));
        if (w.kind == SCRYPT && h->count > 1)
            return malformed("scrypt", "is not the only one", e);
    }
    return RC_OK;
}

static enum rc x25519_key_for(const struct wrapped *w, const struct age_identity *id,
                              struct key *wrapping, struct err *e)
{
    AT_END(key_wipe) struct key shared = { 0 };
    bool usable;

    TRY(x25519_shared(&id->secret, &w->share, &shared, &usable, e));
    if (!usable)
        return malformed("X25519", "has a share of low order", e);
    return x25519_wrapping_key(&shared, &w->share, &id->point, wrapping, e);
}

static enum rc try_identity(const struct wrapped *w, const struct age_identity *id,
                            struct file_key *out, bool *opened, struct err *e)
{
    AT_END(key_wipe) struct key wrapping = { 0 };
    OWNED(aead) a = NULL;

    *opened = false;
    if (w->kind != (id->passphrase != NULL ? SCRYPT : X25519))
        return RC_OK;
    if (w->kind == SCRYPT)
        TRY(scrypt_wrapping_key(id->passphrase, w->salt, w->work_factor, &wrapping, e));
    else
        TRY(x25519_key_for(w, id, &wrapping, e));
    TRY(aead_new(&wrapping, AEAD_OPEN, &a, e));
    return aead_open(a, zero_nonce, w->body, out->b, opened, e);
}

static enum rc try_identities(const struct age_stanza *s,
                              const struct age_identities *ids, struct file_key *out,
                              bool *opened, struct err *e)
{
    struct wrapped w;

    *opened = false;
    TRY(read_wrapped(s, &w, e));
    for (const struct age_identity *id = ids->first; id != NULL; id = id->next) {
        TRY(try_identity(&w, id, out, opened, e));
        if (*opened)
            return RC_OK;
    }
    return RC_OK;
}

/* ---- nobody fits ----------------------------------------------------------------- */

/* "2 X25519, 1 ssh-ed25519"; the text is the file's, so only what prints is shown. */
static void describe(const struct age_header *h, char *out, size_t size)
{
    size_t used = 0;

    *out = '\0';
    for (size_t i = 0; i < h->count && used < size; i++) {
        struct bytes kind = age_stanza_arg(&h->stanzas[i], 0);
        size_t same = 0, first = h->count;
        char name[40];

        for (size_t j = h->count; j-- > 0;)
            if (bytes_equal(kind, age_stanza_arg(&h->stanzas[j], 0))) {
                same++;
                first = j;
            }
        if (first < i)
            continue;
        str_printable(name, sizeof name, kind);
        used += (size_t)snprintf(out + used, size - used, "%s%zu %s", i > 0 ? ", " : "",
                                 same, name);
    }
}

static enum rc no_key(const struct age_header *h, const struct age_identities *ids,
                      struct err *e)
{
    char kinds[256];

    describe(h, kinds, sizeof kinds);
    return err_set(e, RC_NOKEY,
                   "none of the %zu identities given opens this age file" HINT
                   "it has %zu recipient%s (%s); X25519 needs its identity file, scrypt "
                   "its passphrase",
                   ids->count, h->count, h->count == 1 ? "" : "s", kinds);
}

enum rc age_unwrap(const struct age_header *h, const struct age_identities *ids,
                   struct file_key *out, struct err *e)
{
    AT_END(file_key_wipe) struct file_key k = { 0 };
    bool opened = false;

    TRY(check_stanzas(h, e));
    for (size_t i = 0; i < h->count && !opened; i++)
        TRY(try_identities(&h->stanzas[i], ids, &k, &opened, e));
    if (!opened)
        return no_key(h, ids, e);
    TRY(age_header_check(h, &k, e));
    *out = k;
    return RC_OK;
}
