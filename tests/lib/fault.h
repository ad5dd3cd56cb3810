/* Failing on purpose: the n-th call through the allocation or system call seam. */
#ifndef TESTS_LIB_FAULT_H
#define TESTS_LIB_FAULT_H

#include <stdbool.h>

enum fault_point {
    FAULT_ALLOC,
    FAULT_OPEN,
    FAULT_READ,
    FAULT_WRITE,
    FAULT_FSYNC,
    FAULT_RENAME, /* link or rename: the step that publishes */
    FAULT_MKDIR,
};

/* From now on the nth call (from 1) at `point` fails with `error`; with error 0 a
 * read or write moves only one byte instead. Later calls work again. */
void fault_arm(enum fault_point point, unsigned nth, int error);
bool fault_disarm(void); /* did it go off? Restores the real calls. */

/* Run the body with the 1st call at `point` failing, then the 2nd, and so on,
 * until a whole run passes without the fault going off. */
#define FAULT_SWEEP(point, nth, error)                                                 \
    for (unsigned nth = 1, more_ = 1; more_ != 0 && (fault_arm(point, nth, error), 1); \
         more_ = fault_disarm(), nth++)

#endif
