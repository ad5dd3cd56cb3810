/* One function on its own thread, with its result kept for the join. */
#ifndef UTIL_TASK_H
#define UTIL_TASK_H

#include <pthread.h>
#include <stdbool.h>

#include "util/err.h"

typedef enum rc task_fn(void *arg, struct err *e);

struct task {
    pthread_t thread;
    task_fn *fn;
    void *arg;
    enum rc rc;
    struct err err;
    bool running;
};

/* Start fn(arg) on a new thread; `t` and `arg` must live until task_join. */
enum rc task_start(struct task *t, task_fn *fn, void *arg, struct err *e);

/* Wait for it and return its result. Joining a task that never started is RC_OK. */
enum rc task_join(struct task *t, struct err *e);

#endif
