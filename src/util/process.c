#include "util/process.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

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

unsigned process_terminal_width(int fd)
{
    struct winsize w = { 0 };

    if (!isatty(fd))
        return 0;
    return ioctl(fd, TIOCGWINSZ, &w) == 0 && w.ws_col > 0 ? w.ws_col : 80;
}
