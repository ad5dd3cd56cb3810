/* The process ends, as by SIGKILL, at the nth call through the system call seam that
 * changes something on a disk: right before the call is made, or right after it. For a
 * child that a test has forked. */
#ifndef TESTS_LIB_CRASH_H
#define TESTS_LIB_CRASH_H

#include <stdbool.h>

enum { CRASH_STATUS = 137 };

void crash_at(unsigned nth, bool after);

/* The same, and only the calls of other threads than this one count: whatever the main
 * one does meanwhile, the nth call is the same in every run. */
void crash_elsewhere_at(unsigned nth, bool after);

/* Runs `body(arg)` in a child that crashes so. True: it crashed; false: it came to its
 * end before the nth call, and the body's result was RC_OK (else the test fails). */
typedef int crash_body(void *arg);
bool crash_run(unsigned nth, bool after, crash_body *body, void *arg);
bool crash_run_elsewhere(unsigned nth, bool after, crash_body *body, void *arg);

#endif
