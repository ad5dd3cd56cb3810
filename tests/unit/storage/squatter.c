#include "tests/unit/storage/squatter.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/case.h"

const char *squatter_data_dir(const char *base)
{
    static char dir[512];
    char path[600];
    int fd;

    snprintf(dir, sizeof dir, "%s/data", base);
    cr_assert_eq(mkdir(dir, 0700), 0);
    snprintf(path, sizeof path, "%s/member", dir);
    cr_assert_eq(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/member/snap", dir);
    cr_assert_eq(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/member/snap/db", dir);
    fd = open(path, O_CREAT | O_RDWR, 0600);
    cr_assert_geq(fd, 0);
    close(fd);
    return dir;
}

pid_t squatter_start(const char *path)
{
    int ready[2];
    char byte;
    pid_t child;

    cr_assert_eq(pipe(ready), 0);
    child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* also when an assertion ends the test */
        if (open(path, O_RDWR) < 0 || write(ready[1], "x", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    cr_assert_eq(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    close(ready[1]);
    return child;
}

void squatter_stop(pid_t child)
{
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}
