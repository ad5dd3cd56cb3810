#include "raftstore/image.h"

#include <fcntl.h>

#include "boltdb/build.h"
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

static enum rc build(const struct machine *m, const struct bolt_target *target,
                     uint64_t *size, struct err *e)
{
    const struct bolt_build_options options = { 0 };
    OWNED(bolt_builder) b = NULL;

    TRY(bolt_builder_new(target, &options, &b, e));
    TRY(machine_dump(m, b, e));
    return bolt_builder_finish(b, size, e);
}

enum rc image_write(const struct machine *m, int fd, const char *name, uint64_t *size,
                    struct err *e)
{
    struct file_target t = { .fd = fd, .name = name };

    return build(m, &(struct bolt_target){ &t, file_append, file_patch }, size, e);
}

static enum rc memory_append(void *arg, const uint8_t *p, size_t n, struct err *e)
{
    struct raft_buffer *b = arg;
    uint8_t *more = raft_realloc(b->base, b->len + n);

    if (more == NULL)
        return err_set(e, RC_NOMEM, "no memory for an image of %zu bytes", b->len + n);
    memcpy(more + b->len, p, n);
    b->base = more;
    b->len += n;
    return RC_OK;
}

static enum rc memory_patch(void *arg, const uint8_t *p, size_t n, struct err *e)
{
    struct raft_buffer *b = arg;

    if (n > b->len)
        return err_set(e, RC_INTERNAL, "an image of %zu bytes patched with %zu", b->len,
                       n);
    memcpy(b->base, p, n);
    return RC_OK;
}

enum rc image_dump(const struct machine *m, struct raft_buffer *out, struct err *e)
{
    struct raft_buffer b = { 0 };
    uint64_t size = 0;
    enum rc rc =
        build(m, &(struct bolt_target){ &b, memory_append, memory_patch }, &size, e);

    if (rc != RC_OK) {
        raft_free(b.base);
        return rc;
    }
    *out = b;
    return RC_OK;
}

enum rc image_load(int fd, const char *name, int minor, struct bolt_file **file,
                   struct machine **out, struct err *e)
{
    const struct machine_options options = { .minor = minor };
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
