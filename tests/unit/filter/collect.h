/* A last sink that keeps what it gets, and can fail on purpose. */
#ifndef TESTS_UNIT_FILTER_COLLECT_H
#define TESTS_UNIT_FILTER_COLLECT_H

#include "filter/sink.h"
#include "util/bytes.h"
#include "util/mem.h"

struct collected {
    struct buf got;
    unsigned finishes, releases;
    uint64_t fail_at; /* fail the write that would pass this size; 0: never */
    bool fail_finish;
};

struct collector {
    struct sink base;
    struct collected *into;
};

static inline enum rc collect_write(struct sink *s, const uint8_t *p, size_t n,
                                    struct err *e)
{
    struct collected *c = ((struct collector *)s)->into;

    if (c->fail_at != 0 && c->got.n + n > c->fail_at)
        return err_set(e, RC_STORAGE, "the collector is full");
    return buf_add(&c->got, p, n, e);
}

static inline enum rc collect_finish(struct sink *s, struct err *e)
{
    struct collected *c = ((struct collector *)s)->into;

    if (c->fail_finish)
        return err_set(e, RC_STORAGE, "the collector cannot finish");
    c->finishes++;
    return RC_OK;
}

static inline void collect_release(struct sink *s)
{
    ((struct collector *)s)->into->releases++;
}

static inline enum rc collect_new(struct collected *into, struct sink **out,
                                  struct err *e)
{
    static const struct sink_ops ops = { "collect", collect_write, collect_finish,
                                         collect_release };
    struct collector *c = NULL;

    TRY(mem_new(&c, sizeof *c, "a collector", e));
    c->base.ops = &ops;
    c->into = into;
    *out = &c->base;
    return RC_OK;
}

static inline void collected_end(struct collected *c)
{
    buf_clear(&c->got);
}
#define COLLECTED [[gnu::cleanup(collected_end)]] struct collected

/* Writes p[n] in pieces of `piece` bytes. */
static inline enum rc write_pieces(struct sink *s, const void *p, size_t n, size_t piece,
                                   struct err *e)
{
    for (size_t at = 0; at < n; at += piece)
        TRY(sink_write(s, (const uint8_t *)p + at, n - at < piece ? n - at : piece, e));
    return RC_OK;
}

/* Bytes that never repeat but compress somewhat; the same every time. */
static inline void fill_pattern(uint8_t *p, size_t n)
{
    uint32_t x = 2463534242;

    for (size_t i = 0; i < n; i++) {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        p[i] = (uint8_t)(i % 16 == 0 ? x : i >> 8);
    }
}

static const size_t pieces[] = { 1, 2, 7, 65536 };
#define EACH_PIECE(i) (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++)

#endif
