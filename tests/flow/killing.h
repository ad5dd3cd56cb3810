/* The tool, ended from outside at a chosen system call: strace sends the signal. */
#ifndef TESTS_FLOW_KILLING_H
#define TESTS_FLOW_KILLING_H

#include <signal.h>

#include "tests/lib/proc.h"

enum { KILLED = 128 + SIGKILL, TERMINATED = 128 + SIGTERM, INTERRUPTED = 130 };

/* The program's words; room for strace's in front. */
struct words {
    const char *argv[32];
    size_t n;
};
void words_add(struct words *w, const char *const more[]);
#define SAY(w, ...) words_add(w, (const char *const[]){ __VA_ARGS__, NULL })

/* A system call to be ended at. */
struct hit {
    const char *call;
    unsigned from; /* what comes before is the loading of the program */
    unsigned least;
};

/* Runs it with `signal` sent at the nth `call` of any of its threads; without a call
 * just so. `env` is further environment, or NULL. Returns the exit status. */
int killing_run(const char *call, const char *signal, unsigned nth,
                const struct words *command, const char *const *env, struct proc *p);

/* The same with anything else that strace injects: "error=ENOSPC". */
int killing_inject(const char *call, const char *how, unsigned nth,
                   const struct words *command, const char *const *env, struct proc *p);

#endif
