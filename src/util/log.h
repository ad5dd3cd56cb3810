/* What libraries have to say: decisions and warnings, never results, never progress
 * through their own code. Where it goes is the program's choice; by default nowhere. */
#ifndef UTIL_LOG_H
#define UTIL_LOG_H

#include <stdint.h>

#include "util/err.h"

enum log_level { LOG_INFO_LEVEL, LOG_WARN_LEVEL };

typedef void log_fn(enum log_level level, const char *line, void *arg);

void log_to(log_fn *fn, void *arg); /* NULL turns it off */
void log_info(const char *fmt, ...) PRINTF_LIKE(1, 2);
void log_warn(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* Progress of one long piece of work; the program draws it. total 0 is unknown. */
typedef void progress_fn(const char *stage, uint64_t done, uint64_t total, void *arg);

void progress_to(progress_fn *fn, void *arg);
void progress(const char *stage, uint64_t done, uint64_t total);

#endif
