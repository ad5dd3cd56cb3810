#include "tests/lib/proc.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "util/clock.h"

static void redirect(const char *path, int flags, int to)
{
    int fd = open(path, flags, 0600);

    if (fd < 0 || dup2(fd, to) < 0)
        _exit(126);
    close(fd);
}

static _Noreturn void exec_with(const char *const *env, const char *const argv[])
{
    char *args[64];
    size_t n = 0;

    for (; env != NULL && *env != NULL; env++)
        putenv(strdup(*env));
    for (; argv[n] != NULL && n < 63; n++)
        args[n] = strdup(argv[n]);
    args[n] = NULL;
    execvp(args[0], args);
    _exit(127);
}

/* Reads both pipes until they close or time is up. */
static void collect(struct proc *p, int out, int err, pid_t pid, unsigned timeout_s)
{
    struct {
        char **text;
        size_t n;
    } to[2] = { { &p->out, 0 }, { &p->err, 0 } };
    struct pollfd fds[2] = { { .fd = out, .events = POLLIN },
                             { .fd = err, .events = POLLIN } };
    uint64_t end = clock_ms() + timeout_s * 1000;

    while (fds[0].fd >= 0 || fds[1].fd >= 0) {
        if (clock_ms() >= end && !p->timed_out) {
            p->timed_out = true;
            kill(pid, SIGKILL);
        }
        poll(fds, 2, 100);
        for (int i = 0; i < 2; i++) {
            if ((fds[i].revents & (POLLIN | POLLHUP)) == 0)
                continue;
            *to[i].text = realloc(*to[i].text, to[i].n + 65537);
            ssize_t got = read(fds[i].fd, *to[i].text + to[i].n, 65536);

            if (got <= 0) {
                close(fds[i].fd);
                fds[i].fd = -1;
                got = 0;
            }
            to[i].n += (size_t)got;
            (*to[i].text)[to[i].n] = '\0';
        }
    }
    p->out_size = to[0].n;
}

static int status_of(int raw)
{
    return WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw);
}

void proc_run(struct proc *p, const struct proc_options *o, const char *const argv[])
{
    static const struct proc_options defaults;
    int out[2], err[2], raw = 0;

    if (o == NULL)
        o = &defaults;
    *p = (struct proc){ .out = calloc(1, 1), .err = calloc(1, 1) };
    cr_assert(pipe2(out, O_CLOEXEC) == 0 && pipe2(err, O_CLOEXEC) == 0);
    pid_t pid = fork();

    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        redirect(o->input == NULL ? "/dev/null" : o->input, O_RDONLY, 0);
        dup2(out[1], 1);
        if (o->output != NULL)
            redirect(o->output, O_WRONLY | O_CREAT | O_TRUNC, 1);
        dup2(err[1], 2);
        exec_with(o->env, argv);
    }
    close(out[1]);
    close(err[1]);
    collect(p, out[0], err[0], pid, o->timeout_s == 0 ? 120 : o->timeout_s);
    waitpid(pid, &raw, 0);
    p->status = status_of(raw);
}

void proc_clear(struct proc *p)
{
    free(p->out);
    free(p->err);
    *p = (struct proc){ 0 };
}

enum { STARTED_MAX = 64 };

static pid_t started[STARTED_MAX]; /* 0: a free place */
static pid_t started_by;

static void stop_all(void)
{
    if (getpid() != started_by)
        return;
    for (int i = 0; i < STARTED_MAX; i++)
        proc_stop(started[i], SIGKILL);
}

/* Registered when the first server starts: after its scratch directory was made, so that
 * atexit stops the server before that is removed. */
static void remember(pid_t pid)
{
    int i = 0;

    if (started_by != getpid()) {
        memset(started, 0, sizeof started);
        started_by = getpid();
        atexit(stop_all);
    }
    while (i < STARTED_MAX && started[i] != 0)
        i++;
    cr_assert(i < STARTED_MAX, "too many processes in one test");
    started[i] = pid;
}

static void forget(pid_t pid)
{
    for (int i = 0; i < STARTED_MAX; i++)
        if (started[i] == pid)
            started[i] = 0;
}

pid_t proc_start(const char *log, const char *const argv[])
{
    pid_t pid = fork();

    cr_assert(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        setpgid(0, 0);
        redirect("/dev/null", O_RDONLY, 0);
        redirect(log, O_WRONLY | O_CREAT | O_APPEND, 1);
        redirect(log, O_WRONLY | O_CREAT | O_APPEND, 2);
        exec_with(NULL, argv);
    }
    remember(pid);
    return pid;
}

bool proc_runs(pid_t pid)
{
    siginfo_t seen = { 0 };

    return pid > 0 && waitid(P_PID, (id_t)pid, &seen, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           seen.si_pid == 0;
}

uint64_t proc_kib(pid_t pid, const char *file, const char *name)
{
    char path[64], line[256];
    uint64_t found = 0;
    FILE *f;

    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
    f = fopen(path, "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (strncmp(line, name, strlen(name)) == 0)
            found = strtoull(line + strlen(name), NULL, 10);
    if (f != NULL)
        (void)fclose(f);
    return found;
}

int proc_stop(pid_t pid, int signal)
{
    int raw = 0;

    if (pid <= 0)
        return 0;
    kill(pid, SIGCONT);
    kill(pid, signal);
    for (int i = 0; i < 1000 && proc_runs(pid); i++)
        clock_sleep_ms(10);
    kill(pid, SIGKILL); /* not reaped yet, so the id is still its own */
    waitpid(pid, &raw, 0);
    forget(pid);
    return status_of(raw);
}

int free_port(void)
{
    struct sockaddr_in a = { .sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof a;
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    /* Bound and never listening: a server, which also sets SO_REUSEADDR, can listen on
     * the port, and the kernel gives it to nobody who asks for any port. */
    cr_assert(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0);
    cr_assert(bind(fd, (struct sockaddr *)&a, n) == 0);
    cr_assert(getsockname(fd, (struct sockaddr *)&a, &n) == 0);
    return ntohs(a.sin_port);
}
