/* gRPC message framing: one byte "compressed", four bytes length (big end first), the
 * message. HTTP/2 may cut the stream anywhere, so the reader is pushed pieces and hands
 * out whole messages: in place when one lies whole in a piece, else from a buffer that
 * grows only as bytes arrive, never to what a length merely claims. */
#ifndef CODEC_FRAME_H
#define CODEC_FRAME_H

#include "util/bytes.h"
#include "util/err.h"

enum {
    FRAME_HEADER_SIZE = 5,
    FRAME_MESSAGE_MAX = 8 << 20, /* the default cap; etcd's own messages stay below 4 */
};

/* Zero-initialise, with message_max when the default is wrong; frame_reader_clear. */
struct frame_reader {
    size_t message_max;
    struct buf held; /* the part of a message, with its header, that came so far */
};

/* Takes one whole message, borrowed for the call. */
typedef enum rc frame_fn(void *arg, struct bytes message, struct err *e);

/* Calls fn for each message that `piece` completes. RC_CORRUPT for a message above the
 * cap or a compressed one (none was offered); what fn returns; RC_NOMEM. After a failure
 * only frame_reader_clear is allowed. */
enum rc frame_push(struct frame_reader *r, struct bytes piece, frame_fn *fn, void *arg,
                   struct err *e);

/* RC_NET when the stream ended inside a message. */
enum rc frame_end(const struct frame_reader *r, struct err *e);
void frame_reader_clear(struct frame_reader *r);

/* Appends one framed message. RC_USAGE above 4 GiB; what buf_add returns. */
enum rc frame_add(struct buf *out, struct bytes message, struct err *e);

#endif
