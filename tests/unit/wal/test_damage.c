#include "wal/damage.h"

#include <stdlib.h>

#include "tests/lib/case.h"
#include "tests/unit/wal/lab.h"

/* Where the records of a sound log begin, and its end. */
struct map {
    size_t at[256], count;
};

static void map_of(const struct buf *b, struct map *m)
{
    struct wal_frame f;

    m->count = 0;
    for (size_t at = 0;; at += f.size) {
        m->at[m->count++] = at;
        if (wal_frame_parse((struct bytes){ b->p + at, b->n - at }, b->n - at, &f) !=
            WAL_SOUND)
            return;
    }
}

static bool is_start(const struct map *m, size_t at)
{
    for (size_t i = 0; i < m->count; i++)
        if (m->at[i] == at)
            return true;
    return false;
}

CASE(wal_damage, a_log_cut_anywhere_is_torn_or_just_shorter)
{
    struct draft d = { 0 };
    struct map m;

    draft_small(&d, 5);
    map_of(&d.b, &m);
    for (size_t n = m.at[2]; n <= d.b.n; n++) {
        enum wal_verdict want = is_start(&m, n) ? WAL_CLEAN : WAL_TORN_TAIL;
        struct reading r;

        reading_of_bytes(&r, d.b.p, n);
        OK(r.rc, &r.e);
        cr_assert_eq(r.s->verdict, want, "%zu bytes: %s", n, r.s->damage.reason);
        cr_assert(want == WAL_CLEAN || (r.f.warnings == 1 && r.f.errors == 0 &&
                                        r.s->damage.etcd == WAL_ETCD_CUTS),
                  "%zu bytes", n);
        reading_clear(&r);
    }
    for (size_t n = 0; n < m.at[2]; n++) {
        struct reading r;

        reading_of_bytes(&r, d.b.p, n);
        cr_assert_eq(r.s->verdict, WAL_DAMAGED, "%zu bytes hold no METADATA", n);
        reading_clear(&r);
    }
    draft_clear(&d);
}

/* In preallocated space a write that was cut leaves zeros, not an end. */
CASE(wal_damage, a_write_cut_at_a_sector_is_torn_as_etcd_says)
{
    char text[3000];
    struct draft d = { 0 };
    struct reading r;

    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    draft_small(&d, 2);
    draft_entry(&d, 3, 2, text);
    for (size_t sector = (d.frame / 512 + 1) * 512; sector + 512 < d.b.n; sector += 512) {
        uint8_t *p = calloc(1, d.b.n + 8192);

        memcpy(p, d.b.p, sector);
        reading_of_bytes(&r, p, d.b.n + 8192);
        cr_assert_eq(r.s->verdict, WAL_TORN_TAIL, "sector at %zu: %s", sector,
                     r.s->damage.reason);
        cr_assert_eq(r.s->damage.etcd, WAL_ETCD_CUTS, "sector at %zu", sector);
        cr_assert(r.s->last_index == 2 && r.s->damage.offset == d.frame);
        reading_clear(&r);
        free(p);
    }
    draft_clear(&d);
}

/* Rot in the last record is no torn write: no sector of it is missing. */
CASE(wal_damage, a_flip_in_the_last_record_is_damage)
{
    struct draft d = { 0 };
    struct reading r;

    draft_small(&d, 3);
    d.b.p[d.b.n - 2] ^= 1;
    reading_of_bytes(&r, d.b.p, d.b.n);
    cr_assert_eq(r.s->verdict, WAL_DAMAGED, "%s", r.s->damage.reason);
    cr_assert_eq(r.s->damage.etcd, WAL_ETCD_REFUSES);
    draft_clear(&d);
    reading_clear(&r);
}

/* No single flipped bit may pass, and none that has records behind it may be taken for a
 * torn tail. */
CASE(wal_damage, every_flipped_bit_is_seen)
{
    struct draft d = { 0 };
    size_t torn = 0, padding = 0;
    struct map m;

    draft_small(&d, 3);
    map_of(&d.b, &m);
    for (size_t bit = 0; bit < d.b.n * 8; bit++) {
        struct reading r;

        d.b.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
        reading_of_bytes(&r, d.b.p, d.b.n);
        OK(r.rc, &r.e);
        cr_assert_gt(r.f.errors + r.f.warnings, 0, "bit %zu", bit);
        if (r.s->verdict == WAL_CLEAN) {
            cr_assert(reading_has(&r, "wal-padding") || reading_has(&r, "wal-mark") ||
                          reading_has(&r, "wal-commit"),
                      "bit %zu", bit);
            padding += reading_has(&r, "wal-padding");
        }
        torn += r.s->verdict == WAL_TORN_TAIL;
        cr_assert(r.s->verdict != WAL_TORN_TAIL || bit / 8 >= d.frame, "bit %zu: %s", bit,
                  r.s->damage.reason);
        reading_clear(&r);
        d.b.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    cr_assert_gt(padding, 0);
    cr_assert_eq(torn, 0, "even of the last record the content tells");
    draft_clear(&d);
}

static void length_flip(struct buf *file, const struct golden_log *g, size_t at,
                        unsigned bit)
{
    struct reading r;

    file->p[at + bit / 8] ^= (uint8_t)(1 << bit % 8);
    reading_of_bytes(&r, file->p, file->n);
    OK(r.rc, &r.e);
    cr_assert_eq(r.s->verdict, WAL_DAMAGED, "%s at %zu bit %u: %s", g->path, at, bit,
                 r.s->damage.reason);
    cr_assert(r.s->damage.offset == at && r.s->damage.follows, "%s at %zu bit %u",
              g->path, at, bit);
    reading_clear(&r);
    file->p[at + bit / 8] ^= (uint8_t)(1 << bit % 8);
}

/* Etcd cuts the log here and loses all that follows (its own "repair"). */
CASE(wal_damage, a_flipped_length_in_the_middle_of_a_real_log_is_damage, .timeout = 120)
{
    for (size_t i = 4; i < golden_log_count; i++) {
        struct buf file = { 0 };
        struct map m;

        golden_file(golden_logs[i].path, &file);
        map_of(&file, &m);
        for (size_t n = 0; n + 2 < m.count; n += 3)
            for (unsigned bit = 0; bit < 64; bit += 3)
                length_flip(&file, &golden_logs[i], m.at[n], bit);
        buf_clear(&file);
    }
}

CASE(wal_damage, says_where_and_why_and_what_etcd_would_do)
{
    struct draft d = { 0 };
    struct reading r;
    size_t at;

    draft_small(&d, 1);
    draft_entry(&d, 2, 2, "an entry");
    at = d.frame;
    draft_state(&d, 2, 2);
    d.b.p[at + 2] ^= 0x40; /* 4 MiB more */
    reading_of_bytes(&r, d.b.p, d.b.n);
    cr_assert_str_eq(r.s->damage.reason, "its length word says 4194344 bytes, but its "
                                         "checksum proves a record of 40");
    cr_assert_str_eq(r.f.items[0].message, FIRST_SEGMENT
                     ": record 6 at offset 128: its length word says 4194344 "
                     "bytes, but its checksum proves a record of 40; a whole "
                     "record follows at 168");
    cr_assert_str_eq(r.f.items[1].message,
                     FIRST_SEGMENT ": offset 128: etcd would cut the log off here and "
                                   "start");
    draft_clear(&d);
    reading_clear(&r);
}

/* Each row was tried on etcd 3.5.30 and 3.6.16 with a log of their own. */
CASE(wal_damage, predicts_what_real_etcd_did)
{
    static const struct {
        const char *what;
        size_t at;
        uint8_t flip;
        enum wal_etcd etcd;
    } rows[] = {
        { "length + 1", 0, 1, WAL_ETCD_REFUSES },
        { "length - 8", 0, 8, WAL_ETCD_CUTS },
        { "length + 128 KiB", 2, 2, WAL_ETCD_CUTS },
        { "length + 1 TiB", 5, 1, WAL_ETCD_CUTS },
        { "a bit of the padding", 7, 1, WAL_ETCD_CUTS },
        { "the flag of the padding", 7, 0x80, WAL_ETCD_CUTS },
        { "a bit that means nothing", 7, 8, WAL_ETCD_OPENS },
        { "the type", 9, 1, WAL_ETCD_REFUSES },
        { "the checksum", 11, 4, WAL_ETCD_REFUSES },
        { "the data", 20, 4, WAL_ETCD_REFUSES },
        { "the length of the data", 17, 32, WAL_ETCD_CUTS },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct draft d = { 0 };
        struct reading r;
        size_t at;

        draft_small(&d, 2);
        draft_entry(&d, 3, 2, "an entry");
        at = d.frame;
        draft_state(&d, 2, 3);
        cr_assert_eq(d.b.p[at], 26, "the rows are about a record of 26 bytes");
        d.b.p[at + rows[i].at] ^= rows[i].flip;
        reading_of_bytes(&r, d.b.p, d.b.n);
        cr_assert_eq(r.s->verdict, WAL_DAMAGED, "%s", rows[i].what);
        cr_assert_eq(r.s->damage.etcd, rows[i].etcd, "%s: %d", rows[i].what,
                     r.s->damage.etcd);
        reading_clear(&r);
        draft_clear(&d);
    }
}

CASE(wal_damage, a_length_of_zero_in_the_middle_is_damage)
{
    struct draft d = { 0 };
    struct reading r;

    draft_small(&d, 3);
    draft_entry(&d, 4, 2, "x");
    memset(d.b.p + d.frame, 0, WAL_WORD);
    draft_state(&d, 2, 4);
    reading_of_bytes(&r, d.b.p, d.b.n);
    cr_assert_eq(r.s->verdict, WAL_DAMAGED);
    cr_assert_eq(r.s->damage.etcd, WAL_ETCD_IGNORES);
    cr_assert_str_eq(r.s->damage.code, "wal-tail");
    draft_clear(&d);
    reading_clear(&r);
}

CASE(wal_damage, rubbish_behind_the_end_is_a_torn_tail)
{
    struct draft d = { 0 };
    struct reading r;
    uint8_t *p;

    draft_small(&d, 3);
    p = calloc(1, d.b.n + 600000);
    memcpy(p, d.b.p, d.b.n);
    reading_of_bytes(&r, p, d.b.n + 600000);
    cr_assert_eq(r.s->verdict, WAL_CLEAN);
    reading_clear(&r);
    p[d.b.n + 599999] = 1;
    reading_of_bytes(&r, p, d.b.n + 600000);
    cr_assert(r.s->verdict == WAL_TORN_TAIL && r.s->damage.etcd == WAL_ETCD_IGNORES);
    free(p);
    draft_clear(&d);
    reading_clear(&r);
}

CASE(wal_damage, zeroed_sectors_in_the_middle_are_damage)
{
    struct buf file = { 0 };
    struct reading r;

    golden_file("etcd-3.5/rolled/" FIRST_SEGMENT ".zst", &file);
    for (size_t at = 512; at + 1024 < 5136; at += 512) {
        uint8_t kept[512];

        memcpy(kept, file.p + at, 512);
        memset(file.p + at, 0, 512);
        reading_of_bytes(&r, file.p, file.n);
        cr_assert(r.s->verdict == WAL_DAMAGED && r.s->damage.follows, "sector at %zu: %s",
                  at, r.s->damage.reason);
        reading_clear(&r);
        memcpy(file.p + at, kept, 512);
    }
    buf_clear(&file);
}

CASE(wal_damage, any_bytes_are_read_to_a_verdict, .timeout = 120)
{
    uint64_t seed = 42;

    for (int round = 0; round < 300; round++) {
        struct draft d = { 0 };
        struct reading r;

        draft_small(&d, 6);
        for (int i = 0; i < 1 + round % 8; i++) {
            seed = seed * 6364136223846793005 + 1442695040888963407;
            d.b.p[(seed >> 33) % d.b.n] = (uint8_t)(seed >> 24);
        }
        reading_of_bytes(&r, d.b.p, d.b.n - (seed >> 60));
        OK(r.rc, &r.e);
        cr_assert((r.s->verdict == WAL_DAMAGED) == (r.f.errors > 0), "round %d", round);
        reading_clear(&r);
        draft_clear(&d);
    }
}
