#include "codec/crc32c.h"

#include <isa-l/crc.h>
#include <limits.h>

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

/* Appending a zero byte multiplies the register by x^8 modulo the polynomial: in the
 * reflected representation bit 31 is x^0. */
static const uint32_t POLY = 0x82F63B78, ONE = 0x80000000;

static uint32_t multiply(uint32_t a, uint32_t b)
{
    uint32_t product = 0;

    for (uint32_t bit = ONE; bit != 0; bit >>= 1) {
        if (a & bit)
            product ^= b;
        b = b & 1 ? b >> 1 ^ POLY : b >> 1;
    }
    return product;
}

uint32_t crc32c_combine(uint32_t crc_a, uint32_t crc_b, uint64_t b_size)
{
    uint32_t power = ONE >> 8; /* x^8: one byte */
    uint32_t shift = ONE;

    for (; b_size != 0; b_size >>= 1) {
        if (b_size & 1)
            shift = multiply(shift, power);
        power = multiply(power, power);
    }
    return multiply(crc_a, shift) ^ crc_b;
}

uint64_t fnv1a64(const void *p, size_t n)
{
    const uint8_t *b = p;
    uint64_t h = 0xCBF29CE484222325;

    for (size_t i = 0; i < n; i++)
        h = (h ^ b[i]) * 0x100000001B3;
    return h;
}
