#include "raftstore/image.h"

#include <fcntl.h>

#include "boltdb/build.h"
#include "datadir/password.h"
#include "util/os.h"

struct file_target {
    int fd;
    const char *name;
    uint64_t at;
};

static enum rc file_append(void *arg, const uint8_t *p, size_t n, struct err *e)
{
    struct file_target *t = arg;

    TRY(os_pwrite_full(t->fd, p, n, t->at, t->name, e));
    t->at += n;
    return RC_OK;
}

static enum rc file_patch(void *arg, const uint8_t *p, size_t n, struct err *e)
{
    struct file_target *t = arg;

    return os_pwrite_full(t->fd, p, n, 0, t->name, e);
}

enum rc image_write(const struct machine *m, int fd, const char *name, uint64_t *size,
                    struct err *e)
{
    struct file_target t = { .fd = fd, .name = name };
    const struct bolt_target target = { &t, file_append, file_patch, NULL };
    const struct bolt_build_options options = { 0 };
    OWNED(bolt_builder) b = NULL;

    TRY(bolt_builder_new(&target, &options, &b, e));
    TRY(machine_dump(m, b, e));
    return bolt_builder_finish(b, size, e);
}

enum rc image_load(int fd, const char *name, int minor, struct bolt_file **file,
                   struct machine **out, struct err *e)
{
    const struct machine_options options = { .minor = minor,
                                             .hash_password = datadir_hash_password };
    OWNED(bolt_file) f = NULL;
    OWNED(machine) m = NULL;

    TRY(bolt_file_open_fd(fd, name, NULL, &f, e));
    TRY(machine_new(&options, &m, e));
    TRY(machine_load(m, f, e));
    *file = GIVE(f);
    *out = GIVE(m);
    return RC_OK;
}

enum rc image_scratch(const char *dir, int *fd, struct err *e)
{
    return os_open(AT_FDCWD, dir, O_TMPFILE | O_RDWR, 0600, fd, e);
}
