#include "codec/pb.h"

enum { VARINT_MAX = 10 };

bool pb_varint_long(struct pb_reader *r, uint64_t *out)
{
    size_t left = (size_t)(r->end - r->at);
    uint64_t value = 0;

    for (size_t i = 0; i < left && i < VARINT_MAX; i++) {
        uint8_t b = r->at[i];

        value |= (uint64_t)(b & 0x7F) << 7 * i;
        if (b >= 0x80)
            continue;
        if ((i > 0 && b == 0) || (i == VARINT_MAX - 1 && b > 1))
            return false;
        r->at += i + 1;
        *out = value;
        return true;
    }
    return false;
}

bool pb_fixed(struct pb_reader *r, enum pb_wire wire, uint64_t *out)
{
    size_t size = wire == PB_FIXED64 ? 8 : 4;

    if ((wire != PB_FIXED64 && wire != PB_FIXED32) || (size_t)(r->end - r->at) < size)
        return false;
    *out = size == 8 ? le64(r->at) : le32(r->at);
    r->at += size;
    return true;
}

enum rc pb_put_varint(struct buf *b, uint64_t value, struct err *e)
{
    uint8_t text[VARINT_MAX];
    size_t n = 0;

    for (; value >= 0x80; value >>= 7)
        text[n++] = (uint8_t)(value | 0x80);
    text[n++] = (uint8_t)value;
    return buf_add(b, text, n, e);
}

enum rc pb_put_u64(struct buf *b, uint32_t number, uint64_t value, struct err *e)
{
    TRY(pb_put_varint(b, PB_TAG(number, PB_VARINT), e));
    return pb_put_varint(b, value, e);
}

enum rc pb_put_bytes(struct buf *b, uint32_t number, struct bytes value, struct err *e)
{
    TRY(pb_put_varint(b, PB_TAG(number, PB_BYTES), e));
    TRY(pb_put_varint(b, value.n, e));
    return buf_add(b, value.p, value.n, e);
}
