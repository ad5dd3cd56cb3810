/* Time. Deadlines use the monotonic clock; wall time is only a label. */
#ifndef UTIL_CLOCK_H
#define UTIL_CLOCK_H

#include <stdint.h>

uint64_t clock_ms(void);             /* monotonic milliseconds */
uint64_t clock_us(void);             /* monotonic microseconds */
void clock_sleep_ms(uint64_t ms);    /* returns early when a stop is wanted */
int64_t clock_unix_ms(void);         /* wall time, since 1970 */
void clock_utc(char out[static 21]); /* "2026-11-20T16:30:00Z" */
/* The same for seconds since 1970; "" for what no calendar has. */
void clock_utc_at(int64_t seconds, char out[static 21]);

#endif
