#include "codec/crc32c.h"

#include <isa-l/crc.h>
#include <limits.h>
#ifdef __x86_64__
#include <immintrin.h>
#endif

uint32_t crc32c_update(uint32_t crc, const void *p, size_t n)
{
    union {
        const void *from;
        unsigned char *to; /* ISA-L 2.30 lacks the const */
    } data = { .from = p };
    uint32_t state = ~crc;

    while (n > 0) {
        int piece = n > INT_MAX ? INT_MAX : (int)n;

        state = crc32_iscsi(data.to, piece, state);
        data.to += piece;
        n -= (size_t)piece;
    }
    return ~state;
}

static const uint32_t POLY = 0x82F63B78, ONE = 0x80000000;

/* Without branches: the bits are as good as random. */
uint32_t crc32c_multiply_plain(uint32_t a, uint32_t b)
{
    uint32_t product = 0;

    for (int bit = 31; bit >= 0; bit--) {
        product ^= b & (0 - (a >> bit & 1));
        b = b >> 1 ^ (POLY & (0 - (b & 1)));
    }
    return product;
}

#ifdef __x86_64__
/* The product has 63 bits; with one more its lower half is what lies beyond x^31, and the
 * CRC instruction brings that down. */
__attribute__((target("pclmul,sse4.2"))) static uint32_t multiply_fast(uint32_t a,
                                                                       uint32_t b)
{
    __m128i product = _mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)a),
                                           _mm_cvtsi64_si128((long long)b), 0);
    uint64_t bits = (uint64_t)_mm_cvtsi128_si64(product) << 1;

    return _mm_crc32_u32(0, (uint32_t)bits) ^ (uint32_t)(bits >> 32);
}

uint32_t crc32c_multiply(uint32_t a, uint32_t b)
{
    return __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.2")
               ? multiply_fast(a, b)
               : crc32c_multiply_plain(a, b);
}
#else
uint32_t crc32c_multiply(uint32_t a, uint32_t b)
{
    return crc32c_multiply_plain(a, b);
}
#endif

/* Appending a zero byte multiplies the register by x^8. */

uint32_t crc32c_combine(uint32_t crc_a, uint32_t crc_b, uint64_t b_size)
{
    uint32_t power = ONE >> 8; /* x^8: one byte */
    uint32_t shift = ONE;

    for (; b_size != 0; b_size >>= 1) {
        if (b_size & 1)
            shift = crc32c_multiply(shift, power);
        power = crc32c_multiply(power, power);
    }
    return crc32c_multiply(crc_a, shift) ^ crc_b;
}

uint64_t fnv1a64(const void *p, size_t n)
{
    const uint8_t *b = p;
    uint64_t h = 0xCBF29CE484222325;

    for (size_t i = 0; i < n; i++)
        h = (h ^ b[i]) * 0x100000001B3;
    return h;
}
