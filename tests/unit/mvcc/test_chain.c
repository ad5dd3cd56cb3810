#include "mvcc/chain.h"

#include "codec/crc32c.h"
#include "tests/lib/case.h"

static uint8_t text[300000];

static void fill(void)
{
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (uint8_t)(i * 7 + i / 251);
}

CASE(mvcc_chain, of_pieces_is_the_crc_of_all)
{
    static const size_t sizes[] = { 0,   1,     2,     17,    255,   256,
                                    257, 65535, 65536, 65537, 100000 };
    struct mvcc_chain chain = { 0 };
    struct mvcc_powers powers;
    size_t at = 0;

    fill();
    mvcc_powers_init(&powers);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        mvcc_chain_add(&chain, &powers, crc32c_update(0, text + at, sizes[i]), sizes[i]);
        at += sizes[i];
        cr_assert_eq(chain.crc, crc32c_update(0, text, at), "up to %zu", at);
        cr_assert_eq(chain.length, at);
    }
    mvcc_chain_bytes(&chain, (struct bytes){ text + at, 5 });
    cr_assert_eq(chain.crc, crc32c_update(0, text, at + 5));
    cr_assert_eq(chain.length, at + 5);
}

CASE(mvcc_chain, takes_any_length)
{
    static const uint64_t lengths[] = { 1,           0xffffff,      0x1000000,
                                        0x12345678,  0xffffffff,    0x100000000,
                                        0x123456789, UINT64_MAX / 8 };
    struct mvcc_powers powers;

    mvcc_powers_init(&powers);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        struct mvcc_chain chain = { .crc = 0xdeadbeef };

        mvcc_chain_add(&chain, &powers, 0x12345678, lengths[i]);
        cr_assert_eq(chain.crc, crc32c_combine(0xdeadbeef, 0x12345678, lengths[i]),
                     "%llu", (unsigned long long)lengths[i]);
    }
}

CASE(mvcc_chain, pair_may_lie_apart)
{
    struct bytes key = { text, 17 }, next = { text + 17, 40 }, away = { text + 99, 40 };
    uint32_t k;

    fill();
    k = crc32c_update(0, text, 17);
    cr_assert_eq(mvcc_pair_crc(key, next), crc32c_update(0, text, 57));
    cr_assert_eq(mvcc_pair_crc(key, away), crc32c_update(k, text + 99, 40));
    cr_assert_eq(mvcc_pair_crc(key, (struct bytes){ NULL, 0 }), k);
}
