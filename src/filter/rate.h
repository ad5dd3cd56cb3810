/* Pace: so many bytes a second and no more, so that a snapshot taken beside a serving
 * etcd leaves it the disk and the processor.
 *
 * Put it where the bytes come in. Behind a lane it would pace the lane's thread, and
 * dropping the chain would have to wait for it. */
#ifndef FILTER_RATE_H
#define FILTER_RATE_H

#include "filter/sink.h"

/* Time, so that tests need none. */
struct rate_clock {
    uint64_t (*now_us)(void);
    void (*sleep_ms)(uint64_t ms); /* may return early */
};

/* Passes bytes on at the given pace; after a pause it lets up to a tenth of a second's
 * worth through at once. 0 is no limit. While it waits a stop ends it with
 * RC_INTERRUPTED. */
enum rc rate_sink_new(struct sink *next, uint64_t bytes_per_second, struct sink **out,
                      struct err *e);

/* The same with another clock, which must outlive the sink. */
enum rc rate_sink_new_clocked(struct sink *next, uint64_t bytes_per_second,
                              const struct rate_clock *clock, struct sink **out,
                              struct err *e);

#endif
