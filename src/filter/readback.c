#include "filter/readback.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "codec/crc32c.h"
#include "filter/ring.h"
#include "util/mem.h"
#include "util/os.h"
#include "util/task.h"

enum { MARKS = 16, BLOCKS = 2, ALIGN = 4096 };

struct mark {
    size_t n;
    uint32_t crc;
};

/* Two threads, so that the disk does not wait while a block is looked at: one reads and
 * compares, the other shows. */
struct readback {
    struct ring ring; /* of marks: from the writer to the reader */
    struct mark marks[MARKS];
    const char *name;
    struct readback_observer observer;
    int fd;
    bool direct;
    uint64_t at;          /* the reader's place in the file */
    struct ring compared; /* of blocks: from the reader to the observer */
    uint8_t *memory;
    size_t sizes[BLOCKS];
    struct task reading, showing;
    enum rc rc;
    struct err err;
};

/* A page still in the cache would prove nothing. Direct reads push out and pass by
 * the cache themselves; elsewhere the range is made clean first and then dropped. */
static enum rc drop_cached(const struct readback *r, size_t n, struct err *e)
{
    unsigned wait =
        SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;

    if (r->direct)
        return RC_OK;
    if (os.sync_file_range(r->fd, (off_t)r->at, (off_t)n, wait) < 0 && errno == EIO)
        return err_sys(e, RC_STORAGE, "cannot write out '%s' at offset %llu", r->name,
                       (unsigned long long)r->at);
    os.fadvise(r->fd, (off_t)r->at, (off_t)n, POSIX_FADV_DONTNEED);
    return RC_OK;
}

/* Some file systems take O_DIRECT at open and refuse it at a read. */
static bool leave_direct(struct readback *r)
{
    if (!r->direct || os.fcntl(r->fd, F_SETFL, 0) < 0)
        return false;
    r->direct = false;
    return true;
}

static enum rc read_more(struct readback *r, uint8_t *block, size_t want, size_t *done,
                         struct err *e)
{
    uint64_t at = r->at + *done;
    ssize_t got = os.pread(r->fd, block + *done, want - *done, (off_t)at);

    if (got > 0) {
        *done += (size_t)got;
        return RC_OK;
    }
    if (got == 0)
        return err_set(e, RC_CORRUPT, "the stored '%s' ends at offset %llu", r->name,
                       (unsigned long long)at);
    if (errno == EINTR || (errno == EINVAL && leave_direct(r)))
        return RC_OK;
    return err_sys(e, RC_STORAGE, "cannot read back '%s' at offset %llu", r->name,
                   (unsigned long long)at);
}

static enum rc compare(struct readback *r, const struct mark *m, uint8_t *block,
                       struct err *e)
{
    /* Direct reads are whole sectors; the last one simply ends early. */
    size_t want = (m->n + ALIGN - 1) / ALIGN * ALIGN, done = 0;

    TRY(drop_cached(r, m->n, e));
    while (done < m->n)
        TRY(read_more(r, block, want, &done, e));
    if (crc32c_update(0, block, m->n) != m->crc)
        return err_set(e, RC_CORRUPT,
                       "the disk returned other bytes than were written: '%s', "
                       "%zu bytes at offset %llu" HINT
                       "do not trust this disk or this memory; store elsewhere",
                       r->name, m->n, (unsigned long long)r->at);
    r->at += m->n;
    return RC_OK;
}

static uint8_t *block_at(const struct readback *r, size_t slot)
{
    return r->memory + slot * READBACK_BLOCK;
}

/* An observer that has failed takes no more blocks: its own thread says why. */
static enum rc read_all(struct readback *r, struct err *e)
{
    size_t i, slot;

    while (ring_wait_full(&r->ring, &i) && ring_wait_free(&r->compared, &slot)) {
        TRY(compare(r, &r->marks[i], block_at(r, slot), e));
        r->sizes[slot] = r->marks[i].n;
        ring_pop(&r->ring);
        ring_push(&r->compared);
    }
    return RC_OK;
}

static enum rc follow(void *arg, struct err *e)
{
    struct readback *r = arg;
    enum rc rc = read_all(r, e);

    ring_end(&r->compared,
             rc == RC_OK && !ring_is_dropped(&r->ring) ? RING_CLOSED : RING_DROPPED);
    ring_end(&r->ring, RING_DROPPED);
    return rc;
}

static enum rc show(void *arg, struct err *e)
{
    struct readback *r = arg;
    size_t i;

    while (ring_wait_full(&r->compared, &i)) {
        enum rc rc =
            r->observer.take == NULL
                ? RC_OK
                : r->observer.take(r->observer.arg, block_at(r, i), r->sizes[i], e);

        if (rc != RC_OK) {
            ring_end(&r->compared, RING_DROPPED);
            return rc;
        }
        ring_pop(&r->compared);
    }
    return RC_OK;
}

static enum rc settle(struct readback *r, struct err *e)
{
    struct err shown;
    enum rc rc;

    if (r->reading.running) {
        r->rc = task_join(&r->reading, &r->err);
        rc = task_join(&r->showing, &shown);
        if (r->rc == RC_OK && rc != RC_OK) {
            r->rc = rc;
            r->err = shown;
        }
    }
    if (r->rc != RC_OK)
        *e = r->err;
    return r->rc;
}

enum rc readback_add(struct readback *r, size_t n, uint32_t crc, struct err *e)
{
    size_t i;

    if (!ring_wait_free(&r->ring, &i))
        return settle(r, e);
    r->marks[i] = (struct mark){ n, crc };
    ring_push(&r->ring);
    return RC_OK;
}

enum rc readback_finish(struct readback *r, struct err *e)
{
    ring_end(&r->ring, RING_CLOSED);
    return settle(r, e);
}

void readback_free(struct readback *r)
{
    struct err nobody_asks;

    if (r == NULL)
        return;
    ring_end(&r->ring, RING_DROPPED);
    (void)settle(r, &nobody_asks);
    ring_clear(&r->ring);
    ring_clear(&r->compared);
    os_fd_end(&r->fd);
    mem_free(r->memory);
    mem_free(r);
}

/* The file may have no name yet, so it is opened through /proc, which also gives the
 * reader flags of its own. */
static enum rc open_again(struct readback *r, int fd, struct err *e)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    r->direct = os_open(AT_FDCWD, path, O_RDONLY | O_DIRECT, 0, &r->fd, e) == RC_OK;
    if (!r->direct && os_open(AT_FDCWD, path, O_RDONLY, 0, &r->fd, e) != RC_OK)
        return err_wrap(e, "opening '%s' to read it back", r->name);
    return RC_OK;
}

enum rc readback_new(int fd, const char *name, const struct readback_observer *observer,
                     struct readback **out, struct err *e)
{
    OWNED(readback) r = NULL;

    TRY(mem_new(&r, sizeof *r, "the read-back", e));
    ring_init(&r->ring, MARKS);
    ring_init(&r->compared, BLOCKS);
    r->fd = -1;
    r->name = name;
    r->observer = *observer;
    TRY(mem_block(&r->memory, (size_t)BLOCKS * READBACK_BLOCK, "the blocks read back",
                  e));
    TRY(open_again(r, fd, e));
    TRY(task_start(&r->reading, follow, r, e));
    TRY(task_start(&r->showing, show, r, e));
    *out = GIVE(r);
    return RC_OK;
}
