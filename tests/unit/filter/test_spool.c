#include "filter/spool.h"

#include <errno.h>
#include <stdlib.h>

#include "tests/lib/case.h"
#include "tests/lib/fault.h"
#include "util/bytes.h"
#include "util/os.h"

enum { THINGS = 700, LONGEST = 9000, BESIDES = 130 * 4096 };

static const char marker[] = "nobody else is to read this";

/* Thing i, and how long it is: any length, sometimes none. */
static size_t thing(unsigned i, uint8_t to[static LONGEST])
{
    size_t n = i * 2654435761U % LONGEST;

    if (i % 7 == 0)
        n %= 20;
    for (size_t k = 0; k < n; k++)
        to[k] = (uint8_t)(i + k * 31);
    if (n >= sizeof marker)
        memcpy(to, marker, sizeof marker);
    return n;
}

static enum rc put_all(struct spool *s, uint32_t places[static THINGS], struct err *e)
{
    static uint8_t bytes[LONGEST];

    for (unsigned i = 0; i < THINGS; i++) {
        size_t n = thing(i, bytes);

        TRY(spool_add(s, bytes, n, &places[i], e));
    }
    return RC_OK;
}

/* Out of order, each whole and then without its beginning. */
static enum rc check_all(struct spool *s, const uint32_t places[static THINGS],
                         struct err *e)
{
    static uint8_t want[LONGEST], got[LONGEST];

    for (unsigned k = 0; k < THINGS; k++) {
        unsigned i = k * 389 % THINGS;
        size_t n = thing(i, want);

        TRY(spool_read(s, places[i], 0, got, n, e));
        cr_assert(memcmp(want, got, n) == 0, "thing %u", i);
        TRY(spool_read(s, places[i], n / 2, got, n - n / 2, e));
        cr_assert(memcmp(want + n / 2, got, n - n / 2) == 0, "half of thing %u", i);
    }
    return RC_OK;
}

static struct spool *with(size_t resident, size_t memory_max)
{
    const struct spool_options o = { .resident = resident, .memory_max = memory_max };
    struct spool *s = NULL;
    struct err e = { 0 };

    OK(spool_new(&o, &s, &e), &e);
    return s;
}

CASE(spool, gives_back_what_was_put_aside)
{
    static const size_t bounds[] = { 1, 5000, 1 << 20, SIZE_MAX };

    for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++) {
        OWNED(spool) s = with(bounds[i], 0);
        uint32_t places[THINGS];
        struct err e = { 0 };

        OK(put_all(s, places, &e), &e);
        OK(check_all(s, places, &e), &e);
        cr_assert_not(spool_lost(s, NULL));
        cr_assert_eq(spool_filed(s) > 0, bounds[i] != SIZE_MAX);
        if (bounds[i] != SIZE_MAX)
            cr_assert_leq(spool_memory(s), bounds[i] + BESIDES);
    }
}

CASE(spool, knows_what_is_not_there)
{
    OWNED(spool) s = with(1, 0);
    uint8_t bytes[100] = { 0 };
    uint32_t place, next;
    struct err e = { 0 };

    OK(spool_add(s, bytes, 9, &place, &e), &e);
    OK(spool_add(s, bytes, 0, &next, &e), &e);
    cr_assert_eq((next - place) * SPOOL_UNIT, 16);
    cr_assert_eq(spool_read(s, place, 0, bytes, 17, &e), RC_INTERNAL);
    cr_assert_eq(spool_read(s, next, 1, bytes, 0, &e), RC_INTERNAL);
    cr_assert_eq(spool_read(s, UINT32_MAX, 0, bytes, 1, &e), RC_INTERNAL);
}

/* ---- the disk ---- */

static struct os_calls real;
static bool seen; /* the marker, on its way to a disk */

static ssize_t watching_pwrite(int fd, const void *p, size_t n, off_t at)
{
    seen |= memmem(p, n, marker, sizeof marker) != NULL;
    return real.pwrite(fd, p, n, at);
}

CASE(spool, a_disk_learns_nothing)
{
    OWNED(spool) s = with(1, 0);
    uint32_t places[THINGS];
    struct err e = { 0 };

    real = os;
    os.pwrite = watching_pwrite;
    OK(put_all(s, places, &e), &e);
    os = real;
    cr_assert_gt(spool_filed(s), 1 << 20);
    cr_assert_not(seen);
}

static ssize_t lying_pread(int fd, void *p, size_t n, off_t at)
{
    ssize_t got = real.pread(fd, p, n, at);

    ((uint8_t *)p)[got / 2] ^= 1;
    return got;
}

CASE(spool, a_disk_that_changes_a_bit_is_found_out)
{
    OWNED(spool) s = with(1, 0);
    uint32_t places[THINGS];
    struct err e = { 0 };

    OK(put_all(s, places, &e), &e);
    real = os;
    os.pread = lying_pread;
    cr_assert_eq(check_all(s, places, &e), RC_STORAGE);
    cr_assert_str_eq(e.why, "a temporary file does not hold what was written to it");
    os = real;
}

CASE(spool, without_a_place_for_a_file_takes_memory)
{
    OWNED(spool) s = with(1, 0);
    OWNED(spool) bounded = with(1, 1 << 20);
    uint32_t places[THINGS];
    struct err e = { 0 }, why = { 0 };

    cr_assert_eq(setenv("TMPDIR", "/nowhere", 1), 0);
    OK(put_all(s, places, &e), &e);
    OK(check_all(s, places, &e), &e);
    cr_assert_eq(spool_filed(s), 0);
    OK(put_all(bounded, places, &e), &e);
    cr_assert(spool_lost(bounded, &why));
    cr_assert_not_null(strstr(why.why, "/nowhere"), "%s", why.why);
    cr_assert_eq(spool_memory(bounded), 0);
    cr_assert_eq(spool_read(bounded, 0, 0, places, 1, &e), RC_INTERNAL);
}

static unsigned looks; /* how often there is room */

static int filling_fstatvfs(int fd, struct statvfs *st)
{
    int rc = real.fstatvfs(fd, st);

    st->f_bavail = looks-- > 0 ? st->f_blocks : st->f_blocks / 100;
    return rc;
}

/* Room is looked for before the first byte and after each MiB. */
CASE(spool, leaves_a_full_file_system_alone)
{
    for (unsigned room = 0; room < 3; room++) {
        OWNED(spool) s = with(1, 0);
        uint32_t places[THINGS];
        struct err e = { 0 }, why = { 0 };

        looks = room;
        real = os;
        os.fstatvfs = filling_fstatvfs;
        OK(put_all(s, places, &e), &e);
        os = real;
        cr_assert_eq(spool_lost(s, &why), room > 0, "room for %u", room);
        if (room > 0)
            cr_assert_not_null(strstr(why.why, "nearly full"), "%s", why.why);
        else
            OK(check_all(s, places, &e), &e);
    }
}

/* ---- what fails ---- */

static void any_failure(enum fault_point point, int error, unsigned at_least)
{
    unsigned runs = 0;

    FAULT_SWEEP(point, nth, error) {
        OWNED(spool) s = NULL;
        const struct spool_options o = { .resident = 5000 };
        static uint32_t places[THINGS];
        struct err e = { 0 };
        enum rc rc = spool_new(&o, &s, &e);

        if (nth > 20 && point != FAULT_ALLOC)
            break;
        if (rc == RC_OK)
            rc = put_all(s, places, &e);
        if (rc == RC_OK && !spool_lost(s, NULL))
            rc = check_all(s, places, &e);
        cr_assert(rc == RC_OK || rc == RC_NOMEM || rc == RC_STORAGE, "%u: %s", nth,
                  e.why);
        runs = nth;
    }
    fault_disarm();
    cr_assert_geq(runs, at_least);
}

CASE(spool, survives_whatever_fails)
{
    any_failure(FAULT_ALLOC, 0, 4);
    any_failure(FAULT_OPEN, EACCES, 2);
    any_failure(FAULT_WRITE, EIO, 20);
    any_failure(FAULT_READ, EIO, 20);
}
