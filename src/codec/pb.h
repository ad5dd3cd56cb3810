/* Protobuf messages field by field, for the few small messages that are read and written
 * without generated code: etcd's WAL and `.snap` records, and key-value records by the
 * million.
 *
 *     struct pb_reader r = pb_reader_of(message);
 *     struct pb_field f;
 *
 *     while (pb_next(&r, &f))
 *         switch (f.tag) {
 *         case PB_TAG(1, PB_VARINT): out->term = f.value; break;
 *         case PB_TAG(4, PB_BYTES): out->data = f.bytes; break;
 *         }
 *     if (!pb_done(&r))
 *         return err_set(e, RC_CORRUPT, "... at byte %zu", pb_offset(&r, message));
 *
 * Reading borrows the bytes and never allocates. A known number with another wire type
 * has another tag, so it falls among the unknown fields, as protobuf asks. Refused:
 * field number 0, groups, a length past the end, and varints that are longer than their
 * value needs (no encoder writes them) or than 64 bits hold. */
#ifndef CODEC_PB_H
#define CODEC_PB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/bytes.h"
#include "util/err.h"

enum pb_wire {
    PB_VARINT = 0,
    PB_FIXED64 = 1,
    PB_BYTES = 2, /* strings, bytes, messages, packed numbers */
    PB_FIXED32 = 5,
};

#define PB_TAG(number, wire) ((uint32_t)(number) << 3 | (uint32_t)(wire))

struct pb_field {
    uint32_t tag;       /* PB_TAG(number, wire type) */
    uint64_t value;     /* of a varint or fixed field */
    struct bytes bytes; /* of a PB_BYTES field; borrowed */
};

struct pb_reader {
    const uint8_t *at, *end; /* `at` stays at the start of a refused field */
    bool bad;
};

static inline struct pb_reader pb_reader_of(struct bytes message)
{
    const uint8_t *end = message.n == 0 ? message.p : message.p + message.n;

    return (struct pb_reader){ .at = message.p, .end = end };
}

/* All of it was read and nothing was refused. */
static inline bool pb_done(const struct pb_reader *r)
{
    return !r->bad && r->at == r->end;
}

static inline size_t pb_offset(const struct pb_reader *r, struct bytes message)
{
    return (size_t)(r->at - message.p);
}

/* The general cases behind the inline ones below. */
bool pb_varint_long(struct pb_reader *r, uint64_t *out);
bool pb_fixed(struct pb_reader *r, enum pb_wire wire, uint64_t *out);

/* One bare varint, as inside packed fields. False at the end or when it is refused. */
static inline bool pb_varint(struct pb_reader *r, uint64_t *out)
{
    if (r->at < r->end && *r->at < 0x80) {
        *out = *r->at++;
        return true;
    }
    return pb_varint_long(r, out);
}

static inline bool pb_window(struct pb_reader *r, struct bytes *out)
{
    uint64_t n;

    if (!pb_varint(r, &n) || n > (uint64_t)(r->end - r->at))
        return false;
    *out = (struct bytes){ r->at, (size_t)n };
    r->at += n;
    return true;
}

/* The next field, known or not; false at the end and at the first refused field, which
 * pb_done tells apart. */
static inline bool pb_next(struct pb_reader *r, struct pb_field *f)
{
    const uint8_t *start = r->at;
    uint64_t tag;
    bool ok;

    if (r->bad || r->at == r->end)
        return false;
    ok = pb_varint(r, &tag) && tag >= PB_TAG(1, 0) && tag <= UINT32_MAX;
    f->tag = (uint32_t)tag;
    if (ok && (tag & 7) == PB_VARINT)
        ok = pb_varint(r, &f->value);
    else if (ok && (tag & 7) == PB_BYTES)
        ok = pb_window(r, &f->bytes);
    else if (ok)
        ok = pb_fixed(r, tag & 7, &f->value);
    if (!ok) {
        r->bad = true;
        r->at = start;
    }
    return ok;
}

/* Append to a message. RC_NOMEM, or RC_CORRUPT at the buffer's cap. */
enum rc pb_put_varint(struct buf *b, uint64_t value, struct err *e);
enum rc pb_put_u64(struct buf *b, uint32_t number, uint64_t value, struct err *e);
enum rc pb_put_bytes(struct buf *b, uint32_t number, struct bytes value, struct err *e);

#endif
