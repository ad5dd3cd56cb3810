#include "snapshot/gate.h"

#include "util/mem.h"

struct gate_sink {
    struct sink base;
    gate_fn *ask;
    void *arg;
};

static enum rc gate_write(struct sink *s, const uint8_t *p, size_t n, struct err *e)
{
    return sink_write(s->next, p, n, e);
}

static enum rc gate_finish(struct sink *s, struct err *e)
{
    struct gate_sink *g = (struct gate_sink *)s;

    TRY(g->ask(g->arg, e));
    return sink_finish(s->next, e);
}

static const struct sink_ops gate_ops = {
    .name = "gate",
    .write = gate_write,
    .finish = gate_finish,
};

enum rc gate_sink_new(struct sink *next, gate_fn *ask, void *arg, struct sink **out,
                      struct err *e)
{
    OWNED(sink) rest = next;
    struct gate_sink *g = NULL;

    TRY(mem_new(&g, sizeof *g, "a gate", e));
    *g = (struct gate_sink){ .base = { .ops = &gate_ops, .next = GIVE(rest) },
                             .ask = ask,
                             .arg = arg };
    *out = &g->base;
    return RC_OK;
}
