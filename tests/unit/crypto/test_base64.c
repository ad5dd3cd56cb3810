#include "crypto/base64.h"

#include "tests/lib/case.h"

static const struct {
    const char *bytes, *raw, *padded;
} known[] = { /* RFC 4648, section 10 */
              { "", "", "" },
              { "f", "Zg", "Zg==" },
              { "fo", "Zm8", "Zm8=" },
              { "foo", "Zm9v", "Zm9v" },
              { "foob", "Zm9vYg", "Zm9vYg==" },
              { "fooba", "Zm9vYmE", "Zm9vYmE=" },
              { "foobar", "Zm9vYmFy", "Zm9vYmFy" },
              { "\xfb\xff\xbf", "+/+/", "+/+/" }
};

CASE(crypto_base64, has_the_published_values_both_ways)
{
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        char text[16];
        uint8_t back[16];
        size_t n = base64_encode(bytes_str(known[i].bytes), text);

        cr_assert_eq(n, BASE64_DIGITS(strlen(known[i].bytes)));
        cr_assert(bytes_is((struct bytes){ (uint8_t *)text, n }, known[i].raw), "%s",
                  known[i].raw);
        n = base64_encode_padded(bytes_str(known[i].bytes), text);
        cr_assert(bytes_is((struct bytes){ (uint8_t *)text, n }, known[i].padded), "%s",
                  known[i].padded);
        cr_assert(base64_decode(bytes_str(known[i].raw), back, &n));
        cr_assert(bytes_is((struct bytes){ back, n }, known[i].bytes));
        cr_assert(base64_decode_padded(bytes_str(known[i].padded), back, &n));
        cr_assert(bytes_is((struct bytes){ back, n }, known[i].bytes));
    }
}

CASE(crypto_base64, refuses_what_is_not_canonical)
{
    static const char *const raw[] = { "A",    "Zm9vA", "Z",    "Zm9vY", "Zh",
                                       "Zm9",  "Zg=",   "Zg==", " Zg",   "Zg ",
                                       "Z\ng", "Zm-v",  "Zm_v", "\xff" };
    static const char *const padded[] = { "Zg",   "Zg=",  "Zh==",     "Zm9=", "=",
                                          "====", "Z===", "Zg==Zg==", "Zm9v=" };
    uint8_t out[16];
    size_t n;

    for (size_t i = 0; i < sizeof raw / sizeof raw[0]; i++)
        cr_assert(!base64_decode(bytes_str(raw[i]), out, &n), "'%s'", raw[i]);
    for (size_t i = 0; i < sizeof padded / sizeof padded[0]; i++)
        cr_assert(!base64_decode_padded(bytes_str(padded[i]), out, &n), "'%s'",
                  padded[i]);
}

/* Four digits have 2^24 readings; each accepted text must be the one text of its bytes.
 */
CASE(crypto_base64, has_one_text_for_every_two_bytes)
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t accepted = 0;

    for (size_t i = 0; i < 64u * 64 * 64; i++) {
        char text[3] = { digits[i >> 12], digits[i >> 6 & 63], digits[i & 63] }, back[3];
        uint8_t data[3];
        size_t n;

        if (!base64_decode(BYTES_OF(text), data, &n))
            continue;
        accepted++;
        cr_assert_eq(n, 2);
        cr_assert_eq(base64_encode((struct bytes){ data, n }, back), 3);
        cr_assert(memcmp(text, back, 3) == 0, "%.3s", text);
    }
    cr_assert_eq(accepted, 65536);
}
