/* The lock of a repository in a directory: the kernel's, on a file that stays. It goes
 * with the process that holds it, and over NFS with the client. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "catalog/lock_inside.h"
#include "util/log.h"
#include "util/mem.h"

static enum rc open_file(const struct lock *l, const char *directory, int *out,
                         struct err *e)
{
    OWNED_FD int dir = -1;
    struct err why = { 0 };
    enum rc rc;

    if (os_open(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY, 0, &dir, e) != RC_OK)
        return err_wrap(e, "locking the repository '%s'", directory);
    rc = os_mkdir(dir, l->cluster, &why);
    if (rc != RC_OK && rc != RC_REFUSED) {
        *e = why;
        return rc;
    }
    char name[RECORD_NAME_SIZE + 8];

    snprintf(name, sizeof name, "%s/lock", l->cluster);
    return os_open(dir, name, O_RDWR | O_CREAT | O_NOFOLLOW, 0600, out, e);
}

/* The holder's name is in the file; it may be an older one's for a moment. */
static void read_owner(int fd, char owner[static LOCK_OWNER_SIZE])
{
    uint8_t text[LOCK_OWNER_SIZE];
    ssize_t n = os.pread(fd, text, sizeof text, 0);

    str_printable(owner, LOCK_OWNER_SIZE, (struct bytes){ text, n > 0 ? (size_t)n : 0 });
    if (owner[0] == '\0')
        snprintf(owner, LOCK_OWNER_SIZE, "another process");
}

static void write_owner(const struct lock *l)
{
    struct err ignored;

    if (os.ftruncate(l->fd, 0) != 0 ||
        os_pwrite_full(l->fd, l->owner, strlen(l->owner), 0, "lock", &ignored) != RC_OK)
        log_warn("the lock of '%s' does not say who holds it", l->cluster);
}

static enum rc take(int fd, const struct lock *l, struct err *e)
{
    char owner[LOCK_OWNER_SIZE];

    if (os.flock(fd, LOCK_EX | LOCK_NB) == 0)
        return RC_OK;
    if (errno != EWOULDBLOCK)
        return err_sys(e, RC_STORAGE, "locking '%s' in the repository", l->cluster);
    read_owner(fd, owner);
    return err_set(e, RC_LOCKED,
                   "%s works on '%s' in this repository" HINT "wait for its end", owner,
                   l->cluster);
}

enum rc lock_kernel_try(struct lock *l, const struct lock_options *o, struct err *e)
{
    OWNED_FD int fd = -1;

    TRY(open_file(l, o->directory, &fd, e));
    TRY(take(fd, l, e));
    l->fd = os_fd_give(&fd);
    write_owner(l);
    return RC_OK;
}

/* The lock lasts as long as the descriptor; only its file can be taken away. */
enum rc lock_kernel_look(struct lock *l, struct err *e)
{
    struct stat st;

    if (os.fstat(l->fd, &st) != 0)
        return err_sys(e, RC_STORAGE, "examining the lock of '%s'", l->cluster);
    if (st.st_nlink > 0)
        return RC_OK;
    return err_set(e, RC_LOCKED, "somebody removed the lock file of '%s'", l->cluster);
}

void lock_kernel_release(struct lock *l)
{
    if (os.ftruncate(l->fd, 0) != 0)
        log_warn("the lock of '%s' still names its last holder", l->cluster);
}

enum rc lock_kernel_break(struct lock *l, const struct lock_options *o, bool *held,
                          char owner[static LOCK_OWNER_SIZE], struct err *e)
{
    OWNED_FD int fd = -1;
    enum rc rc;

    TRY(open_file(l, o->directory, &fd, e));
    rc = take(fd, l, e);
    if (rc != RC_LOCKED)
        return rc;
    *held = true;
    read_owner(fd, owner);
    return err_set(e, RC_REFUSED,
                   "%s runs and holds the lock of '%s'; the kernel lets go of it when "
                   "that ends" HINT "end that process",
                   owner, l->cluster);
}
