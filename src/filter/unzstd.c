#include <zstd.h>
#include <zstd_errors.h>

#include "filter/zstd.h"
#include "util/mem.h"

enum { WINDOW_LOG_MAX = 27 }; /* 128 MiB, the most that plain `zstd -d` grants */

struct unzstd_sink {
    struct sink base;
    ZSTD_DCtx *ctx;
    uint8_t *piece;
    size_t piece_size;
    uint64_t limit, inflated;
    uint64_t frames; /* that ended */
    bool inside;     /* a frame has begun and not ended */
};

static enum rc explain(const struct unzstd_sink *f, size_t code, struct err *e)
{
    /* Only the kinds that call for another sentence; clang-tidy and the compiler
     * would otherwise want all forty of the library's. */
    ZSTD_ErrorCode kind = ZSTD_getErrorCode(code);

    if (kind == ZSTD_error_prefix_unknown && f->frames == 0)
        return err_set(e, RC_CORRUPT, "this is no zstd data");
    if (kind == ZSTD_error_prefix_unknown)
        return err_set(e, RC_CORRUPT, "there are other bytes after zstd frame %llu",
                       (unsigned long long)f->frames);
    if (kind == ZSTD_error_frameParameter_windowTooLarge)
        return err_set(e, RC_CORRUPT, "zstd frame %llu asks for a window above 128 MiB",
                       (unsigned long long)f->frames + 1);
    if (kind == ZSTD_error_memory_allocation)
        return err_set(e, RC_NOMEM, "no memory for the zstd window");
    return err_set(e, RC_CORRUPT, "zstd frame %llu is damaged: %s",
                   (unsigned long long)f->frames + 1, ZSTD_getErrorName(code));
}

static enum rc deliver(struct unzstd_sink *f, size_t n, struct err *e)
{
    if (n > f->limit - f->inflated)
        return err_set(e, RC_CORRUPT, "the zstd data inflate to more than %llu bytes",
                       (unsigned long long)f->limit);
    f->inflated += n;
    return sink_write(f->base.next, f->piece, n, e);
}

/* One call of the library. *full: it may hold more output than the piece could take. */
static enum rc step(struct unzstd_sink *f, ZSTD_inBuffer *in, bool *full, struct err *e)
{
    ZSTD_outBuffer out = { .dst = f->piece, .size = f->piece_size };
    size_t wanted = ZSTD_decompressStream(f->ctx, &out, in);

    if (ZSTD_isError(wanted))
        return explain(f, wanted, e);
    f->inside = wanted != 0;
    f->frames += wanted == 0;
    *full = f->inside && out.pos == out.size;
    return deliver(f, out.pos, e);
}

static enum rc unzstd_write(struct sink *s, const uint8_t *p, size_t n, struct err *e)
{
    struct unzstd_sink *f = (struct unzstd_sink *)s;
    ZSTD_inBuffer in = { .src = p, .size = n };
    bool full = false;

    while (in.pos < in.size || full)
        TRY(step(f, &in, &full, e));
    return RC_OK;
}

static enum rc unzstd_finish(struct sink *s, struct err *e)
{
    const struct unzstd_sink *f = (const struct unzstd_sink *)s;

    if (f->inside)
        return err_set(e, RC_CORRUPT, "the zstd data end inside frame %llu",
                       (unsigned long long)f->frames + 1);
    if (f->frames == 0)
        return err_set(e, RC_CORRUPT, "the zstd data are empty");
    return sink_finish(s->next, e);
}

static void unzstd_release(struct sink *s)
{
    struct unzstd_sink *f = (struct unzstd_sink *)s;

    ZSTD_freeDCtx(f->ctx);
    mem_free(f->piece);
}

static const struct sink_ops unzstd_ops = {
    .name = "unzstd",
    .write = unzstd_write,
    .finish = unzstd_finish,
    .release = unzstd_release,
};

enum rc unzstd_sink_new(struct sink *next, uint64_t limit, struct sink **out,
                        struct err *e)
{
    OWNED(sink) rest = next;
    OWNED(sink) made = NULL;
    struct unzstd_sink *f = NULL;

    TRY(mem_new(&f, sizeof *f, "an unzstd filter", e));
    made = &f->base;
    f->base = (struct sink){ .ops = &unzstd_ops, .next = GIVE(rest) };
    f->limit = limit;
    f->piece_size = ZSTD_DStreamOutSize();
    TRY(mem_new(&f->piece, f->piece_size, "an unzstd filter", e));
    f->ctx = ZSTD_createDCtx();
    if (f->ctx == NULL)
        return err_set(e, RC_NOMEM, "no memory for the zstd decompressor");
    if (ZSTD_isError(ZSTD_DCtx_setParameter(f->ctx, ZSTD_d_windowLogMax, WINDOW_LOG_MAX)))
        return err_set(e, RC_INTERNAL, "zstd does not take its window limit");
    *out = GIVE(made);
    return RC_OK;
}
