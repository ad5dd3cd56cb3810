/* SipHash-2-4 with a 128-bit result (Aumasson and Bernstein): a keyed hash for tables
 * whose keys an attacker may choose. With a fresh random key, equal results stand for
 * equal inputs. Not for signatures. */
#ifndef UTIL_SIPHASH_H
#define UTIL_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

enum { SIPHASH_KEY_SIZE = 16 };

struct siphash {
    uint64_t low,
        high; /* the reference's output bytes 0..7 and 8..15, little end first */
};

struct siphash siphash_of(const uint8_t key[static SIPHASH_KEY_SIZE], const void *p,
                          size_t n);

#endif
