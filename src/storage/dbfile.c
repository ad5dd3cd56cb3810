#include "storage/dbfile.h"

#include "filter/lane.h"
#include "util/bytes.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/os.h"

enum { LANE_BLOCK = 1 << 20, LANE_BLOCKS = 4 };

struct dbfile {
    int fd;
    const char *name;
    uint64_t expected_size;
    struct sink *sink;
    struct buf metas;
    uint64_t size; /* of the pages and what was appended behind them */
};

static enum rc append_pages(void *arg, const uint8_t *p, size_t n, struct err *e)
{
    struct dbfile *f = arg;

    TRY(sink_write(f->sink, p, n, e));
    f->size += n;
    progress("writing the database", f->size, f->expected_size);
    return RC_OK;
}

static enum rc keep_metas(void *arg, const uint8_t *p, size_t n, struct err *e)
{
    return buf_add(&((struct dbfile *)arg)->metas, p, n, e);
}

enum rc dbfile_new(int fd, const char *name, const struct file_sink_options *options,
                   struct dbfile **out, struct err *e)
{
    OWNED(dbfile) f = NULL;

    TRY(mem_new(&f, sizeof *f, "a database file", e));
    f->fd = fd;
    f->name = name;
    f->expected_size = options == NULL ? 0 : options->expected_size;
    TRY(file_sink_new(fd, name, options, &f->sink, e));
    TRY(lane_sink_new(GIVE(f->sink), LANE_BLOCK, LANE_BLOCKS, &f->sink, e));
    *out = GIVE(f);
    return RC_OK;
}

void dbfile_free(struct dbfile *f)
{
    if (f == NULL)
        return;
    sink_free(f->sink);
    buf_clear(&f->metas);
    mem_free(f);
}

struct bolt_target dbfile_target(struct dbfile *f)
{
    return (struct bolt_target){ f, append_pages, keep_metas };
}

enum rc dbfile_finish(struct dbfile *f, struct err *e)
{
    TRY(sink_finish(f->sink, e));
    TRY(os_pwrite_full(f->fd, f->metas.p, f->metas.n, 0, f->name, e));
    return os_sync(f->fd, f->name, e);
}

enum rc dbfile_append(struct dbfile *f, const void *p, size_t n, struct err *e)
{
    TRY(os_pwrite_full(f->fd, p, n, f->size, f->name, e));
    f->size += n;
    return os_sync(f->fd, f->name, e);
}
