#include "util/os.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/bytes.h"
#include "util/mem.h"
#include "util/str.h"

static int real_openat(int dir, const char *path, int flags, mode_t mode)
{
    return openat(dir, path, flags, mode);
}

static int real_open_beneath(int dir, const char *path, int flags, mode_t mode)
{
    const struct open_how how = {
        .flags = (unsigned)flags,
        .mode = (flags & O_CREAT) != 0 ? mode : 0,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };

    return (int)syscall(SYS_openat2, dir, path, &how, sizeof how);
}

static int real_fcntl(int fd, int command, int arg)
{
    return fcntl(fd, command, arg);
}

struct os_calls os = {
    .openat = real_openat,
    .open_beneath = real_open_beneath,
    .close = close,
    .read = read,
    .write = write,
    .pread = pread,
    .pwrite = pwrite,
    .fsync = fsync,
    .fdatasync = fdatasync,
    .fallocate = fallocate,
    .ftruncate = ftruncate,
    .linkat = linkat,
    .renameat2 = renameat2,
    .unlinkat = unlinkat,
    .mkdirat = mkdirat,
    .fchmod = fchmod,
    .fstat = fstat,
    .fstatvfs = fstatvfs,
    .flock = flock,
    .sync_file_range = sync_file_range,
    .fadvise = posix_fadvise,
    .fcntl = real_fcntl,
    .readlinkat = readlinkat,
    .getrandom = getrandom,
};

void os_fd_end(int *fd)
{
    if (*fd >= 0)
        os.close(*fd);
    *fd = -1;
}

static enum rc code_of(int cause)
{
    switch (cause) {
    case ENOENT:
    case ENOTDIR:
        return RC_NOTFOUND;
    case EACCES:
    case EPERM:
        return RC_AUTH;
    case EEXIST:
    case ELOOP:
        return RC_REFUSED;
    default:
        return RC_STORAGE;
    }
}

static enum rc open_with(int (*opener)(int, const char *, int, mode_t), int dir,
                         const char *path, int flags, mode_t mode, int *out,
                         struct err *e)
{
    int fd;

    do
        fd = opener(dir, path, flags | O_CLOEXEC, mode);
    while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return err_sys(e, code_of(errno), "cannot open '%s'", path);
    *out = fd;
    return RC_OK;
}

enum rc os_open(int dir, const char *path, int flags, mode_t mode, int *out,
                struct err *e)
{
    return open_with(os.openat, dir, path, flags, mode, out, e);
}

enum rc os_open_beneath(int dir, const char *path, int flags, mode_t mode, int *out,
                        struct err *e)
{
    return open_with(os.open_beneath, dir, path, flags, mode, out, e);
}

enum rc os_open_regular(const char *path, int *out, uint64_t *size, struct err *e)
{
    OWNED_FD int fd = -1;
    struct stat st;

    TRY(os_open(AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, &fd, e));
    if (os.fstat(fd, &st) < 0)
        return err_sys(e, RC_STORAGE, "cannot stat '%s'", path);
    if (S_ISDIR(st.st_mode))
        return err_set(e, RC_USAGE, "'%s' is a directory, not a file", path);
    if (!S_ISREG(st.st_mode))
        return err_set(e, RC_USAGE, "'%s' is not a regular file", path);
    *size = (uint64_t)st.st_size;
    *out = os_fd_give(&fd);
    return RC_OK;
}

enum rc os_pread_full(int fd, void *p, size_t n, uint64_t at, const char *name,
                      struct err *e)
{
    size_t done = 0;

    while (done < n) {
        ssize_t got = os.pread(fd, (uint8_t *)p + done, n - done, (off_t)(at + done));

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_sys(e, RC_STORAGE, "cannot read '%s' at offset %" PRIu64, name,
                           at + done);
        if (got == 0)
            return err_set(e, RC_CORRUPT, "'%s' ends at offset %" PRIu64, name,
                           at + done);
        done += (size_t)got;
    }
    return RC_OK;
}

enum rc os_pwrite_full(int fd, const void *p, size_t n, uint64_t at, const char *name,
                       struct err *e)
{
    size_t done = 0;

    while (done < n) {
        ssize_t put =
            os.pwrite(fd, (const uint8_t *)p + done, n - done, (off_t)(at + done));

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return err_sys(e, RC_STORAGE, "cannot write '%s' at offset %" PRIu64, name,
                           at + done);
        done += (size_t)put;
    }
    return RC_OK;
}

enum rc os_write_full(int fd, const void *p, size_t n, const char *name, struct err *e)
{
    size_t done = 0;

    while (done < n) {
        ssize_t put = os.write(fd, (const uint8_t *)p + done, n - done);

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return err_sys(e, RC_STORAGE, "cannot write '%s'", name);
        done += (size_t)put;
    }
    return RC_OK;
}

enum rc os_read_some(int fd, void *p, size_t n, size_t *got, const char *name,
                     struct err *e)
{
    ssize_t r;

    do
        r = os.read(fd, p, n);
    while (r < 0 && errno == EINTR);
    if (r < 0)
        return err_sys(e, RC_STORAGE, "cannot read '%s'", name);
    *got = (size_t)r;
    return RC_OK;
}

enum rc os_sync(int fd, const char *name, struct err *e)
{
    if (os.fsync(fd) < 0)
        return err_sys(e, RC_STORAGE, "cannot make '%s' durable (fsync)", name);
    return RC_OK;
}

enum rc os_open_parent(const char *path, int *dir, const char **base, struct err *e)
{
    const char *slash = strrchr(path, '/');
    AT_END(mem_end) char *parent = NULL;

    if (slash == NULL)
        parent = mem_str(".");
    else if (slash == path)
        parent = mem_str("/");
    else
        parent = mem_str_n(path, (size_t)(slash - path));
    if (parent == NULL)
        return err_set(e, RC_NOMEM, "no memory for the path '%s'", path);
    TRY(os_open(AT_FDCWD, parent, O_RDONLY | O_DIRECTORY, 0, dir, e));
    *base = slash == NULL ? path : slash + 1;
    return RC_OK;
}

enum rc os_device(const char *path, dev_t *out, struct err *e)
{
    OWNED_FD int dir = -1;
    const char *base;
    struct stat st;

    TRY(os_open_parent(path, &dir, &base, e));
    if (os.fstat(dir, &st) < 0)
        return err_sys(e, RC_STORAGE, "cannot stat the directory of '%s'", path);
    *out = st.st_dev;
    return RC_OK;
}

enum rc os_sync_dir(int dir, const char *name, struct err *e)
{
    if (os.fsync(dir) < 0)
        return err_sys(e, RC_STORAGE, "cannot make the directory of '%s' durable", name);
    return RC_OK;
}

static enum rc set_directory_mode(int dir, const char *path, struct err *e)
{
    OWNED_FD int fd = -1;

    TRY(os_open(dir, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, &fd, e));
    if (os.fchmod(fd, 0700) < 0)
        return err_sys(e, RC_STORAGE, "cannot set the mode of '%s'", path);
    return RC_OK;
}

enum rc os_mkdir(int dir, const char *path, struct err *e)
{
    enum rc rc;

    if (os.mkdirat(dir, path, 0700) < 0)
        return err_sys(e, code_of(errno), "cannot make the directory '%s'", path);
    rc = set_directory_mode(dir, path, e);
    if (rc != RC_OK)
        os.unlinkat(dir, path, AT_REMOVEDIR);
    return rc;
}

enum rc os_random(void *p, size_t n, struct err *e)
{
    size_t done = 0;

    while (done < n) {
        ssize_t got = os.getrandom((uint8_t *)p + done, n - done, 0);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_sys(e, RC_INTERNAL, "the kernel gives no random bytes");
        done += (size_t)got;
    }
    return RC_OK;
}

enum rc os_free_space(int fd, uint64_t *out, struct err *e)
{
    struct statvfs st;

    if (os.fstatvfs(fd, &st) < 0)
        return err_sys(e, RC_STORAGE, "cannot ask for free space");
    *out = (uint64_t)st.f_bavail * st.f_frsize;
    return RC_OK;
}

static enum rc read_to_end(int fd, const char *path, size_t max, struct buf *b,
                           struct err *e)
{
    for (;;) {
        size_t got = 0;

        if (b->n > max)
            return err_set(e, RC_CORRUPT, "'%s' is larger than %zu bytes", path, max);
        TRY(buf_reserve(b, 4096, e));
        TRY(os_read_some(fd, b->p + b->n, b->cap - b->n, &got, path, e));
        if (got == 0)
            return RC_OK;
        b->n += got;
    }
}

enum rc os_read_file(const char *path, size_t max, uint8_t **out, size_t *n,
                     struct err *e)
{
    AT_END(buf_clear) struct buf b = { .cap_max = max + 8192 };
    OWNED_FD int fd = -1;

    TRY(os_open(AT_FDCWD, path, O_RDONLY | O_NOCTTY, 0, &fd, e));
    TRY(read_to_end(fd, path, max, &b, e));
    *n = b.n;
    *out = GIVE(b.p);
    return RC_OK;
}

enum rc os_read_regular(const char *path, size_t max, uint8_t **out, size_t *n,
                        struct err *e)
{
    AT_END(buf_clear) struct buf b = { .cap_max = max + 8192 };
    OWNED_FD int fd = -1;
    uint64_t size;

    TRY(os_open_regular(path, &fd, &size, e));
    TRY(read_to_end(fd, path, max, &b, e));
    *n = b.n;
    *out = GIVE(b.p);
    return RC_OK;
}

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

enum rc os_list(int dir, const char *path, struct str_list *names, struct err *e)
{
    OWNED_FD int fd = -1;
    const struct dirent *d;
    enum rc rc = RC_OK;
    DIR *entries;

    TRY(os_open(dir, path, O_RDONLY | O_DIRECTORY, 0, &fd, e));
    entries = fdopendir(fd);
    if (entries == NULL)
        return err_sys(e, RC_STORAGE, "cannot list '%s'", path);
    while (rc == RC_OK && (d = readdir(entries)) != NULL)
        if (!is_dots(d->d_name))
            rc = str_list_add(names, d->d_name, e);
    fd = -1;
    closedir(entries);
    return rc;
}

static enum rc remove_entries(int dir, const char *path, struct err *e)
{
    OWNED_FD int fd = -1;
    const struct dirent *d;
    enum rc rc = RC_OK;
    DIR *entries;

    TRY(os_open(dir, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, &fd, e));
    entries = fdopendir(fd);
    if (entries == NULL)
        return err_sys(e, RC_STORAGE, "cannot list '%s'", path);
    while (rc == RC_OK && (d = readdir(entries)) != NULL)
        if (!is_dots(d->d_name))
            rc = os_remove_tree(fd, d->d_name, e);
    fd = -1;
    closedir(entries);
    return rc;
}

enum rc os_remove_tree(int dir, const char *path, struct err *e)
{
    if (os.unlinkat(dir, path, 0) == 0 || errno == ENOENT)
        return RC_OK;
    if (errno != EISDIR && errno != EPERM)
        return err_sys(e, RC_STORAGE, "cannot remove '%s'", path);
    TRY(remove_entries(dir, path, e));
    if (os.unlinkat(dir, path, AT_REMOVEDIR) < 0)
        return err_sys(e, RC_STORAGE, "cannot remove the directory '%s'", path);
    return RC_OK;
}
