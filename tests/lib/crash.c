#include "tests/lib/crash.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "util/os.h"

static struct {
    atomic_uint left;
    bool after;
    bool elsewhere;
    pthread_t here;
} armed;

static struct os_calls real;

static bool due(void)
{
    if (armed.elsewhere && pthread_equal(pthread_self(), armed.here))
        return false;
    return atomic_load(&armed.left) > 0 && atomic_fetch_sub(&armed.left, 1) == 1;
}

/* Makes the call, or half of what a crash leaves. */
#define CRASHING(call)              \
    do {                            \
        bool now_ = due();          \
        if (now_ && !armed.after)   \
            _exit(CRASH_STATUS);    \
        __auto_type made_ = (call); \
        if (now_)                   \
            _exit(CRASH_STATUS);    \
        return made_;               \
    } while (0)

static int crash_openat(int dir, const char *path, int flags, mode_t mode)
{
    if ((flags & (O_CREAT | O_TMPFILE)) == 0 || (flags & O_ACCMODE) == O_RDONLY)
        return real.openat(dir, path, flags, mode);
    CRASHING(real.openat(dir, path, flags, mode));
}

static ssize_t crash_write(int fd, const void *p, size_t n)
{
    if (fd <= 2)
        return real.write(fd, p, n);
    /* Half of it, for what is not a single byte: a torn line. */
    if (atomic_load(&armed.left) == 1 && armed.after && n > 1 && !armed.elsewhere) {
        (void)!real.write(fd, p, n / 2);
        _exit(CRASH_STATUS);
    }
    CRASHING(real.write(fd, p, n));
}

static ssize_t crash_pwrite(int fd, const void *p, size_t n, off_t at)
{
    CRASHING(real.pwrite(fd, p, n, at));
}

static int crash_fsync(int fd)
{
    CRASHING(real.fsync(fd));
}

static int crash_ftruncate(int fd, off_t size)
{
    CRASHING(real.ftruncate(fd, size));
}

static int crash_linkat(int dir, const char *from, int to_dir, const char *to, int flags)
{
    CRASHING(real.linkat(dir, from, to_dir, to, flags));
}

static int crash_renameat2(int dir, const char *from, int to_dir, const char *to,
                           unsigned flags)
{
    CRASHING(real.renameat2(dir, from, to_dir, to, flags));
}

static int crash_unlinkat(int dir, const char *path, int flags)
{
    CRASHING(real.unlinkat(dir, path, flags));
}

static int crash_mkdirat(int dir, const char *path, mode_t mode)
{
    CRASHING(real.mkdirat(dir, path, mode));
}

static int crash_fchmod(int fd, mode_t mode)
{
    CRASHING(real.fchmod(fd, mode));
}

void crash_at(unsigned nth, bool after)
{
    real = os;
    armed.after = after;
    atomic_store(&armed.left, nth);
    os.openat = crash_openat;
    os.write = crash_write;
    os.pwrite = crash_pwrite;
    os.fsync = crash_fsync;
    os.ftruncate = crash_ftruncate;
    os.linkat = crash_linkat;
    os.renameat2 = crash_renameat2;
    os.unlinkat = crash_unlinkat;
    os.mkdirat = crash_mkdirat;
    os.fchmod = crash_fchmod;
}

void crash_elsewhere_at(unsigned nth, bool after)
{
    armed.elsewhere = true;
    armed.here = pthread_self();
    crash_at(nth, after);
}

static bool run(void (*arm)(unsigned, bool), unsigned nth, bool after, crash_body *body,
                void *arg)
{
    pid_t pid = fork();
    int raw = 0;

    cr_assert(pid >= 0);
    if (pid == 0) {
        arm(nth, after);
        _exit(body(arg));
    }
    cr_assert_eq(waitpid(pid, &raw, 0), pid);
    cr_assert(WIFEXITED(raw) &&
                  (WEXITSTATUS(raw) == 0 || WEXITSTATUS(raw) == CRASH_STATUS),
              "call %u: status %x", nth, (unsigned)raw);
    return WEXITSTATUS(raw) == CRASH_STATUS;
}

bool crash_run(unsigned nth, bool after, crash_body *body, void *arg)
{
    return run(crash_at, nth, after, body, arg);
}

bool crash_run_elsewhere(unsigned nth, bool after, crash_body *body, void *arg)
{
    return run(crash_elsewhere_at, nth, after, body, arg);
}
