#include "boltdb/ahead.h"
#include "boltdb/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/forge/forge.h"
#include "tests/lib/case.h"
#include "tests/lib/fault.h"
#include "tests/lib/tmpdir.h"
#include "tests/unit/boltdb/both.h"
#include "tests/unit/boltdb/build_to.h"
#include "util/mem.h"
#include "util/os.h"
#include "util/stop.h"

static void expect_refused(const void *p, size_t n, const char *why)
{
    AT_END(findings_clear) struct findings f = { 0 };
    struct bolt_file *file = NULL;
    struct err e = { 0 };

    cr_assert_eq(image_open(p, n, &f, &file, &e), RC_CORRUPT, "%s", why);
    cr_assert_null(file);
    cr_assert_str_eq(e.why, why);
}

CASE(boltdb_file, says_what_a_wrong_file_is)
{
    static const uint8_t zeros[9000];

    expect_refused("", 0, "'image' is no bbolt database: it is an empty file");
    expect_refused("x", 1, "'image' is no bbolt database: it is text");
    expect_refused("\x1f\x8b\x08rest", 7,
                   "'image' is no bbolt database: it is gzip data");
    expect_refused("age-encryption.org/v1\n", 22,
                   "'image' is no bbolt database: it is an age file");
    expect_refused(zeros, sizeof zeros,
                   "'image' is no bbolt database: it is zeros from its start on");
    expect_refused("\1\2\3\4", 4,
                   "no valid meta page (page 0: no room for a meta page; page 1: no meta "
                   "page at any page size)");
}

CASE(boltdb_file, tells_how_to_go_on)
{
    struct bolt_file *file = NULL;
    struct err e = { 0 };

    cr_assert_eq(image_open("\x28\xb5\x2f\xfd", 4, NULL, &file, &e), RC_CORRUPT);
    cr_assert_str_eq(e.hint, "decompress it first");
    cr_assert_eq(image_open("\1\2\3\4", 4, NULL, &file, &e), RC_CORRUPT);
    cr_assert_str_eq(e.what, "'image' is no bbolt database, or its start is destroyed");
}

CASE(boltdb_file, refuses_what_is_no_file)
{
    const char *dir = tmpdir_new();
    struct bolt_file *file = NULL;
    struct err e = { 0 };

    cr_assert_eq(bolt_file_open(dir, NULL, &file, &e), RC_USAGE);
    cr_assert_eq(bolt_file_open(path_in(dir, "none"), NULL, &file, &e), RC_NOTFOUND);
    cr_assert_eq(bolt_file_open("/dev/null", NULL, &file, &e), RC_USAGE);
    cr_assert_null(file);
}

CASE(boltdb_file, knows_name_size_and_meta)
{
    OWNED_IMAGE db = golden_load("etcd-3.6");
    OWNED(bolt_file) file = NULL;
    struct err e = { 0 };

    OK(image_open(db.p, db.n, NULL, &file, &e), &e);
    cr_assert_str_eq(bolt_file_name(file), "image");
    cr_assert_eq(bolt_file_size(file), db.n);
    cr_assert_eq(bolt_file_bytes(file).n, db.n);
    cr_assert_eq(bolt_file_meta(file)->page_size, 4096);
    cr_assert_eq(bolt_file_meta(file)->high_water, db.n / 4096);
    cr_assert_eq(bolt_file_from(file, 2).n, db.n - 32 - 2 * 4096);
    cr_assert_eq(bolt_file_from(file, db.n / 4096).n, 0);
    cr_assert_eq(bolt_file_from(file, UINT64_MAX).n, 0);
    bolt_file_populate(file, 0, db.n);
    bolt_file_populate(file, UINT64_MAX, 1);
    bolt_file_fetch(file, 0, db.n);
    bolt_file_fetch(file, UINT64_MAX, 1);
    bolt_file_unmap(file, UINT64_MAX, 1);
    OK(bolt_file_intact(file, &e), &e);
}

CASE(boltdb_file, reads_pages_of_every_size_by_either_meta)
{
    for (uint32_t size = BOLT_PAGE_SIZE_MIN; size <= BOLT_PAGE_SIZE_MAX; size *= 2)
        for (unsigned lost = 0; lost < 3; lost++) {
            const struct bolt_build_options options = { .page_size = size };
            OWNED_IMAGE db = { 0 };
            OWNED(bolt_file) file = NULL;
            AT_END(findings_clear) struct findings f = { 0 };
            struct err e = { 0 };

            OK(build_uniform(&options, 2, 100, 50, &db, &e), &e);
            if (lost < 2)
                memset(db.p + lost * (size_t)size, 0xa5, size);
            OK(image_open(db.p, db.n, &f, &file, &e), &e);
            cr_assert_eq(bolt_file_meta(file)->page_size, size);
            cr_assert_eq(bolt_file_meta(file)->page, lost == 0 ? 1 : 0);
            cr_assert_eq(f.warnings, lost < 2, "page size %u, lost %u", size, lost);
            cr_assert(lost == 2 || findings_has(&f, "meta-bad", lost));
            cr_assert(!both_agree(db.p, db.n, 999, "page size", size));
        }
}

/* Truncated at every page, and around it: refused with what is there and what is needed,
 * by the stream as well. */
CASE(boltdb_file, notices_every_truncation)
{
    OWNED_IMAGE db = golden_load("etcd-3.4");
    unsigned random = 7;

    for (size_t n = 0; n < db.n - 32; n += 4096) {
        size_t odd = n + (size_t)rand_r(&random) % 4096;

        cr_assert(both_agree(db.p, n, 32768, "truncated", (unsigned)n));
        if (odd < db.n - 32)
            cr_assert(both_agree(db.p, odd, 5000, "truncated", (unsigned)odd));
    }
    expect_refused(db.p, db.n - 33,
                   "'image' is truncated: 483327 bytes, the meta page needs 118 pages of "
                   "4096");
    cr_assert(!both_agree(db.p, db.n - 32, 4096, "without trailer", 0));
}

CASE(boltdb_file, notices_every_missing_byte_of_a_small_file)
{
    const struct bolt_build_options options = { .page_size = 512 };
    OWNED_IMAGE db = { 0 };
    struct err e = { 0 };

    OK(build_uniform(&options, 2, 12, 30, &db, &e), &e);
    for (size_t n = 0; n < db.n; n++)
        cr_assert(both_agree(db.p, n, 700, "truncated", (unsigned)n));
    cr_assert(!both_agree(db.p, db.n, 700, "whole", 0));
}

CASE(boltdb_file, survives_being_cut_while_open)
{
    static const uint64_t sizes[] = { 0, 100, 8192, 40960, 483327 };
    OWNED_IMAGE db = golden_load("etcd-3.4");

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        OWNED_FD int fd = image_fd(db.p, db.n);
        AT_END(findings_clear) struct findings f = { 0 };
        OWNED(bolt_file) file = NULL;
        struct bolt_walk_result r;
        struct err e = { 0 };

        AT_END(bolt_ahead_stop) struct bolt_ahead ahead = { 0 };

        OK(bolt_file_open_fd(fd, "cut", NULL, &file, &e), &e);
        OK(bolt_file_intact(file, &e), &e);
        cr_assert_eq(ftruncate(fd, (off_t)sizes[i]), 0);
        OK(bolt_ahead_start(&ahead, file, &e), &e);
        OK(bolt_walk(file, NULL, &f, &r, &e), &e);
        cr_assert(f.errors > 0 || sizes[i] > 480000, "cut to %llu",
                  (unsigned long long)sizes[i]);
        cr_assert_eq(bolt_file_intact(file, &e), RC_CORRUPT, "cut to %llu",
                     (unsigned long long)sizes[i]);
    }
}

/* Cut, read, and grown again: the size is right, yet zeros were read. */
CASE(boltdb_file, remembers_that_it_read_zeros)
{
    OWNED_IMAGE db = golden_load("etcd-3.4");
    OWNED_FD int fd = image_fd(db.p, db.n);
    AT_END(findings_clear) struct findings f = { 0 };
    OWNED(bolt_file) file = NULL;
    struct bolt_walk_result r;
    struct err e = { 0 };

    OK(bolt_file_open_fd(fd, "cut", NULL, &file, &e), &e);
    cr_assert_eq(ftruncate(fd, 8192), 0);
    OK(bolt_walk(file, NULL, &f, &r, &e), &e);
    cr_assert_eq(ftruncate(fd, (off_t)db.n), 0);
    cr_assert_eq(bolt_file_intact(file, &e), RC_CORRUPT);
    cr_assert_str_eq(e.why, "'cut' could not be read to its end: it was truncated for a "
                            "while, or the disk failed");
}

/* In more pieces than one; what was unmapped is mapped again by whoever reads it. */
CASE(boltdb_file, stays_readable_when_fetched_and_unmapped)
{
    AT_END(bolt_ahead_stop) struct bolt_ahead own = { 0 };
    AT_END(bolt_ahead_stop) struct bolt_ahead behind = { 0 };
    OWNED_IMAGE db = { 0 };
    OWNED(bolt_file) file = NULL;
    struct err e = { 0 };

    OK(build_uniform(NULL, 1, 3000, 4000, &db, &e), &e);
    cr_assert_gt(db.n, (size_t)8 << 20);
    OK(image_open(db.p, db.n, NULL, &file, &e), &e);
    OK(bolt_ahead_start_own(&own, file, &e), &e);
    OK(task_join(&own.task, &e), &e);
    cr_assert_eq(memcmp(bolt_file_bytes(file).p, db.p, db.n), 0);
    OK(bolt_behind_start(&behind, file, &e), &e);
    OK(task_join(&behind.task, &e), &e);
    cr_assert_eq(memcmp(bolt_file_bytes(file).p, db.p, db.n), 0);
    OK(bolt_file_intact(file, &e), &e);
}

CASE(boltdb_file, does_not_change_what_it_reads)
{
    OWNED_IMAGE db = golden_load("etcd-3.4");
    OWNED_FD int fd = image_fd(db.p, db.n);
    AT_END(mem_end) uint8_t *after = mem_zero(db.n);
    OWNED(bolt_file) file = NULL;
    struct bolt_walk_result r;
    struct err e = { 0 };

    OK(bolt_file_open_fd(fd, "image", NULL, &file, &e), &e);
    OK(bolt_walk(file, NULL, NULL, &r, &e), &e);
    OK(os_pread_full(fd, after, db.n, 0, "image", &e), &e);
    cr_assert_eq(memcmp(after, db.p, db.n), 0);
}

CASE(boltdb_file, survives_every_failed_allocation)
{
    OWNED_IMAGE whole = golden_load("etcd-3.5");
    unsigned runs = 0;

    put_le64(whole.p + 72, 0); /* a finding needs memory as well */
    FAULT_SWEEP(FAULT_ALLOC, nth, 0) {
        AT_END(findings_clear) struct findings f = { 0 };
        OWNED(bolt_file) file = NULL;
        struct bolt_walk_result r;
        struct err e = { 0 };
        enum rc rc = image_open(whole.p, whole.n, &f, &file, &e);

        if (rc == RC_OK)
            rc = bolt_walk(file, NULL, &f, &r, &e);
        cr_assert(rc == RC_OK || rc == RC_NOMEM, "allocation %u: %s", nth, e.why);
        runs = nth;
    }
    cr_assert_eq(runs, 5, "file, name, findings, bitmap, then a clean run: %u", runs);
}
