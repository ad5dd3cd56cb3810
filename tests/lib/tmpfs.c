#include "tests/lib/tmpfs.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <criterion/criterion.h>
#include <criterion/logging.h>

bool tmpfs_mount(const char *dir, const char *options)
{
    if (unshare(CLONE_NEWNS) < 0 ||
        mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("tmpfs", dir, "tmpfs", 0, options) < 0) {
        cr_log_warn("not tested: a tmpfs cannot be mounted here");
        return false;
    }
    cr_assert_eq(chmod(dir, 0700), 0);
    return true;
}

void tmpfs_unmount(const char *dir)
{
    umount2(dir, MNT_DETACH);
}
