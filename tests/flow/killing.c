#include "tests/flow/killing.h"

#include <stdio.h>

enum { ENV_MAX = 40 };

void words_add(struct words *w, const char *const more[])
{
    for (; *more != NULL; more++)
        w->argv[w->n++] = *more;
}

int killing_inject(const char *call, const char *how, unsigned nth,
                   const struct words *command, const char *const *env, struct proc *p)
{
    const char *all[ENV_MAX + 2] = { "ASAN_OPTIONS=detect_leaks=0" };
    const struct proc_options o = { .env = all, .timeout_s = 60 };
    char trace[64], inject[128];
    struct words w = { 0 };

    for (size_t i = 0; env != NULL && env[i] != NULL && i < ENV_MAX; i++)
        all[i + 1] = env[i];
    snprintf(trace, sizeof trace, "trace=%s", call);
    snprintf(inject, sizeof inject, "inject=%s:%s:when=%u", call, how, nth);
    if (call[0] != '\0')
        SAY(&w, "strace", "-f", "-qq", "-o", "/dev/null", "-e", trace, "-e", inject);
    words_add(&w, command->argv);
    proc_run(p, &o, w.argv);
    return p->status;
}

int killing_run(const char *call, const char *signal, unsigned nth,
                const struct words *command, const char *const *env, struct proc *p)
{
    char how[32];

    snprintf(how, sizeof how, "signal=%s", signal);
    return killing_inject(call, how, nth, command, env, p);
}
