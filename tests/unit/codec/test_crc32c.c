#include "codec/crc32c.h"

#include <stdlib.h>
#include <string.h>

#include "tests/lib/case.h"

CASE(codec_crc32c, has_the_published_check_value)
{
    cr_assert_eq(crc32c_update(0, "123456789", 9), 0xE3069283);
    cr_assert_eq(crc32c_update(0, "", 0), 0);
}

/* etcd WAL: METADATA then SNAPSHOT record of a real 3.5 file. */
CASE(codec_crc32c, chains_as_the_wal_does)
{
    static const uint8_t metadata[] = { 0x08, 0xf2, 0xd1, 0xef, 0xe0, 0xa5, 0xc5,
                                        0xb9, 0xee, 0x26, 0x10, 0xad, 0xd1, 0xd3,
                                        0x80, 0xf7, 0xd0, 0xb4, 0x9d, 0x4f };
    static const uint8_t mark[] = { 0x08, 0x00, 0x10, 0x00 };
    uint32_t crc = crc32c_update(0, metadata, sizeof metadata);

    cr_assert_eq(crc, 0x2830A03C);
    cr_assert_eq(crc32c_update(crc, mark, sizeof mark), 0xB28866C6);
}

/* Long multiplication, by the definition: x^k is bit 31 - k. */
static uint32_t long_product(uint32_t a, uint32_t b)
{
    uint64_t product = 0; /* bit k is x^k */

    for (unsigned i = 0; i < 32; i++)
        for (unsigned k = 0; k < 32; k++)
            product ^= (uint64_t)(a >> (31 - i) & b >> (31 - k) & 1) << (i + k);
    for (unsigned k = 63; k >= 32; k--)
        if (product >> k & 1)
            product ^= UINT64_C(0x11EDC6F41) << (k - 32);
    uint32_t reflected = 0;
    for (unsigned k = 0; k < 32; k++)
        reflected |= (uint32_t)(product >> k & 1) << (31 - k);
    return reflected;
}

CASE(codec_crc32c, products_are_those_of_long_multiplication)
{
    uint32_t a = 1, b = 0x80000000;

    for (int i = 0; i < 2000; i++) {
        uint32_t want = long_product(a, b);

        cr_assert_eq(crc32c_multiply(a, b), want, "%08x * %08x", a, b);
        cr_assert_eq(crc32c_multiply_plain(a, b), want, "%08x * %08x, plain", a, b);
        a = a * 1664525 + 1013904223;
        b = crc32c_update(b, &a, sizeof a);
    }
}

CASE(codec_crc32c, combine_equals_feeding_at_once)
{
    uint8_t data[3000];

    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 7 + i / 255);
    for (size_t cut = 0; cut <= sizeof data; cut += 13) {
        uint32_t a = crc32c_update(0, data, cut);
        uint32_t b = crc32c_update(0, data + cut, sizeof data - cut);

        cr_assert_eq(crc32c_combine(a, b, sizeof data - cut),
                     crc32c_update(0, data, sizeof data), "cut at %zu", cut);
    }
}

CASE(codec_crc32c, fnv_matches_a_real_meta_page)
{
    /* Page 0 of a fresh etcd 3.5 database, magic to txid. */
    uint8_t meta[56] = {
        0xed, 0xda, 0x0c, 0xed, 2, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0, 3
    };
    static const uint8_t sum[] = { 0xe6, 0x7d, 0x87, 0x1f, 0x1d, 0x80, 0x59, 0xc7 };
    uint64_t h;

    memset(meta + 32, 0xff, 8);
    meta[40] = 4;
    meta[48] = 2;
    h = fnv1a64(meta, sizeof meta);
    cr_assert(memcmp(&h, sum, 8) == 0, "%016llx", (unsigned long long)h);
}
