/* Trying again, for whoever talks to another machine: RC_NET is worth another try, with
 * growing, jittered pauses, until a deadline or a number of tries in a row that moved
 * nothing. Any other failure is final at once.
 *
 *     struct retry r = retry_begin(deadline_ms);
 *     do
 *         rc = attempt(..., retry_left_ms(&r), e);
 *     while (retry_again(&r, &rc, e));
 */
#ifndef STORAGE_RETRY_H
#define STORAGE_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"

enum { RETRY_TRIES = 8 };

struct retry {
    uint64_t began_ms, deadline_ms; /* by clock_ms() */
    uint64_t limit_ms;              /* from the beginning, or the last progress */
    uint64_t wait_ms;               /* the next pause, before jitter */
    uint64_t at_least_ms; /* what the other side asked us to wait; used once, then 0 */
    unsigned tries, idle; /* all; those in a row without progress */
};

/* The first pause; it doubles up to 16 s. Tests set 1. */
extern uint64_t retry_first_ms;

struct retry retry_begin(uint64_t deadline_ms);

/* At least 1: a limit for the attempt to come. */
uint64_t retry_left_ms(const struct retry *r);

/* The last attempt got further: pauses, count and deadline begin again. */
void retry_progress(struct retry *r);

/* After an attempt. True when it is to be made again, after the pause. False when it went
 * well or failed for good; *rc and `e` are then what to return: the failure with "gave up
 * after N tries", RC_INTERRUPTED when a stop was wanted. */
bool retry_again(struct retry *r, enum rc *rc, struct err *e);

#endif
