#include "machine/reply.h"

#include "util/own.h"

enum rc reply_number(struct buf *b, uint32_t field, uint64_t value, struct err *e)
{
    return value == 0 ? RC_OK : pb_put_u64(b, field, value, e);
}

enum rc reply_text(struct buf *b, uint32_t field, const char *text, struct err *e)
{
    return *text == '\0' ? RC_OK : pb_put_bytes(b, field, bytes_str(text), e);
}

enum rc reply_part(struct buf *b, uint32_t field, const struct buf *message,
                   struct err *e)
{
    return pb_put_bytes(b, field, (struct bytes){ message->p, message->n }, e);
}

enum rc reply_header(struct buf *b, int64_t revision, struct err *e)
{
    AT_END(buf_clear) struct buf header = { 0 };

    TRY(reply_number(&header, 3, (uint64_t)revision, e));
    return reply_part(b, 1, &header, e);
}
