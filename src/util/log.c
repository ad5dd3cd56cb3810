#include "util/log.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

static log_fn *log_target;
static void *log_arg;
static progress_fn *progress_target;
static void *progress_arg;

void log_to(log_fn *fn, void *arg)
{
    log_target = fn;
    log_arg = arg;
}

PRINTF_LIKE(2, 0) static void say(enum log_level level, const char *fmt, va_list ap)
{
    char line[1024];

    if (log_target == NULL)
        return;
    vsnprintf(line, sizeof line, fmt, ap);
    log_target(level, line, log_arg);
}

void log_info(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    say(LOG_INFO_LEVEL, fmt, ap);
    va_end(ap);
}

void log_warn(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    say(LOG_WARN_LEVEL, fmt, ap);
    va_end(ap);
}

void progress_to(progress_fn *fn, void *arg)
{
    progress_target = fn;
    progress_arg = arg;
}

void progress(const char *stage, uint64_t done, uint64_t total)
{
    if (progress_target != NULL)
        progress_target(stage, done, total, progress_arg);
}
