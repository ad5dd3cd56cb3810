/* Any bytes, in any pieces: reading a bundle ends, in RC_OK or RC_CORRUPT, hands on no
 * more of a snapshot than it may, and the pieces make no difference. */
#include <stdlib.h>

#include "bundle/bundle.h"
#include "util/mem.h"

enum { LIMIT = 1 << 16 };

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

static enum rc unpack(const uint8_t *p, size_t n, size_t piece, uint64_t *bytes,
                      struct err *e)
{
    static const struct sink_ops ops = { .name = "count", .write = count };
    struct counter *c = NULL;
    OWNED(sink) to = NULL;

    TRY(mem_new(&c, sizeof *c, "a counter", e));
    *c = (struct counter){ .base.ops = &ops, .bytes = bytes };
    TRY(bundle_unpack_new(
        &(struct bundle_target){ .snapshot = &c->base, .snapshot_max = LIMIT }, &to, e));
    for (size_t at = 0; at < n; at += piece)
        TRY(sink_write(to, p + at, n - at < piece ? n - at : piece, e));
    return sink_finish(to, e);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    uint64_t whole = 0, pieced = 0;
    struct err e;
    enum rc a = unpack(p, n, n + 1, &whole, &e);
    enum rc b = unpack(p, n, 100 + n % 1300, &pieced, &e);

    if (a != b || (a != RC_OK && a != RC_CORRUPT) || whole > LIMIT || pieced > LIMIT)
        abort();
    return 0;
}
