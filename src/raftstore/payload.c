#include "raftstore/payload.h"

enum rc payload_read(struct bytes entry, struct payload *out, struct err *e)
{
    uint64_t size;

    if (entry.n < PAYLOAD_HEADER || entry.n % 8 != 0)
        return err_set(e, RC_CORRUPT, "a log entry of %zu bytes", entry.n);
    size = le32(entry.p + 4);
    if ((entry.p[0] != PAYLOAD_REQUEST && entry.p[0] != PAYLOAD_CHANGE) ||
        size > entry.n - PAYLOAD_HEADER || entry.n - PAYLOAD_HEADER - size >= 8)
        return err_set(e, RC_CORRUPT, "a log entry of kind %u with %llu of %zu bytes",
                       entry.p[0], (unsigned long long)size, entry.n);
    *out = (struct payload){
        .kind = entry.p[0],
        .term = le64(entry.p + 8),
        .id = le64(entry.p + 16),
        .body = { entry.p + PAYLOAD_HEADER, (size_t)size },
    };
    return RC_OK;
}

enum rc payload_write(const struct payload *p, struct raft_buffer *out, struct err *e)
{
    size_t size = (PAYLOAD_HEADER + p->body.n + 7) & ~(size_t)7;
    uint8_t *to;

    if (p->body.n > UINT32_MAX)
        return err_set(e, RC_USAGE, "a request of %zu bytes", p->body.n);
    to = raft_calloc(1, size);
    if (to == NULL)
        return err_set(e, RC_NOMEM, "no memory for a log entry of %zu bytes", size);
    to[0] = (uint8_t)p->kind;
    put_le32(to + 4, (uint32_t)p->body.n);
    put_le64(to + 8, p->term);
    put_le64(to + 16, p->id);
    if (p->body.n > 0)
        memcpy(to + PAYLOAD_HEADER, p->body.p, p->body.n);
    *out = (struct raft_buffer){ .base = to, .len = size };
    return RC_OK;
}
