#include "util/siphash.h"

#include "util/bytes.h"

struct state {
    uint64_t a, b, c, d;
};

static inline uint64_t rotate(uint64_t x, unsigned by)
{
    return x << by | x >> (64 - by);
}

static inline void sip_round(struct state *s)
{
    s->a += s->b;
    s->c += s->d;
    s->b = rotate(s->b, 13) ^ s->a;
    s->d = rotate(s->d, 16) ^ s->c;
    s->a = rotate(s->a, 32);
    s->c += s->b;
    s->a += s->d;
    s->b = rotate(s->b, 17) ^ s->c;
    s->d = rotate(s->d, 21) ^ s->a;
    s->c = rotate(s->c, 32);
}

static inline void take(struct state *s, uint64_t word)
{
    s->d ^= word;
    sip_round(s);
    sip_round(s);
    s->a ^= word;
}

static inline uint64_t result(struct state *s)
{
    for (int i = 0; i < 4; i++)
        sip_round(s);
    return s->a ^ s->b ^ s->c ^ s->d;
}

/* The bytes after the last whole word, with the length modulo 256 on top. */
static uint64_t last_word(const uint8_t *p, size_t n)
{
    uint64_t word = (uint64_t)n << 56;

    for (size_t i = 0; i < n % 8; i++)
        word |= (uint64_t)p[n / 8 * 8 + i] << 8 * i;
    return word;
}

struct siphash siphash_of(const uint8_t key[static SIPHASH_KEY_SIZE], const void *p,
                          size_t n)
{
    uint64_t k0 = le64(key), k1 = le64(key + 8);
    const uint8_t *bytes = p;
    struct state s = {
        .a = k0 ^ 0x736f6d6570736575,
        .b = k1 ^ 0x646f72616e646f6d ^ 0xee, /* 0xee: the 128-bit variant */
        .c = k0 ^ 0x6c7967656e657261,
        .d = k1 ^ 0x7465646279746573,
    };
    struct siphash out;

    for (size_t i = 0; i < n / 8; i++)
        take(&s, le64(bytes + 8 * i));
    take(&s, last_word(bytes, n));
    s.c ^= 0xee;
    out.low = result(&s);
    s.b ^= 0xdd;
    out.high = result(&s);
    return out;
}
