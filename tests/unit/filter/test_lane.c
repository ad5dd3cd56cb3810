#include "filter/lane.h"

#include <semaphore.h>
#include <stdatomic.h>
#include <string.h>

#include "tests/lib/case.h"
#include "tests/lib/fault.h"
#include "tests/unit/filter/collect.h"
#include "util/task.h"

enum { SIZE = 20000 };

static uint8_t data[SIZE];

static enum rc through(struct collected *c, size_t block, size_t blocks, size_t piece,
                       struct err *e)
{
    OWNED(sink) chain = NULL;

    fill_pattern(data, sizeof data);
    TRY(collect_new(c, &chain, e));
    TRY(lane_sink_new(GIVE(chain), block, blocks, &chain, e));
    TRY(write_pieces(chain, data, sizeof data, piece, e));
    return sink_finish(chain, e);
}

CASE(lane, keeps_bytes_and_order_whatever_the_blocks)
{
    const size_t blocks[] = { 1, 7, 4096, SIZE, 1 << 20 };

    for (size_t b = 0; b < 5; b++)
        for (size_t count = 1; count <= 4; count += 3)
            for
                EACH_PIECE(i)
                {
                    COLLECTED c = { 0 };
                    struct err e = { 0 };

                    OK(through(&c, blocks[b], count, pieces[i], &e), &e);
                    cr_assert(
                        bytes_equal(BYTES_OF(data), (struct bytes){ c.got.p, c.got.n }),
                        "%zu blocks of %zu, pieces of %zu", count, blocks[b], pieces[i]);
                    cr_assert_eq(c.finishes, 1, "finish waits for what comes after");
                }
}

CASE(lane, two_lanes_in_a_row_work)
{
    COLLECTED c = { 0 };
    OWNED(sink) chain = NULL;
    struct err e = { 0 };

    fill_pattern(data, sizeof data);
    OK(collect_new(&c, &chain, &e), &e);
    OK(lane_sink_new(GIVE(chain), 100, 2, &chain, &e), &e);
    OK(lane_sink_new(GIVE(chain), 64, 3, &chain, &e), &e);
    OK(write_pieces(chain, data, sizeof data, 7, &e), &e);
    OK(sink_finish(chain, &e), &e);
    cr_assert(bytes_equal(BYTES_OF(data), (struct bytes){ c.got.p, c.got.n }));
}

/* Fills what is lent, now and then after a plain write. */
static enum rc fill_lent(struct sink *lane, const uint8_t *p, size_t n, struct err *e)
{
    for (size_t at = 0, turn = 0; at < n; turn++) {
        size_t left = n - at, room, k = left < 3 ? left : 3;
        uint8_t *to;

        if (turn % 5 == 0) {
            TRY(sink_write(lane, p + at, k, e));
        } else {
            TRY(lane_sink_lend(lane, &to, &room, e));
            k = room < left ? room : left;
            memcpy(to, p + at, k);
            lane_sink_filled(lane, k);
        }
        at += k;
    }
    return RC_OK;
}

CASE(lane, bytes_made_in_its_own_memory_are_the_same)
{
    COLLECTED c = { 0 };
    OWNED(sink) chain = NULL;
    struct err e = { 0 };

    fill_pattern(data, sizeof data);
    OK(collect_new(&c, &chain, &e), &e);
    OK(lane_sink_new(GIVE(chain), 100, 2, &chain, &e), &e);
    OK(fill_lent(chain, data, sizeof data, &e), &e);
    cr_assert_eq(chain->taken, sizeof data);
    OK(sink_finish(chain, &e), &e);
    cr_assert(bytes_equal(BYTES_OF(data), (struct bytes){ c.got.p, c.got.n }));
}

CASE(lane, a_failure_is_heard_when_memory_is_asked_for)
{
    COLLECTED c = { .fail_at = 500 };
    OWNED(sink) chain = NULL;
    struct err e = { 0 };

    OK(collect_new(&c, &chain, &e), &e);
    OK(lane_sink_new(GIVE(chain), 100, 2, &chain, &e), &e);
    cr_assert_eq(fill_lent(chain, data, sizeof data, &e), RC_STORAGE);
    cr_assert_str_eq(e.why, "the collector is full");
}

CASE(lane, an_empty_stream_is_finished_too)
{
    COLLECTED c = { 0 };
    OWNED(sink) chain = NULL;
    struct err e = { 0 };

    OK(collect_new(&c, &chain, &e), &e);
    OK(lane_sink_new(GIVE(chain), 100, 2, &chain, &e), &e);
    OK(sink_finish(chain, &e), &e);
    cr_assert_eq(c.finishes, 1);
}

CASE(lane, a_failure_after_it_reaches_the_writer_and_stays)
{
    for
        EACH_PIECE(i)
        {
            COLLECTED c = { .fail_at = 500 };
            OWNED(sink) chain = NULL;
            struct err e = { 0 };
            enum rc rc = RC_OK;

            OK(collect_new(&c, &chain, &e), &e);
            OK(lane_sink_new(GIVE(chain), 100, 2, &chain, &e), &e);
            /* The ring holds 200 bytes, so 20000 cannot all be written before the news.
             */
            rc = write_pieces(chain, data, sizeof data, pieces[i], &e);
            cr_assert_eq(rc, RC_STORAGE, "pieces of %zu", pieces[i]);
            cr_assert_str_eq(e.why, "the collector is full");
            for (int again = 0; again < 2; again++) {
                struct err later = { 0 };

                rc = again == 0 ? sink_write(chain, "x", 1, &later)
                                : sink_finish(chain, &later);
                cr_assert_eq(rc, RC_STORAGE);
                cr_assert_str_eq(later.why, "the collector is full");
            }
            cr_assert_eq(c.finishes, 0);
        }
}

CASE(lane, finish_returns_what_failed_at_the_end)
{
    COLLECTED in_write = { .fail_at = 100 };
    COLLECTED in_finish = { .fail_finish = true };
    struct collected *const into[] = { &in_write, &in_finish };
    const char *const why[] = { "the collector is full", "the collector cannot finish" };

    for (int i = 0; i < 2; i++) {
        OWNED(sink) chain = NULL;
        struct err e = { 0 };

        OK(collect_new(into[i], &chain, &e), &e);
        OK(lane_sink_new(GIVE(chain), 1 << 20, 4, &chain, &e), &e);
        OK(sink_write(chain, data, sizeof data, &e), &e);
        cr_assert_eq(sink_finish(chain, &e), RC_STORAGE);
        cr_assert_str_eq(e.why, why[i]);
    }
}

CASE(lane, dropping_it_finishes_nothing)
{
    for (size_t n = 0; n <= SIZE; n += SIZE / 4) {
        COLLECTED c = { 0 };
        OWNED(sink) chain = NULL;
        struct err e = { 0 };

        OK(collect_new(&c, &chain, &e), &e);
        OK(lane_sink_new(GIVE(chain), 1000, 3, &chain, &e), &e);
        OK(write_pieces(chain, data, n, 7, &e), &e);
        sink_free(GIVE(chain));
        cr_assert_eq(c.finishes, 0);
        cr_assert_eq(c.releases, 1);
        cr_assert_leq(c.got.n, n);
    }
}

CASE(lane, writing_after_finish_is_a_fault_and_no_hang)
{
    COLLECTED c = { 0 };
    OWNED(sink) chain = NULL;
    struct err e = { 0 };

    OK(collect_new(&c, &chain, &e), &e);
    OK(lane_sink_new(GIVE(chain), 10, 2, &chain, &e), &e);
    OK(sink_finish(chain, &e), &e);
    cr_assert_eq(sink_write(chain, "x", 1, &e), RC_INTERNAL);
}

/* ---- a sink that waits for the test
 * ---------------------------------------------------- */

static sem_t entered, go_on;
static atomic_uint handed_over, taken;

static enum rc gate_write(struct sink *s, const uint8_t *p, size_t n, struct err *e)
{
    (void)s;
    (void)p;
    (void)e;
    sem_post(&entered);
    sem_wait(&go_on);
    atomic_fetch_add(&taken, (unsigned)n);
    return RC_OK;
}

static void gate_new(struct sink **out, struct err *e)
{
    static const struct sink_ops ops = { .name = "gate", .write = gate_write };
    struct sink *s = NULL;

    OK(mem_new(&s, sizeof *s, "a gate", e), e);
    s->ops = &ops;
    sem_init(&entered, 0, 0);
    sem_init(&go_on, 0, 0);
    atomic_store(&handed_over, 0);
    atomic_store(&taken, 0);
    *out = s;
}

static enum rc write_ten(void *arg, struct err *e)
{
    for (int i = 0; i < 10; i++) {
        TRY(sink_write(arg, "0123456789", 10, e));
        atomic_fetch_add(&handed_over, 10);
    }
    return RC_OK;
}

CASE(lane, the_writer_is_never_further_ahead_than_the_ring)
{
    OWNED(sink) chain = NULL;
    struct err e = { 0 };
    struct task writer;

    gate_new(&chain, &e);
    OK(lane_sink_new(GIVE(chain), 10, 3, &chain, &e), &e);
    OK(task_start(&writer, write_ten, chain, &e), &e);
    for (unsigned block = 0; block < 10; block++) {
        sem_wait(&entered);
        cr_assert_leq(atomic_load(&handed_over), 10 * (block + 3),
                      "block %u is still under way", block);
        sem_post(&go_on);
    }
    OK(task_join(&writer, &e), &e);
    OK(sink_finish(chain, &e), &e);
    cr_assert_eq(atomic_load(&taken), 100);
}

static enum rc open_gate(void *arg, struct err *e)
{
    (void)arg;
    (void)e;
    sem_post(&go_on);
    return RC_OK;
}

/* Three blocks are in the ring, the first is stuck; whichever comes first, the drop or
 * the gate, nothing hangs: once dropped, the lane asks the gate for nothing more. */
CASE(lane, dropping_a_full_ring_ends_with_the_block_under_way)
{
    for (int round = 0; round < 50; round++) {
        OWNED(sink) chain = NULL;
        struct err e = { 0 };
        struct task opener;

        gate_new(&chain, &e);
        OK(lane_sink_new(GIVE(chain), 10, 3, &chain, &e), &e);
        OK(write_pieces(chain, "0123456789abcdefghijABCDEFGHIJ", 30, 10, &e), &e);
        sem_wait(&entered);
        for (int i = 0; i < 2; i++)
            sem_post(&go_on); /* should it race ahead, later blocks must not hang it */
        OK(task_start(&opener, open_gate, NULL, &e), &e);
        sink_free(GIVE(chain));
        OK(task_join(&opener, &e), &e);
        cr_assert_geq(atomic_load(&taken), 10);
    }
}

CASE(lane, no_memory_is_an_error_and_leaks_nothing)
{
    unsigned runs = 0;

    FAULT_SWEEP(FAULT_ALLOC, nth, 0) {
        OWNED(sink) chain = NULL;
        struct err e = { 0 };
        enum rc rc = null_sink_new(&chain, &e);

        if (rc == RC_OK)
            rc = lane_sink_new(GIVE(chain), 10, 2, &chain, &e);
        if (rc == RC_OK)
            rc = sink_finish(chain, &e);
        runs = nth;
        cr_assert(rc == (nth < 5 ? RC_NOMEM : RC_OK), "allocation %u", nth);
    }
    cr_assert_eq(runs, 5);
}
