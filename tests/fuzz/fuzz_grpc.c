/* gRPC frames and the messages in them, as a hostile server could send them: the stream
 * is cut into pieces whose size the first byte chooses. */
#include <stdlib.h>

#include "codec/frame.h"
#include "codec/message.h"
#include "wire/outcome.h"

static const ProtobufCMessageDescriptor *const types[] = {
    &etcdrpc__snapshot_response__descriptor,
    &etcdrpc__range_response__descriptor,
    &etcdrpc__status_response__descriptor,
    &etcdrpc__txn_response__descriptor,
    &etcdrpc__member_list_response__descriptor,
    &etcdrpc__role_get_response__descriptor,
    &etcdrpc__watch_response__descriptor,
    &raftreq__internal_raft_request__descriptor,
};

/* What unpacks must pack, and unpack to the same again. */
static void repack(const ProtobufCMessageDescriptor *type, void *message)
{
    AT_END(codec_end) void *again = NULL;
    struct buf first = { 0 }, second = { 0 };
    struct err e = { 0 };

    if (codec_pack(message, &first, &e) != RC_OK)
        return;
    if (codec_unpack(type, (struct bytes){ first.p, first.n }, &again, &e) == RC_OK)
        if (codec_pack(again, &second, &e) != RC_OK ||
            !bytes_equal((struct bytes){ first.p, first.n },
                         (struct bytes){ second.p, second.n }))
            abort();
    buf_clear(&first);
    buf_clear(&second);
}

static enum rc on_message(void *arg, struct bytes message, struct err *e)
{
    (void)arg;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        AT_END(codec_end) void *m = NULL;
        struct err refusal = { 0 };

        if (codec_unpack(types[i], message, &m, &refusal) == RC_OK)
            repack(types[i], m);
    }
    (void)e;
    return RC_OK;
}

static enum rc feed(struct frame_reader *r, struct bytes in, size_t piece, struct err *e)
{
    while (in.n > 0) {
        size_t n = in.n < piece ? in.n : piece;

        TRY(frame_push(r, (struct bytes){ in.p, n }, on_message, NULL, e));
        in = (struct bytes){ in.p + n, in.n - n };
    }
    return frame_end(r, e);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct frame_reader r = { .message_max = 1 << 16 };
    struct err e = { 0 };
    char text[64];

    if (n == 0)
        return 0;
    outcome_decode((struct bytes){ p, n }, text, sizeof text);
    enum rc rc = feed(&r, (struct bytes){ p + 1, n - 1 }, 1 + p[0] % 64u, &e);

    if (rc != RC_OK && rc != RC_CORRUPT && rc != RC_NET)
        abort();
    if (r.held.cap > 4 * n + 64)
        abort(); /* memory follows what arrived, not what was claimed */
    frame_reader_clear(&r);
    return 0;
}
