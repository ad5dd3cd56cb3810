#include "care/hold.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>

#include "util/mem.h"
#include "util/str.h"

static enum rc open_file(const struct care_store *s, uint64_t cluster, int *out,
                         struct err *e)
{
    AT_END(mem_end) char *path = NULL;

    TRY(str_format(&path, e, "%s/%" PRIx64 ".held", s->dir, cluster));
    return os_open(AT_FDCWD, path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600, out, e);
}

enum rc care_hold(const struct care_store *s, uint64_t cluster, int64_t revision,
                  int *out, struct err *e)
{
    OWNED_FD int fd = -1;
    struct flock l = {
        .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = revision, .l_len = 1
    };

    *out = -1;
    if (s == NULL)
        return RC_OK;
    TRY(open_file(s, cluster, &fd, e));
    if (fcntl(fd, F_OFD_SETLK, &l) != 0)
        return err_sys(e, RC_STORAGE, "holding revision %" PRId64, revision);
    *out = os_fd_give(&fd);
    return RC_OK;
}

/* The system names any lock that is in the way; the lowest has none before it. */
enum rc care_held(const struct care_store *s, uint64_t cluster, int64_t *lowest,
                  struct err *e)
{
    OWNED_FD int fd = -1;
    off_t end = 0; /* to the end of the file, however long it gets */

    *lowest = -1;
    if (s == NULL)
        return RC_OK;
    TRY(open_file(s, cluster, &fd, e));
    do {
        struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = end };

        if (fcntl(fd, F_OFD_GETLK, &l) != 0)
            return err_sys(e, RC_STORAGE, "asking for the revisions that are held");
        if (l.l_type == F_UNLCK)
            break;
        *lowest = end = l.l_start;
    } while (end > 0);
    return RC_OK;
}
