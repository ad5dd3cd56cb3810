/* The words of gRPC's headers. */
#ifndef GRPCD_TEXT_H
#define GRPCD_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "util/bytes.h"
#include "util/err.h"

/* A "grpc-timeout" value: at most 8 digits and one of H M S m u n. Milliseconds, rounded
 * up so that no deadline comes early. False when it is nothing of the kind. */
bool text_timeout(const char *value, uint64_t *ms);

/* Appends `text` as "grpc-message" wants it: printable ASCII but '%' stays, each other
 * byte becomes %XX. What buf_add returns. */
enum rc text_percent(struct buf *out, const char *text, struct err *e);

#endif
