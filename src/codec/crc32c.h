/* CRC-32 Castagnoli, as etcd's WAL, .snap files and hashes use it: reflected, initial
 * and final complement. A value is always the finished one; feeding more starts from
 * it, as zlib's crc32() does, so crc32c_update(0, x) is the CRC of x. */
#ifndef CODEC_CRC32C_H
#define CODEC_CRC32C_H

#include <stddef.h>
#include <stdint.h>

uint32_t crc32c_update(uint32_t crc, const void *p, size_t n);

/* CRC of A followed by B, from the CRCs of both and the length of B. */
uint32_t crc32c_combine(uint32_t crc_a, uint32_t crc_b, uint64_t b_size);

/* The polynomials of such registers (bit 31 is x^0), multiplied modulo CRC-32C's: what
 * moving a CRC past other bytes takes. The plain one is for processors without carry-less
 * multiplication, and twenty times as slow. */
uint32_t crc32c_multiply(uint32_t a, uint32_t b);
uint32_t crc32c_multiply_plain(uint32_t a, uint32_t b);

/* FNV-1a 64, the checksum of bbolt's meta pages. */
uint64_t fnv1a64(const void *p, size_t n);

#endif
