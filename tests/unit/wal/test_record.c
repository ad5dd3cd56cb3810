#include "wal/record.h"

#include "codec/crc32c.h"
#include "tests/lib/case.h"
#include "tests/lib/fault.h"
#include "tests/unit/wal/lab.h"

/* Head of a real 3.5 WAL: CRC, METADATA, SNAPSHOT. */
static const uint8_t real_head[] = {
    0x04, 0,    0,    0,    0,    0,    0,    0x84, 0x08, 0x04, 0x10, 0x00, 0,    0,
    0,    0,    0x1e, 0,    0,    0,    0,    0,    0,    0x82, 0x08, 0x01, 0x10, 0xbc,
    0xc0, 0xc2, 0xc1, 0x02, 0x1a, 0x14, 0x08, 0xf2, 0xd1, 0xef, 0xe0, 0xa5, 0xc5, 0xb9,
    0xee, 0x26, 0x10, 0xad, 0xd1, 0xd3, 0x80, 0xf7, 0xd0, 0xb4, 0x9d, 0x4f, 0x00, 0x00,
    0x0e, 0,    0,    0,    0,    0,    0,    0x82, 0x08, 0x05, 0x10, 0xc6, 0xcd, 0xa1,
    0x94, 0x0b, 0x1a, 0x04, 0x08, 0x00, 0x10, 0x00, 0,    0
};

static struct bytes from(const struct buf *b, size_t at)
{
    return (struct bytes){ b->p + at, b->n - at };
}

CASE(wal_record, writes_the_head_of_a_real_log)
{
    struct draft d = { 0 };
    static const uint8_t metadata[] = { 0x08, 0xf2, 0xd1, 0xef, 0xe0, 0xa5, 0xc5,
                                        0xb9, 0xee, 0x26, 0x10, 0xad, 0xd1, 0xd3,
                                        0x80, 0xf7, 0xd0, 0xb4, 0x9d, 0x4f };

    draft_add(&d, WAL_CRC, (struct bytes){ 0 });
    draft_add(&d, WAL_METADATA, BYTES_OF(metadata));
    cr_assert_eq(d.crc, 0x2830A03C);
    draft_mark(&d, 0, 0);
    cr_assert_eq(d.crc, 0xB28866C6);
    cr_assert(bytes_equal(from(&d.b, 0), BYTES_OF(real_head)));
    draft_clear(&d);
}

/* Reads frame after frame and writes each again: the bytes must be the same. */
static void round_trip(const struct golden_log *g)
{
    struct buf file = { 0 };
    struct draft again = { 0 };
    uint32_t crc = 0;
    size_t at = 0, records = 0;

    golden_file(g->path, &file);
    for (;; records++) {
        struct wal_record r;
        struct wal_frame f;
        enum wal_fault fault = wal_frame_parse(from(&file, at), file.n - at, &f);

        if (fault == WAL_AT_END)
            break;
        cr_assert_eq(fault, WAL_SOUND, "%s at %zu: %s", g->path, at,
                     wal_fault_text(fault));
        cr_assert_eq(f.claimed, f.size, "%s at %zu", g->path, at);
        fault = wal_frame_check(&f, (struct bytes){ file.p + at, f.size }, crc, &r);
        cr_assert_eq(fault, WAL_SOUND, "%s at %zu: %s", g->path, at,
                     wal_fault_text(fault));
        draft_add(&again, r.type, r.data);
        cr_assert(r.padded_clean && again.crc == r.crc, "%s at %zu", g->path, at);
        crc = r.crc;
        at += f.size;
    }
    cr_assert_eq(records, g->records, "%s", g->path);
    cr_assert_eq(at, g->end, "%s", g->path);
    cr_assert(bytes_equal(from(&again.b, 0), (struct bytes){ file.p, at }), "%s",
              g->path);
    draft_clear(&again);
    buf_clear(&file);
}

CASE(wal_record, every_record_of_every_version_is_read_and_written_again)
{
    for (size_t i = 0; i < golden_log_count; i++)
        round_trip(&golden_logs[i]);
}

static enum wal_fault fault_of(const uint8_t *p, size_t n)
{
    struct wal_frame f;

    return wal_frame_parse((struct bytes){ p, n }, n, &f);
}

CASE(wal_record, names_what_is_wrong_with_a_frame)
{
    static const struct {
        enum wal_fault fault;
        uint8_t p[24];
        size_t n;
    } rows[] = {
        { WAL_AT_END, { 0 }, 0 },
        { WAL_AT_END, { 0, 0, 0, 0, 0, 0, 0, 0, 1 }, 9 },
        { WAL_FAULT_SHORT, { 4, 0, 0, 0, 0, 0, 0 }, 7 },
        { WAL_FAULT_WORD, { 4, 0, 0, 0, 0, 0, 0, 0x83, 8, 4, 16, 0 }, 16 },
        { WAL_FAULT_WORD, { 4, 0, 0, 0, 0, 0, 0, 0x04, 8, 4, 16, 0 }, 16 },
        { WAL_FAULT_WORD, { 4, 0, 0, 0, 0, 0, 0, 0xc4, 8, 4, 16, 0 }, 16 },
        { WAL_FAULT_WORD, { 8, 0, 0, 0, 0, 0, 0, 0x80, 8, 4, 16, 0 }, 16 },
        { WAL_FAULT_WORD, { 0, 0, 0, 0, 0, 0, 0, 0x80, 8, 4, 16, 0 }, 16 },
        { WAL_FAULT_BEYOND, { 4, 0, 0, 0, 0, 0, 0, 0x84, 8, 4, 16, 0, 0, 0, 0 }, 15 },
        { WAL_FAULT_BEYOND, { 0, 0, 0, 0, 0, 0, 0x80, 0, 8, 4, 16, 0 }, 16 },
        { WAL_FAULT_CONTENT, { 4, 0, 0, 0, 0, 0, 0, 0x84, 0, 0, 16, 0 }, 16 },
        { WAL_FAULT_CONTENT, { 4, 0, 0, 0, 0, 0, 0, 0x84, 8, 0x84, 0x80, 0 }, 16 },
        { WAL_FAULT_LENGTH, { 5, 0, 0, 0, 0, 0, 0, 0x83, 8, 4, 16, 0 }, 16 },
        { WAL_FAULT_LENGTH, { 3, 0, 0, 0, 0, 0, 0, 0x85, 8, 4, 16, 0 }, 16 },
        { WAL_FAULT_LENGTH, { 8, 0, 0, 0, 0, 0, 0, 0, 8, 4, 16, 0, 26, 9, 0, 0 }, 16 },
        { WAL_FAULT_TYPE, { 4, 0, 0, 0, 0, 0, 0, 0x84, 8, 6, 16, 0 }, 16 },
        { WAL_FAULT_TYPE, { 4, 0, 0, 0, 0, 0, 0, 0x84, 8, 0, 16, 0 }, 16 },
        { WAL_SOUND, { 4, 0, 0, 0, 0, 0, 0, 0x84, 8, 4, 16, 0 }, 16 },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        enum wal_fault got = fault_of(rows[i].p, rows[i].n);

        cr_assert_eq(got, rows[i].fault, "row %zu: %s", i, wal_fault_code(got));
    }
}

/* A CRC record whose checksum takes 5 bytes fills its 8 exactly; the length word of 26
 * that follows begins like a data field. */
CASE(wal_record, a_record_without_data_ends_before_the_next_frame)
{
    static const uint8_t p[] = { 8,    0,    0,    0,    0,    0,  0, 0, 8, 4, 16,
                                 0xff, 0xff, 0xff, 0xff, 0x0f, 26, 0, 0, 0, 0, 0x86 };
    struct wal_frame f;

    cr_assert_eq(wal_frame_parse(BYTES_OF(p), 200, &f), WAL_SOUND);
    cr_assert(f.data_size == 0 && f.size == 16 && f.crc == 0xffffffff);
}

CASE(wal_record, a_record_beyond_64_mib_is_huge)
{
    uint8_t p[32] = { 0, 0, 0, 0x04, 0, 0, 0, 0, 8, 2, 16, 0, 26 };
    struct wal_frame f;

    p[0] = 16; /* 64 MiB + 16, of which 9 are head */
    memcpy(p + 13, (const uint8_t[]){ 0x87, 0x80, 0x80, 0x20 }, 4);
    cr_assert_eq(wal_frame_parse(BYTES_OF(p), UINT64_C(1) << 30, &f), WAL_FAULT_HUGE);
}

CASE(wal_record, checks_the_chain)
{
    struct draft d = { 0 };
    struct wal_record r;
    struct wal_frame f;

    d.crc = 5;
    draft_add(&d, WAL_CRC, (struct bytes){ 0 });
    cr_assert_eq(wal_frame_parse(from(&d.b, 0), d.b.n, &f), WAL_SOUND);
    cr_assert_eq(wal_frame_check(&f, from(&d.b, 0), 0, &r), WAL_SOUND);
    cr_assert_eq(r.crc, 5);
    cr_assert_eq(wal_frame_check(&f, from(&d.b, 0), 5, &r), WAL_SOUND);
    cr_assert_eq(wal_frame_check(&f, from(&d.b, 0), 6, &r), WAL_FAULT_CHAIN);
    draft_clear(&d);
}

CASE(wal_record, a_crc_record_has_no_data)
{
    struct draft d = { 0 };
    struct wal_record r;
    struct wal_frame f;

    draft_add(&d, WAL_STATE, bytes_str("x"));
    d.b.p[9] = WAL_CRC;
    cr_assert_eq(wal_frame_parse(from(&d.b, 0), d.b.n, &f), WAL_SOUND);
    cr_assert_eq(wal_frame_check(&f, from(&d.b, 0), 0, &r), WAL_FAULT_CONTENT);
    draft_clear(&d);
}

CASE(wal_record, guesses_the_size_behind_a_damaged_word)
{
    struct draft d = { 0 };
    struct wal_frame f;

    draft_entry(&d, 1, 2, "some data");
    memset(d.b.p, 0xff, WAL_WORD);
    cr_assert(wal_frame_guess(from(&d.b, 0), d.b.n, &f));
    cr_assert_eq(f.size, d.b.n);
    memset(d.b.p, 0, d.b.n);
    cr_assert(!wal_frame_guess(from(&d.b, 0), d.b.n, &f));
    draft_clear(&d);
}

CASE(wal_record, no_memory_adds_nothing)
{
    struct buf b = { 0 };
    struct err e = { 0 };
    uint32_t crc = 3;
    unsigned runs = 0;

    FAULT_SWEEP(FAULT_ALLOC, nth, 0) {
        runs = nth;
        if (wal_frame_add(&b, &crc, WAL_STATE, bytes_str("data"), &e) != RC_OK)
            cr_assert(e.code == RC_NOMEM && b.n == 0 && crc == 3, "allocation %u", nth);
    }
    cr_assert_eq(runs, 3, "the record, the frame, a clean run");
    cr_assert_neq(crc, 3);
    buf_clear(&b);
}
