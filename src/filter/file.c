#include "filter/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "codec/crc32c.h"
#include "filter/readback.h"
#include "util/mem.h"
#include "util/os.h"
#include "util/str.h"

/* BLOCK suits O_DIRECT. Buffered writes stay small: above 128 KiB the kernel wants
 * large folios, which took two to three times as long on virtual machines that give
 * free memory back to their host. */
enum {
    BLOCK = FILE_BLOCK,
    ALIGN = 4096,
    PIECE = 128 << 10,
    SLICE = 8 << 20,
};

#define RESERVE_MIN (UINT64_C(64) << 20)
#define RESERVE_MAX (UINT64_C(8) << 30)

struct file_sink {
    struct sink base;
    int fd, flags; /* the caller's, and its status flags as they were */
    char *name;
    uint8_t *block;
    size_t filled;
    uint32_t crc; /* of the block that is being taken in */
    uint64_t at, allocated, reserve;
    uint64_t waited, started; /* buffered: clean up to, being written out up to */
    bool direct;              /* O_DIRECT is on */
    bool failed;
    enum file_mode mode;
    struct readback *proof; /* NULL unless asked for */
    struct file_sink_result *result;
};

/* ---- room ----------------------------------------------------------------------------
 */

static uint64_t reserve_of(const struct statvfs *st, uint64_t asked)
{
    uint64_t share = (uint64_t)st->f_blocks * st->f_frsize / 20;

    if (asked == FILE_RESERVE_NONE)
        return 0;
    if (asked != FILE_RESERVE_DEFAULT)
        return asked;
    if (share > RESERVE_MAX)
        return RESERVE_MAX;
    return share < RESERVE_MIN ? RESERVE_MIN : share;
}

/* How much it takes, as far as that is known: "it takes 91.0 MB, ". */
static void needs(const struct file_sink *f, uint64_t more, char out[static 64])
{
    char size[32];

    out[0] = '\0';
    str_size(size, sizeof size, f->at + more);
    if (more > 0)
        snprintf(out, 64, "it takes %s, ", size);
    else if (f->at > 0)
        snprintf(out, 64, "%s of it are written, ", size);
}

/* Are there `more` bytes besides the reserve? File systems that do not know their size
 * (some network ones say 0) are taken at their later word. */
static enum rc check_room(const struct file_sink *f, uint64_t more, struct err *e)
{
    char need[64], free_now[32], keep[32];
    struct statvfs st;
    uint64_t left, reserve;

    if (os.fstatvfs(f->fd, &st) < 0)
        return err_sys(e, RC_STORAGE, "cannot ask for the free space for '%s'", f->name);
    left = (uint64_t)st.f_bavail * st.f_frsize;
    reserve = reserve_of(&st, f->reserve);
    if (st.f_blocks == 0 || (left >= reserve && left - reserve >= more))
        return RC_OK;
    needs(f, more, need);
    str_size(free_now, sizeof free_now, left);
    str_size(keep, sizeof keep, reserve);
    return err_set(e, RC_STORAGE,
                   "not enough room for '%s': %s%s are free and %s of them are to stay "
                   "free" HINT "make room, or write to another file system",
                   f->name, need, free_now, keep);
}

/* Taking the room now makes a full disk fail here and not after an hour. */
static enum rc take_room(struct file_sink *f, uint64_t size, struct err *e)
{
    TRY(check_room(f, size, e));
    if (size == 0)
        return RC_OK;
    while (os.fallocate(f->fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)size) < 0) {
        if (errno == EINTR)
            continue;
        if (errno == EOPNOTSUPP || errno == ENOSYS)
            return RC_OK;
        return err_sys(e, RC_STORAGE, "cannot take %llu bytes for '%s'",
                       (unsigned long long)size, f->name);
    }
    f->allocated = size;
    return RC_OK;
}

/* ---- writing -------------------------------------------------------------------------
 */

static enum rc leave_direct(struct file_sink *f, struct err *e)
{
    if (f->direct && os.fcntl(f->fd, F_SETFL, f->flags & ~O_DIRECT) < 0)
        return err_sys(e, RC_STORAGE, "cannot leave direct writing of '%s'", f->name);
    f->direct = false;
    f->started = f->waited = f->at;
    return RC_OK;
}

static enum rc push_out(const struct file_sink *f, uint64_t from, uint64_t to,
                        unsigned how, struct err *e)
{
    if (os.sync_file_range(f->fd, (off_t)from, (off_t)(to - from), how) == 0)
        return RC_OK;
    /* The kernel reports a lost write once. Whoever hears of it here must not go on
     * to an fsync that no longer knows. Other errors mean "not on this file system". */
    if (errno == EIO || errno == ENOSPC || errno == EDQUOT)
        return err_sys(e, RC_STORAGE, "cannot write out '%s' at offset %llu", f->name,
                       (unsigned long long)from);
    return RC_OK;
}

/* Start the slice that has just filled and wait for the one before, so that the disk
 * is busy and never more than two slices are dirty. Clean slices leave the page cache
 * to etcd, which serves from it. */
static enum rc turn_slice(struct file_sink *f, struct err *e)
{
    unsigned finish =
        SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;

    if (f->at - f->started < SLICE)
        return RC_OK;
    TRY(push_out(f, f->started, f->at, SYNC_FILE_RANGE_WRITE, e));
    if (f->started > f->waited) {
        TRY(push_out(f, f->waited, f->started, finish, e));
        os.fadvise(f->fd, (off_t)f->waited, (off_t)(f->started - f->waited),
                   POSIX_FADV_DONTNEED);
    }
    f->waited = f->started;
    f->started = f->at;
    return RC_OK;
}

/* A direct write may be refused late, by a file system that took the flag, or after a
 * short write that left us between sectors. The rest is then buffered. */
static enum rc fall_back(struct file_sink *f, struct err *e)
{
    f->mode = FILE_BUFFERED;
    return leave_direct(f, e);
}

static enum rc put_some(struct file_sink *f, const uint8_t *p, size_t n, size_t *done,
                        struct err *e)
{
    size_t k = f->direct || n < PIECE ? n : PIECE;
    ssize_t put = os.pwrite(f->fd, p, k, (off_t)f->at);

    if (put > 0) {
        *done += (size_t)put;
        f->at += (size_t)put;
        return f->direct ? RC_OK : turn_slice(f, e);
    }
    if (put < 0 && errno == EINTR)
        return RC_OK;
    if (put < 0 && errno == EINVAL && f->direct)
        return fall_back(f, e);
    if (put == 0)
        errno = EIO;
    return err_sys(e, RC_STORAGE, "cannot write '%s' at offset %llu", f->name,
                   (unsigned long long)f->at);
}

static enum rc put_block(struct file_sink *f, const uint8_t *p, size_t n, struct err *e)
{
    size_t done = 0;

    while (done < n)
        TRY(put_some(f, p + done, n - done, &done, e));
    return RC_OK;
}

/* Tell the reader, once the block is where it can be read. */
static enum rc prove_block(struct file_sink *f, size_t n, struct err *e)
{
    uint32_t crc = f->crc;

    f->filled = 0;
    f->crc = 0;
    return f->proof == NULL || n == 0 ? RC_OK : readback_add(f->proof, n, crc, e);
}

static enum rc store_block(struct file_sink *f, const uint8_t *p, struct err *e)
{
    TRY(put_block(f, p, BLOCK, e));
    TRY(prove_block(f, BLOCK, e));
    if (f->at > f->allocated && f->at % SLICE == 0)
        return check_room(f, 0, e);
    return RC_OK;
}

/* A block that lies well is written from where it is. */
static bool is_ready(const struct file_sink *f, const uint8_t *p, size_t n)
{
    return f->filled == 0 && n >= BLOCK && (uintptr_t)p % ALIGN == 0;
}

static enum rc take_some(struct file_sink *f, const uint8_t *p, size_t n, size_t *taken,
                         struct err *e)
{
    size_t k = BLOCK - f->filled < n ? BLOCK - f->filled : n;

    *taken = k;
    if (f->proof != NULL)
        f->crc = crc32c_update(f->crc, p, k);
    if (is_ready(f, p, n))
        return store_block(f, p, e);
    memcpy(f->block + f->filled, p, k);
    f->filled += k;
    return f->filled == BLOCK ? store_block(f, f->block, e) : RC_OK;
}

static enum rc take(struct file_sink *f, const uint8_t *p, size_t n, struct err *e)
{
    size_t taken;

    for (; n > 0; p += taken, n -= taken)
        TRY(take_some(f, p, n, &taken, e));
    return RC_OK;
}

static enum rc check_alive(const struct file_sink *f, struct err *e)
{
    if (f->failed)
        return err_set(e, RC_STORAGE, "'%s' failed before and is not whole", f->name);
    return RC_OK;
}

static enum rc file_write(struct sink *s, const uint8_t *p, size_t n, struct err *e)
{
    struct file_sink *f = (struct file_sink *)s;
    enum rc rc;

    TRY(check_alive(f, e));
    rc = take(f, p, n, e);
    f->failed = rc != RC_OK;
    return rc;
}

/* ---- the end
 * --------------------------------------------------------------------------- */

/* The last, partial block cannot go direct; it is small enough for the one fsync. The
 * reader hears of it after that, when it is on the disk. */
static enum rc complete(struct file_sink *f, struct err *e)
{
    TRY(leave_direct(f, e));
    TRY(put_block(f, f->block, f->filled, e));
    if (f->allocated > f->at && os.ftruncate(f->fd, (off_t)f->at) < 0)
        return err_sys(e, RC_STORAGE, "cannot give back the room after '%s'", f->name);
    TRY(os_sync(f->fd, f->name, e));
    TRY(prove_block(f, f->filled, e));
    return f->proof == NULL ? RC_OK : readback_finish(f->proof, e);
}

static enum rc file_finish(struct sink *s, struct err *e)
{
    struct file_sink *f = (struct file_sink *)s;
    enum rc rc;

    TRY(check_alive(f, e));
    rc = complete(f, e);
    f->failed = rc != RC_OK;
    if (rc == RC_OK && f->result != NULL)
        *f->result = (struct file_sink_result){ f->at, f->mode, f->proof != NULL };
    return rc;
}

static void file_release(struct sink *s)
{
    struct file_sink *f = (struct file_sink *)s;

    readback_free(f->proof);
    if (f->direct)
        os.fcntl(f->fd, F_SETFL, f->flags);
    mem_free(f->block);
    mem_free(f->name);
}

static const struct sink_ops file_ops = {
    .name = "file",
    .write = file_write,
    .finish = file_finish,
    .release = file_release,
};

/* ---- the beginning
 * ----------------------------------------------------------------------- */

static enum rc go_direct(struct file_sink *f, bool wanted, struct err *e)
{
    f->flags = os.fcntl(f->fd, F_GETFL, 0);
    if (f->flags < 0)
        return err_sys(e, RC_STORAGE, "cannot use the open file '%s'", f->name);
    f->direct = wanted && os.fcntl(f->fd, F_SETFL, f->flags | O_DIRECT) == 0;
    f->mode = f->direct ? FILE_DIRECT : FILE_BUFFERED;
    return RC_OK;
}

static enum rc set_up(struct file_sink *f, const struct file_sink_options *o,
                      struct err *e)
{
    TRY(mem_block(&f->block, BLOCK, "a file block", e));
    f->reserve = o->reserve;
    f->result = o->result;
    TRY(take_room(f, o->expected_size, e));
    TRY(go_direct(f, !o->buffered, e));
    return o->read_back ? readback_new(f->fd, f->name, &o->observer, &f->proof, e)
                        : RC_OK;
}

enum rc file_sink_new(int fd, const char *name, const struct file_sink_options *options,
                      struct sink **out, struct err *e)
{
    static const struct file_sink_options none = { 0 };
    OWNED(sink) made = NULL;
    struct file_sink *f = NULL;

    TRY(mem_new(&f, sizeof *f, "a file sink", e));
    made = &f->base;
    f->base = (struct sink){ .ops = &file_ops };
    f->fd = fd;
    f->name = mem_str(name);
    if (f->name == NULL)
        return err_set(e, RC_NOMEM, "no memory for the name '%s'", name);
    TRY(set_up(f, options == NULL ? &none : options, e));
    *out = GIVE(made);
    return RC_OK;
}
