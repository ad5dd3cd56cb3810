/* The protobuf messages of etcd, packed and unpacked. The only door to protobuf-c:
 * include this, never a generated header.
 *
 *     AT_END(codec_end) Etcdrpc__StatusResponse *r = NULL;
 *     TRY(codec_unpack(&etcdrpc__status_response__descriptor, in, &r, e));
 *
 * Unpacking is bounded whatever the bytes are. protobuf-c recurses without a limit and
 * turns two hostile bytes into a hundred of memory; here nesting stops at
 * CODEC_DEPTH_MAX and memory at CODEC_MEMORY_FACTOR times the input. Unknown fields are
 * kept aside and cost their own size; they come with a newer server. */
#ifndef CODEC_MESSAGE_H
#define CODEC_MESSAGE_H

#include "util/bytes.h"
#include "util/err.h"
#include "util/own.h"

#include "auth.pb-c.h"
#include "internal.pb-c.h"
#include "kv.pb-c.h"
#include "lease.pb-c.h"
#include "membership.pb-c.h"
#include "raft.pb-c.h"
#include "rpc.pb-c.h"
#include "snap.pb-c.h"
#include "v2req.pb-c.h"
#include "wal.pb-c.h"

enum {
    CODEC_DEPTH_MAX = 32,     /* etcd's deepest honest message, a nested Txn, has 8 */
    CODEC_MEMORY_FACTOR = 32, /* a range of tiny keys needs 12 */
    CODEC_MEMORY_FLOOR = 64 << 10,
};

/* Decodes `in` as a message of `type` into heap memory that codec_free releases; `out`
 * is the address of a pointer to the message. RC_CORRUPT names the type; RC_NOMEM. */
enum rc codec_unpack(const ProtobufCMessageDescriptor *type, struct bytes in, void *out,
                     struct err *e);

/* Appends the encoding of `message` (the address of a generated struct that was
 * initialised with its __INIT, or where that has strings, with its __init()). RC_NOMEM;
 * RC_CORRUPT when the buffer's cap is passed. */
enum rc codec_pack(const void *message, struct buf *out, struct err *e);

/* The sub-message in the field `name`, or NULL when the type has no such field or the
 * field is absent. */
const void *codec_child(const void *message, const char *name);

/* Bytes fields, borrowed in both directions; protobuf-c never writes what it packs. */
struct bytes codec_bytes(const ProtobufCBinaryData *field);
ProtobufCBinaryData codec_field(struct bytes value);

void codec_free(void *message); /* NULL is fine */

/* For AT_END on a pointer to a message. */
void codec_end(void *held);

#endif
