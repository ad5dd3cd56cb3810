/* Another program, run to its end: no shell, bounded time, bounded memory. */
#ifndef UTIL_PROGRAM_H
#define UTIL_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>

#include "util/bytes.h"
#include "util/err.h"

enum { PROGRAM_TAIL = 8 * 1024 };

struct program {
    const char *const *argv; /* argv[0]: a path, or a name that PATH leads to */
    const char *const *env;  /* "NAME=value" besides ours, NULL ends it; may be NULL */
    uint64_t timeout_ms;     /* then SIGTERM, and SIGKILL 10 s later; 0: no limit */
    size_t out_max;          /* bytes of standard output that are kept; 0: 1 MiB */
    bool unheard; /* what it prints is read and thrown away, so that it never waits */
    bool idle;    /* least priority for processor and disk, so that it hurts nobody */
};

/* Zero-initialise, end with program_result_clear. */
struct program_result {
    int status; /* exit status, or 128 + signal */
    bool timed_out;
    uint64_t took_ms;
    struct buf out;              /* what it said; RC_CORRUPT when it was too much */
    char tail[PROGRAM_TAIL + 1]; /* the end of what it complained about */
};
void program_result_clear(struct program_result *r);

/* RC_OK when it ran and ended, whatever its status. RC_NOTFOUND when it cannot be run;
 * RC_INTERRUPTED when a stop is wanted: it is ended first, as after a timeout. Standard
 * input is /dev/null. It dies with the thread that calls this. */
enum rc program_run(const struct program *c, struct program_result *out, struct err *e);

/* The least priority for processor and disk, for this thread and those it starts. */
void program_give_way(void);

/* For whoever forks himself: what the child could not do before it became `program`, as
 * the errno that it wrote into the pipe behind `from`; RC_OK when exec closed that.
 * RC_NOTFOUND otherwise. */
enum rc program_heard(int from, const char *program, struct err *e);

#endif
