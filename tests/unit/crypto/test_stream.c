#include "crypto/stream.h"

#include "tests/lib/case.h"

static struct file_key file_key = { { 1, 2, 3 } };
static uint8_t salt[STREAM_SALT] = { 4, 5, 6 };

static void streams_end(struct stream *s)
{
    stream_clear(s);
}
#define STREAM AT_END(streams_end) struct stream

CASE(crypto_stream, a_chunk_opens_only_in_its_place)
{
    uint8_t sealed[3][4 + AEAD_TAG], back[4];
    STREAM seal = { 0 };
    STREAM open = { 0 };
    struct err e = { 0 };
    bool authentic;

    OK(stream_init(&seal, &file_key, salt, AEAD_SEAL, &e), &e);
    OK(stream_init(&open, &file_key, salt, AEAD_OPEN, &e), &e);
    for (size_t i = 0; i < 3; i++)
        OK(stream_seal(&seal, bytes_str("same"), i == 2, sealed[i], &e), &e);
    cr_assert(memcmp(sealed[0], sealed[1], sizeof sealed[0]) != 0);
    for (uint64_t at = 0; at < 3; at++) {
        for (size_t i = 0; i < 3; i++)
            for (int last = 0; last < 2; last++) {
                bool fits = i == at && last == (i == 2);

                open.chunk = at;
                OK(stream_open(&open, BYTES_OF(sealed[i]), last != 0, back, &authentic,
                               &e),
                   &e);
                cr_assert_eq(authentic, fits, "chunk %zu at %d, last %d", i, (int)at,
                             last);
                cr_assert_eq(open.chunk, at + fits);
            }
    }
}

CASE(crypto_stream, never_uses_a_nonce_twice)
{
    uint8_t sealed[1 + AEAD_TAG];
    STREAM s = { 0 };
    struct err e = { 0 };
    bool authentic;

    OK(stream_init(&s, &file_key, salt, AEAD_SEAL, &e), &e);
    s.chunk = UINT64_MAX - 1;
    OK(stream_seal(&s, bytes_str("x"), false, sealed, &e), &e);
    cr_assert_eq(stream_seal(&s, bytes_str("x"), false, sealed, &e), RC_REFUSED);
    cr_assert_str_eq(e.why, "an age file cannot have more chunks");
    cr_assert_eq(stream_open(&s, BYTES_OF(sealed), false, sealed, &authentic, &e),
                 RC_REFUSED);
}
