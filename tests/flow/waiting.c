#include "tests/flow/waiting.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/case.h"
#include "tests/lib/proc.h"
#include "util/clock.h"

enum { PATIENCE_MS = 120000, START_MAX = 4096 };

void waiting_begin(struct waiting *w, const char *dir, const char *const argv[])
{
    static unsigned count;

    snprintf(w->log, sizeof w->log, "%s/tool%u.log", dir, count++);
    w->pid = proc_start(w->log, argv);
}

const char *waiting_text(struct waiting *w)
{
    FILE *f = fopen(w->log, "r");

    w->text[0] = '\0';
    if (f != NULL) {
        w->text[fread(w->text, 1, sizeof w->text - 1, f)] = '\0';
        fclose(f);
    }
    return w->text;
}

bool waiting_says(struct waiting *w, const char *words)
{
    uint64_t until = clock_ms() + PATIENCE_MS;

    while (clock_ms() < until) {
        bool runs = proc_runs(w->pid);

        if (strstr(waiting_text(w), words) != NULL)
            return true;
        if (!runs)
            return false;
        usleep(5000);
    }
    cr_assert_fail("it does not say '%s':\n%s", words, w->text);
    return false;
}

static const char *nth_start(struct waiting *w, unsigned nth)
{
    static const char head[] = "data directory:\n\n";
    const char *at = waiting_text(w);

    for (unsigned i = 0; at != NULL && i <= nth; i++) {
        at = strstr(at, head);
        at = at == NULL ? NULL : at + sizeof head - 1;
    }
    return at != NULL && strstr(at, "\n\n") != NULL ? at : NULL;
}

const char *waiting_start(struct waiting *w, unsigned nth)
{
    static char shown[START_MAX];
    uint64_t until = clock_ms() + PATIENCE_MS;

    while (clock_ms() < until) {
        const char *at = nth_start(w, nth);

        if (at != NULL) {
            snprintf(shown, sizeof shown, "%.*s", (int)(strstr(at, "\n\n") - at), at);
            return shown;
        }
        cr_assert(proc_runs(w->pid), "it ended:\n%s", w->text);
        usleep(20000);
    }
    cr_assert_fail("no start command %u:\n%s", nth, w->text);
    return NULL;
}

const char *waiting_initial(struct waiting *w, unsigned nth)
{
    static const char flag[] = "--initial-cluster ";
    static char value[1024];
    const char *at = strstr(waiting_start(w, nth), flag);

    cr_assert_not_null(at, "%s", w->text);
    at += sizeof flag - 1;
    snprintf(value, sizeof value, "%.*s", (int)strcspn(at, " \n"), at);
    return value;
}

void waiting_ends(struct waiting *w, int status)
{
    uint64_t until = clock_ms() + PATIENCE_MS;
    int got;

    while (proc_runs(w->pid) && clock_ms() < until)
        usleep(20000);
    got = proc_stop(w->pid, SIGKILL);
    cr_assert_eq(got, status, "status %d, not %d:\n%s", got, status, waiting_text(w));
}

bool waiting_kill(struct waiting *w)
{
    return proc_stop(w->pid, SIGKILL) == 0;
}
