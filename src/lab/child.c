#include "lab/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/mem.h"
#include "util/os.h"
#include "util/program.h"
#include "util/str.h"

enum { STAT_MAX = 4096, PATIENCE_MS = 10000 };

/* ---- start ---------------------------------------------------------------------------
 */

/* Only calls that are safe between fork and exec, since other threads may exist. */
static _Noreturn void become(char *const argv[], const struct lab_child_options *o,
                             int tell)
{
    static const int taken[] = { SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGXFSZ };
    int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int out = open(o->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    int why;

    if (o->tied)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    setsid();
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
        signal(taken[i], SIG_DFL);
    if (in >= 0 && out >= 0 && dup2(in, 0) >= 0 && dup2(out, 1) >= 0 && dup2(out, 2) >= 0)
        execv(argv[0], argv);
    why = errno;
    if (write(tell, &why, sizeof why) < 0)
        _exit(126);
    _exit(127);
}

/* Fields of /proc/PID/stat count from the state, which follows the name; a name may hold
 * anything, also blanks and brackets. */
static bool facts_of(pid_t pid, char *state, uint64_t *started)
{
    AT_END(mem_end) uint8_t *text = NULL;
    char path[64], ticks[24];
    struct err e = { 0 };
    size_t n;
    const char *at;

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    if (os_read_file(path, STAT_MAX, &text, &n, &e) != RC_OK)
        return false;
    at = memrchr(text, ')', n);
    if (at == NULL || sscanf(at,
                             ") %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
                             "%*s %*s %*s %*s %*s %23s",
                             state, ticks) != 2)
        return false;
    return str_to_u64(ticks, started);
}

enum rc lab_child_start(const char *const argv[], const struct lab_child_options *o,
                        struct lab_child *out, struct err *e)
{
    OWNED_FD int from = -1;
    OWNED_FD int to = -1;
    int ends[2];
    char state;
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) != 0)
        return err_sys(e, RC_STORAGE, "cannot make a pipe");
    from = ends[0];
    to = ends[1];
    pid = fork();
    if (pid < 0)
        return err_sys(e, RC_NOMEM, "cannot start a process");
    if (pid == 0)
        become((char *const *)(uintptr_t)argv, o, to);
    os_fd_end(&to);
    *out = (struct lab_child){ .pid = pid };
    if (program_heard(from, argv[0], e) != RC_OK) {
        waitpid(pid, NULL, 0);
        *out = (struct lab_child){ 0 };
        return e->code;
    }
    /* Gone already: then there is nothing to know it by, and nothing to signal. */
    if (!facts_of(pid, &state, &out->started))
        *out = (struct lab_child){ 0 };
    return RC_OK;
}

/* ---- and after -----------------------------------------------------------------------
 */

enum lab_child_state lab_child_state(const struct lab_child *c)
{
    uint64_t started;
    char state;

    if (c->pid <= 0 || !facts_of(c->pid, &state, &started) || started != c->started ||
        state == 'Z' || state == 'X')
        return LAB_CHILD_GONE;
    return state == 'T' ? LAB_CHILD_STOPPED : LAB_CHILD_RUNS;
}

/* The descriptor pins the process: what is found to be ours stays ours. */
static enum rc pin(const struct lab_child *c, int *out, struct err *e)
{
    OWNED_FD int fd = -1;

    *out = -1;
    if (lab_child_state(c) == LAB_CHILD_GONE)
        return RC_OK;
    fd = pidfd_open(c->pid, 0);
    if (fd < 0 && errno == ESRCH)
        return RC_OK;
    if (fd < 0)
        return err_sys(e, RC_INTERNAL, "cannot watch process %d", (int)c->pid);
    if (lab_child_state(c) != LAB_CHILD_GONE)
        *out = os_fd_give(&fd);
    return RC_OK;
}

static enum rc send_to(int fd, const struct lab_child *c, int signal, struct err *e)
{
    if (pidfd_send_signal(fd, signal, NULL, 0) == 0 || errno == ESRCH)
        return RC_OK;
    return err_sys(e, RC_AUTH, "cannot signal process %d", (int)c->pid);
}

enum rc lab_child_signal(const struct lab_child *c, int signal, struct err *e)
{
    OWNED_FD int fd = -1;

    TRY(pin(c, &fd, e));
    return fd < 0 ? RC_OK : send_to(fd, c, signal, e);
}

static bool gone_within(int fd, int ms)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    int n;

    while ((n = poll(&p, 1, ms)) < 0 && errno == EINTR)
        ;
    return n > 0;
}

/* A child of ours that has ended keeps its number until it is waited for, and leads a
 * group of that number: what it left running, a wrapper its server, goes with it. */
static void bury(const struct lab_child *c)
{
    siginfo_t info = { 0 };

    if (c->pid <= 0)
        return;
    if (waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
        info.si_pid == c->pid)
        (void)kill(-c->pid, SIGKILL);
    waitpid(c->pid, NULL, WNOHANG);
}

enum rc lab_child_end(struct lab_child *c, int signal, struct err *e)
{
    OWNED_FD int fd = -1;

    TRY(pin(c, &fd, e));
    if (fd >= 0) {
        TRY(send_to(fd, c, signal, e));
        TRY(send_to(fd, c, SIGCONT, e));
        if (!gone_within(fd, PATIENCE_MS)) {
            TRY(send_to(fd, c, SIGKILL, e));
            if (!gone_within(fd, PATIENCE_MS))
                return err_set(e, RC_INTERNAL, "process %d does not end", (int)c->pid);
        }
    }
    bury(c);
    *c = (struct lab_child){ 0 };
    return RC_OK;
}

/* ---- programs ------------------------------------------------------------------------
 */

static enum rc beside(const char *name, char **out, struct err *e)
{
    char self[4096];
    ssize_t n = os.readlinkat(AT_FDCWD, "/proc/self/exe", self, sizeof self - 1);
    char *slash;

    if (n < 0)
        n = 0;
    self[n] = '\0';
    slash = strrchr(self, '/');
    if (slash != NULL)
        slash[1] = '\0';
    return str_format(out, e, "%s%s", self, name);
}

enum rc lab_program_find(const char *name, char **out, struct err *e)
{
    AT_END(mem_end) char *at = NULL;
    AT_END(str_list_clear) struct str_list folders = { 0 };
    const char *path = getenv("PATH");

    TRY(beside(name, &at, e));
    if (path != NULL)
        TRY(str_split(&folders, path, ':', e));
    for (size_t i = 0; access(at, X_OK) != 0; i++) {
        if (i == folders.count)
            return err_set(
                e, RC_NOTFOUND,
                "there is no '%s' beside this program, and none in the PATH" HINT
                "'make' builds both; or name it with --server",
                name);
        mem_free(GIVE(at));
        TRY(str_format(&at, e, "%s/%s", folders.items[i], name));
    }
    *out = GIVE(at);
    return RC_OK;
}
