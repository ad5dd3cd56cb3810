#include "filter/lane.h"

#include <string.h>

#include "filter/ring.h"
#include "util/mem.h"
#include "util/task.h"

struct lane_sink {
    struct sink base; /* base.next is the thread's alone while it runs */
    struct ring ring;
    uint8_t *memory; /* all blocks, one after another */
    size_t *sizes;   /* of what each pushed block holds */
    size_t block_size;
    size_t slot, filled; /* being filled, and how far */
    struct task task;
    enum rc rc; /* of the thread, kept for every later call */
    struct err err;
};

static enum rc carry(void *arg, struct err *e)
{
    struct lane_sink *l = arg;
    size_t i;

    while (ring_wait_full(&l->ring, &i)) {
        enum rc rc =
            sink_write(l->base.next, l->memory + i * l->block_size, l->sizes[i], e);

        if (rc != RC_OK) {
            ring_end(&l->ring, RING_DROPPED);
            return rc;
        }
        ring_pop(&l->ring);
    }
    return ring_is_dropped(&l->ring) ? RC_OK : sink_finish(l->base.next, e);
}

/* The thread's result: waits for it the first time, repeats it later. */
static enum rc settle(struct lane_sink *l, struct err *e)
{
    if (l->task.running)
        l->rc = task_join(&l->task, &l->err);
    if (l->rc != RC_OK)
        *e = l->err;
    return l->rc;
}

/* A ring that takes no more has a failed thread behind it; anything else is misuse. */
static enum rc refused(struct lane_sink *l, struct err *e)
{
    TRY(settle(l, e));
    return err_set(e, RC_INTERNAL, "bytes were written to a finished lane");
}

static void push(struct lane_sink *l)
{
    l->sizes[l->slot] = l->filled;
    l->filled = 0;
    ring_push(&l->ring);
}

static enum rc lend(struct lane_sink *l, uint8_t **p, size_t *n, struct err *e)
{
    if (!ring_wait_free(&l->ring, &l->slot))
        return refused(l, e);
    *p = l->memory + l->slot * l->block_size + l->filled;
    *n = l->block_size - l->filled;
    return RC_OK;
}

static void add(struct lane_sink *l, size_t n)
{
    l->filled += n;
    if (l->filled == l->block_size)
        push(l);
}

static enum rc lane_write(struct sink *s, const uint8_t *p, size_t n, struct err *e)
{
    struct lane_sink *l = (struct lane_sink *)s;

    while (n > 0) {
        uint8_t *to;
        size_t room, k;

        TRY(lend(l, &to, &room, e));
        k = room < n ? room : n;
        memcpy(to, p, k);
        add(l, k);
        p += k;
        n -= k;
    }
    return RC_OK;
}

enum rc lane_sink_lend(struct sink *lane, uint8_t **p, size_t *n, struct err *e)
{
    return lend((struct lane_sink *)lane, p, n, e);
}

void lane_sink_filled(struct sink *lane, size_t n)
{
    lane->taken += n;
    add((struct lane_sink *)lane, n);
}

static enum rc lane_finish(struct sink *s, struct err *e)
{
    struct lane_sink *l = (struct lane_sink *)s;

    if (l->filled > 0 && ring_wait_free(&l->ring, &l->slot))
        push(l);
    ring_end(&l->ring, RING_CLOSED);
    return settle(l, e);
}

static void lane_release(struct sink *s)
{
    struct lane_sink *l = (struct lane_sink *)s;
    struct err nobody_asks;

    ring_end(&l->ring, RING_DROPPED);
    (void)settle(l, &nobody_asks);
    ring_clear(&l->ring);
    mem_free(l->memory);
    mem_free(l->sizes);
}

static const struct sink_ops lane_ops = {
    .name = "lane",
    .write = lane_write,
    .finish = lane_finish,
    .release = lane_release,
};

enum rc lane_sink_new(struct sink *next, size_t block_size, size_t blocks,
                      struct sink **out, struct err *e)
{
    OWNED(sink) rest = next;
    OWNED(sink) made = NULL;
    struct lane_sink *l = NULL;

    TRY(mem_new(&l, sizeof *l, "a lane", e));
    made = &l->base;
    l->base = (struct sink){ .ops = &lane_ops, .next = GIVE(rest) };
    l->block_size = block_size;
    ring_init(&l->ring, blocks);
    TRY(mem_block(&l->memory, block_size * blocks, "the blocks of a lane", e));
    TRY(mem_new(&l->sizes, blocks * sizeof *l->sizes, "the blocks of a lane", e));
    TRY(task_start(&l->task, carry, l, e));
    *out = GIVE(made);
    return RC_OK;
}
