/* Server processes that outlive the command that started them.
 *
 * A process is known by its id and the time it was started, so that a number that the
 * kernel has given to somebody else meanwhile is never signalled. */
#ifndef LAB_CHILD_H
#define LAB_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/err.h"

struct lab_child {
    pid_t pid;        /* 0: none */
    uint64_t started; /* clock ticks since boot, as /proc tells it */
};

struct lab_child_options {
    const char *log; /* takes what it prints, appended */
    bool tied;       /* it dies with this process */
};

/* Starts argv[0], a path, in a session of its own: a terminal that closes and a Ctrl-C do
 * not reach it. Standard input is /dev/null. RC_NOTFOUND when it cannot be run. */
enum rc lab_child_start(const char *const argv[], const struct lab_child_options *o,
                        struct lab_child *out, struct err *e);

enum lab_child_state { LAB_CHILD_GONE, LAB_CHILD_RUNS, LAB_CHILD_STOPPED };
enum lab_child_state lab_child_state(const struct lab_child *c);

/* One that is gone is no error. */
enum rc lab_child_signal(const struct lab_child *c, int signal, struct err *e);

/* Sends `signal`, and SIGKILL when it still runs after 10 s; returns when it is gone.
 * What a child of this process left running in its session is killed as well. */
enum rc lab_child_end(struct lab_child *c, int signal, struct err *e);

/* The program called `name`: beside this one, else in the PATH. RC_NOTFOUND. The caller
 * frees *out. */
enum rc lab_program_find(const char *name, char **out, struct err *e);

#endif
