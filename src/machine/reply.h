/* Parts of etcd's responses, field by field: as proto3 has it, zeros are left out. */
#ifndef MACHINE_REPLY_H
#define MACHINE_REPLY_H

#include "codec/pb.h"

enum rc reply_number(struct buf *b, uint32_t field, uint64_t value, struct err *e);
enum rc reply_text(struct buf *b, uint32_t field, const char *text, struct err *e);
enum rc reply_part(struct buf *b, uint32_t field, const struct buf *message,
                   struct err *e);

/* A response inside a transaction's has a header of its own, with nothing but the
 * revision (0: nothing at all). */
enum rc reply_header(struct buf *b, int64_t revision, struct err *e);

#endif
