/* The wish to stop: SIGINT, SIGTERM and SIGHUP set a flag, long loops look at it.
 * With O_TMPFILE and temporary directories an abandoned job leaves nothing behind. */
#ifndef UTIL_STOP_H
#define UTIL_STOP_H

#include <stdbool.h>

#include "util/err.h"

/* Handlers for SIGINT, SIGTERM, SIGHUP; SIGPIPE and SIGXFSZ are ignored. */
void stop_install(void);
bool stop_wanted(void);
void stop_request(void); /* what the handlers do; tests call it */
void stop_reset(void);

/* While it is held, nobody is told that a stop is wanted: for a step that must not be
 * left in its middle, such as a call that the other side goes on with whether we wait or
 * not. What was wished meanwhile is told afterwards. */
void stop_hold(bool held);

/* RC_INTERRUPTED once a stop is wanted. */
enum rc stop_check(struct err *e);

#endif
