#include "care/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/file.h>

#include "util/mem.h"
#include "util/str.h"

static enum rc in_the_way(enum care_lock_kind kind, struct err *e)
{
    if (kind == CARE_LOCK_CHANGE)
        return err_set(e, RC_LOCKED,
                       "a snapshot of this cluster is being taken, or another job "
                       "changes it" HINT
                       "wait for its end: a member that streams would freeze");
    return err_set(e, RC_LOCKED,
                   "a defragmentation of this cluster is running" HINT
                   "wait for its end: a member that streams would freeze");
}

enum rc care_lock_take(const struct care_store *s, uint64_t cluster,
                       enum care_lock_kind kind, int *out, struct err *e)
{
    AT_END(mem_end) char *path = NULL;
    OWNED_FD int fd = -1;

    *out = -1;
    if (s == NULL)
        return RC_OK;
    TRY(str_format(&path, e, "%s/%" PRIx64 ".lock", s->dir, cluster));
    TRY(os_open(AT_FDCWD, path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600, &fd, e));
    if (os.flock(fd, (kind == CARE_LOCK_CHANGE ? LOCK_EX : LOCK_SH) | LOCK_NB) == 0) {
        *out = os_fd_give(&fd);
        return RC_OK;
    }
    if (errno == EWOULDBLOCK)
        return in_the_way(kind, e);
    return err_sys(e, RC_STORAGE, "locking '%s'", path);
}
