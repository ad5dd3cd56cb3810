#include "codec/frame.h"

#include <stdlib.h>
#include <string.h>

#include "tests/lib/case.h"
#include "tests/lib/fault.h"
#include "util/mem.h"

/* What came out of the reader: the lengths, and all bytes joined. */
struct seen {
    size_t count, sizes[64];
    struct buf bytes;
    size_t refuse_at; /* fail at this message, from 1 */
};

static enum rc see(void *arg, struct bytes message, struct err *e)
{
    struct seen *s = arg;

    s->sizes[s->count++ % 64] = message.n;
    if (s->count == s->refuse_at)
        return err_set(e, RC_REFUSED, "enough");
    return buf_add(&s->bytes, message.p, message.n, e);
}

static enum rc push_in_pieces(struct frame_reader *r, struct bytes all, size_t piece,
                              struct seen *s, struct err *e)
{
    for (size_t at = 0; at < all.n; at += piece) {
        size_t n = all.n - at < piece ? all.n - at : piece;
        AT_END(mem_end) uint8_t *exact = mem_copy(all.p + at, n); /* ASan's red zone */

        if (exact == NULL)
            return err_set(e, RC_NOMEM, "no memory for a piece");
        TRY(frame_push(r, (struct bytes){ exact, n }, see, s, e));
    }
    return frame_end(r, e);
}

static const size_t sizes[] = { 0, 1, 5, 0, 300, 16384, 70000, 4, 0 };
enum { COUNT = sizeof sizes / sizeof sizes[0] };

static void write_all(struct buf *stream, struct buf *plain)
{
    struct err e = { 0 };
    static uint8_t data[70000 + COUNT];

    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 31 + i / 256);
    for (size_t i = 0; i < COUNT; i++) {
        OK(frame_add(stream, (struct bytes){ data + i, sizes[i] }, &e), &e);
        OK(buf_add(plain, data + i, sizes[i], &e), &e);
    }
}

CASE(codec_frame, messages_survive_any_cut)
{
    static const size_t pieces[] = { 1, 2, 7, 65536, SIZE_MAX / 2 };
    struct buf stream = { 0 }, plain = { 0 };
    struct err e = { 0 };

    write_all(&stream, &plain);
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        struct frame_reader r = { 0 };
        struct seen s = { 0 };

        OK(push_in_pieces(&r, (struct bytes){ stream.p, stream.n }, pieces[i], &s, &e),
           &e);
        cr_assert_eq(s.count, COUNT, "pieces of %zu: %zu messages", pieces[i], s.count);
        cr_assert(memcmp(s.sizes, sizes, sizeof sizes) == 0, "pieces of %zu", pieces[i]);
        cr_assert(s.bytes.n == plain.n && memcmp(s.bytes.p, plain.p, plain.n) == 0,
                  "pieces of %zu", pieces[i]);
        frame_reader_clear(&r);
        buf_clear(&s.bytes);
    }
    buf_clear(&stream);
    buf_clear(&plain);
}

CASE(codec_frame, a_stream_cut_inside_a_message_is_a_failure)
{
    struct buf stream = { 0 };
    struct err e = { 0 };

    OK(frame_add(&stream, bytes_str("abc"), &e), &e);
    OK(frame_add(&stream, bytes_str("defgh"), &e), &e);
    for (size_t n = 0; n <= stream.n; n++) {
        bool whole = n == 0 || n == 8 || n == stream.n;

        for (size_t piece = 1; piece <= 20; piece += 19) {
            struct frame_reader r = { 0 };
            struct seen s = { 0 };
            enum rc rc = push_in_pieces(&r, (struct bytes){ stream.p, n }, piece, &s, &e);

            cr_assert_eq(rc, whole ? RC_OK : RC_NET, "cut at %zu, pieces of %zu", n,
                         piece);
            frame_reader_clear(&r);
            buf_clear(&s.bytes);
        }
    }
    cr_assert_str_eq(e.why, "the stream ended 9 bytes into a message");
    buf_clear(&stream);
}

static void refuse(const char *header, size_t max, const char *why)
{
    for (size_t piece = 1; piece <= 5; piece += 4) {
        struct frame_reader r = { .message_max = max };
        struct seen s = { 0 };
        struct err e = { 0 };
        enum rc rc = push_in_pieces(&r, (struct bytes){ (const uint8_t *)header, 5 },
                                    piece, &s, &e);

        cr_assert_eq(rc, RC_CORRUPT, "%s in pieces of %zu", why, piece);
        cr_assert_str_eq(e.why, why);
        cr_assert(r.held.cap <= 64, "memory is taken only as bytes arrive");
        frame_reader_clear(&r);
    }
}

CASE(codec_frame, hostile_headers_are_refused_before_memory_is_taken)
{
    refuse("\0\xff\xff\xff\xff", 0,
           "the server announced a message of 4294967295 bytes, the limit is 8388608");
    refuse("\0\0\x80\0\x01", 0,
           "the server announced a message of 8388609 bytes, the limit is 8388608");
    refuse("\0\0\0\0\x0b", 10,
           "the server announced a message of 11 bytes, the limit is 10");
    refuse("\1\0\0\0\0", 0,
           "the server sent a message with the compression flag 1, although no "
           "compression was offered");
    refuse("\xff\0\0\0\0", 0,
           "the server sent a message with the compression flag 255, although no "
           "compression was offered");
}

CASE(codec_frame, a_large_claim_costs_only_what_arrived)
{
    static const uint8_t header[6] = { 0, 0, 0x80, 0, 0, 'x' };
    struct frame_reader r = { 0 };
    struct seen s = { 0 };
    struct err e = { 0 };

    OK(frame_push(&r, BYTES_OF(header), see, &s, &e), &e);
    cr_assert(r.held.cap <= 64 && s.count == 0, "%zu bytes held", r.held.cap);
    frame_reader_clear(&r);
}

CASE(codec_frame, what_the_taker_returns_goes_up)
{
    struct buf stream = { 0 }, plain = { 0 };
    static const size_t pieces[] = { 1, 7, 1 << 20 };

    write_all(&stream, &plain);
    for (size_t i = 0; i < 3; i++) {
        struct frame_reader r = { 0 };
        struct seen s = { .refuse_at = 3 };
        struct err e = { 0 };
        enum rc rc =
            push_in_pieces(&r, (struct bytes){ stream.p, stream.n }, pieces[i], &s, &e);

        cr_assert(rc == RC_REFUSED && s.count == 3, "pieces of %zu", pieces[i]);
        cr_assert_str_eq(e.why, "enough");
        frame_reader_clear(&r);
        buf_clear(&s.bytes);
    }
    buf_clear(&stream);
    buf_clear(&plain);
}

CASE(codec_frame, every_allocation_may_fail)
{
    struct buf stream = { 0 }, plain = { 0 };
    unsigned runs = 0;

    write_all(&stream, &plain);
    FAULT_SWEEP(FAULT_ALLOC, nth, 0) {
        struct frame_reader r = { 0 };
        struct seen s = { 0 };
        struct buf copy = { 0 };
        struct err e = { 0 };
        enum rc rc = frame_add(&copy, bytes_str("abc"), &e);

        if (rc == RC_OK)
            rc = push_in_pieces(&r, (struct bytes){ stream.p, stream.n }, 9000, &s, &e);
        cr_assert(rc == RC_OK || rc == RC_NOMEM, "allocation %u: %s", nth, e.why);
        cr_assert((rc == RC_OK) == (s.count == COUNT), "allocation %u", nth);
        frame_reader_clear(&r);
        buf_clear(&s.bytes);
        buf_clear(&copy);
        runs = nth;
    }
    cr_assert_gt(runs, 15, "the sweep ended after %u runs", runs);
    buf_clear(&stream);
    buf_clear(&plain);
}
