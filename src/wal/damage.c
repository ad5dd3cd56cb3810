#include "wal/damage.h"

#include <inttypes.h>
#include <stdio.h>

enum { SECTOR = 512, PIECE = 128 << 10 };

static bool all_zero(struct bytes b)
{
    size_t i = 0;

    for (; i + 8 <= b.n; i += 8)
        if (le64(b.p + i) != 0)
            return false;
    for (; i < b.n; i++)
        if (b.p[i] != 0)
            return false;
    return true;
}

enum rc wal_zero_from(struct wal_file *f, uint64_t from, bool *zero, struct err *e)
{
    struct bytes piece = { 0 };

    for (; from < f->size; from += piece.n) {
        TRY(wal_file_view(f, from, PIECE, &piece, e));
        if (!all_zero(piece)) {
            *zero = false;
            return RC_OK;
        }
    }
    *zero = true;
    return RC_OK;
}

enum rc wal_find_frame(struct wal_file *f, uint64_t from, bool *found, uint64_t *at,
                       struct err *e)
{
    for (from = (from + 7) & ~UINT64_C(7); from < f->size; from += WAL_WORD) {
        struct wal_frame frame;
        struct bytes head;

        TRY(wal_file_view(f, from, WAL_HEAD_MAX, &head, e));
        if (wal_frame_parse(head, f->size - from, &frame) == WAL_SOUND) {
            *found = true;
            *at = from;
            return RC_OK;
        }
    }
    *found = false;
    return RC_OK;
}

/* Is the record whole and only its length word wrong? The checksum then proves it. */
static enum rc whole_behind_word(const struct wal_break *b, struct wal_frame *guess,
                                 bool *whole, struct err *e)
{
    uint64_t left = b->file->size - b->at;
    struct wal_record record;
    struct bytes frame;

    *whole = false;
    TRY(wal_file_view(b->file, b->at, WAL_HEAD_MAX, &frame, e));
    if (!wal_frame_guess(frame, left, guess) || guess->size > left ||
        guess->data_size > WAL_RECORD_MAX)
        return RC_OK;
    TRY(wal_file_view(b->file, b->at, (size_t)guess->size, &frame, e));
    *whole = wal_frame_check(guess, frame, b->crc, &record) == WAL_SOUND;
    return RC_OK;
}

/* Etcd's own sign of a torn write: some sector of the record, by file offset, is zero.
 * (Preallocated files are zero where no write arrived.) */
static enum rc has_zero_sector(const struct wal_break *b, bool *found, struct err *e)
{
    uint64_t at = b->at + WAL_WORD, end = b->at + b->frame.claimed;

    *found = false;
    while (at < end && !*found) {
        uint64_t next = (at / SECTOR + 1) * SECTOR;
        size_t n = (size_t)((next < end ? next : end) - at);
        struct bytes part;

        TRY(wal_file_view(b->file, at, n, &part, e));
        *found = all_zero(part);
        at = next;
    }
    return RC_OK;
}

/* A record that is cut short by its own length word fails to decode with "unexpected
 * EOF", which etcd takes for a torn write: this is how one flipped bit loses the rest of
 * the log. With the wrong padding the same happens at the next record. */
static bool reads_as_cut_off(const struct wal_frame *f)
{
    uint64_t content = f->size == 0 ? 0 : f->data_at + f->data_size - WAL_WORD;

    return content > f->length || (content == f->length && f->claimed != f->size);
}

/* Etcd 3.5.5 to 3.6, wal/decoder.go and wal/repair.go; tried on 3.5.30 and 3.6.16. Where
 * versions differ the worse is said: 3.4 refuses a claimed length of 10 MiB or more where
 * later ones cut, 3.7 (another protobuf library) refuses what reads as cut off. */
static enum wal_etcd etcd_would(const struct wal_break *b, bool zero_sector)
{
    uint64_t left = b->file->size - b->at;
    bool cut = zero_sector || b->frame.claimed > left || reads_as_cut_off(&b->frame);

    if (b->fault == WAL_AT_END)
        return b->last ? WAL_ETCD_IGNORES : WAL_ETCD_REFUSES;
    if (b->fault == WAL_FAULT_HUGE)
        return WAL_ETCD_OPENS;
    if (b->fault == WAL_FAULT_WORD && b->frame.claimed == b->frame.size)
        return WAL_ETCD_OPENS; /* only bits are set that it does not look at */
    if (b->fault == WAL_FAULT_TYPE || b->fault == WAL_FAULT_CHAIN)
        return WAL_ETCD_REFUSES;
    return b->last && (cut || b->fault == WAL_FAULT_SHORT) ? WAL_ETCD_CUTS
                                                           : WAL_ETCD_REFUSES;
}

static bool looks_torn(enum wal_fault fault, bool zero_sector)
{
    switch (fault) {
    case WAL_AT_END:
    case WAL_FAULT_SHORT:
    case WAL_FAULT_BEYOND:
        return true;
    case WAL_FAULT_CONTENT:
    case WAL_FAULT_LENGTH:
    case WAL_FAULT_CRC:
        return zero_sector;
    case WAL_SOUND:
    case WAL_FAULT_WORD:
    case WAL_FAULT_HUGE:
    case WAL_FAULT_TYPE:
    case WAL_FAULT_CHAIN:
        return false;
    }
    return false;
}

static void explain(const struct wal_break *b, bool whole, const struct wal_frame *guess,
                    struct wal_damage *out)
{
    if (whole)
        snprintf(out->reason, sizeof out->reason,
                 "its length word says %" PRIu64
                 " bytes, but its checksum proves a record "
                 "of %" PRIu64,
                 b->frame.claimed, guess->size);
    else if (b->fault == WAL_AT_END)
        snprintf(out->reason, sizeof out->reason,
                 "the log ends here, but bytes that are not zero follow");
    else if (b->fault == WAL_FAULT_BEYOND)
        snprintf(out->reason, sizeof out->reason,
                 "the record of %" PRIu64 " bytes passes the end of the file",
                 b->frame.claimed);
    else
        snprintf(out->reason, sizeof out->reason, "%s", wal_fault_text(b->fault));
}

enum rc wal_judge(const struct wal_break *b, struct wal_damage *out,
                  enum wal_verdict *verdict, struct err *e)
{
    bool whole = false, zero_sector = false;
    bool overlong = b->frame.claimed > b->file->size - b->at;
    uint64_t next = b->at + WAL_WORD;
    struct wal_frame guess = { 0 };

    TRY(whole_behind_word(b, &guess, &whole, e));
    if (whole)
        next = b->at + guess.size;
    else if (b->fault == WAL_FAULT_CRC || b->fault == WAL_FAULT_CHAIN)
        next = b->at + b->frame.size;
    TRY(wal_find_frame(b->file, next, &out->follows, &out->follows_at, e));
    if (!overlong)
        TRY(has_zero_sector(b, &zero_sector, e));
    explain(b, whole, &guess, out);
    out->code = b->fault == WAL_AT_END ? "wal-tail" : wal_fault_code(b->fault);
    out->etcd = etcd_would(b, zero_sector);
    *verdict = b->last && !whole && !out->follows && looks_torn(b->fault, zero_sector)
                   ? WAL_TORN_TAIL
                   : WAL_DAMAGED;
    return RC_OK;
}
