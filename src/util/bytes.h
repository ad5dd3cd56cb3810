/* Borrowed byte ranges, fixed-order integers, and a growing buffer with a cap. */
#ifndef UTIL_BYTES_H
#define UTIL_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "util/err.h"

/* A window on memory somebody else owns. */
struct bytes {
    const uint8_t *p;
    size_t n;
};

#define BYTES_OF(array) ((struct bytes){ (const uint8_t *)(array), sizeof(array) })

static inline struct bytes bytes_str(const char *s)
{
    return (struct bytes){ (const uint8_t *)s, strlen(s) };
}

/* memcmp order, the shorter first on a tie: the order of bbolt keys. */
int bytes_compare(struct bytes a, struct bytes b);
bool bytes_equal(struct bytes a, struct bytes b);
bool bytes_is(struct bytes a, const char *text);
bool bytes_starts(struct bytes a, const char *prefix);
struct bytes bytes_trim(struct bytes a); /* without blanks and line ends around it */

/* Unaligned loads and stores, little (le) or big (be) end first. */
static inline uint16_t le16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}
static inline uint32_t le32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
           (uint32_t)p[3] << 24;
}
static inline uint64_t le64(const uint8_t *p)
{
    return (uint64_t)le32(p) | (uint64_t)le32(p + 4) << 32;
}
static inline uint32_t be32(const uint8_t *p)
{
    return __builtin_bswap32(le32(p));
}
static inline uint64_t be64(const uint8_t *p)
{
    return __builtin_bswap64(le64(p));
}
static inline void put_le16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}
static inline void put_le32(uint8_t *p, uint32_t v)
{
    put_le16(p, (uint16_t)v);
    put_le16(p + 2, (uint16_t)(v >> 16));
}
static inline void put_le64(uint8_t *p, uint64_t v)
{
    put_le32(p, (uint32_t)v);
    put_le32(p + 4, (uint32_t)(v >> 32));
}
static inline void put_be32(uint8_t *p, uint32_t v)
{
    put_le32(p, __builtin_bswap32(v));
}
static inline void put_be64(uint8_t *p, uint64_t v)
{
    put_le64(p, __builtin_bswap64(v));
}

/* A growing buffer. Zero-initialise with its cap, end with buf_clear.
 *     struct buf b = { .cap_max = 1 << 20 };   cap_max 0 means 64 MiB */
struct buf {
    uint8_t *p;
    size_t n, cap, cap_max;
};

/* RC_CORRUPT when the cap would be passed (hostile lengths end here), RC_NOMEM. */
enum rc buf_reserve(struct buf *b, size_t more, struct err *e);
enum rc buf_add(struct buf *b, const void *p, size_t n, struct err *e);
void buf_clear(struct buf *b); /* frees, keeps cap_max */
void buf_wipe(struct buf *b);  /* overwrites, then frees */

#endif
