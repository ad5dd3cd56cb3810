#include "filter/readback.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "codec/crc32c.h"
#include "tests/lib/case.h"
#include "tests/lib/tmpdir.h"
#include "tests/unit/filter/collect.h"
#include "util/bytes.h"
#include "util/os.h"

enum { SIZE = 5000 };

static uint8_t data[SIZE];
static struct os_calls kernel;
static const struct readback_observer nobody = { 0 };

static int stored(void)
{
    int fd = open(path_in(tmpdir_new(), "f"), O_CREAT | O_RDWR | O_CLOEXEC, 0600);

    fill_pattern(data, sizeof data);
    cr_assert_eq(pwrite(fd, data, sizeof data, 0), SIZE);
    kernel = os;
    return fd;
}

/* Does the file hold n bytes whose checksum is that of data[n]? */
static enum rc prove(int fd, size_t n, struct err *e)
{
    OWNED(readback) r = NULL;

    TRY(readback_new(fd, "x.db", &nobody, &r, e));
    TRY(readback_add(r, n, crc32c_update(0, data, n < SIZE ? n : SIZE), e));
    return readback_finish(r, e);
}

CASE(readback, agrees_with_what_is_there)
{
    OWNED_FD int fd = stored();
    struct err e = { 0 };

    OK(prove(fd, SIZE, &e), &e);
    OK(prove(fd, 1, &e), &e);
    data[SIZE - 1] ^= 1;
    cr_assert_eq(prove(fd, SIZE, &e), RC_CORRUPT);
    cr_assert_str_eq(e.why, "the disk returned other bytes than were written: 'x.db', "
                            "5000 bytes at offset 0");
}

CASE(readback, a_file_that_ends_early_is_corrupt)
{
    OWNED_FD int fd = stored();
    struct err e = { 0 };

    cr_assert_eq(prove(fd, SIZE + 1, &e), RC_CORRUPT);
    cr_assert_str_eq(e.why, "the stored 'x.db' ends at offset 5000");
}

CASE(readback, its_failure_is_what_the_next_block_hears)
{
    OWNED_FD int fd = stored();
    OWNED(readback) r = NULL;
    struct err e = { 0 };
    enum rc rc = RC_OK;

    OK(readback_new(fd, "x.db", &nobody, &r, &e), &e);
    for (int i = 0; rc == RC_OK && i < 1000; i++)
        rc = readback_add(r, READBACK_BLOCK, 1, &e);
    cr_assert_eq(rc, RC_CORRUPT, "the ring is shorter than a thousand");
    cr_assert_str_eq(e.why, "the stored 'x.db' ends at offset 5000");
    cr_assert_eq(readback_finish(r, &e), RC_CORRUPT);
}

static enum rc collect(void *arg, const uint8_t *p, size_t n, struct err *e)
{
    return buf_add(arg, p, n, e);
}

static enum rc dislike(void *arg, const uint8_t *p, size_t n, struct err *e)
{
    (void)arg;
    return err_set(e, RC_REFUSED, "%zu bytes from %u on", n, p[0]);
}

static enum rc show(int fd, const struct readback_observer *observer, struct err *e)
{
    OWNED(readback) r = NULL;

    TRY(readback_new(fd, "x.db", observer, &r, e));
    TRY(readback_add(r, SIZE, crc32c_update(0, data, SIZE), e));
    return readback_finish(r, e);
}

/* What the observer sees is what the disk has, and nothing that differs. */
CASE(readback, shows_what_came_back)
{
    AT_END(buf_clear) struct buf seen = { 0 };
    const struct readback_observer see = { &seen, collect }, refuse = { NULL, dislike };
    OWNED_FD int fd = stored();
    struct err e = { 0 };

    OK(show(fd, &see, &e), &e);
    cr_assert(bytes_equal((struct bytes){ seen.p, seen.n }, BYTES_OF(data)));
    data[0] = 7;
    cr_assert_eq(show(fd, &refuse, &e), RC_CORRUPT);
    cr_assert_eq(pwrite(fd, data, 1, 0), 1);
    cr_assert_eq(show(fd, &refuse, &e), RC_REFUSED);
    cr_assert_str_eq(e.why, "5000 bytes from 7 on");
}

enum { MANY = 7 };

struct slow {
    uint64_t at;
    unsigned fails_at; /* block; 0: never */
};

/* The file is one byte a block: its number. */
static enum rc look_slowly(void *arg, const uint8_t *p, size_t n, struct err *e)
{
    struct slow *s = arg;
    unsigned number = (unsigned)(s->at / READBACK_BLOCK);

    usleep(2000);
    if (s->fails_at != 0 && number == s->fails_at)
        return err_set(e, RC_REFUSED, "enough");
    for (size_t i = 0; i < n; i += 4095)
        cr_assert_eq(p[i], number);
    s->at += n;
    return RC_OK;
}

static enum rc prove_many(int fd, struct slow *s, struct err *e)
{
    static uint8_t block[READBACK_BLOCK];
    OWNED(readback) r = NULL;

    TRY(readback_new(fd, "x.db", &(struct readback_observer){ s, look_slowly }, &r, e));
    for (int i = 0; i < MANY; i++) {
        memset(block, i, sizeof block);
        cr_assert_eq(pwrite(fd, block, sizeof block, (off_t)i * READBACK_BLOCK),
                     READBACK_BLOCK);
        TRY(readback_add(r, sizeof block, crc32c_update(0, block, sizeof block), e));
    }
    return readback_finish(r, e);
}

/* Reading goes on while a block is looked at. */
CASE(readback, waits_for_a_slow_observer_and_hears_of_its_failure)
{
    OWNED_FD int fd = stored();
    struct slow patient = { 0 }, tired = { .fails_at = 3 };
    struct err e = { 0 };

    OK(prove_many(fd, &patient, &e), &e);
    cr_assert_eq(patient.at, (uint64_t)MANY * READBACK_BLOCK);
    cr_assert_eq(prove_many(fd, &tired, &e), RC_REFUSED);
    cr_assert_str_eq(e.why, "enough");
    cr_assert_eq(tired.at, (uint64_t)3 * READBACK_BLOCK, "nothing after it was shown");
}

/* ---- disks and kernels that fail ------------------------------------------------------
 */

static int interruptions;

static ssize_t interrupted_pread(int fd, void *p, size_t n, off_t at)
{
    errno = EINTR;
    return interruptions++ < 2 ? -1 : kernel.pread(fd, p, n, at);
}

static ssize_t einval_pread(int fd, void *p, size_t n, off_t at)
{
    (void)fd;
    (void)p;
    (void)n;
    (void)at;
    errno = EINVAL;
    return -1;
}

static int no_direct_openat(int dir, const char *path, int flags, mode_t mode)
{
    errno = EINVAL;
    return (flags & O_DIRECT) != 0 ? -1 : kernel.openat(dir, path, flags, mode);
}

static int no_openat(int dir, const char *path, int flags, mode_t mode)
{
    (void)dir;
    (void)path;
    (void)flags;
    (void)mode;
    errno = EMFILE;
    return -1;
}

static int lost_write(int fd, off_t at, off_t n, unsigned flags)
{
    (void)fd;
    (void)at;
    (void)n;
    (void)flags;
    errno = EIO;
    return -1;
}

static unsigned dropped;

static int counting_fadvise(int fd, off_t at, off_t n, int advice)
{
    dropped += advice == POSIX_FADV_DONTNEED;
    return kernel.fadvise(fd, at, n, advice);
}

CASE(readback, interruptions_are_ridden_out_and_refusals_are_not)
{
    OWNED_FD int fd = stored();
    struct err e = { 0 };

    os.pread = interrupted_pread;
    OK(prove(fd, SIZE, &e), &e);
    os.pread = einval_pread;
    cr_assert_eq(prove(fd, SIZE, &e), RC_STORAGE);
    cr_assert_str_eq(e.why, "cannot read back 'x.db' at offset 0: Invalid argument");
}

CASE(readback, without_direct_reads_the_cache_is_emptied_first)
{
    OWNED_FD int fd = stored();
    struct err e = { 0 };

    os.openat = no_direct_openat;
    os.fadvise = counting_fadvise;
    OK(prove(fd, SIZE, &e), &e);
    cr_assert_eq(dropped, 1);
    os.sync_file_range = lost_write;
    cr_assert_eq(prove(fd, SIZE, &e), RC_STORAGE);
    cr_assert_str_eq(e.why, "cannot write out 'x.db' at offset 0: Input/output error");
}

CASE(readback, a_file_that_cannot_be_opened_again_is_an_error)
{
    OWNED_FD int fd = stored();
    struct err e = { 0 };

    os.openat = no_openat;
    cr_assert_eq(prove(fd, SIZE, &e), RC_STORAGE);
    cr_assert_str_eq(e.what, "opening 'x.db' to read it back");
}
