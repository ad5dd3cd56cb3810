#include "raftstore/picture.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "raftstore/image.h"
#include "util/os.h"

/* The child must not hold our ports when we are killed: it keeps the file and its end of
 * the pipe, and dies with us. */
static void let_go(int one, int other)
{
    unsigned low = (unsigned)(one < other ? one : other);
    unsigned high = (unsigned)(one < other ? other : one);

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (low > 3)
        close_range(3, low - 1, 0);
    if (high > low + 1)
        close_range(low + 1, high - 1, 0);
    close_range(high + 1, ~0U, 0);
}

/* In the child: nothing but the machine and the file are touched. */
static int draw(const struct machine *m, int fd, int told)
{
    uint64_t size;
    struct err e;

    let_go(fd, told);

    return image_write(m, fd, "a snapshot", &size, &e) == RC_OK ? 0 : 1;
}

enum rc picture_take(const struct machine *m, const char *dir, struct picture *out,
                     struct err *e)
{
    OWNED_FD int fd = -1;
    OWNED_FD int done = -1;
    OWNED_FD int told = -1;
    int ends[2];
    pid_t child;

    TRY(image_scratch(dir, &fd, e));
    if (pipe2(ends, O_CLOEXEC) != 0)
        return err_sys(e, RC_STORAGE, "no pipe for a snapshot");
    done = ends[0];
    told = ends[1];
    child = fork();
    if (child < 0)
        return err_sys(e, RC_NOMEM, "no process for a snapshot");
    if (child == 0)
        _exit(draw(m, fd, told));
    *out = (struct picture){ os_fd_give(&fd), os_fd_give(&done), child };
    return RC_OK;
}

enum rc picture_wait(struct picture *p, uint64_t *size, struct err *e)
{
    struct stat st;
    int status = 1;

    while (waitpid(p->child, &status, 0) < 0 && errno == EINTR)
        continue;
    p->child = 0;
    if (status != 0)
        return err_set(e, RC_STORAGE, "a snapshot could not be written");
    if (os.fstat(p->fd, &st) != 0)
        return err_sys(e, RC_STORAGE, "a snapshot's file");
    *size = (uint64_t)st.st_size;
    return RC_OK;
}

void picture_clear(struct picture *p)
{
    if (p->child > 0) {
        kill(p->child, SIGKILL);
        while (waitpid(p->child, NULL, 0) < 0 && errno == EINTR)
            continue;
    }
    os_fd_end(&p->done);
    os_fd_end(&p->fd);
    *p = (struct picture){ .fd = -1, .done = -1 };
}
