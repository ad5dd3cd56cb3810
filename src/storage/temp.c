#include "storage/temp.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "util/log.h"
#include "util/os.h"
#include "util/str.h"

#define MARK ".holdfast-"
#define SUFFIX ".part"

enum {
    RANDOM = 4,
    DIGITS = 8, /* two a byte */
    TRIES = 8,
    /* What is left of NAME_MAX for the name itself; longer ones are cut. */
    NAME_KEPT = 255 - (int)(sizeof "." MARK SUFFIX - 1) - DIGITS,
};

/* ---- making
 * ---------------------------------------------------------------------------- */

/* A default ACL or the umask may have changed the mode on the way; a snapshot holds
 * every secret of the cluster, so what counts is what the file system says it is. */
static enum rc make_private(int fd, const char *name, struct err *e)
{
    struct stat st;

    if (os.fchmod(fd, 0600) < 0 || os.fstat(fd, &st) < 0)
        return err_sys(e, RC_STORAGE, "cannot set the mode of '%s'", name);
    if ((st.st_mode & 0777) != 0600)
        return err_set(e, RC_STORAGE,
                       "the file system gives '%s' mode %03o and not 600" HINT
                       "write to a file system that has permissions",
                       name, st.st_mode & 0777);
    return RC_OK;
}

/* -1 with errno. Without /proc an unnamed file could never be given its name. */
static int open_unnamed(int dir)
{
    OWNED_FD int proc = os.openat(AT_FDCWD, "/proc/self/fd", O_PATH | O_CLOEXEC, 0);

    return proc < 0 ? -1 : os.openat(dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
}

static bool has_no_unnamed(int cause)
{
    return cause == EOPNOTSUPP || cause == EISDIR || cause == ENOENT || cause == EINVAL;
}

/* A sweep may have taken the lock, or even the file, between our open and our lock;
 * then another name is tried. A file system without locks has no sweeps either. */
static enum rc lock_part(int fd, const char *part, bool *ours, struct err *e)
{
    struct stat st;

    if (os.flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK) {
        *ours = false;
        return RC_OK;
    }
    if (os.fstat(fd, &st) < 0)
        return err_sys(e, RC_STORAGE, "cannot stat '%s'", part);
    *ours = st.st_nlink > 0;
    return RC_OK;
}

enum rc temp_name(const char *name, char out[static 256], struct err *e)
{
    uint8_t random[RANDOM];
    char hex[DIGITS + 1];

    TRY(os_random(random, sizeof random, e));
    str_hex(hex, random, sizeof random);
    snprintf(out, 256, ".%.*s" MARK "%s" SUFFIX, NAME_KEPT, name, hex);
    return RC_OK;
}

static enum rc try_part(struct temp *t, bool *ours, struct err *e)
{
    OWNED_FD int fd = -1;
    char part[sizeof t->part];

    TRY(temp_name(t->name, part, e));
    fd =
        os.openat(t->dir, part, O_CREAT | O_EXCL | O_NOFOLLOW | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0 && errno == EEXIST)
        return RC_OK;
    if (fd < 0)
        return err_sys(e, errno == EACCES ? RC_AUTH : RC_STORAGE, "cannot make '%s'",
                       part);
    /* From here on temp_close removes it. */
    memcpy(t->part, part, sizeof part);
    TRY(lock_part(fd, part, ours, e));
    if (*ours)
        t->fd = os_fd_give(&fd);
    return RC_OK;
}

static enum rc open_part(struct temp *t, struct err *e)
{
    bool ours = false;

    for (int i = 0; i < TRIES && !ours; i++)
        TRY(try_part(t, &ours, e));
    if (!ours)
        return err_set(e, RC_STORAGE, "no temporary name beside '%s' could be had",
                       t->name);
    return RC_OK;
}

enum rc temp_open(struct temp *t, int dir, const char *name, bool named, struct err *e)
{
    *t = (struct temp){ .dir = dir, .fd = -1, .name = name };
    if (!named) {
        t->fd = open_unnamed(dir);
        if (t->fd < 0 && !has_no_unnamed(errno))
            return err_sys(e, errno == EACCES ? RC_AUTH : RC_STORAGE,
                           "cannot make a file for '%s'", name);
    }
    if (t->fd < 0)
        TRY(open_part(t, e));
    return make_private(t->fd, name, e);
}

/* ---- publishing
 * -------------------------------------------------------------------------- */

static int link_unnamed(const struct temp *t)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/self/fd/%d", t->fd);
    return os.linkat(AT_FDCWD, path, t->dir, t->name, AT_SYMLINK_FOLLOW);
}

/* A plain rename would overwrite. Where renameat2 is not known, a link refuses to
 * overwrite just as well; the second name then goes, now or with the next sweep. */
static int rename_part(struct temp *t)
{
    if (os.renameat2(t->dir, t->part, t->dir, t->name, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return -1;
    if (os.linkat(t->dir, t->part, t->dir, t->name, 0) < 0)
        return -1;
    os.unlinkat(t->dir, t->part, 0);
    return 0;
}

static void drop_part(struct temp *t)
{
    if (t->part[0] != '\0')
        os.unlinkat(t->dir, t->part, 0);
    t->part[0] = '\0';
}

/* Is the final name this very file? */
static bool has_its_name(const struct temp *t)
{
    OWNED_FD int fd = os.openat(t->dir, t->name, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);
    struct stat there, ours;

    return fd >= 0 && os.fstat(fd, &there) == 0 && os.fstat(t->fd, &ours) == 0 &&
           there.st_dev == ours.st_dev && there.st_ino == ours.st_ino;
}

enum rc temp_publish(struct temp *t, struct err *e)
{
    int r = t->part[0] == '\0' ? link_unnamed(t) : rename_part(t);
    int cause = errno;

    if (r < 0 && cause == EEXIST && has_its_name(t)) {
        drop_part(t);
        return RC_OK;
    }
    errno = cause;
    if (r < 0 && errno == EEXIST)
        return err_set(e, RC_REFUSED,
                       "somebody else made '%s' while it was being written" HINT
                       "nothing is overwritten; choose another name",
                       t->name);
    if (r < 0)
        return err_sys(e, RC_STORAGE, "cannot give '%s' its name", t->name);
    t->part[0] = '\0';
    return RC_OK;
}

enum rc temp_replace(struct temp *t, struct err *e)
{
    if (os.renameat2(t->dir, t->part, t->dir, t->name, 0) < 0)
        return err_sys(e, RC_STORAGE, "cannot give '%s' its name", t->name);
    t->part[0] = '\0';
    return RC_OK;
}

void temp_unpublish(const struct temp *t)
{
    if (has_its_name(t))
        os.unlinkat(t->dir, t->name, 0);
}

void temp_close(struct temp *t)
{
    drop_part(t);
    os_fd_end(&t->fd);
}

/* ---- sweeping
 * ------------------------------------------------------------------------------ */

/* What follows the name in a temporary one: the mark, the digits and the suffix. */
static const char *tail_of(const char *entry)
{
    const size_t tail = sizeof MARK - 1 + DIGITS + sizeof SUFFIX - 1;
    size_t n = strlen(entry);

    return n > tail + 1 ? entry + n - tail : "";
}

bool temp_is_name(const char *entry)
{
    const char *tail = tail_of(entry), *digits = tail + sizeof MARK - 1;
    uint8_t random[RANDOM];
    char hex[DIGITS + 1];

    if (entry[0] != '.' || strncmp(tail, MARK, sizeof MARK - 1) != 0 ||
        !str_ends(entry, SUFFIX))
        return false;
    snprintf(hex, sizeof hex, "%.*s", DIGITS, digits);
    return str_unhex(hex, random, sizeof random);
}

static bool is_part_of(const char *entry, const char *name)
{
    size_t n = strnlen(name, NAME_KEPT);

    return temp_is_name(entry) && strncmp(entry + 1, name, n) == 0 &&
           entry + 1 + n == tail_of(entry);
}

/* The lock is held while the name goes, so a writer that has just made this file sees
 * that it lost it (lock_part). */
static bool sweep_one(int dir, const char *entry)
{
    OWNED_FD int fd =
        os.openat(dir, entry, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0);
    struct stat st;

    if (fd < 0 || os.fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
        st.st_uid != geteuid() || os.flock(fd, LOCK_EX | LOCK_NB) < 0 ||
        os.unlinkat(dir, entry, 0) < 0)
        return false;
    log_info("removed '%s', left behind by a put that did not end", entry);
    return true;
}

enum rc temp_sweep(int dir, const char *name, struct err *e)
{
    AT_END(str_list_clear) struct str_list entries = { 0 };

    TRY(os_list(dir, ".", &entries, e));
    for (size_t i = 0; i < entries.count; i++)
        if (is_part_of(entries.items[i], name))
            (void)sweep_one(dir, entries.items[i]);
    return RC_OK;
}

enum rc temp_sweep_all(int dir, uint64_t *swept, struct err *e)
{
    AT_END(str_list_clear) struct str_list entries = { 0 };

    TRY(os_list(dir, ".", &entries, e));
    for (size_t i = 0; i < entries.count; i++)
        *swept += temp_is_name(entries.items[i]) && sweep_one(dir, entries.items[i]);
    return RC_OK;
}

bool temp_sweep_directory(int parent, const char *name)
{
    OWNED_FD int fd = -1;
    struct err ignored = { 0 };
    struct stat st;

    return os_open_beneath(parent, name, O_RDONLY | O_DIRECTORY, 0, &fd, &ignored) ==
               RC_OK &&
           os.fstat(fd, &st) == 0 && st.st_uid == geteuid() &&
           os.flock(fd, LOCK_EX | LOCK_NB) == 0 &&
           os_remove_tree(parent, name, &ignored) == RC_OK;
}
