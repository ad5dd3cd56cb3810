#include "tests/unit/filter/test_seal.h"

#include <errno.h>

#include "tests/lib/fault.h"
#include "util/os.h"

enum {
    MAX = 3 * STREAM_CHUNK,
    START = 184, /* of the payload, for one recipient */
};

static uint8_t plain[MAX];

static const size_t lengths[] = { 0,  1, STREAM_CHUNK - 1, STREAM_CHUNK, STREAM_CHUNK + 1,
                                  MAX };

CASE(filter_seal, opens_to_what_was_sealed_at_any_length_and_piece)
{
    fill_pattern(plain, sizeof plain);
    for (size_t l = 0; l < sizeof lengths / sizeof lengths[0]; l++)
        for
            EACH_PIECE(i)
            {
                COLLECTED sealed = { 0 };
                COLLECTED back = { 0 };
                size_t n = lengths[l], chunks = n == 0 ? 1 : (n - 1) / STREAM_CHUNK + 1;
                struct err e = { 0 };

                OK(seal_bytes(&sealed, (struct bytes){ plain, n }, pieces[i], false, &e),
                   &e);
                cr_assert_eq(sealed.got.n, START + n + 16 * chunks, "%zu bytes", n);
                OK(unseal_bytes(&back, collected_bytes(&sealed), pieces[i], &e), &e);
                cr_assert(bytes_equal(collected_bytes(&back), (struct bytes){ plain, n }),
                          "%zu bytes in pieces of %zu", n, pieces[i]);
                cr_assert(sealed.finishes == 1 && back.finishes == 1);
            }
}

/* One piece with several chunks and a rest: the way without a copy. */
CASE(filter_seal, takes_many_chunks_at_once)
{
    COLLECTED sealed = { 0 };
    COLLECTED back = { 0 };
    struct err e = { 0 };

    fill_pattern(plain, sizeof plain);
    OK(seal_bytes(&sealed, BYTES_OF(plain), MAX, false, &e), &e);
    OK(unseal_bytes(&back, collected_bytes(&sealed), MAX * 2, &e), &e);
    cr_assert(bytes_equal(collected_bytes(&back), BYTES_OF(plain)));
}

/* ---- damage --------------------------------------------------------------------------
 */

/* Must fail without a finish; what came out before is a prefix of the truth. */
static void assert_refused(struct bytes sealed, const char *what, size_t at)
{
    COLLECTED back = { 0 };
    struct err e = { 0 };
    enum rc rc = unseal_bytes(&back, sealed, 65536, &e);

    cr_assert(rc == RC_CORRUPT || rc == RC_NOKEY, "%s %zu: %s", what, at, rc_name(rc));
    cr_assert_eq(back.finishes, 0, "%s %zu", what, at);
    cr_assert(back.got.n <= MAX && bytes_equal(collected_bytes(&back),
                                               (struct bytes){ plain, back.got.n }),
              "%s %zu", what, at);
}

CASE(filter_seal, every_truncation_is_noticed)
{
    COLLECTED sealed = { 0 };
    struct err e = { 0 };

    fill_pattern(plain, sizeof plain);
    OK(seal_bytes(&sealed, (struct bytes){ plain, 300 }, 7, false, &e), &e);
    for (size_t n = 0; n < sealed.got.n; n++)
        assert_refused((struct bytes){ sealed.got.p, n }, "cut to", n);
}

CASE(filter_seal, every_changed_byte_is_noticed)
{
    COLLECTED sealed = { 0 };
    struct err e = { 0 };

    fill_pattern(plain, sizeof plain);
    OK(seal_bytes(&sealed, (struct bytes){ plain, 300 }, 7, false, &e), &e);
    for (size_t i = 0; i < sealed.got.n; i++)
        for (unsigned bit = 0; bit < 8; bit++) {
            sealed.got.p[i] ^= (uint8_t)(1 << bit);
            assert_refused(collected_bytes(&sealed), "changed byte", i);
            sealed.got.p[i] ^= (uint8_t)(1 << bit);
        }
}

struct damage {
    const char *name;
    size_t from, n; /* what is copied out of the sealed file: first part */
    size_t then_from, then_n;
    const char *why;
};

/* A file of three full chunks, put together wrongly from its own parts. */
CASE(filter_seal, misplaced_chunks_are_noticed_and_named)
{
    enum { C = STREAM_SEALED };
    static const struct damage damages[] = {
        { "no payload", 0, START, 0, 0,
          "the encrypted data is truncated: chunk 1 at byte 184" },
        { "no salt", 0, START - 1, 0, 0,
          "the age header is malformed: truncated before the encrypted data" },
        { "last chunk dropped", 0, START + 2 * C, 0, 0,
          "the encrypted data is truncated: chunk 3 at byte 131288" },
        { "cut inside a chunk", 0, START + C + 99, 0, 0,
          "the encrypted data is truncated or damaged: chunk 2 at byte 65736" },
        { "cut inside a tag", 0, START + C + 15, 0, 0,
          "the encrypted data is truncated: chunk 2 at byte 65736" },
        { "first chunk dropped", 0, START, START + C, 2 * C,
          "the encrypted data is damaged: chunk 1 at byte 184" },
        { "chunk doubled", 0, START + C, START, 3 * C,
          "the encrypted data is damaged: chunk 2 at byte 65736" },
        { "last chunk doubled", 0, START + 3 * C, START + 2 * C, C,
          "the encrypted data is followed by other data after its end: chunk 3 at byte "
          "131288" },
        { "one byte more", 0, START + 3 * C, 0, 1,
          "the encrypted data is followed by other data after its end: chunk 3 at byte "
          "131288" },
    };
    COLLECTED sealed = { 0 };
    struct err e = { 0 };

    fill_pattern(plain, sizeof plain);
    OK(seal_bytes(&sealed, BYTES_OF(plain), 65536, false, &e), &e);
    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
        const struct damage *d = &damages[i];
        COLLECTED back = { 0 };
        AT_END(buf_clear) struct buf bad = { 0 };

        OK(buf_add(&bad, sealed.got.p + d->from, d->n, &e), &e);
        OK(buf_add(&bad, sealed.got.p + d->then_from, d->then_n, &e), &e);
        cr_assert_eq(unseal_bytes(&back, (struct bytes){ bad.p, bad.n }, 65536, &e),
                     RC_CORRUPT, "%s", d->name);
        cr_assert_str_eq(e.why, d->why, "%s: %s", d->name, e.why);
        cr_assert_eq(back.finishes, 0);
    }
}

CASE(filter_seal, what_is_no_age_file_is_called_so)
{
    COLLECTED back = { 0 };
    struct err e = { 0 };

    memset(plain, 0, sizeof plain);
    cr_assert_eq(unseal_bytes(&back, BYTES_OF(plain), 65536, &e), RC_CORRUPT);
    cr_assert_str_eq(e.why, "this is not an age file");
    cr_assert_eq(unseal_bytes(&back, bytes_str("SQLite format 3"), 1, &e), RC_CORRUPT);
    cr_assert_str_eq(e.why, "this is not an age file");
    cr_assert_eq(unseal_bytes(&back, bytes_str(""), 1, &e), RC_CORRUPT);
    cr_assert_str_eq(e.why, "this is not an age file: it is empty");
}

/* A header line without end must not be collected without end. */
CASE(filter_seal, an_endless_header_is_cut_off)
{
    OWNED(age_identities) ids = test_identities();
    COLLECTED back = { 0 };
    OWNED(sink) chain = NULL;
    struct err e = { 0 };
    enum rc rc = RC_OK;

    memset(plain, 'x', sizeof plain);
    OK(collect_new(&back, &chain, &e), &e);
    OK(unseal_sink_new(GIVE(chain), ids, &chain, &e), &e);
    OK(sink_write(chain, "age-encryption.org/v1\n-> ", 25, &e), &e);
    while (rc == RC_OK && chain->taken < 1 << 20)
        rc = sink_write(chain, plain, 7000, &e);
    cr_assert_eq(rc, RC_CORRUPT);
    cr_assert_leq(chain->taken, AGE_HEADER_MAX);
    cr_assert_str_eq(e.why, "the age header is malformed: over 65536 bytes long");
}

/* ---- use -----------------------------------------------------------------------------
 */

CASE(filter_seal, another_key_does_not_open_it)
{
    OWNED(age_identities) ids = NULL;
    COLLECTED sealed = { 0 };
    COLLECTED back = { 0 };
    OWNED(sink) chain = NULL;
    struct err e = { 0 };

    OK(seal_bytes(&sealed, bytes_str("hello"), 7, false, &e), &e);
    OK(age_identities_new(&ids, &e), &e);
    OK(age_identities_add(
           ids,
           "AGE-SECRET-KEY-1VNKRL97QV4VGHSFJ6KV58DC80SCVP8KC3QZA2EVZ7MRUH2G"
           "Z9UESNW3PQ6",
           &e),
       &e);
    OK(collect_new(&back, &chain, &e), &e);
    OK(unseal_sink_new(GIVE(chain), ids, &chain, &e), &e);
    cr_assert_eq(sink_write(chain, sealed.got.p, sealed.got.n, &e), RC_NOKEY);
    cr_assert_str_eq(e.why, "none of the 1 identities given opens this age file");
    cr_assert_str_eq(e.hint, "it has 1 recipient (1 X25519); X25519 needs its identity "
                             "file, scrypt its passphrase");
    cr_assert_eq(back.got.n, 0);
}

CASE(filter_seal, nothing_comes_out_after_a_failure)
{
    OWNED(age_identities) ids = test_identities();
    COLLECTED sealed = { 0 };
    COLLECTED back = { 0 };
    OWNED(sink) chain = NULL;
    struct err e = { 0 };
    size_t second = START + STREAM_SEALED;

    fill_pattern(plain, sizeof plain);
    OK(seal_bytes(&sealed, BYTES_OF(plain), 65536, false, &e), &e);
    sealed.got.p[second] ^= 1;
    OK(collect_new(&back, &chain, &e), &e);
    OK(unseal_sink_new(GIVE(chain), ids, &chain, &e), &e);
    cr_assert_eq(sink_write(chain, sealed.got.p, sealed.got.n, &e), RC_CORRUPT);
    cr_assert_eq(back.got.n, STREAM_CHUNK);
    sealed.got.p[second] ^= 1;
    cr_assert_eq(sink_write(chain, sealed.got.p + second, sealed.got.n - second, &e),
                 RC_CORRUPT);
    cr_assert_str_eq(e.why, "the encrypted data was found damaged before");
    cr_assert_eq(sink_finish(chain, &e), RC_CORRUPT);
    cr_assert_eq(back.got.n, STREAM_CHUNK);
    cr_assert_eq(back.finishes, 0);
}

CASE(filter_seal, a_failing_sink_behind_it_is_reported_as_it_is)
{
    uint64_t limits[] = { 1, START, 300, STREAM_SEALED + 300 };

    fill_pattern(plain, sizeof plain);
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        COLLECTED sealed = { .fail_at = limits[i] };
        struct err e = { 0 };

        cr_assert_eq(seal_bytes(&sealed, BYTES_OF(plain), 7, false, &e), RC_STORAGE);
        cr_assert_str_eq(e.why, "the collector is full");
        cr_assert(sealed.finishes == 0 && sealed.releases == 1);
    }
    COLLECTED sealed = { .fail_finish = true };
    struct err e = { 0 };

    cr_assert_eq(seal_bytes(&sealed, BYTES_OF(plain), 7, true, &e), RC_STORAGE);
    cr_assert_str_eq(e.why, "the collector cannot finish");
}

CASE(filter_seal, needs_a_recipient)
{
    OWNED(age_recipients) nobody = NULL;
    COLLECTED sealed = { 0 };
    OWNED(sink) last = NULL;
    OWNED(sink) chain = NULL;
    struct err e = { 0 };

    OK(age_recipients_new(&nobody, &e), &e);
    OK(collect_new(&sealed, &last, &e), &e);
    cr_assert_eq(seal_sink_new(GIVE(last), nobody, &chain, &e), RC_USAGE);
    cr_assert(chain == NULL && sealed.releases == 1);
}

static ssize_t no_random(void *p, size_t n, unsigned flags)
{
    (void)p;
    (void)n;
    (void)flags;
    errno = ENOSYS;
    return -1;
}

CASE(filter_seal, writes_nothing_without_randomness)
{
    struct os_calls real = os;
    COLLECTED sealed = { 0 };
    struct err e = { 0 };

    os.getrandom = no_random;
    cr_assert_eq(seal_bytes(&sealed, bytes_str("hello"), 7, false, &e), RC_INTERNAL);
    os = real;
    cr_assert(sealed.got.n == 0 && sealed.finishes == 0);
}

CASE(filter_seal, survives_a_lack_of_memory)
{
    OWNED(age_recipients) to = test_recipients();
    OWNED(age_identities) ids = test_identities();
    unsigned runs = 0;

    FAULT_SWEEP(FAULT_ALLOC, nth, ENOMEM) {
        COLLECTED back = { 0 };
        OWNED(sink) chain = NULL;
        struct err e = { 0 };
        enum rc rc = collect_new(&back, &chain, &e);

        if (rc == RC_OK)
            rc = unseal_sink_new(GIVE(chain), ids, &chain, &e);
        if (rc == RC_OK)
            rc = armor_sink_new(GIVE(chain), &chain, &e);
        if (rc == RC_OK)
            rc = seal_sink_new(GIVE(chain), to, &chain, &e);
        if (rc == RC_OK)
            rc = sink_write(chain, "hello", 5, &e);
        if (rc == RC_OK)
            rc = sink_finish(chain, &e);
        runs = nth;
        cr_assert(rc == RC_OK ? bytes_is(collected_bytes(&back), "hello")
                              : rc == RC_NOMEM && back.finishes == 0,
                  "run %u: %s", nth, e.why);
    }
    cr_assert_gt(runs, 12);
}
