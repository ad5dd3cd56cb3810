#include "filter/rate.h"

#include "util/clock.h"
#include "util/mem.h"
#include "util/stop.h"

#define NS_PER_S UINT64_C(1000000000)

/* Above this no disk or wire is the faster one, and products below stay in 64 bits. */
#define RATE_MAX (UINT64_C(100) * 1000 * 1000 * 1000)

enum { BURST_NS = 100 * 1000 * 1000 };

/* A token bucket kept as a point in time: `paid_ns` is when everything passed so far
 * would have passed at exactly the rate. It may lag the clock by one burst, no more,
 * and bytes wait while it leads. */
struct rate_sink {
    struct sink base;
    const struct rate_clock *clock;
    uint64_t rate, paid_ns;
};

static uint64_t now_ns(const struct rate_sink *f)
{
    return f->clock->now_us() * 1000;
}

static void pay(struct rate_sink *f, size_t n)
{
    uint64_t now = now_ns(f);

    if (now > BURST_NS && f->paid_ns < now - BURST_NS)
        f->paid_ns = now - BURST_NS;
    f->paid_ns += n * NS_PER_S / f->rate;
}

static enum rc wait_until_paid(const struct rate_sink *f, struct err *e)
{
    for (;;) {
        uint64_t now = now_ns(f);

        TRY(stop_check(e));
        if (now >= f->paid_ns)
            return RC_OK;
        f->clock->sleep_ms((f->paid_ns - now + 999999) / 1000000);
    }
}

static enum rc rate_write(struct sink *s, const uint8_t *p, size_t n, struct err *e)
{
    struct rate_sink *f = (struct rate_sink *)s;
    size_t burst = f->rate < 10 ? 1 : (size_t)(f->rate / 10);

    while (n > 0) {
        size_t k = n < burst ? n : burst;

        pay(f, k);
        TRY(wait_until_paid(f, e));
        TRY(sink_write(s->next, p, k, e));
        p += k;
        n -= k;
    }
    return RC_OK;
}

static enum rc pass(struct sink *s, const uint8_t *p, size_t n, struct err *e)
{
    return sink_write(s->next, p, n, e);
}

static const struct sink_ops rate_ops = { .name = "rate", .write = rate_write };
static const struct sink_ops unlimited_ops = { .name = "rate", .write = pass };

enum rc rate_sink_new_clocked(struct sink *next, uint64_t bytes_per_second,
                              const struct rate_clock *clock, struct sink **out,
                              struct err *e)
{
    OWNED(sink) rest = next;
    struct rate_sink *f = NULL;
    bool limited = bytes_per_second > 0 && bytes_per_second <= RATE_MAX;

    TRY(mem_new(&f, sizeof *f, "a rate filter", e));
    *f = (struct rate_sink){
        .base = { .ops = limited ? &rate_ops : &unlimited_ops, .next = GIVE(rest) },
        .clock = clock,
        .rate = bytes_per_second,
    };
    *out = &f->base;
    return RC_OK;
}

enum rc rate_sink_new(struct sink *next, uint64_t bytes_per_second, struct sink **out,
                      struct err *e)
{
    static const struct rate_clock monotonic = { clock_us, clock_sleep_ms };

    return rate_sink_new_clocked(next, bytes_per_second, &monotonic, out, e);
}
