#include "wal/record.h"

#include "codec/crc32c.h"
#include "codec/pb.h"
#include "util/mem.h"

struct row {
    const char *code, *text;
};

static const struct row rows[] = { [WAL_SOUND] = { "wal-sound", "nothing is wrong" },
#define X(name, code, text) [name] = { code, text },
                                   WAL_FAULT_TABLE(X)
#undef X
};

const char *wal_fault_code(enum wal_fault fault)
{
    return rows[fault].code;
}

const char *wal_fault_text(enum wal_fault fault)
{
    return rows[fault].text;
}

static uint64_t padded(uint64_t n)
{
    return (n + 7) & ~UINT64_C(7);
}

/* The low 56 bits. */
static uint64_t record_size(uint64_t word)
{
    return word & ((UINT64_C(1) << 56) - 1);
}

/* Etcd ignores bits 59..62 and believes any padding. It writes neither, so both are
 * taken for damage: bit rot rarely stops at one bit that does not matter. */
static bool well_formed(uint64_t word)
{
    uint64_t size = record_size(word), padding = padded(size) - size;

    return size > 0 && word >> 56 == (padding == 0 ? 0 : 0x80 | padding);
}

static uint64_t claimed_size(uint64_t word)
{
    uint64_t padding = word >> 63 ? word >> 56 & 7 : 0;

    return WAL_WORD + record_size(word) + padding;
}

/* Reads `tag` and its number when they come next. */
static bool take(struct pb_reader *r, uint8_t tag, uint64_t *value)
{
    if (r->at >= r->end || *r->at != tag)
        return false;
    r->at++;
    return pb_varint(r, value);
}

/* Type and checksum lead every record that any etcd wrote, in this order. `bare` is the
 * size of the record if it has no data; what follows could belong to the next frame. */
static bool parse_content(struct bytes head, struct wal_frame *out, uint64_t *bare)
{
    struct bytes content = { head.p + WAL_WORD, head.n - WAL_WORD };
    struct pb_reader r = pb_reader_of(content);
    uint64_t type, crc, size = 0;

    if (!take(&r, PB_TAG(1, PB_VARINT), &type) || !take(&r, PB_TAG(2, PB_VARINT), &crc) ||
        crc > UINT32_MAX)
        return false;
    *bare = pb_offset(&r, content);
    if (!take(&r, PB_TAG(3, PB_BYTES), &size))
        r.at = content.p + *bare;
    if (size > UINT32_MAX)
        return false;
    out->type = type;
    out->crc = (uint32_t)crc;
    out->data_at = (uint32_t)(WAL_WORD + pb_offset(&r, content));
    out->data_size = size;
    out->size = padded(out->data_at + size);
    return true;
}

static struct bytes clip(struct bytes head, uint64_t left)
{
    return head.n > left ? (struct bytes){ head.p, (size_t)left } : head;
}

bool wal_frame_guess(struct bytes head, uint64_t left, struct wal_frame *out)
{
    uint64_t bare;

    *out = (struct wal_frame){ 0 };
    return left > WAL_WORD && parse_content(clip(head, left), out, &bare);
}

enum wal_fault wal_frame_parse(struct bytes head, uint64_t left, struct wal_frame *out)
{
    uint64_t word, bare = 0;

    *out = (struct wal_frame){ 0 };
    if (left < WAL_WORD)
        return left == 0 ? WAL_AT_END : WAL_FAULT_SHORT;
    word = le64(head.p);
    out->length = record_size(word);
    if (!parse_content(clip(head, left), out, &bare))
        out->size = 0;
    if (word == 0)
        return WAL_AT_END;
    out->claimed = claimed_size(word);
    if (out->size > 0 && bare == out->length) {
        out->data_at = (uint32_t)(WAL_WORD + bare);
        out->data_size = 0;
        out->size = WAL_WORD + padded(out->length);
    }
    if (!well_formed(word))
        return WAL_FAULT_WORD;
    if (out->claimed > left)
        return WAL_FAULT_BEYOND;
    if (out->size == 0)
        return WAL_FAULT_CONTENT;
    if (out->data_at + out->data_size != WAL_WORD + out->length)
        return WAL_FAULT_LENGTH;
    if (out->length > WAL_RECORD_MAX)
        return WAL_FAULT_HUGE;
    return out->type < WAL_METADATA || out->type > WAL_SNAPSHOT ? WAL_FAULT_TYPE
                                                                : WAL_SOUND;
}

static bool all_zero(const uint8_t *p, const uint8_t *end)
{
    while (p < end && *p == 0)
        p++;
    return p >= end;
}

enum wal_fault wal_frame_check(const struct wal_frame *f, struct bytes frame,
                               uint32_t crc, struct wal_record *out)
{
    struct bytes data = { frame.p + f->data_at, (size_t)f->data_size };

    if (f->type < WAL_METADATA || f->type > WAL_SNAPSHOT)
        return WAL_FAULT_TYPE;
    if (f->type == WAL_CRC && data.n > 0)
        return WAL_FAULT_CONTENT;
    /* The first CRC record read sets the chain: older segments may be gone. */
    if (f->type == WAL_CRC && crc != 0 && crc != f->crc)
        return WAL_FAULT_CHAIN;
    if (f->type != WAL_CRC && crc32c_update(crc, data.p, data.n) != f->crc)
        return WAL_FAULT_CRC;
    *out = (struct wal_record){
        .type = (enum wal_type)f->type,
        .data = data,
        .crc = f->crc,
        .padded_clean = all_zero(data.p + data.n, frame.p + frame.n),
    };
    return WAL_SOUND;
}

enum rc wal_frame_add(struct buf *to, uint32_t *crc, enum wal_type type,
                      struct bytes data, struct err *e)
{
    AT_END(buf_clear) struct buf record = { .cap_max = (size_t)WAL_RECORD_MAX + 64 };
    uint32_t next = type == WAL_CRC ? *crc : crc32c_update(*crc, data.p, data.n);
    uint64_t padding;
    uint8_t word[WAL_WORD], zeros[WAL_WORD] = { 0 };

    TRY(pb_put_u64(&record, 1, type, e));
    TRY(pb_put_u64(&record, 2, next, e));
    if (data.n > 0)
        TRY(pb_put_bytes(&record, 3, data, e));
    padding = padded(record.n) - record.n;
    put_le64(word, padding == 0 ? record.n : record.n | (0x80 | padding) << 56);
    TRY(buf_reserve(to, sizeof word + record.n + padding, e));
    TRY(buf_add(to, word, sizeof word, e));
    TRY(buf_add(to, record.p, record.n, e));
    TRY(buf_add(to, zeros, padding, e));
    *crc = next;
    return RC_OK;
}
