#include "wal/segment.h"

#include <stdlib.h>

#include "tests/lib/case.h"
#include "tests/lib/tmpdir.h"
#include "tests/unit/wal/lab.h"

CASE(wal_segment, only_etcds_own_spelling_is_a_name)
{
    static const char *const bad[] = {
        "",
        ".wal",
        "0-0.wal",
        "0000000000000000-0000000000000000.wal ",
        "0000000000000000-0000000000000000.wal.broken",
        "0000000000000000_0000000000000000.wal",
        "000000000000000A-0000000000000000.wal",
        "0x00000000000000-0000000000000000.wal",
        " 000000000000000-0000000000000000.wal",
        "00000000000000000-0000000000000000.wal",
        "0000000000000000-0000000000000000.snap",
    };
    uint64_t sequence = 0, index = 0;
    char name[WAL_NAME_SIZE];

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert(!wal_segment_name_parse(bad[i], &sequence, &index), "'%s'", bad[i]);
    wal_segment_name(name, 1, 0x33);
    cr_assert_str_eq(name, "0000000000000001-0000000000000033.wal");
    cr_assert(wal_segment_name_parse(name, &sequence, &index));
    cr_assert(sequence == 1 && index == 0x33);
    wal_segment_name(name, UINT64_MAX, UINT64_MAX);
    cr_assert(wal_segment_name_parse(name, &sequence, &index) && sequence == UINT64_MAX);
}

CASE(wal_segment, a_view_never_passes_the_end)
{
    const char *dir = tmpdir_new();
    struct wal_file f = { .fd = -1 };
    uint8_t *p = malloc(600000);
    struct err e = { 0 };
    struct bytes view;

    for (size_t i = 0; i < 600000; i++)
        p[i] = (uint8_t)(i * 31 >> 3);
    put_file(dir, "f", p, 600000);
    OK(wal_file_open(dir, "f", &f, &e), &e);
    static const size_t at[] = { 0, 599990, 10, 262140, 599999, 300000, 1 };

    for (size_t i = 0; i < sizeof at / sizeof at[0]; i++) {
        size_t left = 600000 - at[i], want = left < 300000 ? left : 300000;

        OK(wal_file_view(&f, at[i], 300000, &view, &e), &e);
        cr_assert(view.n == want && memcmp(view.p, p + at[i], want) == 0, "at %zu",
                  at[i]);
    }
    OK(wal_file_view(&f, 600000, 8, &view, &e), &e);
    cr_assert_eq(view.n, 0);
    OK(wal_file_view(&f, UINT64_MAX, 8, &view, &e), &e);
    cr_assert_eq(view.n, 0);
    wal_file_close(&f);
    free(p);
}

CASE(wal_segment, a_file_that_shrinks_is_said_so)
{
    const char *dir = tmpdir_new();
    struct wal_file f = { .fd = -1 };
    struct err e = { 0 };
    struct bytes view;

    put_file(dir, "f", "12345678", 8);
    OK(wal_file_open(dir, "f", &f, &e), &e);
    put_file(dir, "f", "1", 1);
    cr_assert_eq(wal_file_view(&f, 0, 8, &view, &e), RC_CORRUPT);
    cr_assert_str_eq(e.why, "'f' ends at offset 1");
    cr_assert_str_eq(e.hint,
                     "it became shorter while it was read; is the member running?");
    wal_file_close(&f);
}
