#include "tests/lib/fault.h"

#include <errno.h>
#include <unistd.h>

#include "util/mem.h"
#include "util/os.h"

static struct {
    enum fault_point point;
    unsigned left;
    int error;
    bool fired;
} armed;

static struct os_calls real;

static bool here(enum fault_point point)
{
    if (armed.left == 0 || point != armed.point || --armed.left > 0)
        return false;
    armed.fired = true;
    errno = armed.error;
    return true;
}

static bool bad_alloc(void)
{
    return here(FAULT_ALLOC);
}

static int bad_openat(int dir, const char *path, int flags, mode_t mode)
{
    return here(FAULT_OPEN) ? -1 : real.openat(dir, path, flags, mode);
}

static int bad_open_beneath(int dir, const char *path, int flags, mode_t mode)
{
    return here(FAULT_OPEN) ? -1 : real.open_beneath(dir, path, flags, mode);
}

static ssize_t bad_read(int fd, void *p, size_t n)
{
    if (here(FAULT_READ))
        return armed.error != 0 ? -1 : real.read(fd, p, 1);
    return real.read(fd, p, n);
}

static ssize_t bad_pread(int fd, void *p, size_t n, off_t at)
{
    if (here(FAULT_READ))
        return armed.error != 0 ? -1 : real.pread(fd, p, 1, at);
    return real.pread(fd, p, n, at);
}

static ssize_t bad_write(int fd, const void *p, size_t n)
{
    if (here(FAULT_WRITE))
        return armed.error != 0 ? -1 : real.write(fd, p, 1);
    return real.write(fd, p, n);
}

static ssize_t bad_pwrite(int fd, const void *p, size_t n, off_t at)
{
    if (here(FAULT_WRITE))
        return armed.error != 0 ? -1 : real.pwrite(fd, p, 1, at);
    return real.pwrite(fd, p, n, at);
}

static int bad_fsync(int fd)
{
    return here(FAULT_FSYNC) ? -1 : real.fsync(fd);
}

static int bad_fdatasync(int fd)
{
    return here(FAULT_FSYNC) ? -1 : real.fdatasync(fd);
}

static int bad_linkat(int dir, const char *from, int to_dir, const char *to, int flags)
{
    return here(FAULT_RENAME) ? -1 : real.linkat(dir, from, to_dir, to, flags);
}

static int bad_renameat2(int dir, const char *from, int to_dir, const char *to,
                         unsigned flags)
{
    return here(FAULT_RENAME) ? -1 : real.renameat2(dir, from, to_dir, to, flags);
}

static int bad_mkdirat(int dir, const char *path, mode_t mode)
{
    return here(FAULT_MKDIR) ? -1 : real.mkdirat(dir, path, mode);
}

void fault_arm(enum fault_point point, unsigned nth, int error)
{
    if (real.openat == NULL)
        real = os;
    armed.point = point;
    armed.left = nth;
    armed.error = error;
    armed.fired = false;
    mem_fault = bad_alloc;
    os = real;
    os.openat = bad_openat;
    os.open_beneath = bad_open_beneath;
    os.read = bad_read;
    os.pread = bad_pread;
    os.write = bad_write;
    os.pwrite = bad_pwrite;
    os.fsync = bad_fsync;
    os.fdatasync = bad_fdatasync;
    os.linkat = bad_linkat;
    os.renameat2 = bad_renameat2;
    os.mkdirat = bad_mkdirat;
}

bool fault_disarm(void)
{
    armed.left = 0;
    mem_fault = NULL;
    os = real;
    return armed.fired;
}
