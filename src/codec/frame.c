#include "codec/frame.h"

/* The size of the frame, header included, that begins with these five bytes. */
static enum rc frame_size(const struct frame_reader *r, const uint8_t *header,
                          size_t *out, struct err *e)
{
    size_t max = r->message_max == 0 ? FRAME_MESSAGE_MAX : r->message_max;
    uint32_t n = be32(header + 1);

    if (header[0] != 0)
        return err_set(e, RC_CORRUPT,
                       "the server sent a message with the compression flag %u, "
                       "although no compression was offered",
                       header[0]);
    if (n > max)
        return err_set(e, RC_CORRUPT,
                       "the server announced a message of %u bytes, the limit is %zu", n,
                       max);
    *out = FRAME_HEADER_SIZE + (size_t)n;
    return RC_OK;
}

static struct bytes after(struct bytes b, size_t n)
{
    return (struct bytes){ b.p + n, b.n - n };
}

/* Moves bytes from `in` until `want` are held; false when `in` ran out first. */
static enum rc fill(struct frame_reader *r, struct bytes *in, size_t want, struct err *e)
{
    size_t n = want - r->held.n < in->n ? want - r->held.n : in->n;

    TRY(buf_add(&r->held, in->p, n, e));
    *in = after(*in, n);
    return RC_OK;
}

/* Goes on with a message whose beginning came in an earlier piece. */
static enum rc finish_held(struct frame_reader *r, struct bytes *in, frame_fn *fn,
                           void *arg, struct err *e)
{
    size_t size = 0;

    if (r->held.n < FRAME_HEADER_SIZE) {
        TRY(fill(r, in, FRAME_HEADER_SIZE, e));
        if (r->held.n < FRAME_HEADER_SIZE)
            return RC_OK;
    }
    TRY(frame_size(r, r->held.p, &size, e));
    TRY(fill(r, in, size, e));
    if (r->held.n < size)
        return RC_OK;
    r->held.n = 0;
    return fn(arg,
              (struct bytes){ r->held.p + FRAME_HEADER_SIZE, size - FRAME_HEADER_SIZE },
              e);
}

enum rc frame_push(struct frame_reader *r, struct bytes piece, frame_fn *fn, void *arg,
                   struct err *e)
{
    while (piece.n > 0) {
        size_t size = SIZE_MAX;

        if (r->held.n == 0 && piece.n >= FRAME_HEADER_SIZE)
            TRY(frame_size(r, piece.p, &size, e));
        if (size > piece.n) {
            TRY(finish_held(r, &piece, fn, arg, e));
            continue;
        }
        TRY(fn(arg,
               (struct bytes){ piece.p + FRAME_HEADER_SIZE, size - FRAME_HEADER_SIZE },
               e));
        piece = after(piece, size);
    }
    return RC_OK;
}

enum rc frame_end(const struct frame_reader *r, struct err *e)
{
    if (r->held.n != 0)
        return err_set(e, RC_NET, "the stream ended %zu bytes into a message", r->held.n);
    return RC_OK;
}

void frame_reader_clear(struct frame_reader *r)
{
    buf_clear(&r->held);
}

enum rc frame_add(struct buf *out, struct bytes message, struct err *e)
{
    uint8_t header[FRAME_HEADER_SIZE] = { 0 };

    if (message.n > UINT32_MAX)
        return err_set(e, RC_USAGE, "a message of %zu bytes cannot be sent", message.n);
    put_be32(header + 1, (uint32_t)message.n);
    TRY(buf_add(out, header, sizeof header, e));
    return buf_add(out, message.p, message.n, e);
}
