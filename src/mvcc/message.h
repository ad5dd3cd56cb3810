/* How the readers of schema.h end a message: shared by schema.c and auth.c only. */
#ifndef MVCC_MESSAGE_H
#define MVCC_MESSAGE_H

#include "codec/pb.h"

/* For a field that the reader did not take. A number above `known` comes from a newer
 * etcd and is skipped; a known one is here because of its wire type, which etcd's own
 * decoder refuses (gogo/protobuf: "wrong wireType"). */
enum rc message_unknown(const struct pb_field *f, uint32_t known, struct err *e);

/* RC_CORRUPT when the reader stopped before the end of the message. */
enum rc message_end(const struct pb_reader *r, struct bytes message, struct err *e);

#endif
