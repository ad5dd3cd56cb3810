#include "util/process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/os.h"

void process_fill_standard_fds(void)
{
    /* open() takes the lowest free number, which is `fd` when those below are open. */
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 &&
            open("/dev/null", (fd == 0 ? O_WRONLY : O_RDONLY) | O_NOCTTY) != fd)
            _exit(1);
}

void process_reach_own_files(void)
{
    (void)umask(umask(0) & 077);
}

static void close_between(int after, int before)
{
    if (before - after > 1)
        close_range((unsigned)after + 1, (unsigned)before - 1, 0);
}

/* Lets go of all but the two, so that nobody waits for the end of a pipe of ours; then
 * waits for the end of `until`. Only calls that are safe after a fork: other threads may
 * have held locks. */
static _Noreturn void outlast(int fd, int until)
{
    int low = fd < until ? fd : until, high = fd < until ? until : fd;
    char none;

    close_between(-1, low);
    close_between(low, high);
    close_between(high, INT_MAX);
    while (read(until, &none, 1) < 0 && errno == EINTR)
        ;
    _exit(0);
}

/* Two forks, so that whoever goes on for long has no child to wait for. */
static void hand_over(int fd, const int pipe[static 2])
{
    pid_t child = fork();

    if (child == 0) {
        if (fork() == 0) {
            close(pipe[1]);
            outlast(fd, pipe[0]);
        }
        _exit(0);
    }
    while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR)
        ;
}

/* The pipe ends when our descriptor is closed, so ours is never the last. */
void process_close_later(int *fd)
{
    int pipe[2];

    if (*fd >= 0 && pipe2(pipe, O_CLOEXEC) == 0) {
        hand_over(*fd, pipe);
        os_fd_end(fd);
        close(pipe[0]);
        close(pipe[1]);
    }
    os_fd_end(fd);
}

unsigned process_terminal_width(int fd)
{
    struct winsize w = { 0 };

    if (!isatty(fd))
        return 0;
    return ioctl(fd, TIOCGWINSZ, &w) == 0 && w.ws_col > 0 ? w.ws_col : 80;
}
