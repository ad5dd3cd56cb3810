#include <stdio.h>
#include <string.h>

#include "filter/zstd.h"
#include "tests/lib/case.h"
#include "tests/lib/fault.h"
#include "tests/unit/filter/collect.h"

/* printf 'holdfast holdfast holdfast\n' | zstd -3 --no-check, and with the default
 * --check; zstd 1.5.4. */
static const uint8_t plain_frame[] = {
    0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58, 0x85, 0x00, 0x00, 0x50, 0x68, 0x6f, 0x6c,
    0x64, 0x66, 0x61, 0x73, 0x74, 0x20, 0x0a, 0x01, 0x00, 0x9c, 0xcb, 0x11,
};
static const uint8_t checked_frame[] = {
    0x28, 0xb5, 0x2f, 0xfd, 0x04, 0x58, 0x85, 0x00, 0x00, 0x50,
    0x68, 0x6f, 0x6c, 0x64, 0x66, 0x61, 0x73, 0x74, 0x20, 0x0a,
    0x01, 0x00, 0x9c, 0xcb, 0x11, 0xba, 0x52, 0x3c, 0x41,
};
static const char text[] = "holdfast holdfast holdfast\n";

static const uint8_t skippable[] = { 0x53, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 'a', 'b', 'c' };

enum { SIZE = 300 * 1000 };

static enum rc inflate(struct bytes in, size_t piece, uint64_t limit,
                       struct collected *into, struct err *e)
{
    OWNED(sink) chain = NULL;

    TRY(collect_new(into, &chain, e));
    TRY(unzstd_sink_new(GIVE(chain), limit, &chain, e));
    TRY(write_pieces(chain, in.p, in.n, piece, e));
    return sink_finish(chain, e);
}

static enum rc deflate(struct bytes in, size_t piece, int level, int workers,
                       struct collected *into, struct err *e)
{
    OWNED(sink) chain = NULL;

    TRY(collect_new(into, &chain, e));
    TRY(zstd_sink_new(GIVE(chain), level, workers, &chain, e));
    TRY(write_pieces(chain, in.p, in.n, piece, e));
    return sink_finish(chain, e);
}

static struct bytes all_of(const struct collected *c)
{
    return (struct bytes){ c->got.p, c->got.n };
}

CASE(zstd, reads_what_the_zstd_program_wrote)
{
    const struct bytes frames[] = { BYTES_OF(plain_frame), BYTES_OF(checked_frame) };

    for (size_t f = 0; f < 2; f++)
        for
            EACH_PIECE(i)
            {
                COLLECTED c = { 0 };
                struct err e = { 0 };

                OK(inflate(frames[f], pieces[i], 1000, &c, &e), &e);
                cr_assert(bytes_is(all_of(&c), text), "frame %zu, pieces of %zu", f,
                          pieces[i]);
                cr_assert_eq(c.finishes, 1);
            }
}

CASE(zstd, round_trips_in_any_pieces_levels_and_threads)
{
    static uint8_t data[SIZE];
    const int levels[] = { 1, 3, 9 };

    fill_pattern(data, sizeof data);
    for (int w = 0; w <= 2; w++)
        for
            EACH_PIECE(i)
            {
                COLLECTED packed = { 0 };
                COLLECTED back = { 0 };
                struct err e = { 0 };

                OK(deflate(BYTES_OF(data), pieces[i], levels[w], w, &packed, &e), &e);
                cr_assert_lt(packed.got.n, sizeof data);
                cr_assert((packed.got.p[4] & 4) != 0, "the frame has no checksum");
                OK(inflate(all_of(&packed), pieces[i], SIZE, &back, &e), &e);
                cr_assert(bytes_equal(all_of(&back), BYTES_OF(data)), "%d workers, %zu",
                          w, pieces[i]);
            }
}

CASE(zstd, an_empty_input_is_an_empty_frame)
{
    COLLECTED packed = { 0 };
    COLLECTED back = { 0 };
    struct err e = { 0 };

    OK(deflate((struct bytes){ 0 }, 1, 3, 0, &packed, &e), &e);
    cr_assert_gt(packed.got.n, 0);
    OK(inflate(all_of(&packed), 1, 0, &back, &e), &e);
    cr_assert_eq(back.got.n, 0);
    cr_assert_eq(back.finishes, 1);
}

CASE(zstd, refuses_levels_that_do_not_exist)
{
    COLLECTED c = { 0 };
    struct err e = { 0 };

    cr_assert_eq(deflate((struct bytes){ 0 }, 1, 99, 0, &c, &e), RC_USAGE);
    cr_assert_str_eq(e.why, "zstd has no level 99");
    cr_assert_str_eq(e.hint, "use 1 to 19, 3 is usual");
    cr_assert_eq(c.releases, 1, "the constructor owns what comes after it");
}

CASE(unzstd, takes_frames_and_skippable_frames_one_after_another)
{
    COLLECTED in = { 0 };
    struct err e = { 0 };
    char twice[2 * sizeof text];

    OK(buf_add(&in.got, skippable, sizeof skippable, &e), &e);
    OK(buf_add(&in.got, checked_frame, sizeof checked_frame, &e), &e);
    OK(buf_add(&in.got, skippable, sizeof skippable, &e), &e);
    OK(buf_add(&in.got, plain_frame, sizeof plain_frame, &e), &e);
    snprintf(twice, sizeof twice, "%s%s", text, text);
    for
        EACH_PIECE(i)
        {
            COLLECTED c = { 0 };

            OK(inflate(all_of(&in), pieces[i], 1000, &c, &e), &e);
            cr_assert(bytes_is(all_of(&c), twice), "pieces of %zu", pieces[i]);
        }
}

CASE(unzstd, every_truncation_is_noticed)
{
    for (size_t n = 0; n < sizeof checked_frame; n++)
        for
            EACH_PIECE(i)
            {
                COLLECTED c = { 0 };
                struct err e = { 0 };
                struct bytes cut = { checked_frame, n };

                cr_assert_eq(inflate(cut, pieces[i], 1000, &c, &e), RC_CORRUPT,
                             "%zu bytes, pieces of %zu", n, pieces[i]);
                cr_assert_str_eq(e.why, n == 0 ? "the zstd data are empty"
                                               : "the zstd data end inside frame 1");
                cr_assert_eq(c.finishes, 0);
            }
}

CASE(unzstd, a_flipped_bit_never_yields_other_bytes)
{
    unsigned noticed = 0;

    for (size_t bit = 0; bit < 8 * sizeof checked_frame; bit++) {
        COLLECTED c = { 0 };
        struct err e = { 0 };
        uint8_t bad[sizeof checked_frame];
        enum rc rc;

        memcpy(bad, checked_frame, sizeof bad);
        bad[bit / 8] ^= (uint8_t)(1 << bit % 8);
        rc = inflate(BYTES_OF(bad), 7, 1000, &c, &e);
        noticed += rc == RC_CORRUPT;
        if (rc == RC_OK) /* bits that mean nothing, or a frame turned skippable */
            cr_assert(c.got.n == 0 || bytes_is(all_of(&c), text), "bit %zu", bit);
        else
            cr_assert_eq(rc, RC_CORRUPT, "bit %zu", bit);
    }
    cr_assert_gt(noticed, 8 * sizeof checked_frame * 9 / 10);
}

static enum rc with_tail(const void *tail, size_t n, size_t piece, struct err *e)
{
    COLLECTED in = { 0 };
    COLLECTED c = { 0 };
    enum rc rc;

    OK(buf_add(&in.got, checked_frame, sizeof checked_frame, e), e);
    OK(buf_add(&in.got, tail, n, e), e);
    rc = inflate(all_of(&in), piece, 1000, &c, e);
    cr_assert_eq(c.finishes, 0);
    return rc;
}

CASE(unzstd, anything_after_a_frame_that_is_no_frame_is_an_error)
{
    const char *const tails[] = { "x", "xy", "\0\0\0", "trailing garbage",
                                  "\0\0\0\0\0\0\0\0" };
    const size_t sizes[] = { 1, 2, 3, 16, 8 };

    for (size_t t = 0; t < 5; t++)
        for
            EACH_PIECE(i)
            {
                struct err e = { 0 };

                cr_assert_eq(with_tail(tails[t], sizes[t], pieces[i], &e), RC_CORRUPT,
                             "tail %zu, pieces of %zu", t, pieces[i]);
                if (sizes[t] > 3)
                    cr_assert_str_eq(e.why, "there are other bytes after zstd frame 1");
            }
}

CASE(unzstd, says_when_it_is_no_zstd_data_at_all)
{
    COLLECTED c = { 0 };
    struct err e = { 0 };

    cr_assert_eq(inflate(bytes_str("SQLite format 3"), 2, 1000, &c, &e), RC_CORRUPT);
    cr_assert_str_eq(e.why, "this is no zstd data");
}

CASE(unzstd, the_limit_is_exact_and_nothing_passes_beyond)
{
    for
        EACH_PIECE(i)
        {
            COLLECTED whole = { 0 };
            COLLECTED c = { 0 };
            struct err e = { 0 };

            OK(inflate(BYTES_OF(checked_frame), pieces[i], sizeof text - 1, &whole, &e),
               &e);
            cr_assert_eq(
                inflate(BYTES_OF(checked_frame), pieces[i], sizeof text - 2, &c, &e),
                RC_CORRUPT);
            cr_assert_str_eq(e.why, "the zstd data inflate to more than 26 bytes");
            cr_assert_leq(c.got.n, sizeof text - 2);
            cr_assert_eq(c.finishes, 0);
        }
}

/* Run-length blocks: four bytes in, 128 KiB out. Eighty thousand of them are a file of
 * 320 KiB that claims 10 GiB. */
CASE(unzstd, a_bomb_goes_off_at_the_limit)
{
    const uint8_t head[] = { 0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38 };
    const uint8_t block[] = { 0x02, 0x00, 0x10, 'A' };
    const uint64_t limit = 8 << 20;
    COLLECTED c = { 0 };
    OWNED(sink) chain = NULL;
    struct err e = { 0 };
    enum rc rc = RC_OK;
    unsigned blocks = 0;

    OK(collect_new(&c, &chain, &e), &e);
    OK(unzstd_sink_new(GIVE(chain), limit, &chain, &e), &e);
    OK(sink_write(chain, head, sizeof head, &e), &e);
    for (; rc == RC_OK && blocks < 81920; blocks++)
        rc = sink_write(chain, block, sizeof block, &e);
    cr_assert_eq(rc, RC_CORRUPT);
    cr_assert_str_eq(e.why, "the zstd data inflate to more than 8388608 bytes");
    cr_assert_leq(c.got.n, limit);
    cr_assert_eq(blocks, limit / (128 << 10) + 1);
}

/* Ten raw bytes, then a last block that no longer fits into the same piece of output
 * although all the input is taken. */
CASE(unzstd, what_the_library_holds_back_is_fetched)
{
    const uint8_t frame[] = { 0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38, 0x50, 0x00,
                              0x00, '0',  '1',  '2',  '3',  '4',  '5',  '6',
                              '7',  '8',  '9',  0x03, 0x00, 0x10, 'A' };

    for
        EACH_PIECE(i)
        {
            COLLECTED c = { 0 };
            struct err e = { 0 };

            OK(inflate(BYTES_OF(frame), pieces[i], 1 << 20, &c, &e), &e);
            cr_assert_eq(c.got.n, 10 + (128 << 10), "pieces of %zu", pieces[i]);
        }
}

CASE(unzstd, refuses_a_window_above_128_mib)
{
    uint8_t frame[] = { 0x28, 0xb5, 0x2f, 0xfd, 0x00, 17 << 3, 0x01, 0, 0 };
    COLLECTED c = { 0 };
    struct err e = { 0 };

    OK(inflate(BYTES_OF(frame), 1, 1000, &c, &e), &e);
    frame[5] = 18 << 3;
    cr_assert_eq(inflate(BYTES_OF(frame), 1, 1000, &c, &e), RC_CORRUPT);
    cr_assert_str_eq(e.why, "zstd frame 1 asks for a window above 128 MiB");
}

CASE(unzstd, a_frame_that_needs_a_dictionary_is_an_error)
{
    const uint8_t frame[] = { 0x28, 0xb5, 0x2f, 0xfd, 0x01, 0x38, 7, 0x01, 0, 0 };
    COLLECTED c = { 0 };
    struct err e = { 0 };

    cr_assert_eq(inflate(BYTES_OF(frame), 7, 1000, &c, &e), RC_CORRUPT);
    cr_assert_str_eq(e.why, "zstd frame 1 is damaged: Dictionary mismatch");
}

CASE(zstd, failures_further_down_come_through)
{
    static uint8_t data[SIZE];
    struct err e = { 0 };

    fill_pattern(data, sizeof data);
    for (int w = 0; w <= 1; w++) {
        COLLECTED full = { .fail_at = 1000 };
        COLLECTED unfinished = { .fail_finish = true };

        cr_assert_eq(deflate(BYTES_OF(data), 7, 3, w, &full, &e), RC_STORAGE);
        cr_assert_str_eq(e.why, "the collector is full");
        cr_assert_eq(deflate(BYTES_OF(data), 7, 3, w, &unfinished, &e), RC_STORAGE);
        cr_assert_str_eq(e.why, "the collector cannot finish");
    }
}

CASE(zstd, no_memory_is_an_error_and_leaks_nothing)
{
    unsigned runs = 0;

    FAULT_SWEEP(FAULT_ALLOC, nth, 0) {
        OWNED(sink) chain = NULL;
        struct err e = { 0 };
        enum rc rc = null_sink_new(&chain, &e);

        if (rc == RC_OK)
            rc = unzstd_sink_new(GIVE(chain), 1, &chain, &e);
        if (rc == RC_OK)
            rc = zstd_sink_new(GIVE(chain), 3, 2, &chain, &e);
        runs = nth;
        cr_assert(rc == (nth < 6 ? RC_NOMEM : RC_OK), "allocation %u", nth);
    }
    cr_assert_eq(runs, 6, "1 + 2 + 2 allocations and a clean run, not %u", runs);
}
