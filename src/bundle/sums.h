/* The text of SHA256SUMS, a line a member, as sha256sum writes it. */
#ifndef BUNDLE_SUMS_H
#define BUNDLE_SUMS_H

#include "crypto/sha256.h"
#include "util/bytes.h"

/* The digest ends `sum`. */
enum rc bundle_sums_add(struct buf *text, const char *name, struct sha256 *sum,
                        struct err *e);

#endif
