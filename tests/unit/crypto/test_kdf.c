#include "crypto/kdf.h"

#include "tests/lib/case.h"
#include "util/str.h"

static void assert_hex(const uint8_t *p, const char *hex)
{
    char text[65];

    str_hex(text, p, 32);
    cr_assert_str_eq(text, hex);
}

/* RFC 5869, appendix A.1 and A.3, the first 32 bytes. */
CASE(crypto_kdf, hkdf_has_the_published_values)
{
    uint8_t secret[22], salt[13];
    struct err e = { 0 };
    struct key k;

    memset(secret, 0x0b, sizeof secret);
    for (uint8_t i = 0; i < sizeof salt; i++)
        salt[i] = i;
    OK(kdf_hkdf(BYTES_OF(secret), BYTES_OF(salt),
                "\xf0\xf1\xf2\xf3\xf4\xf5\xf6\xf7\xf8\xf9", &k, &e),
       &e);
    assert_hex(k.b, "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf");
    OK(kdf_hkdf(BYTES_OF(secret), (struct bytes){ 0 }, "", &k, &e), &e);
    assert_hex(k.b, "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d");
}

/* RFC 4231, test cases 2 (a short key) and 6 (longer than a block). */
CASE(crypto_kdf, hmac_takes_a_key_of_any_length)
{
    struct err e = { 0 };
    uint8_t mac[32], longest[131];

    memset(longest, 0xaa, sizeof longest);
    OK(kdf_hmac_any(bytes_str("Jefe"), bytes_str("what do ya want for nothing?"), mac,
                    &e),
       &e);
    assert_hex(mac, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    OK(kdf_hmac_any(BYTES_OF(longest),
                    bytes_str("Test Using Larger Than Block-Size Key - Hash Key First"),
                    mac, &e),
       &e);
    assert_hex(mac, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

CASE(crypto_kdf, hmac_has_the_value_of_another_implementation)
{
    struct err e = { 0 };
    uint8_t mac[32];
    struct key k;

    for (uint8_t i = 0; i < sizeof k.b; i++)
        k.b[i] = i;
    OK(kdf_hmac(&k, bytes_str("what is authenticated"), mac, &e), &e);
    assert_hex(mac, "71417461dd402d27e84be77ad622f0b6175655767594f709ab88cad10b665416");
}

/* RFC 7914, section 12, the first 32 bytes of the third example. */
CASE(crypto_kdf, scrypt_has_the_published_value)
{
    struct err e = { 0 };
    struct key k;

    OK(kdf_scrypt(bytes_str("pleaseletmein"), bytes_str("SodiumChloride"), 14, &k, &e),
       &e);
    assert_hex(k.b, "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2");
}

/* 2^40 KiB is a PiB: refused before it is asked for. */
CASE(crypto_kdf, scrypt_refuses_more_than_half_of_the_memory)
{
    struct err e = { 0 };
    struct key k;

    cr_assert_eq(kdf_scrypt(bytes_str("p"), bytes_str("s"), 40, &k, &e), RC_NOMEM);
    cr_assert_str_eq(e.why, "scrypt with work factor 40 needs 1073741825 MiB of memory");
}
