/* Strict base64 (RFC 4648, standard alphabet): one text for every byte string.
 * No blanks, no line ends, and the unused bits of the last digit are zero. */
#ifndef CRYPTO_BASE64_H
#define CRYPTO_BASE64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/bytes.h"

/* Digits for n bytes without padding. */
#define BASE64_DIGITS(n) (((n)*4 + 2) / 3)

/* Without padding; writes BASE64_DIGITS(data.n) digits and no NUL. Returns their count.
 */
size_t base64_encode(struct bytes data, char *out);
/* With padding: 4 digits for every 3 bytes or part of them. */
size_t base64_encode_padded(struct bytes data, char *out);

/* `out` has room for text.n * 3 / 4 bytes. False for anything but canonical text;
 * `out` may then hold part of it. */
bool base64_decode(struct bytes text, uint8_t *out, size_t *n);
bool base64_decode_padded(struct bytes text, uint8_t *out, size_t *n);

#endif
