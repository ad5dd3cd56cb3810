#include "crypto/bech32.h"

#include "tests/lib/case.h"

/* Made by age-keygen 1.1.1. */
static const char recipient[] =
    "age1xcwh0gy7kmd48n3ga9m584rccykswylpwjh6vcztktw34n86wvksx6n09j";
static const char identity[] =
    "AGE-SECRET-KEY-1EGTZVFFV20835NWYV6270LXYVK2VKNX2MMDKWYKLMGR48UAWX40Q2P2LM0";

static enum rc decode(const char *text, const char *prefix, struct key *k, struct err *e)
{
    return bech32_decode(bytes_str(text), prefix, k, e);
}

CASE(crypto_bech32, reads_and_writes_keys_in_both_cases)
{
    char text[BECH32_SIZE("AGE-SECRET-KEY-")];
    struct err e = { 0 };
    struct key k;

    OK(decode(recipient, "age", &k, &e), &e);
    bech32_encode("age", &k, text);
    cr_assert_str_eq(text, recipient);
    OK(decode(identity, "AGE-SECRET-KEY-", &k, &e), &e);
    bech32_encode("AGE-SECRET-KEY-", &k, text);
    cr_assert_str_eq(text, identity);
    cr_assert_eq(strlen(identity) + 1, sizeof text);
}

CASE(crypto_bech32, notices_every_changed_character)
{
    char text[sizeof recipient];
    struct err e = { 0 };
    struct key k;

    for (size_t i = 0; i < sizeof recipient - 1; i++)
        for (char c = '!'; c < 127; c++) {
            memcpy(text, recipient, sizeof text);
            if (text[i] == c)
                continue;
            text[i] = c;
            cr_assert_eq(decode(text, "age", &k, &e), RC_USAGE, "'%c' at %zu", c, i);
        }
}

CASE(crypto_bech32, says_what_is_wrong_without_quoting_it)
{
    static const struct {
        const char *text, *why;
    } bad[] = {
        { "", "it does not begin with age1" },
        { "age", "it does not begin with age1" },
        { "AGE1XCWH0GY7KMD48N3GA9M584RCCYKSWYLPWJH6VCZTKTW34N86WVKSX6N09J",
          "it does not begin with age1" },
        { "age1xcwh0gy7kmd48n3ga9m584rccykswylpwjh6vcztktw34n86wvksx6n09",
          "it has 61 characters instead of 62" },
        { "age1Xcwh0gy7kmd48n3ga9m584rccykswylpwjh6vcztktw34n86wvksx6n09j",
          "character 1 after its '1' cannot be in a key" },
        { "age1xbwh0gy7kmd48n3ga9m584rccykswylpwjh6vcztktw34n86wvksx6n09j",
          "character 2 after its '1' cannot be in a key" },
        { "age1xcwh0gy7kmd48n3ga9m584rccykswylpwjh6vcztktw34n86wvksx6n09q",
          "its checksum does not match" },
    };
    struct key k = { { 7 } };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct err e = { 0 };

        cr_assert_eq(decode(bad[i].text, "age", &k, &e), RC_USAGE, "%s", bad[i].text);
        cr_assert_str_eq(e.why, bad[i].why);
        cr_assert_eq(k.b[0], 7, "the output was touched");
    }
}

/* The last of 52 digits carries one bit of the key; the other four must be zero, even
 * when the checksum is right, as it is here. */
CASE(crypto_bech32, refuses_a_second_text_for_the_same_key)
{
    struct err e = { 0 };
    struct key k;

    OK(decode("age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq5cu47z", "age", &k,
              &e),
       &e);
    cr_assert_eq(decode("age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqpfwgqrs",
                        "age", &k, &e),
                 RC_USAGE);
    cr_assert_str_eq(e.why, "its last bits are not zero");
}
