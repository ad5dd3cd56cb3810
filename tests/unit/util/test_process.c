#include "util/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/case.h"

/* Runs in a child, which loses its standard descriptors: 0, or the failed check. */
static int check_closed(void)
{
    char byte;

    close(0);
    close(1);
    process_fill_standard_fds();
    if (fcntl(0, F_GETFD) < 0 || fcntl(1, F_GETFD) < 0)
        return 1;
    if (read(0, &byte, 1) >= 0 || write(1, "x", 1) >= 0)
        return 2;
    return open("/dev/null", O_RDONLY | O_CLOEXEC) > 2 ? 0 : 3;
}

CASE(util_process, closed_standard_descriptors_are_taken_but_useless)
{
    pid_t child = fork();
    int status = -1;

    if (child == 0)
        _exit(check_closed());
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "check %d failed",
              WEXITSTATUS(status));
}

CASE(util_process, open_descriptors_are_left_alone)
{
    int before = fcntl(1, F_GETFL);

    process_fill_standard_fds();
    cr_assert_eq(fcntl(1, F_GETFL), before);
}

/* The other end of a pipe tells when the last descriptor is closed: by another process,
 * which is no child of ours and keeps nothing else open. */
CASE(util_process, a_descriptor_is_closed_a_moment_later)
{
    int first[2], second[2];
    struct pollfd wait = { .events = POLLIN };

    cr_assert_eq(pipe2(first, O_CLOEXEC), 0);
    cr_assert_eq(pipe2(second, O_CLOEXEC), 0);
    wait.fd = first[0];
    process_close_later(&first[1]);
    cr_assert_eq(first[1], -1);
    cr_assert_eq(waitpid(-1, NULL, WNOHANG), -1);
    cr_assert_eq(errno, ECHILD);
    cr_assert_eq(poll(&wait, 1, 60000), 1);
    cr_assert_eq(wait.revents & (POLLIN | POLLHUP), POLLHUP);
    wait.fd = second[0];
    close(second[1]);
    cr_assert_eq(poll(&wait, 1, 60000), 1);
    close(first[0]);
    close(second[0]);
}

CASE(util_process, nothing_to_close_later_is_fine)
{
    int none = -1;

    process_close_later(&none);
    cr_assert_eq(none, -1);
}

CASE(util_process, a_file_is_no_terminal)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    cr_assert_eq(process_terminal_width(fd), 0);
    cr_assert_eq(process_terminal_width(-1), 0);
    close(fd);
}

CASE(util_process, a_terminal_has_columns)
{
    int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

    cr_assert_geq(fd, 0);
    cr_assert_gt(process_terminal_width(fd), 0);
    close(fd);
}
