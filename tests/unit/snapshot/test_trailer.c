#include "snapshot/trailer.h"

#include <string.h>

#include "tests/lib/case.h"
#include "tests/lib/fault.h"
#include "util/mem.h"

enum { DB_SIZE = 4096, FILE_SIZE = DB_SIZE + SNAP_TRAILER_SIZE };

static void make_file(uint8_t file[FILE_SIZE])
{
    OWNED(sha256) h = NULL;
    struct err e = { 0 };

    for (int i = 0; i < DB_SIZE; i++)
        file[i] = (uint8_t)(i * 31 + i / 256);
    OK(sha256_new(&h, &e), &e);
    OK(sha256_add(h, file, DB_SIZE, &e), &e);
    OK(sha256_end(h, file + DB_SIZE, &e), &e);
}

static enum rc push(const uint8_t *p, size_t n, size_t piece, bool optional,
                    struct snap_trailer *t, struct err *e)
{
    OWNED(sink) chain = NULL;

    TRY(null_sink_new(&chain, e));
    TRY(snap_trailer_sink_new(GIVE(chain), optional, t, &chain, e));
    for (size_t at = 0; at < n; at += piece)
        TRY(sink_write(chain, p + at, n - at < piece ? n - at : piece, e));
    return sink_finish(chain, e);
}

CASE(snapshot_trailer, matches_in_pieces_of_any_size)
{
    static const size_t pieces[] = { 1, 2, 7, 31, 32, 33, 65536 };
    uint8_t file[FILE_SIZE];
    struct snap_trailer at_once = { 0 };
    struct err e = { 0 };

    make_file(file);
    OK(snap_trailer_read((struct bytes){ file, FILE_SIZE }, &at_once, &e), &e);
    cr_assert(at_once.matches);
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        struct snap_trailer t = { 0 };

        OK(push(file, FILE_SIZE, pieces[i], false, &t, &e), &e);
        cr_assert(t.present && t.matches, "pieces of %zu", pieces[i]);
        cr_assert_arr_eq(t.whole, at_once.whole, SHA256_SIZE);
        cr_assert_arr_eq(t.database, file + DB_SIZE, SHA256_SIZE);
    }
}

CASE(snapshot_trailer, every_flipped_byte_is_seen)
{
    uint8_t file[FILE_SIZE];
    struct snap_trailer t;
    struct err e = { 0 };

    make_file(file);
    for (size_t i = 0; i < FILE_SIZE; i += 17) {
        file[i] ^= 0x10;
        t = (struct snap_trailer){ 0 };
        cr_assert_eq(push(file, FILE_SIZE, 512, false, &t, &e), RC_CORRUPT, "byte %zu",
                     i);
        file[i] ^= 0x10;
    }
    cr_assert_not_null(strstr(e.why, "does not match"));
}

CASE(snapshot_trailer, truncation_is_named)
{
    uint8_t file[FILE_SIZE];
    struct snap_trailer t = { 0 };
    struct err e = { 0 };

    make_file(file);
    for (size_t n = 0; n < FILE_SIZE; n += 61)
        cr_assert_eq(push(file, n, 100, false, &t, &e), RC_CORRUPT, "%zu bytes", n);
    cr_assert_eq(push(file, DB_SIZE, 100, false, &t, &e), RC_CORRUPT);
    cr_assert_not_null(strstr(e.why, "no SHA-256 trailer: 4096 bytes"), "%s", e.why);
    OK(push(file, DB_SIZE, 100, true, &t, &e), &e);
    cr_assert(!t.present && !t.matches);
    cr_assert_arr_eq(t.database, file + DB_SIZE, SHA256_SIZE, "hash of a bare database");
    cr_assert_arr_eq(t.whole, t.database, SHA256_SIZE);
}

CASE(snapshot_trailer, survives_every_failed_allocation)
{
    uint8_t file[FILE_SIZE];
    unsigned runs = 0;

    make_file(file);
    FAULT_SWEEP(FAULT_ALLOC, nth, 0) {
        struct snap_trailer t = { 0 };
        struct err e = { 0 };
        enum rc rc = push(file, FILE_SIZE, 512, false, &t, &e);

        runs = nth;
        cr_assert(rc == RC_NOMEM || (rc == RC_OK && t.matches), "allocation %u", nth);
    }
    cr_assert_geq(runs, 4, "the null sink, the hash, its copy, the filter");
}
