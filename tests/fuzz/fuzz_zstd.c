/* Any bytes, in any pieces: inflating ends, in RC_OK or RC_CORRUPT, within the limit,
 * and the pieces make no difference. */
#include <stdlib.h>

#include "filter/zstd.h"
#include "util/mem.h"

enum { LIMIT = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

struct counter {
    struct sink base;
    uint64_t *bytes;
};

static enum rc count(struct sink *s, const uint8_t *p, size_t n, struct err *e)
{
    (void)p;
    (void)e;
    *((struct counter *)s)->bytes += n;
    return RC_OK;
}

static enum rc inflate(const uint8_t *p, size_t n, size_t piece, uint64_t *bytes,
                       struct err *e)
{
    static const struct sink_ops ops = { .name = "count", .write = count };
    struct counter *c = NULL;
    OWNED(sink) chain = NULL;

    TRY(mem_new(&c, sizeof *c, "a counter", e));
    *c = (struct counter){ .base.ops = &ops, .bytes = bytes };
    TRY(unzstd_sink_new(&c->base, LIMIT, &chain, e));
    for (size_t at = 0; at < n; at += piece)
        TRY(sink_write(chain, p + at, n - at < piece ? n - at : piece, e));
    return sink_finish(chain, e);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    uint64_t whole = 0, pieced = 0;
    struct err e;
    enum rc a = inflate(p, n, n + 1, &whole, &e);
    enum rc b = inflate(p, n, 1 + n % 13, &pieced, &e);

    if (a != b || (a != RC_OK && a != RC_CORRUPT) || whole > LIMIT || pieced > LIMIT ||
        (a == RC_OK && whole != pieced))
        abort();
    return 0;
}
