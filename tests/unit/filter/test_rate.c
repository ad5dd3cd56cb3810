#include "filter/rate.h"
#include "tests/lib/case.h"
#include "tests/lib/fault.h"
#include "tests/unit/filter/collect.h"
#include "util/stop.h"

static uint64_t now_us, naps, longest_ms;

static uint64_t fake_now(void)
{
    return now_us;
}

static void fake_sleep(uint64_t ms)
{
    naps++;
    longest_ms = ms > longest_ms ? ms : longest_ms;
    now_us += ms * 1000;
}

/* Sleeps as clock_sleep_ms does when a stop cuts it short. */
static void stopped_sleep(uint64_t ms)
{
    (void)ms;
    stop_request();
}

static const struct rate_clock fake = { fake_now, fake_sleep };

static void start(struct collected *c, uint64_t rate, struct sink **chain, struct err *e)
{
    now_us = 5000000;
    naps = longest_ms = 0;
    OK(collect_new(c, chain, e), e);
    OK(rate_sink_new_clocked(GIVE(*chain), rate, &fake, chain, e), e);
}

CASE(rate, passes_everything_at_the_rate)
{
    static uint8_t data[1000 * 1000];
    const uint64_t rates[] = { 400 * 1000, 1000 * 1000, 50 * 1000 * 1000 };

    fill_pattern(data, sizeof data);
    for (size_t r = 0; r < 3; r++)
        for
            EACH_PIECE(i)
            {
                COLLECTED c = { 0 };
                OWNED(sink) chain = NULL;
                struct err e = { 0 };
                uint64_t took, due;

                start(&c, rates[r], &chain, &e);
                OK(write_pieces(chain, data, sizeof data, pieces[i], &e), &e);
                OK(sink_finish(chain, &e), &e);
                took = now_us - 5000000;
                due = sizeof data * UINT64_C(1000000) / rates[r];
                due = due < 100000 ? 0 : due - 100000; /* the burst */
                cr_assert(
                    bytes_equal(BYTES_OF(data), (struct bytes){ c.got.p, c.got.n }));
                cr_assert(took + took / 50 >= due && took <= due + due / 50 + 2000,
                          "rate %zu, pieces of %zu: %zu us, not %zu", (size_t)rates[r],
                          pieces[i], (size_t)took, (size_t)due);
            }
}

CASE(rate, a_pause_earns_a_tenth_of_a_second_and_no_more)
{
    static const uint8_t data[2000];
    COLLECTED c = { 0 };
    OWNED(sink) chain = NULL;
    struct err e = { 0 };

    start(&c, 10000, &chain, &e);
    OK(sink_write(chain, data, 1000, &e), &e);
    cr_assert_eq(naps, 0, "the first tenth of a second is free");
    now_us += 3600 * UINT64_C(1000000);
    OK(sink_write(chain, data, 1000, &e), &e);
    cr_assert_eq(naps, 0);
    OK(sink_write(chain, data, 1000, &e), &e);
    cr_assert_geq(naps, 1, "the hour's pause was not saved up");
}

CASE(rate, a_big_write_goes_on_in_bursts_and_short_sleeps)
{
    static const uint8_t data[100 * 1000];
    COLLECTED c = { 0 };
    OWNED(sink) chain = NULL;
    struct err e = { 0 };

    start(&c, 100 * 1000, &chain, &e);
    OK(sink_write(chain, data, sizeof data, &e), &e);
    cr_assert_leq(longest_ms, 100);
    cr_assert_eq(naps, 9);
}

CASE(rate, even_one_byte_a_second_arrives)
{
    COLLECTED c = { 0 };
    OWNED(sink) chain = NULL;
    struct err e = { 0 };

    start(&c, 1, &chain, &e);
    OK(sink_write(chain, "abc", 3, &e), &e);
    cr_assert_eq(c.got.n, 3);
    cr_assert_eq(now_us - 5000000, 2900000);
}

CASE(rate, zero_and_absurd_rates_are_no_limit)
{
    static const uint8_t data[65536];
    const uint64_t rates[] = { 0, UINT64_MAX };

    for (int i = 0; i < 2; i++) {
        COLLECTED c = { 0 };
        OWNED(sink) chain = NULL;
        struct err e = { 0 };

        start(&c, rates[i], &chain, &e);
        for (int k = 0; k < 100; k++)
            OK(sink_write(chain, data, sizeof data, &e), &e);
        cr_assert_eq(naps, 0);
        cr_assert_eq(c.got.n, 100 * sizeof data);
    }
}

CASE(rate, a_stop_ends_the_wait)
{
    static const struct rate_clock clock = { fake_now, stopped_sleep };
    static const uint8_t data[1000];
    COLLECTED c = { 0 };
    OWNED(sink) chain = NULL;
    struct err e = { 0 };

    now_us = 5000000;
    OK(collect_new(&c, &chain, &e), &e);
    OK(rate_sink_new_clocked(GIVE(chain), 1000, &clock, &chain, &e), &e);
    cr_assert_eq(sink_write(chain, data, sizeof data, &e), RC_INTERRUPTED);
    stop_reset();
    cr_assert_leq(c.got.n, 100);
    cr_assert_eq(c.finishes, 0);
}

CASE(rate, the_real_clock_lets_a_burst_through)
{
    COLLECTED c = { 0 };
    OWNED(sink) chain = NULL;
    struct err e = { 0 };

    OK(collect_new(&c, &chain, &e), &e);
    OK(rate_sink_new(GIVE(chain), 1 << 20, &chain, &e), &e);
    OK(sink_write(chain, "abc", 3, &e), &e);
    OK(sink_finish(chain, &e), &e);
    cr_assert_eq(c.got.n, 3);
    cr_assert_eq(c.finishes, 1);
}

CASE(rate, no_memory_is_an_error)
{
    FAULT_SWEEP(FAULT_ALLOC, nth, 0) {
        OWNED(sink) chain = NULL;
        struct err e = { 0 };
        enum rc rc = null_sink_new(&chain, &e);

        if (rc == RC_OK)
            rc = rate_sink_new(GIVE(chain), 1, &chain, &e);
        cr_assert(rc == (nth < 3 ? RC_NOMEM : RC_OK), "allocation %u", nth);
    }
}
