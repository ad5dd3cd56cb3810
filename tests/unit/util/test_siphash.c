#include "tests/lib/case.h"
#include "util/bytes.h"
#include "util/siphash.h"
#include "util/str.h"

/* Made with: openssl mac -macopt hexkey:000102..0f -macopt size:16 SIPHASH
 * over the bytes 0, 1, ... n-1; the first two are also in the paper's vectors. */
static const struct {
    size_t n;
    const char *hex;
} vectors[] = {
    { 0, "a3817f04ba25a8e66df67214c7550293" },
    { 1, "da87c1d86b99af44347659119b22fc45" },
    { 7, "a1f1ebbed8dbc153c0b84aa61ff08239" },
    { 8, "3b62a9ba6258f5610f83e264f31497b4" },
    { 15, "5493e99933b0a8117e08ec0f97cfc3d9" },
    { 63, "5150d1772f50834a503e069a973fbd7c" },
};

CASE(util_siphash, agrees_with_openssl)
{
    uint8_t key[SIPHASH_KEY_SIZE], text[64];

    for (uint8_t i = 0; i < sizeof text; i++)
        text[i] = i;
    memcpy(key, text, sizeof key);
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        struct siphash h = siphash_of(key, text, vectors[i].n);
        uint8_t bytes[16];
        char hex[33];

        put_le64(bytes, h.low);
        put_le64(bytes + 8, h.high);
        str_hex(hex, bytes, sizeof bytes);
        cr_assert_str_eq(hex, vectors[i].hex, "%zu bytes", vectors[i].n);
    }
}

CASE(util_siphash, depends_on_the_key)
{
    uint8_t one[SIPHASH_KEY_SIZE] = { 1 }, two[SIPHASH_KEY_SIZE] = { 2 };

    cr_assert_neq(siphash_of(one, "x", 1).low, siphash_of(two, "x", 1).low);
    cr_assert_neq(siphash_of(one, "x", 1).high, siphash_of(two, "x", 1).high);
}
