/* Writing for somebody who may not read: behind a pipe that is full, a terminal that was
 * stopped, a journal that hangs. Nobody's flags are changed: others may share the
 * descriptor. */
#ifndef UTIL_PATIENT_H
#define UTIL_PATIENT_H

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

#define PATIENT_FOR_EVER UINT64_MAX

/* Writes what is taken within `wait_ms` from the last byte that was, and ends early when
 * a stop is wanted. RC_OK also when it was not all: *done says how much. RC_STORAGE, and
 * errno's value in *cause, when the descriptor fails. */
enum rc patient_write(int fd, const void *p, size_t n, uint64_t wait_ms, size_t *done,
                      const char *name, int *cause, struct err *e);

#endif
