#include "filter/zstd.h"

#include <zstd.h>
#include <zstd_errors.h>

#include "util/mem.h"

struct zstd_sink {
    struct sink base;
    ZSTD_CCtx *ctx;
    uint8_t *piece; /* compressed bytes on their way to `next` */
    size_t piece_size;
};

/* One call of the library; *left is what it still holds back. */
static enum rc step(struct zstd_sink *f, ZSTD_inBuffer *in, ZSTD_EndDirective how,
                    size_t *left, struct err *e)
{
    ZSTD_outBuffer out = { .dst = f->piece, .size = f->piece_size };

    *left = ZSTD_compressStream2(f->ctx, &out, in, how);
    if (ZSTD_isError(*left))
        return err_set(e, RC_INTERNAL, "zstd cannot compress: %s",
                       ZSTD_getErrorName(*left));
    return sink_write(f->base.next, f->piece, out.pos, e);
}

static enum rc zstd_write(struct sink *s, const uint8_t *p, size_t n, struct err *e)
{
    struct zstd_sink *f = (struct zstd_sink *)s;
    ZSTD_inBuffer in = { .src = p, .size = n };
    size_t left;

    while (in.pos < in.size)
        TRY(step(f, &in, ZSTD_e_continue, &left, e));
    return RC_OK;
}

static enum rc zstd_finish(struct sink *s, struct err *e)
{
    struct zstd_sink *f = (struct zstd_sink *)s;
    ZSTD_inBuffer none = { 0 };
    size_t left = 1;

    while (left > 0)
        TRY(step(f, &none, ZSTD_e_end, &left, e));
    return sink_finish(s->next, e);
}

static void zstd_release(struct sink *s)
{
    struct zstd_sink *f = (struct zstd_sink *)s;

    ZSTD_freeCCtx(f->ctx);
    mem_free(f->piece);
}

static const struct sink_ops zstd_ops = {
    .name = "zstd",
    .write = zstd_write,
    .finish = zstd_finish,
    .release = zstd_release,
};

/* Two workers with jobs of 1 MiB hold 10 MiB; at level 1 larger jobs make nothing smaller
 * or faster. */
enum { JOB = 1 << 20 };

static enum rc set_up(ZSTD_CCtx *ctx, int level, int workers, struct err *e)
{
    ZSTD_bounds known = ZSTD_cParam_getBounds(ZSTD_c_compressionLevel);

    if (level < known.lowerBound || level > known.upperBound)
        return err_set(e, RC_USAGE, "zstd has no level %d" HINT "use 1 to 19, 3 is usual",
                       level);
    if (ZSTD_isError(ZSTD_CCtx_setParameter(ctx, ZSTD_c_compressionLevel, level)) ||
        ZSTD_isError(ZSTD_CCtx_setParameter(ctx, ZSTD_c_checksumFlag, 1)))
        return err_set(e, RC_INTERNAL, "zstd does not take its settings");
    if (workers > 0 &&
        !ZSTD_isError(ZSTD_CCtx_setParameter(ctx, ZSTD_c_nbWorkers, workers)) &&
        ZSTD_isError(ZSTD_CCtx_setParameter(ctx, ZSTD_c_jobSize, JOB)))
        return err_set(e, RC_INTERNAL, "zstd does not take its job size");
    return RC_OK;
}

enum rc zstd_sink_new(struct sink *next, int level, int workers, struct sink **out,
                      struct err *e)
{
    OWNED(sink) rest = next;
    OWNED(sink) made = NULL;
    struct zstd_sink *f = NULL;

    TRY(mem_new(&f, sizeof *f, "a zstd filter", e));
    made = &f->base;
    f->base = (struct sink){ .ops = &zstd_ops, .next = GIVE(rest) };
    f->piece_size = ZSTD_CStreamOutSize();
    TRY(mem_new(&f->piece, f->piece_size, "a zstd filter", e));
    f->ctx = ZSTD_createCCtx();
    if (f->ctx == NULL)
        return err_set(e, RC_NOMEM, "no memory for the zstd compressor");
    TRY(set_up(f->ctx, level, workers, e));
    *out = GIVE(made);
    return RC_OK;
}
