#include "filter/ring.h"

#include "tests/lib/case.h"

static void ring_end_of_scope(struct ring *r)
{
    ring_clear(r);
}
#define RING [[gnu::cleanup(ring_end_of_scope)]] struct ring

CASE(ring, hands_out_slots_in_turn)
{
    RING r;
    size_t slot;

    ring_init(&r, 3);
    for (size_t i = 0; i < 10; i++) {
        cr_assert(ring_wait_free(&r, &slot));
        cr_assert_eq(slot, i % 3);
        cr_assert(ring_wait_free(&r, &slot), "asking twice is the same slot");
        cr_assert_eq(slot, i % 3);
        ring_push(&r);
        cr_assert(ring_wait_full(&r, &slot));
        cr_assert_eq(slot, i % 3);
        ring_pop(&r);
    }
}

CASE(ring, a_closed_one_is_emptied_and_takes_nothing)
{
    RING r;
    size_t slot;

    ring_init(&r, 2);
    cr_assert(ring_wait_free(&r, &slot));
    ring_push(&r);
    ring_end(&r, RING_CLOSED);
    cr_assert(!ring_wait_free(&r, &slot));
    cr_assert(!ring_is_dropped(&r));
    cr_assert(ring_wait_full(&r, &slot));
    ring_pop(&r);
    cr_assert(!ring_wait_full(&r, &slot));
}

CASE(ring, a_dropped_one_gives_nothing_and_stays_dropped)
{
    RING r;
    size_t slot;

    ring_init(&r, 2);
    cr_assert(ring_wait_free(&r, &slot));
    ring_push(&r);
    ring_end(&r, RING_DROPPED);
    ring_end(&r, RING_CLOSED);
    cr_assert(ring_is_dropped(&r));
    cr_assert(!ring_wait_full(&r, &slot));
    cr_assert(!ring_wait_free(&r, &slot));
}
