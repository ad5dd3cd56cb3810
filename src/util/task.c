#include "util/task.h"

#include <errno.h>
#include <signal.h>

static void *run(void *arg)
{
    struct task *t = arg;

    t->rc = t->fn(t->arg, &t->err);
    return NULL;
}

/* Signals are for the main thread; a worker must not be the one they interrupt. */
static int start_quietly(struct task *t)
{
    sigset_t all, before;
    int cause;

    sigfillset(&all);
    sigdelset(&all, SIGBUS);
    sigdelset(&all, SIGSEGV);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    cause = pthread_create(&t->thread, NULL, run, t);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return cause;
}

enum rc task_start(struct task *t, task_fn *fn, void *arg, struct err *e)
{
    *t = (struct task){ .fn = fn, .arg = arg };
    errno = start_quietly(t);
    if (errno != 0)
        return err_sys(e, RC_INTERNAL, "cannot start a thread");
    t->running = true;
    return RC_OK;
}

enum rc task_join(struct task *t, struct err *e)
{
    if (!t->running)
        return RC_OK;
    pthread_join(t->thread, NULL);
    t->running = false;
    if (t->rc != RC_OK)
        *e = t->err;
    return t->rc;
}
