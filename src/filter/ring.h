/* A ring of slots that one thread fills and one other empties, in order. It keeps the
 * indexes only; what a slot holds is its user's, and belongs to the side that was
 * given the slot until that side hands it back. */
#ifndef FILTER_RING_H
#define FILTER_RING_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

enum ring_state {
    RING_OPEN,
    RING_CLOSED,  /* nothing more comes; what is there will be taken */
    RING_DROPPED, /* neither side goes on: the chain was dropped, or the taker failed */
};

struct ring {
    pthread_mutex_t lock;
    pthread_cond_t moved;
    size_t slots, first, used;
    enum ring_state state;
};

void ring_init(struct ring *r, size_t slots);
void ring_clear(struct ring *r);

/* The filling side: wait for a free slot, fill it, push it. The slot stays the same
 * until it is pushed. False once the ring is no longer open. */
bool ring_wait_free(struct ring *r, size_t *slot);
void ring_push(struct ring *r);

/* The emptying side: wait for a full slot, use it, pop it. False when the ring is
 * closed and empty, and as soon as it is dropped. */
bool ring_wait_full(struct ring *r, size_t *slot);
void ring_pop(struct ring *r);

/* Either side may end it; a dropped ring stays dropped. */
void ring_end(struct ring *r, enum ring_state how);
bool ring_is_dropped(struct ring *r);

#endif
