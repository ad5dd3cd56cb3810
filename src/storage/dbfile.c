#include "storage/dbfile.h"

#include <fcntl.h>
#include <string.h>

#include "filter/lane.h"
#include "util/bytes.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/os.h"

/* Blocks as the file sink writes them, without another copy. */
enum { LANE_BLOCK = FILE_BLOCK, LANE_BLOCKS = 3 };

struct dbfile {
    int fd;
    const char *name;
    uint64_t expected_size;
    struct sink *sink;
    struct buf metas, head; /* as given, and as read back */
    uint64_t size;          /* of the pages and what was appended behind them */
};

static enum rc lend_block(void *arg, uint8_t **p, size_t *n, struct err *e)
{
    return lane_sink_lend(((struct dbfile *)arg)->sink, p, n, e);
}

/* They lie in the lane already. */
static enum rc append_pages(void *arg, const uint8_t *p, size_t n, struct err *e)
{
    struct dbfile *f = arg;

    (void)p;
    (void)e;
    lane_sink_filled(f->sink, n);
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
    buf_clear(&f->head);
    mem_free(f);
}

struct bolt_target dbfile_target(struct dbfile *f)
{
    return (struct bolt_target){ f, append_pages, keep_metas, lend_block };
}

enum rc dbfile_finish(struct dbfile *f, struct err *e)
{
    TRY(sink_finish(f->sink, e));
    TRY(os_pwrite_full(f->fd, f->metas.p, f->metas.n, 0, f->name, e));
    return os_sync(f->fd, f->name, e);
}

enum rc dbfile_head(struct dbfile *f, struct bytes *out, struct err *e)
{
    size_t n = f->metas.n;

    if (os.fadvise(f->fd, 0, (off_t)n, POSIX_FADV_DONTNEED) != 0)
        log_warn("the first pages of '%s' are proved from the page cache, not from the "
                 "disk",
                 f->name);
    f->head.n = 0;
    TRY(buf_add(&f->head, f->metas.p, n, e));
    memset(f->head.p, 0, n);
    TRY(os_pread_full(f->fd, f->head.p, n, 0, f->name, e));
    *out = (struct bytes){ f->head.p, n };
    if (bytes_equal(*out, (struct bytes){ f->metas.p, n }))
        return RC_OK;
    return err_set(e, RC_CORRUPT,
                   "the disk returned other bytes than were written: the first pages of "
                   "'%s'" HINT "do not trust this disk or this memory; store elsewhere",
                   f->name);
}

enum rc dbfile_append(struct dbfile *f, const void *p, size_t n, struct err *e)
{
    TRY(os_pwrite_full(f->fd, p, n, f->size, f->name, e));
    f->size += n;
    return os_sync(f->fd, f->name, e);
}
