#include "crypto/age_header.h"

#include <errno.h>
#include <stdio.h>

#include "tests/lib/case.h"
#include "tests/lib/fault.h"

#define VERSION "age-encryption.org/v1\n"
#define STANZA "-> kind argument\nQUJD\n"
#define DIGITS_64 "QUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJD"
#define MAC "--- AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"

static enum rc parse(const char *text, struct age_header **out, struct err *e)
{
    return age_header_parse(bytes_str(text), out, e);
}

static void assert_arg(const struct age_stanza *s, size_t i, const char *text)
{
    cr_assert(bytes_is(age_stanza_arg(s, i), text), "argument %zu is not '%s'", i, text);
}

CASE(crypto_age_header, is_read_into_stanzas)
{
    OWNED(age_header) h = NULL;
    struct err e = { 0 };

    OK(parse(VERSION STANZA "-> ! x ~\n" DIGITS_64 "\n\n" MAC, &h, &e), &e);
    cr_assert_eq(h->count, 2);
    assert_arg(&h->stanzas[0], 0, "kind");
    assert_arg(&h->stanzas[0], 1, "argument");
    assert_arg(&h->stanzas[0], 2, "");
    cr_assert(bytes_is(h->stanzas[0].body, "ABC"));
    assert_arg(&h->stanzas[1], 2, "~");
    assert_arg(&h->stanzas[1], 9, "");
    cr_assert_eq(h->stanzas[1].body.n, 48);
    cr_assert_eq(h->authenticated.n,
                 strlen(VERSION STANZA "-> ! x ~\n" DIGITS_64 "\n\n---"));
}

static void write_again(const struct age_header *h, struct buf *out)
{
    struct err e = { 0 };

    OK(age_header_write_begin(out, &e), &e);
    for (size_t i = 0; i < h->count; i++)
        OK(age_header_write_stanza(out, &h->stanzas[i], &e), &e);
    OK(age_header_write_mac(out, h->mac, &e), &e);
}

/* Any one-byte change of a header is refused, or reads differently and is written as
 * it was read: no two texts for the same header. */
CASE(crypto_age_header, has_one_text_for_one_reading)
{
    char text[] = VERSION STANZA "-> x\n" DIGITS_64 "\n\n" MAC;
    size_t accepted = 0, n = sizeof text - 1;

    for (size_t i = 0; i < n; i++)
        for (unsigned v = 0; v < 256; v++) {
            AT_END(buf_clear) struct buf again = { 0 };
            OWNED(age_header) h = NULL;
            struct err e = { 0 };
            char kept = text[i];

            text[i] = (char)v;
            if (age_header_parse((struct bytes){ (uint8_t *)text, n }, &h, &e) == RC_OK) {
                accepted++;
                write_again(h, &again);
                cr_assert(bytes_is((struct bytes){ again.p, again.n }, text),
                          "byte %zu is %u", i, v);
            } else {
                cr_assert_eq(e.code, RC_CORRUPT);
            }
            text[i] = kept;
        }
    cr_assert_gt(accepted, n, "the unchanged text alone is accepted %zu times", n);
}

CASE(crypto_age_header, is_refused_at_every_length_but_its_own)
{
    static const char text[] = VERSION STANZA MAC "x";

    for (size_t n = 0; n < sizeof text; n++) {
        OWNED(age_header) h = NULL;
        struct err e = { 0 };
        enum rc rc = age_header_parse((struct bytes){ (const uint8_t *)text, n }, &h, &e);

        cr_assert_eq(rc, n == sizeof text - 2 ? RC_OK : RC_CORRUPT, "%zu bytes", n);
    }
}

CASE(crypto_age_header, says_what_is_malformed)
{
#define BAD "the age header is malformed: "
    static const struct {
        const char *text, *why;
    } bad[] = {
        { "", "this is not an age file: it is empty" },
        { "SQLite format 3", "this is not an age file" },
        { "age-encryption.org/v2\n" STANZA MAC,
          BAD "line 1 is not age-encryption.org/v1, the version read here" },
        { "age-encryption.org/v1\r\n" STANZA MAC,
          BAD "line 1 is not age-encryption.org/v1, the version read here" },
        { "age-encryption.org/v1", BAD "truncated in line 1" },
        { VERSION MAC, BAD "line 2 ends a header without any recipient" },
        { VERSION "hello\n" MAC, BAD "line 2 should begin a stanza" },
        { VERSION "->kind\n" MAC, BAD "line 2 should begin a stanza" },
        { VERSION "-> \n\n" MAC, BAD "line 2 is not a list of words" },
        { VERSION "-> a  b\n\n" MAC, BAD "line 2 is not a list of words" },
        { VERSION "-> a b \n\n" MAC, BAD "line 2 is not a list of words" },
        { VERSION "-> a\x7f\n\n" MAC, BAD "line 2 is not a list of words" },
        { VERSION "-> \xc3\xa4\n\n" MAC, BAD "line 2 is not a list of words" },
        { VERSION "-> a\nQUI=\n" MAC, BAD "line 3 is not canonical base64" },
        { VERSION "-> a\nQUJ\n" MAC, BAD "line 3 is not canonical base64" },
        { VERSION "-> a\n" DIGITS_64 "A\n" MAC, BAD "line 3 is longer than 64 columns" },
        { VERSION "-> a\n" DIGITS_64 "\n" MAC, BAD "line 4 is not canonical base64" },
        { VERSION "-> a\nQUJD\nQUJD\n" MAC, BAD "line 4 should begin a stanza" },
        { VERSION STANZA "---\n", BAD "line 4 should be --- and a MAC" },
        { VERSION STANZA "--- QUJD\n", BAD "line 4 should be --- and a MAC" },
        { VERSION STANZA MAC "payload", BAD "line 4 should be the last" },
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        OWNED(age_header) h = NULL;
        struct err e = { 0 };

        cr_assert_eq(parse(bad[i].text, &h, &e), RC_CORRUPT, "%s", bad[i].text);
        cr_assert_str_eq(e.why, bad[i].why, "%s\n%s", bad[i].text, e.why);
        cr_assert_null(h);
    }
}

static enum rc parse_stanzas(unsigned count, struct age_header **out, struct err *e)
{
    AT_END(buf_clear) struct buf text = { 0 };

    TRY(buf_add(&text, VERSION, strlen(VERSION), e));
    for (unsigned i = 0; i < count; i++)
        TRY(buf_add(&text, STANZA, strlen(STANZA), e));
    TRY(buf_add(&text, MAC, strlen(MAC), e));
    return age_header_parse((struct bytes){ text.p, text.n }, out, e);
}

CASE(crypto_age_header, has_limits)
{
    OWNED(age_header) most = NULL;
    OWNED(age_header) more = NULL;
    struct err e = { 0 };

    OK(parse_stanzas(AGE_STANZAS_MAX, &most, &e), &e);
    cr_assert_eq(most->count, AGE_STANZAS_MAX);
    cr_assert_eq(parse_stanzas(AGE_STANZAS_MAX + 1, &more, &e), RC_CORRUPT);
    cr_assert_str_eq(e.why,
                     "the age header is malformed: line 130 is one stanza more than "
                     "the 64 that are read");
    cr_assert_eq(parse_stanzas(AGE_HEADER_MAX / 20, &more, &e), RC_CORRUPT);
    cr_assert_str_eq(e.why, "the age header is malformed: over 65536 bytes long");
}

CASE(crypto_age_header, is_authenticated_by_the_file_key)
{
    AT_END(buf_clear) struct buf text = { 0 };
    OWNED(age_header) h = NULL;
    struct file_key k = { { 1 } }, other = { { 2 } };
    struct age_stanza s = { bytes_str("kind"), bytes_str("body") };
    struct err e = { 0 };

    OK(age_header_write_begin(&text, &e), &e);
    OK(age_header_write_stanza(&text, &s, &e), &e);
    OK(age_header_write_end(&text, &k, &e), &e);
    OK(age_header_parse((struct bytes){ text.p, text.n }, &h, &e), &e);
    OK(age_header_check(h, &k, &e), &e);
    cr_assert_eq(age_header_check(h, &other, &e), RC_CORRUPT);
    cr_assert_str_eq(e.why, "the age header was changed: its MAC does not match");
    h->text[strlen(VERSION) + 3] ^= 1;
    cr_assert_eq(age_header_check(h, &k, &e), RC_CORRUPT);
}

CASE(crypto_age_header, survives_a_lack_of_memory)
{
    unsigned runs = 0;

    FAULT_SWEEP(FAULT_ALLOC, nth, ENOMEM) {
        OWNED(age_header) h = NULL;
        struct err e = { 0 };
        enum rc rc = parse(VERSION STANZA MAC, &h, &e);

        runs = nth;
        cr_assert(rc == RC_OK ? h != NULL : rc == RC_NOMEM && h == NULL, "run %u", nth);
    }
    cr_assert_eq(runs, 4, "three allocations, one clean run");
}
