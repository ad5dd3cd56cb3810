#include "util/clock.h"

#include <stdio.h>
#include <time.h>

#include "util/stop.h"

uint64_t clock_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

uint64_t clock_ms(void)
{
    return clock_us() / 1000;
}

void clock_sleep_ms(uint64_t ms)
{
    uint64_t end = clock_ms() + ms;

    for (uint64_t now = clock_ms(); now < end && !stop_wanted(); now = clock_ms()) {
        uint64_t left = end - now < 50 ? end - now : 50;

        nanosleep(&(struct timespec){ .tv_nsec = (long)left * 1000000 }, NULL);
    }
}

int64_t clock_unix_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void clock_utc_at(int64_t seconds, char out[static 21])
{
    time_t t = (time_t)seconds;
    struct tm tm;

    out[0] = '\0';
    if (gmtime_r(&t, &tm) != NULL && tm.tm_year <= 9999 - 1900)
        strftime(out, 21, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

void clock_utc(char out[static 21])
{
    clock_utc_at(time(NULL), out);
}
