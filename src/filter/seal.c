#include "filter/seal.h"

struct seal_sink {
    struct sink base;
    struct buf start; /* header and nonce, until they are written */
    struct stream stream;
    size_t held;
    uint8_t chunk[STREAM_SEALED]; /* plain, then sealed in place */
};

static enum rc write_start(struct seal_sink *f, struct err *e)
{
    if (f->start.n == 0)
        return RC_OK;
    TRY(sink_write(f->base.next, f->start.p, f->start.n, e));
    buf_clear(&f->start);
    return RC_OK;
}

static enum rc seal_chunk(struct seal_sink *f, struct bytes plain, bool last,
                          struct err *e)
{
    TRY(stream_seal(&f->stream, plain, last, f->chunk, e));
    f->held = 0;
    return sink_write(f->base.next, f->chunk, plain.n + AEAD_TAG, e);
}

/* A full chunk is sealed only when more bytes follow, because the last one is marked.
 * Whole chunks in the caller's piece are sealed from there, without a copy. */
static enum rc take(struct seal_sink *f, struct bytes *in, struct err *e)
{
    size_t n = in->n < STREAM_CHUNK - f->held ? in->n : STREAM_CHUNK - f->held;

    if (f->held == STREAM_CHUNK)
        return seal_chunk(f, (struct bytes){ f->chunk, STREAM_CHUNK }, false, e);
    if (f->held == 0 && in->n > STREAM_CHUNK) {
        TRY(seal_chunk(f, (struct bytes){ in->p, STREAM_CHUNK }, false, e));
    } else {
        memcpy(f->chunk + f->held, in->p, n);
        f->held += n;
    }
    *in = (struct bytes){ in->p + n, in->n - n };
    return RC_OK;
}

static enum rc seal_write(struct sink *s, const uint8_t *p, size_t n, struct err *e)
{
    struct seal_sink *f = (struct seal_sink *)s;
    struct bytes in = { p, n };

    TRY(write_start(f, e));
    while (in.n > 0)
        TRY(take(f, &in, e));
    return RC_OK;
}

static enum rc seal_finish(struct sink *s, struct err *e)
{
    struct seal_sink *f = (struct seal_sink *)s;

    TRY(write_start(f, e));
    TRY(seal_chunk(f, (struct bytes){ f->chunk, f->held }, true, e));
    return sink_finish(s->next, e);
}

static void seal_release(struct sink *s)
{
    struct seal_sink *f = (struct seal_sink *)s;

    buf_clear(&f->start);
    stream_clear(&f->stream);
    mem_wipe(f->chunk, sizeof f->chunk);
}

static const struct sink_ops seal_ops = {
    .name = "seal",
    .write = seal_write,
    .finish = seal_finish,
    .release = seal_release,
};

enum rc seal_sink_new(struct sink *next, const struct age_recipients *to,
                      struct sink **out, struct err *e)
{
    OWNED(sink) rest = next;
    OWNED(sink) chain = NULL;
    struct seal_sink *f = NULL;

    TRY(mem_new(&f, sizeof *f, "an encryption filter", e));
    chain = &f->base;
    chain->ops = &seal_ops;
    TRY(age_begin(to, &f->start, &f->stream, e));
    chain->next = GIVE(rest);
    *out = GIVE(chain);
    return RC_OK;
}
