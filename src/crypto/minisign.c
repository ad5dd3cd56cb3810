#include "crypto/minisign.h"

#include <inttypes.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdio.h>

#include "crypto/base64.h"
#include "crypto/ed25519.h"
#include "crypto/kdf.h"
#include "util/os.h"

#define UNTRUSTED "untrusted comment: "
#define TRUSTED "trusted comment: "

enum {
    HASH = 64,
    PUBLIC = 2 + 8 + 32,
    SIGNATURE = 2 + 8 + ED25519_SIGNATURE,
    SIGNED_MAX = ED25519_SIGNATURE + MINISIGN_COMMENT_MAX,
    FILE_MAX = 4096,
};

void minisign_id_text(uint64_t id, char out[static MINISIGN_ID_SIZE])
{
    snprintf(out, MINISIGN_ID_SIZE, "%016" PRIX64, id);
}

enum rc minisign_generate(struct minisign_secret *out, struct err *e)
{
    AT_END(minisign_secret_wipe) struct minisign_secret s = { 0 };

    TRY(os_random(&s.id, sizeof s.id, e));
    TRY(os_random(s.seed.b, sizeof s.seed.b, e));
    TRY(ed25519_public(&s.seed, s.key, e));
    *out = s;
    return RC_OK;
}

struct minisign_public minisign_public_of(const struct minisign_secret *s)
{
    struct minisign_public k = { .id = s->id };

    memcpy(k.key, s->key, sizeof k.key);
    return k;
}

/* ---- texts ----------------------------------------------------------------------------
 */

static bool same(const uint8_t *p, const char *two)
{
    return memcmp(p, two, 2) == 0;
}

/* The next line without its end; false when nothing is left. */
static bool next_line(struct bytes *text, struct bytes *line)
{
    const uint8_t *end = text->n == 0 ? NULL : memchr(text->p, '\n', text->n);
    size_t n = end == NULL ? text->n : (size_t)(end - text->p);

    if (text->n == 0)
        return false;
    *line = (struct bytes){ text->p, n };
    if (end != NULL)
        n++;
    text->p += n;
    text->n -= n;
    return true;
}

/* A line of base64 that holds exactly n bytes. */
static bool line_bytes(struct bytes *text, uint8_t *out, size_t n)
{
    uint8_t held[FILE_MAX];
    struct bytes line = { NULL, 0 };
    size_t got = 0;
    bool good = next_line(text, &line) && line.n <= sizeof held &&
                base64_decode_padded(line, held, &got) && got == n;

    if (good)
        memcpy(out, held, n);
    mem_wipe(held, sizeof held);
    return good;
}

static bool skip_comment(struct bytes *text)
{
    struct bytes line;

    return next_line(text, &line) && bytes_starts(line, UNTRUSTED);
}

/* Appends the base64 of `data`, a line end and NUL at `out`; room is the caller's. */
static void put_base64(char *out, struct bytes data)
{
    size_t n = base64_encode_padded(data, out);

    out[n] = '\n';
    out[n + 1] = '\0';
}

/* ---- public keys ----------------------------------------------------------------------
 */

void minisign_public_text(const struct minisign_public *k,
                          char out[static MINISIGN_PUBLIC_SIZE])
{
    uint8_t raw[PUBLIC] = "Ed";
    int n = snprintf(out, MINISIGN_PUBLIC_SIZE,
                     UNTRUSTED "minisign public key %016" PRIX64 "\n", k->id);

    put_le64(raw + 2, k->id);
    memcpy(raw + 10, k->key, sizeof k->key);
    put_base64(out + n, BYTES_OF(raw));
}

enum rc minisign_public_parse(struct bytes text, const char *name,
                              struct minisign_public *out, struct err *e)
{
    uint8_t raw[PUBLIC];

    if ((bytes_starts(text, UNTRUSTED) && !skip_comment(&text)) ||
        !line_bytes(&text, raw, sizeof raw) || text.n > 0 || !same(raw, "Ed"))
        return err_set(e, RC_USAGE,
                       "'%s' is no public key of minisign" HINT
                       "give a file as `minisign -G` writes it, or its second line",
                       name);
    out->id = le64(raw + 2);
    memcpy(out->key, raw + 10, sizeof out->key);
    return RC_OK;
}

static bool same_key(const struct minisign_public *a, const struct minisign_public *b)
{
    return a->id == b->id && memcmp(a->key, b->key, sizeof a->key) == 0;
}

enum rc minisign_trust_add(struct minisign_trust *t, const struct minisign_public *k,
                           struct err *e)
{
    for (size_t i = 0; i < t->count; i++)
        if (same_key(&t->keys[i], k))
            return RC_OK;
    if (t->count == MINISIGN_TRUSTED_MAX)
        return err_set(e, RC_USAGE, "more than %d keys to check signatures with",
                       MINISIGN_TRUSTED_MAX);
    t->keys[t->count++] = *k;
    return RC_OK;
}

enum rc minisign_trust_add_file(struct minisign_trust *t, const char *path, struct err *e)
{
    AT_END(mem_end) uint8_t *text = NULL;
    struct minisign_public k;
    size_t n = 0;

    TRY(os_read_file(path, FILE_MAX, &text, &n, e));
    TRY(minisign_public_parse((struct bytes){ text, n }, path, &k, e));
    return minisign_trust_add(t, &k, e);
}

/* ---- secret keys ----------------------------------------------------------------------
 */

/* The bytes of a secret key file: the last 104 are encrypted when there is a password. */
enum {
    AT_KDF = 2,
    AT_CHECKSUM = 4,
    AT_SALT = 6,
    SALT = 32,
    AT_OPS = AT_SALT + SALT,
    AT_MEM = AT_OPS + 8,
    AT_ID = AT_MEM + 8,
    AT_SEED = AT_ID + 8,
    AT_PUBLIC = AT_SEED + 32,
    AT_SUM = AT_PUBLIC + 32,
    SECRET = AT_SUM + 32,
};

struct raw_secret {
    uint8_t b[SECRET];
};
static void raw_wipe(struct raw_secret *r)
{
    mem_wipe(r, sizeof *r);
}

/* minisign leaves the checksum of a key without a password zero. */
enum rc minisign_secret_text(const struct minisign_secret *s,
                             char out[static MINISIGN_SECRET_SIZE], struct err *e)
{
    AT_END(raw_wipe) struct raw_secret raw = { .b = "Ed\0\0B2" };
    int n = snprintf(out, MINISIGN_SECRET_SIZE,
                     UNTRUSTED "signing key %016" PRIX64 ", without a password\n", s->id);

    if (n < 0)
        return err_set(e, RC_INTERNAL, "a key file cannot be written");
    put_le64(raw.b + AT_ID, s->id);
    memcpy(raw.b + AT_SEED, s->seed.b, sizeof s->seed.b);
    memcpy(raw.b + AT_PUBLIC, s->key, sizeof s->key);
    put_base64(out + n, BYTES_OF(raw.b));
    return RC_OK;
}

/* From libsodium's two limits to scrypt's numbers, by libsodium's rule. */
static struct kdf_scrypt_cost cost_of(uint64_t ops, uint64_t mem)
{
    struct kdf_scrypt_cost cost = { .log_n = 1, .r = 8, .p = 1 };
    uint64_t most;

    if (ops < 32768)
        ops = 32768;
    most = ops < mem / 32 ? ops / 4 / cost.r : mem / 128 / cost.r;
    while (cost.log_n < 63 && UINT64_C(1) << cost.log_n <= most / 2)
        cost.log_n++;
    if (ops >= mem / 32) {
        uint64_t both = (ops / 4) >> cost.log_n;

        cost.p = (uint32_t)((both > 0x3fffffff ? 0x3fffffff : both) / cost.r);
    }
    return cost;
}

static enum rc decrypt(struct raw_secret *raw, const struct secret *password,
                       const char *name, struct err *e)
{
    AT_END(raw_wipe) struct raw_secret pad = { 0 };
    enum { HIDDEN = SECRET - AT_ID };

    if (password == NULL)
        return err_set(e, RC_NOKEY, "the signing key '%s' has a password", name);
    if (kdf_scrypt_with(secret_bytes(password), (struct bytes){ raw->b + AT_SALT, SALT },
                        cost_of(le64(raw->b + AT_OPS), le64(raw->b + AT_MEM)), pad.b,
                        HIDDEN, e) != RC_OK)
        return err_wrap(e, "opening the signing key '%s'", name);
    for (size_t i = 0; i < HIDDEN; i++)
        raw->b[AT_ID + i] ^= pad.b[i];
    return RC_OK;
}

/* That the two halves of the key belong together tells a wrong password as well as the
 * file's own checksum would. */
static enum rc take_secret(const struct raw_secret *raw, bool encrypted, const char *name,
                           struct minisign_secret *out, struct err *e)
{
    AT_END(minisign_secret_wipe)
    struct minisign_secret s = { .id = le64(raw->b + AT_ID) };

    memcpy(s.seed.b, raw->b + AT_SEED, sizeof s.seed.b);
    TRY(ed25519_public(&s.seed, s.key, e));
    if (memcmp(s.key, raw->b + AT_PUBLIC, sizeof s.key) != 0)
        return encrypted
                   ? err_set(e, RC_NOKEY, "wrong password for the signing key '%s'", name)
                   : err_set(e, RC_USAGE, "the signing key '%s' is damaged", name);
    *out = s;
    return RC_OK;
}

enum rc minisign_secret_parse(struct bytes text, const struct secret *password,
                              const char *name, struct minisign_secret *out,
                              struct err *e)
{
    AT_END(raw_wipe) struct raw_secret raw = { 0 };
    bool encrypted;

    if (!skip_comment(&text) || !line_bytes(&text, raw.b, sizeof raw.b) || text.n > 0 ||
        !same(raw.b, "Ed") || !same(raw.b + AT_CHECKSUM, "B2") ||
        (!same(raw.b + AT_KDF, "Sc") && !same(raw.b + AT_KDF, "\0\0")))
        return err_set(e, RC_USAGE,
                       "'%s' is no secret key of minisign" HINT
                       "make one with 'holdfast keygen --signing -o FILE'",
                       name);
    encrypted = same(raw.b + AT_KDF, "Sc");
    if (encrypted)
        TRY(decrypt(&raw, password, name, e));
    return take_secret(&raw, encrypted, name, out, e);
}

enum rc minisign_secret_read_file(const char *path, const struct secret *password,
                                  struct minisign_secret *out, struct err *e)
{
    OWNED(secret) text = NULL;

    TRY(secret_read_file(path, FILE_MAX, &text, e));
    return minisign_secret_parse(secret_bytes(text), password, path, out, e);
}

/* ---- signatures -----------------------------------------------------------------------
 */

static enum rc prehash(struct bytes message, uint8_t out[static HASH], struct err *e)
{
    if (EVP_Digest(message.p, message.n, out, NULL, EVP_blake2b512(), NULL) == 1)
        return RC_OK;
    ERR_clear_error();
    return err_set(e, RC_INTERNAL, "OpenSSL cannot compute BLAKE2b");
}

/* What the second signature is about: the first one, then the trusted comment. */
struct vouched {
    uint8_t b[SIGNED_MAX];
    size_t n;
};

static struct vouched vouched(const uint8_t *signature, struct bytes comment)
{
    struct vouched v = { .n = ED25519_SIGNATURE + comment.n };

    memcpy(v.b, signature, ED25519_SIGNATURE);
    memcpy(v.b + ED25519_SIGNATURE, comment.p, comment.n);
    return v;
}

static bool one_line(struct bytes comment)
{
    if (comment.n > MINISIGN_COMMENT_MAX)
        return false;
    for (size_t i = 0; i < comment.n; i++)
        if ((comment.p[i] < 0x20 && comment.p[i] != '\t') || comment.p[i] == 0x7f)
            return false;
    return true;
}

enum rc minisign_sign(const struct minisign_secret *s, struct bytes message,
                      const char *comment, char out[static MINISIGN_SIGNATURE_SIZE],
                      struct err *e)
{
    uint8_t hash[HASH], raw[SIGNATURE] = "ED", both[ED25519_SIGNATURE];
    struct vouched v;
    int n;

    if (!one_line(bytes_str(comment)))
        return err_set(e, RC_INTERNAL, "a trusted comment is one short line");
    TRY(prehash(message, hash, e));
    put_le64(raw + 2, s->id);
    TRY(ed25519_sign(&s->seed, BYTES_OF(hash), raw + 10, e));
    v = vouched(raw + 10, bytes_str(comment));
    TRY(ed25519_sign(&s->seed, (struct bytes){ v.b, v.n }, both, e));
    n = snprintf(out, MINISIGN_SIGNATURE_SIZE,
                 UNTRUSTED "signature from holdfast, key %016" PRIX64 "\n", s->id);
    put_base64(out + n, BYTES_OF(raw));
    n = (int)strlen(out);
    n += snprintf(out + n, MINISIGN_SIGNATURE_SIZE - (size_t)n, TRUSTED "%s\n", comment);
    put_base64(out + n, BYTES_OF(both));
    return RC_OK;
}

struct read_signature {
    uint8_t raw[SIGNATURE], both[ED25519_SIGNATURE];
    struct bytes comment;
};

static enum rc read_signature(struct bytes text, struct read_signature *out,
                              struct err *e)
{
    static const struct bytes prefix = { (const uint8_t *)TRUSTED, sizeof TRUSTED - 1 };
    struct bytes line;

    if (!skip_comment(&text) || !line_bytes(&text, out->raw, sizeof out->raw))
        return err_set(e, RC_CORRUPT, "this is no signature file of minisign");
    if (same(out->raw, "Ed"))
        return err_set(e, RC_CORRUPT,
                       "the signature is of minisign's old form, without a hash");
    if (!same(out->raw, "ED") || !next_line(&text, &line) ||
        !bytes_starts(line, TRUSTED) || !line_bytes(&text, out->both, sizeof out->both) ||
        text.n > 0)
        return err_set(e, RC_CORRUPT, "this is no signature file of minisign");
    out->comment = (struct bytes){ line.p + prefix.n, line.n - prefix.n };
    if (!one_line(out->comment))
        return err_set(e, RC_CORRUPT, "the signature's comment is not one short line");
    return RC_OK;
}

static enum rc check(const struct minisign_public *k, const struct read_signature *r,
                     const uint8_t hash[static HASH], bool *good, struct err *e)
{
    struct vouched v = vouched(r->raw + 10, r->comment);

    TRY(ed25519_verify(k->key, (struct bytes){ hash, HASH }, r->raw + 10, good, e));
    return *good ? ed25519_verify(k->key, (struct bytes){ v.b, v.n }, r->both, good, e)
                 : RC_OK;
}

/* Key ids are random and short; two keys may share one. */
enum rc minisign_verify(const struct minisign_trust *t, struct bytes message,
                        struct bytes signature, const struct minisign_public **by,
                        char comment[MINISIGN_COMMENT_MAX + 1], struct err *e)
{
    struct read_signature r;
    uint8_t hash[HASH];
    bool good = false, known = false;

    TRY(read_signature(signature, &r, e));
    TRY(prehash(message, hash, e));
    for (size_t i = 0; i < t->count && !good; i++) {
        if (t->keys[i].id != le64(r.raw + 2))
            continue;
        known = true;
        TRY(check(&t->keys[i], &r, hash, &good, e));
        *by = &t->keys[i];
    }
    if (!known)
        return err_set(e, RC_NOKEY,
                       "it is signed with the key %016" PRIX64
                       ", which is not among those given",
                       le64(r.raw + 2));
    if (!good)
        return err_set(e, RC_CORRUPT, "the signature does not fit");
    if (comment != NULL)
        snprintf(comment, MINISIGN_COMMENT_MAX + 1, "%.*s", (int)r.comment.n,
                 (const char *)r.comment.p);
    return RC_OK;
}
