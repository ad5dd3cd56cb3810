#include "agent/textfile.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/os.h"

enum { NAME_SIZE = 300, READABLE = 0644 };

static enum rc write_part(int dir, const char *part, struct bytes text, struct err *e)
{
    OWNED_FD int fd = -1;

    TRY(os_open(dir, part, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, READABLE, &fd, e));
    if (os.fchmod(fd, READABLE) != 0)
        return err_sys(e, RC_STORAGE, "cannot make '%s' readable", part);
    return os_write_full(fd, text.p, text.n, part, e);
}

enum rc textfile_write(const char *path, struct bytes text, struct err *e)
{
    OWNED_FD int dir = -1;
    const char *base;
    char part[NAME_SIZE];

    TRY(os_open_parent(path, &dir, &base, e));
    if (snprintf(part, sizeof part, ".%s.%d", base, (int)getpid()) >= (int)sizeof part)
        return err_set(e, RC_USAGE, "the textfile's name is too long");
    (void)os.unlinkat(dir, part, 0);
    enum rc rc = write_part(dir, part, text, e);

    if (rc == RC_OK && os.renameat2(dir, part, dir, base, 0) != 0)
        rc = err_sys(e, RC_STORAGE, "cannot replace '%s'", path);
    if (rc != RC_OK)
        (void)os.unlinkat(dir, part, 0);
    return rc;
}
