#include "filter/sink.h"

#include "util/mem.h"
#include "util/os.h"
#include "util/stop.h"

enum rc sink_write(struct sink *s, const void *p, size_t n, struct err *e)
{
    if (n == 0)
        return RC_OK;
    TRY(s->ops->write(s, p, n, e));
    s->taken += n;
    return RC_OK;
}

enum rc sink_finish(struct sink *chain, struct err *e)
{
    if (chain == NULL)
        return RC_OK;
    if (chain->ops->finish != NULL)
        return chain->ops->finish(chain, e);
    return sink_finish(chain->next, e);
}

void sink_free(struct sink *chain)
{
    while (chain != NULL) {
        struct sink *next = chain->next;

        if (chain->ops->release != NULL)
            chain->ops->release(chain);
        mem_free(chain);
        chain = next;
    }
}

static enum rc null_write(struct sink *s, const uint8_t *p, size_t n, struct err *e)
{
    (void)s;
    (void)p;
    (void)n;
    (void)e;
    return RC_OK;
}

static const struct sink_ops null_ops = { .name = "null", .write = null_write };

enum rc null_sink_new(struct sink **out, struct err *e)
{
    struct sink *s = NULL;

    TRY(mem_new(&s, sizeof *s, "a sink", e));
    s->ops = &null_ops;
    *out = s;
    return RC_OK;
}

struct buf_sink {
    struct sink base;
    struct buf *to;
};

static enum rc buf_write(struct sink *s, const uint8_t *p, size_t n, struct err *e)
{
    return buf_add(((struct buf_sink *)s)->to, p, n, e);
}

static const struct sink_ops buf_ops = { .name = "buffer", .write = buf_write };

enum rc buf_sink_new(struct buf *to, struct sink **out, struct err *e)
{
    struct buf_sink *s = NULL;

    TRY(mem_new(&s, sizeof *s, "a sink", e));
    s->base.ops = &buf_ops;
    s->to = to;
    *out = &s->base;
    return RC_OK;
}

enum { PIECE = 128 << 10 };

enum rc pump(int fd, const char *name, struct sink *chain, struct err *e)
{
    AT_END(mem_end) uint8_t *piece = NULL;

    TRY(mem_new(&piece, PIECE, "a read buffer", e));
    for (;;) {
        size_t got = 0;

        TRY(stop_check(e));
        TRY(os_read_some(fd, piece, PIECE, &got, name, e));
        if (got == 0)
            return sink_finish(chain, e);
        TRY(sink_write(chain, piece, got, e));
    }
}
