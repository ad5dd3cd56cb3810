/* What is said on stderr: errors as what, why and next; notes and warnings as lines.
 * All of it may hold text from a server or a file name, so all of it is made printable
 * here, once, at the edge. */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H

#include <pthread.h>
#include <stdbool.h>

#include "cli/printer.h"
#include "util/err.h"
#include "util/log.h"

/* stderr. Notes and progress may come from several threads. */
struct console {
    struct printer *to;
    pthread_mutex_t lock;
    unsigned width; /* columns of the terminal; 0 when it is none */
    bool colour;
    bool standing; /* an unfinished progress line is on the last row */
};

/* Find out about descriptor to->fd. `env` answers NO_COLOR and TERM. */
void console_init(struct console *c, struct printer *to,
                  const char *(*env)(const char *));

/* Removes a progress line that stands; the caller holds the lock. */
void console_erase(struct console *c);
void console_flush(struct console *c);

/* holdfast: <what>
 *   why:  <why>
 *   next: <hint, or the usual advice for the code>
 * Without a `what` the cause takes its place. */
void report_error(struct console *c, enum rc rc, const struct err *e);

/* A log_fn: `arg` is the console. */
void report_log(enum log_level level, const char *line, void *arg);

#endif
