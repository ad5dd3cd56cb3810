#include "wal/snapfile.h"

#include <stdio.h>

#include "tests/lib/case.h"
#include "tests/lib/fault.h"
#include "tests/lib/tmpdir.h"
#include "tests/unit/wal/lab.h"
#include "util/json.h"

static const char *const versions[] = { "3.4", "3.5", "3.6", "3.7" };
static const char *const rolled[] = {
    "0000000000000002-000000000000000b.snap",
    "0000000000000002-0000000000000016.snap",
    "0000000000000002-0000000000000021.snap",
    "0000000000000002-000000000000002c.snap",
};
enum { ROLLED = 4 };

/* The snap directory of the server that took four snapshots. */
static const char *rolled_dir(const char *version)
{
    const char *dir = tmpdir_new();

    for (size_t i = 0; i < ROLLED; i++) {
        struct buf file = { 0 };
        char path[256];

        snprintf(path, sizeof path, "etcd-%s/rolled/%s.zst", version, rolled[i]);
        golden_file(path, &file);
        put_file(dir, rolled[i], file.p, file.n);
        buf_clear(&file);
    }
    return dir;
}

CASE(wal_snapfile, reads_those_of_every_version)
{
    for (size_t v = 0; v < 4; v++) {
        const char *dir = rolled_dir(versions[v]);

        for (size_t i = 0; i < ROLLED; i++) {
            OWNED(snapfile) s = NULL;
            OWNED(json) store = NULL;
            struct err e = { 0 };

            OK(snapfile_open(dir, rolled[i], &s, &e), &e);
            cr_assert(s->snapshot.term == 2 && s->snapshot.index == 11 * (i + 1),
                      "%s %zu", versions[v], i);
            cr_assert(s->snapshot.conf.voter_count == 1, "%s %zu", versions[v], i);
            OK(json_parse(s->snapshot.store, "store", &store, &e), &e);
            cr_assert(json_get(json_get(store, "Root"), "Children") != NULL);
        }
    }
}

/* 3.7 leaves auto_leave out where older ones write it; all else is the same. */
CASE(wal_snapfile, writes_what_it_read)
{
    for (size_t v = 0; v < 3; v++) {
        struct buf file = { 0 }, again = { 0 };
        struct wal_snapshot s;
        struct err e = { 0 };
        char path[256];

        snprintf(path, sizeof path, "etcd-%s/rolled/%s.zst", versions[v], rolled[0]);
        golden_file(path, &file);
        OK(snapfile_parse((struct bytes){ file.p, file.n }, &s, &e), &e);
        OK(snapfile_put(&again, &s, &e), &e);
        cr_assert(again.n == file.n && memcmp(again.p, file.p, file.n) == 0, "%s", path);
        wal_snapshot_clear(&s);
        buf_clear(&file);
        buf_clear(&again);
    }
}

CASE(wal_snapfile, every_flipped_bit_and_every_cut_is_seen)
{
    struct wal_snapshot s;
    struct buf b = { 0 };
    struct err e = { 0 };

    OK(snapfile_put(&b, &(struct wal_snapshot){ .store = bytes_str("{}"), .index = 3 },
                    &e),
       &e);
    for (size_t bit = 0; bit < b.n * 8; bit++) {
        b.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
        cr_assert_eq(snapfile_parse((struct bytes){ b.p, b.n }, &s, &e), RC_CORRUPT,
                     "bit %zu", bit);
        b.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t n = 0; n < b.n; n++)
        cr_assert_eq(snapfile_parse((struct bytes){ b.p, n }, &s, &e), RC_CORRUPT,
                     "%zu bytes", n);
    OK(snapfile_parse((struct bytes){ b.p, b.n }, &s, &e), &e);
    wal_snapshot_clear(&s);
    buf_clear(&b);
}

CASE(wal_snapfile, names_what_is_wrong)
{
    static const struct {
        const char *p, *why;
    } rows[] = {
        { "", "the snapshot file is empty" },
        { "\x08\x01", "the snapshot file is empty" },
        { "\x12\x01x", "the snapshot file is empty" },
        { "\x08\x01\x12\x01x", "its checksum is a93c5f93, recorded is 00000001" },
        { "\x08\x01\x12\x09x", "no valid snapshot file: byte 2 of 5" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct wal_snapshot s;
        struct err e = { 0 };

        cr_assert_eq(snapfile_parse(bytes_str(rows[i].p), &s, &e), RC_CORRUPT, "row %zu",
                     i);
        cr_assert_str_eq(e.why, rows[i].why);
    }
}

/* What the WAL beside the golden snap directory says. */
static void read_log_beside(struct reading *r, const char *version)
{
    struct buf file = { 0 };
    char path[256];

    snprintf(path, sizeof path, "etcd-%s/rolled/" FIRST_SEGMENT ".zst", version);
    golden_file(path, &file);
    reading_of_bytes(r, file.p, file.n);
    buf_clear(&file);
}

CASE(wal_snapfile, the_newest_with_a_mark_is_chosen)
{
    for (size_t v = 0; v < 4; v++) {
        OWNED(snapfile) s = NULL;
        struct findings f = { 0 };
        struct err e = { 0 };
        struct reading r;

        read_log_beside(&r, versions[v]);
        OK(snapfile_newest(rolled_dir(versions[v]), r.s, &f, &s, &e), &e);
        cr_assert(s->snapshot.index == 44 && f.items == NULL, "%s", versions[v]);
        reading_clear(&r);
    }
}

CASE(wal_snapfile, damaged_and_unmarked_ones_are_passed_over_and_told)
{
    const char *dir = rolled_dir("3.5");
    OWNED(snapfile) s = NULL;
    struct findings f = { 0 };
    struct buf b = { 0 };
    struct err e = { 0 };
    struct reading r;

    read_log_beside(&r, "3.5");
    put_file(dir, rolled[3], "\x08\x01", 2);
    OK(snapfile_put(
           &b, &(struct wal_snapshot){ .store = bytes_str("{}"), .index = 48, .term = 2 },
           &e),
       &e);
    put_file(dir, "0000000000000002-0000000000000030.snap", b.p, b.n);
    put_file(dir, rolled[2], b.p, b.n);
    OK(snapfile_newest(dir, r.s, &f, &s, &e), &e);
    cr_assert_eq(s->snapshot.index, 22);
    cr_assert(f.kept == 3 && f.errors == 2 && f.warnings == 1);
    cr_assert_str_eq(f.items[0].code, "snap-no-mark");
    cr_assert_str_eq(
        f.items[1].message,
        "'0000000000000002-000000000000002c.snap': the snapshot file is empty; "
        "etcd would try an older one");
    cr_assert_str_eq(f.items[2].message,
                     "'0000000000000002-0000000000000021.snap': it holds the snapshot of "
                     "term 2, index 48; etcd would try an older one");
    findings_clear(&f);
    buf_clear(&b);
    reading_clear(&r);
}

CASE(wal_snapfile, an_empty_directory_has_none)
{
    struct findings f = { 0 };
    struct snapfile *s = NULL;
    struct err e = { 0 };

    cr_assert_eq(snapfile_newest(tmpdir_new(), NULL, &f, &s, &e), RC_NOTFOUND);
    cr_assert(strstr(e.why, "there is no usable snapshot file in '") == e.why &&
              s == NULL);
    cr_assert_eq(snapfile_newest("/nonexistent", NULL, &f, &s, &e), RC_NOTFOUND);
}

CASE(wal_snapfile, lists_databases_and_leftovers)
{
    const char *dir = tmpdir_new();
    struct findings f = { 0 };
    struct snapdir d = { 0 };
    struct err e = { 0 };

    put_file(dir, "db", "", 0);
    put_file(dir, "tmp123", "", 0);
    put_file(dir, "00000000000000ff.snap.db", "", 0);
    put_file(dir, "ff.snap.db", "", 0);
    put_file(dir, "0000000000000001-0000000000000009.snap", "", 0);
    put_file(dir, "0000000000000002-0000000000000003.snap", "", 0);
    put_file(dir, "0000000000000002-0000000000000004.snap", "", 0);
    put_file(dir, "0000000000000003-0000000000000004.snap.broken", "", 0);
    put_file(dir, "mine.snap", "", 0);
    OK(snapdir_list(dir, &f, &d, &e), &e);
    cr_assert(d.db_count == 1 && d.dbs[0] == 255 && d.snap_count == 3);
    cr_assert(d.snaps[0].index == 4 && d.snaps[1].index == 3 && d.snaps[2].index == 9);
    cr_assert(f.warnings == 2 && f.errors == 0);
    snapdir_clear(&d);
    findings_clear(&f);
}

CASE(wal_snapfile, failing_calls_are_errors)
{
    static const enum fault_point points[] = { FAULT_ALLOC, FAULT_READ, FAULT_OPEN };
    const char *dir = rolled_dir("3.6");

    for (size_t i = 0; i < 3; i++) {
        unsigned runs = 0;

        FAULT_SWEEP(points[i], nth, 5) {
            struct findings f = { 0 };
            OWNED(snapfile) s = NULL;
            struct err e = { 0 };

            runs = nth;
            if (snapfile_newest(dir, NULL, &f, &s, &e) == RC_OK)
                cr_assert(s->snapshot.index == 44 && f.items == NULL, "call %u", nth);
            else
                cr_assert(e.code == RC_NOMEM || e.code == RC_STORAGE, "call %u", nth);
            findings_clear(&f);
        }
        cr_assert_gt(runs, 2, "point %zu", i);
    }
}
