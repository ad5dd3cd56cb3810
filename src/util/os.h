/* The operating system seam: every system call of ours that can fail goes through
 * the table `os`, so that tests can make the n-th one fail, be short, or lie.
 *
 * The helpers below the table do what callers nearly always want: retry EINTR,
 * loop over short counts, and turn errno into an error that names the path. */
#ifndef UTIL_OS_H
#define UTIL_OS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>

#include "util/err.h"
#include "util/own.h"

struct str_list;

struct os_calls {
    int (*openat)(int dir, const char *path, int flags, mode_t mode);
    /* openat2, never leaving `dir` and through no link of any kind */
    int (*open_beneath)(int dir, const char *path, int flags, mode_t mode);
    int (*close)(int fd);
    ssize_t (*read)(int fd, void *p, size_t n);
    ssize_t (*write)(int fd, const void *p, size_t n);
    ssize_t (*pread)(int fd, void *p, size_t n, off_t at);
    ssize_t (*pwrite)(int fd, const void *p, size_t n, off_t at);
    int (*fsync)(int fd);
    int (*fdatasync)(int fd);
    int (*fallocate)(int fd, int mode, off_t at, off_t n);
    int (*ftruncate)(int fd, off_t size);
    int (*linkat)(int dir, const char *from, int to_dir, const char *to, int flags);
    int (*renameat2)(int dir, const char *from, int to_dir, const char *to,
                     unsigned flags);
    int (*unlinkat)(int dir, const char *path, int flags);
    int (*mkdirat)(int dir, const char *path, mode_t mode);
    int (*fchmod)(int fd, mode_t mode);
    int (*fstat)(int fd, struct stat *st);
    int (*fstatvfs)(int fd, struct statvfs *st);
    int (*flock)(int fd, int operation);
    int (*sync_file_range)(int fd, off_t at, off_t n, unsigned flags);
    int (*fadvise)(int fd, off_t at, off_t n, int advice); /* returns errno's value */
    int (*fcntl)(int fd, int command, int arg);
    ssize_t (*readlinkat)(int dir, const char *path, char *out, size_t n);
    ssize_t (*getrandom)(void *p, size_t n, unsigned flags);
};

extern struct os_calls os;

/* A file descriptor that closes at the end of its scope:
 *     OWNED_FD int fd = -1;                                                   */
void os_fd_end(int *fd);
#define OWNED_FD AT_END(os_fd_end)
/* Hands a descriptor on and leaves -1 behind. */
static inline int os_fd_give(int *fd)
{
    int given = *fd;

    *fd = -1;
    return given;
}

/* Open `path` below `dir` (AT_FDCWD for the working directory), always O_CLOEXEC.
 * Fails with RC_NOTFOUND (ENOENT), RC_AUTH (EACCES, EPERM), RC_REFUSED (EEXIST, a
 * symlink under O_NOFOLLOW), else RC_STORAGE. */
enum rc os_open(int dir, const char *path, int flags, mode_t mode, int *out,
                struct err *e);

/* The same, but never leaving `dir` on the way and through no link. RC_STORAGE on kernels
 * without openat2 (before 5.6). */
enum rc os_open_beneath(int dir, const char *path, int flags, mode_t mode, int *out,
                        struct err *e);

/* Read-only, without following a symlink at the last step when `nofollow`; fails with
 * RC_USAGE when it is not a regular file (a FIFO cannot hang us). Sets *size. */
enum rc os_open_regular(const char *path, int *out, uint64_t *size, struct err *e);

/* All n bytes or an error; `name` is used in messages only.
 * os_pread_full fails with RC_CORRUPT when the file ends first. */
enum rc os_pread_full(int fd, void *p, size_t n, uint64_t at, const char *name,
                      struct err *e);
enum rc os_pwrite_full(int fd, const void *p, size_t n, uint64_t at, const char *name,
                       struct err *e);
enum rc os_write_full(int fd, const void *p, size_t n, const char *name, struct err *e);

/* Up to n bytes; 0 only at the end of the file. */
enum rc os_read_some(int fd, void *p, size_t n, size_t *got, const char *name,
                     struct err *e);

/* fsync once; a failure is final, the file is not to be trusted afterwards. */
enum rc os_sync(int fd, const char *name, struct err *e);

/* Opens the directory that holds `path` (O_DIRECTORY) and points *base at the last
 * component inside `path`. */
enum rc os_open_parent(const char *path, int *dir, const char **base, struct err *e);

/* The file system on which `path`, which need not exist, lies or would lie. */
enum rc os_device(const char *path, dev_t *out, struct err *e);

/* fsync the directory `dir`. */
enum rc os_sync_dir(int dir, const char *name, struct err *e);

/* Appends the names in the directory `path` below `dir`, without "." and "..", in no
 * order. Fails as os_open does, and with RC_NOMEM. */
enum rc os_list(int dir, const char *path, struct str_list *names, struct err *e);

/* Make a directory of mode 0700 whatever the umask. RC_REFUSED when it exists. After a
 * failure it is not there, or it is somebody else's. */
enum rc os_mkdir(int dir, const char *path, struct err *e);

/* n random bytes from the kernel. */
enum rc os_random(void *p, size_t n, struct err *e);

/* Bytes that an unprivileged writer may still use on the file system of `fd`. */
enum rc os_free_space(int fd, uint64_t *out, struct err *e);

/* The whole file, at most `max` bytes (RC_CORRUPT beyond); the caller frees *out. */
enum rc os_read_file(const char *path, size_t max, uint8_t **out, size_t *n,
                     struct err *e);

/* The same of a regular file only, so that a FIFO put in its place cannot hang us. */
enum rc os_read_regular(const char *path, size_t max, uint8_t **out, size_t *n,
                        struct err *e);

/* Remove a file or a whole directory tree below `dir`, never following symlinks.
 * What does not exist is no error. */
enum rc os_remove_tree(int dir, const char *path, struct err *e);

#endif
