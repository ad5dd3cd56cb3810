#include "util/program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/mem.h"
#include "util/os.h"
#include "util/stop.h"
#include "util/str.h"

enum {
    OUT_MAX = 1 << 20,
    LOOK_MS = 200,
    GRACE_MS = 10000,
    IDLE_CLASS = 3 << 13, /* ioprio_set(2) */
};

void program_result_clear(struct program_result *r)
{
    buf_clear(&r->out);
}

/* ---- start ---------------------------------------------------------------------------
 */

struct ends {
    int out, err, why; /* ours: to read from; the child's: to write to */
};

static void ends_close(struct ends *p)
{
    os_fd_end(&p->out);
    os_fd_end(&p->err);
    os_fd_end(&p->why);
}

static enum rc open_pipes(struct ends *read_end, struct ends *write_end, struct err *e)
{
    int *const r[] = { &read_end->out, &read_end->err, &read_end->why };
    int *const w[] = { &write_end->out, &write_end->err, &write_end->why };

    for (size_t i = 0; i < 3; i++) {
        int both[2];

        if (pipe2(both, O_CLOEXEC) != 0)
            return err_sys(e, RC_STORAGE, "cannot make a pipe");
        *r[i] = both[0];
        *w[i] = both[1];
    }
    return RC_OK;
}

void program_give_way(void)
{
    setpriority(PRIO_PROCESS, 0, 19);
    syscall(SYS_ioprio_set, 1, 0, IDLE_CLASS);
}

/* Only calls that are safe between fork and exec, since other threads may exist. */
static _Noreturn void become(char *const *argv, char *const *env, bool idle,
                             const struct ends *to)
{
    static const int taken[] = { SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGXFSZ };
    const int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
    sigset_t none;
    int why;

    prctl(PR_SET_PDEATHSIG, SIGTERM);
    setpgid(0, 0);
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
        signal(taken[i], SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL); /* a task's thread takes no signals */
    if (idle)
        program_give_way();
    if (in >= 0 && dup2(in, 0) >= 0 && dup2(to->out, 1) >= 0 && dup2(to->err, 2) >= 0)
        execvpe(argv[0], argv, env);
    why = errno;
    if (write(to->why, &why, sizeof why) < 0)
        _exit(126);
    _exit(127);
}

/* Our environment with more of it; the strings are borrowed. */
static enum rc environment(const char *const *more, char ***out, struct err *e)
{
    size_t ours = 0, theirs = 0;

    while (environ[ours] != NULL)
        ours++;
    while (more != NULL && more[theirs] != NULL)
        theirs++;
    TRY(mem_new(out, (ours + theirs + 1) * sizeof **out, "an environment", e));
    for (size_t i = 0; i < theirs; i++)
        (*out)[i] = (char *)(uintptr_t)more[i];
    memcpy(*out + theirs, environ, ours * sizeof **out);
    (*out)[theirs + ours] = NULL;
    return RC_OK;
}

enum rc program_heard(int from, const char *program, struct err *e)
{
    int why = 0;
    ssize_t n;

    while ((n = os.read(from, &why, sizeof why)) < 0 && errno == EINTR)
        ;
    if (n == 0)
        return RC_OK;
    errno = n == (ssize_t)sizeof why ? why : EIO;
    return err_sys(e, RC_NOTFOUND, "cannot run '%s'", program);
}

static enum rc start(const struct program *c, struct ends *from, pid_t *out,
                     struct err *e)
{
    AT_END(ends_close) struct ends to = { -1, -1, -1 };
    AT_END(mem_end) char **env = NULL;
    pid_t pid;

    TRY(environment(c->env, &env, e));
    TRY(open_pipes(from, &to, e));
    pid = fork();
    if (pid < 0)
        return err_sys(e, RC_NOMEM, "cannot start a process");
    if (pid == 0)
        become((char *const *)(uintptr_t)c->argv, env, c->idle, &to);
    ends_close(&to);
    if (program_heard(from->why, c->argv[0], e) != RC_OK) {
        waitpid(pid, NULL, 0);
        return e->code;
    }
    *out = pid;
    return RC_OK;
}

/* ---- listen --------------------------------------------------------------------------
 */

struct run {
    const struct program *c;
    struct program_result *r;
    struct ends from;
    pid_t pid;
    uint64_t began, asked; /* asked: when it was told to end; 0: not yet */
    bool overflow, stopped;
};

/* The last PROGRAM_TAIL bytes stay. */
static void keep_tail(char *tail, const char *p, size_t n)
{
    size_t had = strlen(tail);

    if (n > PROGRAM_TAIL) {
        p += n - PROGRAM_TAIL;
        n = PROGRAM_TAIL;
    }
    if (had + n > PROGRAM_TAIL) {
        const size_t drop = had + n - PROGRAM_TAIL;

        memmove(tail, tail + drop, had - drop);
        had -= drop;
    }
    for (size_t i = 0; i < n; i++)
        tail[had + i] = p[i] == '\0' ? '?' : p[i];
    tail[had + n] = '\0';
}

static void take(struct run *run, int *fd, bool complaint)
{
    char piece[4096];
    struct err e = { 0 };
    ssize_t n;

    while ((n = os.read(*fd, piece, sizeof piece)) < 0 && errno == EINTR)
        ;
    if (n <= 0)
        os_fd_end(fd);
    else if (complaint)
        keep_tail(run->r->tail, piece, (size_t)n);
    else if (!run->c->unheard && !run->overflow &&
             buf_add(&run->r->out, piece, (size_t)n, &e) != RC_OK)
        run->overflow = true;
}

static void tell(struct run *run, int signal)
{
    if (kill(-run->pid, signal) != 0)
        kill(run->pid, signal);
}

/* Ends it when its time is up or a stop is wanted: kindly first. */
static void mind_the_time(struct run *run)
{
    const uint64_t now = clock_ms();
    const bool late = run->c->timeout_ms != 0 && now - run->began > run->c->timeout_ms;

    if (run->asked != 0) {
        if (now - run->asked > GRACE_MS)
            tell(run, SIGKILL);
        return;
    }
    if (!late && !stop_wanted())
        return;
    run->stopped = !late;
    run->r->timed_out = late;
    run->asked = now;
    tell(run, SIGTERM);
}

static bool ended(struct run *run)
{
    int status;
    const pid_t pid = waitpid(run->pid, &status, WNOHANG);

    if (pid == 0)
        return false;
    run->r->status = pid < 0               ? 127
                     : WIFSIGNALED(status) ? 128 + WTERMSIG(status)
                                           : WEXITSTATUS(status);
    return true;
}

/* Until both ends are closed and it is gone. One that leaves a child of its own behind
 * with our pipe is not waited for. */
static void follow(struct run *run)
{
    bool gone = false;

    while (!gone || run->from.out >= 0 || run->from.err >= 0) {
        struct pollfd p[] = { { .fd = run->from.out, .events = POLLIN },
                              { .fd = run->from.err, .events = POLLIN } };
        const int ready = poll(p, 2, gone ? 0 : LOOK_MS);

        if (ready > 0 && p[0].revents != 0)
            take(run, &run->from.out, false);
        if (ready > 0 && p[1].revents != 0)
            take(run, &run->from.err, true);
        if (ready <= 0 && gone)
            break;
        gone = gone || ended(run);
        if (!gone)
            mind_the_time(run);
    }
    run->r->took_ms = clock_ms() - run->began;
}

static void run_end(struct run *run)
{
    ends_close(&run->from);
}

enum rc program_run(const struct program *c, struct program_result *out, struct err *e)
{
    AT_END(run_end)
    struct run run = { .c = c, .r = out, .from = { -1, -1, -1 }, .began = clock_ms() };

    out->out.cap_max = c->out_max != 0 ? c->out_max : OUT_MAX;
    TRY(start(c, &run.from, &run.pid, e));
    follow(&run);
    if (run.stopped)
        return err_set(e, RC_INTERRUPTED, "'%s' was interrupted", c->argv[0]);
    if (run.overflow)
        return err_set(e, RC_CORRUPT, "'%s' says more than %zu bytes", c->argv[0],
                       out->out.cap_max);
    return RC_OK;
}
