#include "storage/stream.h"

#include <unistd.h>

#include "util/mem.h"
#include "util/os.h"

struct stream {
    struct sink base;
    int fd;
    bool regular;
    const char *name;
    struct file_sink_result *result;
};

static enum rc stream_write(struct sink *s, const uint8_t *p, size_t n, struct err *e)
{
    const struct stream *f = (const struct stream *)s;

    return os_write_full(f->fd, p, n, f->name, e);
}

static enum rc stream_finish(struct sink *s, struct err *e)
{
    const struct stream *f = (const struct stream *)s;

    if (f->regular)
        TRY(os_sync(f->fd, f->name, e));
    if (f->result != NULL)
        *f->result = (struct file_sink_result){
            .size = s->taken,
            .mode = f->regular ? FILE_BUFFERED : FILE_STREAM,
        };
    return RC_OK;
}

static const struct sink_ops stream_ops = {
    .name = "stream",
    .write = stream_write,
    .finish = stream_finish,
};

enum rc stream_sink_new(int fd, const char *name, struct file_sink_result *result,
                        struct sink **out, struct err *e)
{
    struct stream *f = NULL;
    struct stat st;

    if (os.fstat(fd, &st) < 0)
        return err_sys(e, RC_USAGE, "cannot write to %s", name);
    if (isatty(fd))
        return err_set(e, RC_REFUSED,
                       "%s is a terminal, and a snapshot is not text" HINT
                       "redirect it to a file or a pipe",
                       name);
    TRY(mem_new(&f, sizeof *f, "an output stream", e));
    *f = (struct stream){
        .base = { .ops = &stream_ops },
        .fd = fd,
        .regular = S_ISREG(st.st_mode),
        .name = name,
        .result = result,
    };
    *out = &f->base;
    return RC_OK;
}
