#include "crypto/age_header.h"

#include <openssl/crypto.h>

#include "crypto/base64.h"
#include "crypto/kdf.h"

static const char version_line[] = "age-encryption.org/v1";

enum { COLUMNS = 64, LINE = COLUMNS * 3 / 4, MAC_DIGITS = BASE64_DIGITS(AGE_MAC) };

struct reader {
    struct bytes rest;
    size_t line;  /* number of the line taken last, from 1 */
    uint8_t *put; /* where the next body goes */
};

static enum rc malformed(const struct reader *r, const char *why, struct err *e)
{
    return err_set(e, RC_CORRUPT, "the age header is malformed: line %zu %s", r->line,
                   why);
}

static enum rc take_line(struct reader *r, struct bytes *line, struct err *e)
{
    const uint8_t *end = r->rest.n == 0 ? NULL : memchr(r->rest.p, '\n', r->rest.n);

    r->line++;
    if (end == NULL)
        return err_set(e, RC_CORRUPT,
                       "the age header is malformed: truncated in line %zu", r->line);
    *line = (struct bytes){ r->rest.p, (size_t)(end - r->rest.p) };
    r->rest.p = end + 1;
    r->rest.n -= line->n + 1;
    return RC_OK;
}

static enum rc check_begin(struct bytes text, struct err *e)
{
    if (text.n == 0)
        return err_set(e, RC_CORRUPT, "this is not an age file: it is empty");
    if (!bytes_starts(text, "age-encryption.org/"))
        return err_set(e, RC_CORRUPT, "this is not an age file");
    if (text.n > AGE_HEADER_MAX)
        return err_set(e, RC_CORRUPT, "the age header is malformed: over %d bytes long",
                       AGE_HEADER_MAX);
    return RC_OK;
}

static enum rc read_version(struct reader *r, struct err *e)
{
    struct bytes line;

    TRY(take_line(r, &line, e));
    if (!bytes_is(line, version_line))
        return malformed(r, "is not age-encryption.org/v1, the version read here", e);
    return RC_OK;
}

/* Words of visible ASCII, one space between two. */
static bool are_words(struct bytes args)
{
    uint8_t before = ' ';

    for (size_t i = 0; i < args.n; i++) {
        if (args.p[i] < ' ' || args.p[i] > '~' || (args.p[i] == ' ' && before == ' '))
            return false;
        before = args.p[i];
    }
    return before != ' ';
}

/* Full lines, then one that is shorter and may be empty. */
static enum rc read_body(struct reader *r, struct bytes *body, struct err *e)
{
    struct bytes line;
    size_t n;

    body->p = r->put;
    do {
        TRY(take_line(r, &line, e));
        if (line.n > COLUMNS)
            return malformed(r, "is longer than 64 columns", e);
        if (!base64_decode(line, r->put, &n))
            return malformed(r, "is not canonical base64", e);
        r->put += n;
    } while (line.n == COLUMNS);
    body->n = (size_t)(r->put - body->p);
    return RC_OK;
}

static enum rc read_stanza(struct reader *r, struct bytes line, struct age_header *h,
                           struct err *e)
{
    struct age_stanza *s = &h->stanzas[h->count];

    if (!bytes_starts(line, "-> "))
        return malformed(r, "should begin a stanza", e);
    if (h->count == AGE_STANZAS_MAX)
        return malformed(r, "is one stanza more than the 64 that are read", e);
    s->args = (struct bytes){ line.p + 3, line.n - 3 };
    if (!are_words(s->args))
        return malformed(r, "is not a list of words", e);
    TRY(read_body(r, &s->body, e));
    h->count++;
    return RC_OK;
}

static enum rc read_mac(struct reader *r, struct bytes line, struct age_header *h,
                        struct err *e)
{
    size_t n;

    if (line.n != 4 + MAC_DIGITS || line.p[3] != ' ' ||
        !base64_decode((struct bytes){ line.p + 4, MAC_DIGITS }, h->mac, &n))
        return malformed(r, "should be --- and a MAC", e);
    if (h->count == 0)
        return malformed(r, "ends a header without any recipient", e);
    h->authenticated = (struct bytes){ h->text, (size_t)(line.p + 3 - h->text) };
    return r->rest.n == 0 ? RC_OK : malformed(r, "should be the last", e);
}

static enum rc read_header(struct reader *r, struct age_header *h, struct err *e)
{
    struct bytes line;

    TRY(read_version(r, e));
    for (;;) {
        TRY(take_line(r, &line, e));
        if (age_header_ends(line))
            return read_mac(r, line, h, e);
        TRY(read_stanza(r, line, h, e));
    }
}

bool age_header_ends(struct bytes line)
{
    return bytes_starts(line, "---");
}

enum rc age_header_parse(struct bytes text, struct age_header **out, struct err *e)
{
    OWNED(age_header) h = NULL;
    struct reader r = { 0 };

    TRY(check_begin(text, e));
    TRY(mem_new(&h, sizeof *h, "an age header", e));
    TRY(mem_new(&h->text, text.n, "an age header", e));
    TRY(mem_new(&h->bodies, text.n, "an age header", e));
    memcpy(h->text, text.p, text.n);
    r.rest = (struct bytes){ h->text, text.n };
    r.put = h->bodies;
    TRY(read_header(&r, h, e));
    *out = GIVE(h);
    return RC_OK;
}

void age_header_free(struct age_header *h)
{
    if (h == NULL)
        return;
    mem_free(h->text);
    mem_free(h->bodies);
    mem_free(h);
}

struct bytes age_stanza_arg(const struct age_stanza *s, size_t i)
{
    struct bytes rest = s->args;

    for (;;) {
        const uint8_t *space = rest.n == 0 ? NULL : memchr(rest.p, ' ', rest.n);
        size_t n = space == NULL ? rest.n : (size_t)(space - rest.p);

        if (i-- == 0)
            return (struct bytes){ rest.p, n };
        if (space == NULL)
            return (struct bytes){ 0 };
        rest = (struct bytes){ space + 1, rest.n - n - 1 };
    }
}

enum rc age_header_write_begin(struct buf *out, struct err *e)
{
    TRY(buf_add(out, version_line, sizeof version_line - 1, e));
    return buf_add(out, "\n", 1, e);
}

enum rc age_header_write_stanza(struct buf *out, const struct age_stanza *s,
                                struct err *e)
{
    char digits[COLUMNS];
    size_t at = 0, n;

    TRY(buf_add(out, "-> ", 3, e));
    TRY(buf_add(out, s->args.p, s->args.n, e));
    do {
        size_t left = s->body.n - at, take = left < LINE ? left : LINE;
        const uint8_t *from = take == 0 ? NULL : s->body.p + at;

        n = base64_encode((struct bytes){ from, take }, digits);
        TRY(buf_add(out, "\n", 1, e));
        TRY(buf_add(out, digits, n, e));
        at += take;
    } while (n == COLUMNS);
    return buf_add(out, "\n", 1, e);
}

static enum rc compute_mac(const struct file_key *k, struct bytes text,
                           uint8_t mac[static AGE_MAC], struct err *e)
{
    AT_END(key_wipe) struct key key = { 0 };

    TRY(kdf_hkdf(BYTES_OF(k->b), (struct bytes){ 0 }, "header", &key, e));
    return kdf_hmac(&key, text, mac, e);
}

enum rc age_header_write_mac(struct buf *out, const uint8_t mac[static AGE_MAC],
                             struct err *e)
{
    char digits[MAC_DIGITS];

    base64_encode((struct bytes){ mac, AGE_MAC }, digits);
    TRY(buf_add(out, "--- ", 4, e));
    TRY(buf_add(out, digits, sizeof digits, e));
    return buf_add(out, "\n", 1, e);
}

enum rc age_header_write_end(struct buf *out, const struct file_key *k, struct err *e)
{
    uint8_t mac[AGE_MAC];

    TRY(buf_reserve(out, 3, e));
    memcpy(out->p + out->n, "---", 3); /* covered, but written with the rest below */
    TRY(compute_mac(k, (struct bytes){ out->p, out->n + 3 }, mac, e));
    return age_header_write_mac(out, mac, e);
}

enum rc age_header_check(const struct age_header *h, const struct file_key *k,
                         struct err *e)
{
    uint8_t mac[AGE_MAC];

    TRY(compute_mac(k, h->authenticated, mac, e));
    if (CRYPTO_memcmp(mac, h->mac, sizeof mac) != 0)
        return err_set(e, RC_CORRUPT,
                       "the age header was changed: its MAC does not match");
    return RC_OK;
}
