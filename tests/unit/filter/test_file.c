#include "filter/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/case.h"
#include "tests/lib/fault.h"
#include "tests/lib/tmpdir.h"
#include "tests/unit/filter/collect.h"
#include "util/os.h"

enum { MIB = 1 << 20, BLOCK = FILE_BLOCK, BIG = 3 * BLOCK + 123 };

static uint8_t data[BIG];

/* An empty file in this test's directory. */
static int scratch(void)
{
    static const char *dir;
    int fd;

    if (dir == NULL)
        dir = tmpdir_new();
    fd = open(path_in(dir, "f"), O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600);
    cr_assert_geq(fd, 0);
    return fd;
}

/* Writes data[n] into the open file. */
static enum rc store(int fd, size_t n, size_t piece, const struct file_sink_options *o,
                     struct err *e)
{
    OWNED(sink) chain = NULL;

    TRY(file_sink_new(fd, "backup.db", o, &chain, e));
    TRY(write_pieces(chain, data, n, piece, e));
    return sink_finish(chain, e);
}

static bool holds(int fd, size_t n)
{
    static uint8_t back[BIG];
    struct stat st;

    cr_assert_eq(fstat(fd, &st), 0);
    return (size_t)st.st_size == n && pread(fd, back, n, 0) == (ssize_t)n &&
           memcmp(back, data, n) == 0;
}

static bool can_direct(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    bool can = fcntl(fd, F_SETFL, flags | O_DIRECT) == 0;

    fcntl(fd, F_SETFL, flags);
    return can;
}

CASE(file, any_size_in_any_pieces_and_modes)
{
    const size_t sizes[] = { 0, 1, 4095, 4096, 4097, BLOCK - 1, BLOCK, BLOCK + 1, BIG };

    fill_pattern(data, sizeof data);
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++)
        for (unsigned how = 0; how < 8; how++)
            for
                EACH_PIECE(i)
                {
                    OWNED_FD int fd = scratch();
                    struct file_sink_result r = { 0 };
                    struct err e = { 0 };
                    const struct file_sink_options o = {
                        .buffered = (how & 1) != 0,
                        .read_back = (how & 2) != 0,
                        .expected_size = (how & 4) != 0 ? sizes[s] + 10000 : 0,
                        .reserve = FILE_RESERVE_NONE,
                        .result = &r,
                    };

                    if (pieces[i] < 65536 && sizes[s] > 4097)
                        continue; /* millions of one-byte writes prove no more */
                    OK(store(fd, sizes[s], pieces[i], &o, &e), &e);
                    cr_assert(holds(fd, sizes[s]), "size %zu, how %u, pieces of %zu",
                              sizes[s], how, pieces[i]);
                    cr_assert_eq(r.size, sizes[s]);
                    cr_assert_eq(r.read_back, o.read_back);
                    cr_assert_eq(r.mode, o.buffered || !can_direct(fd) ? FILE_BUFFERED
                                                                       : FILE_DIRECT);
                    cr_assert_eq(fcntl(fd, F_GETFL) & O_DIRECT, 0,
                                 "the caller gets its flags back");
                }
}

CASE(file, room_taken_too_much_is_given_back)
{
    OWNED_FD int fd = scratch();
    const struct file_sink_options o = { .expected_size = 20 * MIB };
    struct err e = { 0 };
    struct stat st;

    OK(store(fd, 4097, 4097, &o, &e), &e);
    cr_assert_eq(fstat(fd, &st), 0);
    cr_assert_eq(st.st_size, 4097);
    cr_assert_leq(st.st_blocks * 512, MIB, "%ld bytes are still taken",
                  (long)st.st_blocks * 512);
}

/* ---- a file system that is full, or says so
 * ------------------------------------------------ */

static struct statvfs volume;
static uint64_t shrink_by; /* blocks that somebody else takes between two looks */

static int fake_fstatvfs(int fd, struct statvfs *st)
{
    (void)fd;
    *st = volume;
    volume.f_bavail -= volume.f_bavail < shrink_by ? volume.f_bavail : shrink_by;
    return 0;
}

static void fake_volume(uint64_t total, uint64_t free_bytes)
{
    volume = (struct statvfs){ .f_frsize = 4096,
                               .f_blocks = total / 4096,
                               .f_bavail = free_bytes / 4096 };
    shrink_by = 0;
    os.fstatvfs = fake_fstatvfs;
}

CASE(file, too_little_room_is_told_in_numbers_before_a_byte_is_written)
{
    OWNED_FD int fd = scratch();
    const struct file_sink_options o = { .expected_size = 91 * 1000 * 1000 };
    struct err e = { 0 };

    fake_volume(UINT64_C(1000) << 20, UINT64_C(150) << 20);
    cr_assert_eq(store(fd, 1, 1, &o, &e), RC_STORAGE);
    cr_assert_str_eq(e.why, "not enough room for 'backup.db': it takes 91.0 MB, 157.3 MB "
                            "are free and 67.1 MB of them are to stay free");
    cr_assert_str_eq(e.hint, "make room, or write to another file system");
    cr_assert(holds(fd, 0));
}

CASE(file, too_little_room_for_a_stream_of_unknown_size)
{
    OWNED_FD int fd = scratch();
    struct err e = { 0 };

    fake_volume(UINT64_C(1000) << 20, UINT64_C(50) << 20);
    cr_assert_eq(store(fd, 1, 1, NULL, &e), RC_STORAGE);
    cr_assert_str_eq(e.why, "not enough room for 'backup.db': 52.4 MB are free and 67.1 "
                            "MB of them are to stay free");
}

CASE(file, the_reserve_is_a_twentieth_within_bounds_or_as_asked)
{
    const struct {
        uint64_t total, asked, kept;
    } cases[] = {
        { UINT64_C(1) << 30, FILE_RESERVE_DEFAULT, UINT64_C(64) << 20 },
        { UINT64_C(20) << 30, FILE_RESERVE_DEFAULT, UINT64_C(1) << 30 },
        { UINT64_C(20) << 40, FILE_RESERVE_DEFAULT, UINT64_C(8) << 30 },
        { UINT64_C(20) << 30, 5 * MIB, 5 * MIB },
        { UINT64_C(20) << 30, FILE_RESERVE_NONE, 0 },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int enough = 0; enough < 2; enough++) {
            OWNED_FD int fd = scratch();
            const struct file_sink_options o = { .expected_size = MIB,
                                                 .reserve = cases[i].asked };
            struct err e = { 0 };

            fake_volume(cases[i].total, cases[i].kept + MIB - (enough ? 0 : 4096));
            cr_assert(store(fd, 1, 1, &o, &e) == (enough ? RC_OK : RC_STORAGE),
                      "case %zu, enough %d: %s", i, enough, e.why);
        }
}

CASE(file, a_file_system_that_does_not_know_its_size_is_tried)
{
    OWNED_FD int fd = scratch();
    struct err e = { 0 };

    fake_volume(0, 0);
    OK(store(fd, 10, 10, &(struct file_sink_options){ .expected_size = 10 }, &e), &e);
}

CASE(file, a_stream_of_unknown_size_stops_at_the_reserve)
{
    OWNED_FD int fd = scratch();
    OWNED(sink) chain = NULL;
    struct err e = { 0 };
    enum rc rc = RC_OK;
    int mib = 0;

    fake_volume(UINT64_C(1) << 30, (64 + 20) * (uint64_t)MIB);
    shrink_by = 8 * MIB / 4096;
    OK(file_sink_new(fd, "backup.db", NULL, &chain, &e), &e);
    for (; rc == RC_OK && mib < 100; mib++)
        rc = sink_write(chain, data, MIB, &e);
    cr_assert_eq(rc, RC_STORAGE);
    cr_assert_eq(mib, 24, "checked every 8 MiB, not after %d", mib);
    cr_assert(strstr(e.why, "25.2 MB of it are written") != NULL, "%s", e.why);
    cr_assert_eq(sink_finish(chain, &e), RC_STORAGE);
    cr_assert_str_eq(e.why, "'backup.db' failed before and is not whole");
}

static int fallocate_errno;

static int fake_fallocate(int fd, int mode, off_t at, off_t n)
{
    (void)fd;
    (void)mode;
    (void)at;
    (void)n;
    errno = fallocate_errno;
    if (errno == EINTR)
        fallocate_errno = ENOSPC;
    return -1;
}

CASE(file, a_full_disk_fails_when_room_is_taken)
{
    const struct file_sink_options o = { .expected_size = MIB };
    const int causes[] = { ENOSPC, EDQUOT, EFBIG, EINTR, EOPNOTSUPP, ENOSYS };

    os.fallocate = fake_fallocate;
    for (int i = 0; i < 6; i++) {
        OWNED_FD int fd = scratch();
        struct err e = { 0 };

        fallocate_errno = causes[i];
        cr_assert(store(fd, BIG, BIG, &o, &e) == (i < 4 ? RC_STORAGE : RC_OK), "%d", i);
        if (i == 0)
            cr_assert_str_eq(e.why, "cannot take 1048576 bytes for 'backup.db': "
                                    "No space left on device");
    }
}

/* ---- disks that misbehave
 * -------------------------------------------------------------------- */

static struct os_calls kernel;
static atomic_uint calls;
static unsigned bad_call;

static ssize_t flipping_pwrite(int fd, const void *p, size_t n, off_t at)
{
    uint8_t *copy = NULL;
    ssize_t put;

    if (atomic_fetch_add(&calls, 1) + 1 != bad_call)
        return kernel.pwrite(fd, p, n, at);
    cr_assert_eq(posix_memalign((void **)&copy, 4096, n), 0);
    memcpy(copy, p, n);
    copy[n / 2] ^= 0x10;
    put = kernel.pwrite(fd, copy, n, at);
    free(copy);
    return put;
}

static ssize_t flipping_pread(int fd, void *p, size_t n, off_t at)
{
    ssize_t got = kernel.pread(fd, p, n, at);

    if (atomic_fetch_add(&calls, 1) + 1 == bad_call && got > 0)
        ((uint8_t *)p)[got - 1] ^= 0x01;
    return got;
}

static enum rc store_on_bad_disk(bool buffered, bool read_back, struct err *e)
{
    OWNED_FD int fd = scratch();
    const struct file_sink_options o = { .buffered = buffered, .read_back = read_back };

    atomic_store(&calls, 0);
    return store(fd, BIG, 65536, &o, e);
}

CASE(file, one_bit_that_the_disk_changed_is_found)
{
    kernel = os;
    fill_pattern(data, sizeof data);
    for (int buffered = 0; buffered < 2; buffered++)
        for (int where = 0; where < 2; where++) {
            struct err e = { 0 };

            os = kernel;
            bad_call = 2;
            if (where == 0)
                os.pwrite = flipping_pwrite;
            else
                os.pread = flipping_pread;
            cr_assert_eq(store_on_bad_disk(buffered, true, &e), RC_CORRUPT,
                         "buffered %d, %s", buffered, where == 0 ? "write" : "read");
            cr_assert(strstr(e.why, "the disk returned other bytes than were written: "
                                    "'backup.db', 2097152 bytes at offset ") != NULL,
                      "%s", e.why);
            cr_assert(strstr(e.why, where == 0 && buffered ? "offset 0"
                                                           : "offset 2097152") != NULL,
                      "%s", e.why);
            cr_assert_str_eq(e.hint,
                             "do not trust this disk or this memory; store elsewhere");
        }
}

CASE(file, one_bit_in_the_last_bytes_is_found_too)
{
    struct err e = { 0 };

    kernel = os;
    fill_pattern(data, sizeof data);
    os.pwrite = flipping_pwrite;
    bad_call = 4; /* three whole blocks, then the tail */
    cr_assert_eq(store_on_bad_disk(false, true, &e), RC_CORRUPT);
    cr_assert(strstr(e.why, "123 bytes at offset 6291456") != NULL, "%s", e.why);
    OK(store_on_bad_disk(false, false, &e), &e); /* the test can tell: nobody looked */
}

static ssize_t undirect_pwrite(int fd, const void *p, size_t n, off_t at)
{
    if ((fcntl(fd, F_GETFL) & O_DIRECT) == 0)
        return kernel.pwrite(fd, p, n, at);
    errno = EINVAL;
    return -1;
}

static ssize_t undirect_pread(int fd, void *p, size_t n, off_t at)
{
    if ((fcntl(fd, F_GETFL) & O_DIRECT) == 0)
        return kernel.pread(fd, p, n, at);
    errno = EINVAL;
    return -1;
}

CASE(file, a_file_system_that_refuses_direct_io_late_gets_buffered_io)
{
    OWNED_FD int fd = scratch();
    struct file_sink_result r = { 0 };
    const struct file_sink_options o = { .read_back = true, .result = &r };
    struct err e = { 0 };

    kernel = os;
    os.pwrite = undirect_pwrite;
    os.pread = undirect_pread;
    fill_pattern(data, sizeof data);
    OK(store(fd, BIG, 65536, &o, &e), &e);
    cr_assert(holds(fd, BIG));
    cr_assert_eq(r.mode, FILE_BUFFERED);
    cr_assert(r.read_back);
}

static ssize_t empty_pwrite(int fd, const void *p, size_t n, off_t at)
{
    (void)fd;
    (void)p;
    (void)n;
    (void)at;
    return 0;
}

CASE(file, a_write_that_moves_nothing_is_no_endless_loop)
{
    struct err e = { 0 };

    os.pwrite = empty_pwrite;
    cr_assert_eq(store_on_bad_disk(false, false, &e), RC_STORAGE);
    cr_assert_str_eq(e.why, "cannot write 'backup.db' at offset 0: Input/output error");
}

static int sync_error;

static int bad_sync_file_range(int fd, off_t at, off_t n, unsigned flags)
{
    (void)fd;
    (void)at;
    (void)n;
    (void)flags;
    errno = sync_error;
    return -1;
}

/* The kernel tells of a lost write once: an fsync afterwards would be RC_OK. */
CASE(file, a_write_lost_between_slices_is_not_forgotten)
{
    const int causes[] = { EIO, ENOSPC, EDQUOT, EINVAL, ENOSYS, ESPIPE };

    os.sync_file_range = bad_sync_file_range;
    for (int i = 0; i < 6; i++) {
        OWNED_FD int fd = scratch();
        OWNED(sink) chain = NULL;
        struct err e = { 0 };
        enum rc rc = RC_OK;

        sync_error = causes[i];
        OK(file_sink_new(fd, "backup.db", &(struct file_sink_options){ .buffered = true },
                         &chain, &e),
           &e);
        for (int mib = 0; rc == RC_OK && mib < 9; mib++)
            rc = sink_write(chain, data, MIB, &e);
        cr_assert(rc == (i < 3 ? RC_STORAGE : RC_OK), "errno %d", causes[i]);
        cr_assert(sink_finish(chain, &e) == (i < 3 ? RC_STORAGE : RC_OK));
    }
}

static uint64_t pushed_to, waited_to, dropped_to;

static int watching_sync_file_range(int fd, off_t at, off_t n, unsigned flags)
{
    if ((flags & SYNC_FILE_RANGE_WAIT_AFTER) != 0)
        waited_to = (uint64_t)(at + n);
    else
        pushed_to = (uint64_t)(at + n);
    return kernel.sync_file_range(fd, at, n, flags);
}

static int watching_fadvise(int fd, off_t at, off_t n, int advice)
{
    if (advice == POSIX_FADV_DONTNEED && (uint64_t)(at + n) <= waited_to)
        dropped_to = (uint64_t)(at + n);
    return kernel.fadvise(fd, at, n, advice);
}

CASE(file, buffered_never_more_than_two_slices_are_dirty)
{
    const uint64_t slice = 8 * MIB;
    OWNED_FD int fd = scratch();
    OWNED(sink) chain = NULL;
    struct err e = { 0 };

    kernel = os;
    os.sync_file_range = watching_sync_file_range;
    os.fadvise = watching_fadvise;
    OK(file_sink_new(fd, "f", &(struct file_sink_options){ .buffered = true }, &chain,
                     &e),
       &e);
    for (uint64_t at = MIB; at <= 40 * MIB; at += MIB) {
        OK(sink_write(chain, data, MIB, &e), &e);
        cr_assert_eq(pushed_to, at / slice * slice, "%zu MiB", (size_t)at / MIB);
        cr_assert_eq(waited_to, at < 2 * slice ? 0 : pushed_to - slice);
        cr_assert_eq(dropped_to, waited_to, "clean pages leave the cache");
    }
    OK(sink_finish(chain, &e), &e);
}

static int interruptions;

static ssize_t interrupted_pwrite(int fd, const void *p, size_t n, off_t at)
{
    errno = EINTR;
    return interruptions++ % 2 == 0 ? -1 : kernel.pwrite(fd, p, n, at);
}

static int failing_ftruncate(int fd, off_t size)
{
    (void)fd;
    (void)size;
    errno = EIO;
    return -1;
}

CASE(file, interruptions_are_ridden_out_and_a_failed_truncation_is_not)
{
    OWNED_FD int fd = scratch();
    const struct file_sink_options o = { .expected_size = BIG + 1 };
    struct err e = { 0 };

    kernel = os;
    fill_pattern(data, sizeof data);
    os.pwrite = interrupted_pwrite;
    OK(store(fd, BIG, 65536, NULL, &e), &e);
    cr_assert(holds(fd, BIG));
    os.ftruncate = failing_ftruncate;
    cr_assert_eq(store(fd, BIG, 65536, &o, &e), RC_STORAGE);
    cr_assert_str_eq(e.why,
                     "cannot give back the room after 'backup.db': Input/output error");
}

static unsigned syncs;

static int counting_fsync(int fd)
{
    syncs++;
    return kernel.fsync(fd);
}

static int failing_fsync(int fd)
{
    (void)fd;
    if (syncs++ > 0)
        return 0;
    errno = EIO;
    return -1;
}

CASE(file, there_is_one_fsync_and_its_failure_is_final)
{
    OWNED_FD int fd = scratch();
    OWNED(sink) chain = NULL;
    struct err e = { 0 };

    kernel = os;
    os.fsync = counting_fsync;
    OK(store(fd, BIG, 65536, NULL, &e), &e);
    cr_assert_eq(syncs, 1);
    syncs = 0;
    os.fsync = failing_fsync;
    OK(file_sink_new(fd, "backup.db", NULL, &chain, &e), &e);
    cr_assert_eq(sink_finish(chain, &e), RC_STORAGE);
    cr_assert_str_eq(e.why,
                     "cannot make 'backup.db' durable (fsync): Input/output error");
    cr_assert_eq(sink_finish(chain, &e), RC_STORAGE, "not asked again");
    cr_assert_eq(syncs, 1);
}

/* ---- blocks that lie well ------------------------------------------------------------
 */

static const uint8_t *from[8];
static unsigned written;

static ssize_t noting_pwrite(int fd, const void *p, size_t n, off_t at)
{
    cr_assert_lt(written, 8);
    from[written++] = p;
    return kernel.pwrite(fd, p, n, at);
}

CASE(file, aligned_blocks_are_written_from_where_they_lie)
{
    OWNED_FD int fd = scratch();
    OWNED(sink) chain = NULL;
    AT_END(mem_end) uint8_t *block = NULL;
    struct err e = { 0 };

    kernel = os;
    os.pwrite = noting_pwrite;
    fill_pattern(data, sizeof data);
    OK(mem_block(&block, 2 * (size_t)BLOCK, "a block", &e), &e);
    memcpy(block, data, BLOCK);
    memcpy(block + BLOCK, data + BLOCK, BLOCK);
    OK(file_sink_new(fd, "f", &(struct file_sink_options){ .read_back = true }, &chain,
                     &e),
       &e);
    OK(sink_write(chain, block, BLOCK, &e), &e);
    OK(sink_write(chain, block + BLOCK, 4096, &e), &e);
    OK(sink_write(chain, block + BLOCK + 4096, BLOCK - 4096, &e), &e);
    OK(sink_write(chain, data + (size_t)2 * BLOCK, BIG - (size_t)2 * BLOCK, &e), &e);
    OK(sink_finish(chain, &e), &e);
    cr_assert(holds(fd, BIG));
    cr_assert(from[0] == block, "the first block was copied");
    cr_assert(from[1] != block + BLOCK, "the second one came in two pieces");
}

/* ---- every n-th call
 * ----------------------------------------------------------------------------- */

struct sweep {
    enum fault_point point;
    int error;
    bool buffered, read_back;
    unsigned runs; /* expected; 0 when two threads share the count */
};

static void run_sweep(const struct sweep *w)
{
    unsigned runs = 0;

    FAULT_SWEEP(w->point, nth, w->error) {
        OWNED_FD int fd = scratch();
        struct file_sink_result r = { .size = 77 };
        const struct file_sink_options o = { .buffered = w->buffered,
                                             .read_back = w->read_back,
                                             .result = &r };
        struct err e = { 0 };
        enum rc rc = store(fd, BIG, 65536, &o, &e);

        runs = nth;
        cr_assert(rc != RC_OK ? r.size == 77 && e.why[0] != '\0' : holds(fd, BIG),
                  "point %d, call %u, errno %d: rc %d", w->point, nth, w->error, rc);
        cr_assert(w->error != 0 || w->point == FAULT_ALLOC || rc == RC_OK,
                  "a short call is no failure: %s", e.why);
    }
    cr_assert(runs == w->runs, "point %d, errno %d: %u runs, not %u", w->point, w->error,
              runs, w->runs);
}

CASE(file, any_failed_call_is_an_error_and_any_short_one_is_not)
{
    /* Three blocks and a tail are 3 + 1 direct writes, or 48 + 1 of 128 KiB; then a clean
     * run.
     */
    const struct sweep sweeps[] = {
        { FAULT_WRITE, ENOSPC, false, false, 4 + 1 },
        { FAULT_WRITE, EIO, true, false, 49 + 1 },
        { FAULT_WRITE, 0, true, false, 49 + 1 },
        { FAULT_FSYNC, EIO, false, false, 1 + 1 },
        { FAULT_FSYNC, EIO, true, true, 1 + 1 },
        { FAULT_OPEN, EMFILE, false, true, 1 + 1 },
        { FAULT_READ, EIO, false, true, 4 + 1 },
        { FAULT_READ, EIO, true, true, 4 + 1 },
        { FAULT_ALLOC, 0, false, true, 5 + 1 },
    };

    fill_pattern(data, sizeof data);
    for (size_t i = 0; i < sizeof sweeps / sizeof sweeps[0]; i++)
        run_sweep(&sweeps[i]);
}

CASE(file, dropping_it_in_the_middle_stops_its_reader)
{
    for (size_t n = 0; n <= BIG; n += BIG / 3) {
        OWNED_FD int fd = scratch();
        OWNED(sink) chain = NULL;
        struct err e = { 0 };

        OK(file_sink_new(fd, "f", &(struct file_sink_options){ .read_back = true },
                         &chain, &e),
           &e);
        OK(write_pieces(chain, data, n, 65536, &e), &e);
        sink_free(GIVE(chain));
        cr_assert_eq(fcntl(fd, F_GETFL) & O_DIRECT, 0);
    }
}

CASE(file, a_closed_descriptor_is_an_error)
{
    struct err e = { 0 };

    cr_assert_eq(store(1000, 1, 1, NULL, &e), RC_STORAGE);
    cr_assert_str_eq(
        e.why, "cannot ask for the free space for 'backup.db': Bad file descriptor");
}
