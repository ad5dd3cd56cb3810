#include "crypto/aead.h"

#include "tests/lib/case.h"
#include "util/str.h"

/* Against another implementation: key 00..1f, nonce 1, no associated data. */
CASE(crypto_aead, has_the_value_of_another_implementation)
{
    OWNED(aead) seal = NULL;
    OWNED(aead) open = NULL;
    const uint8_t nonce[AEAD_NONCE] = { [11] = 1 };
    uint8_t sealed[6 + AEAD_TAG], back[6];
    char text[2 * sizeof sealed + 1];
    bool authentic = false;
    struct err e = { 0 };
    struct key k;

    for (uint8_t i = 0; i < sizeof k.b; i++)
        k.b[i] = i;
    OK(aead_new(&k, AEAD_SEAL, &seal, &e), &e);
    OK(aead_seal(seal, nonce, bytes_str("sealed"), sealed, &e), &e);
    str_hex(text, sealed, sizeof sealed);
    cr_assert_str_eq(text, "1a391db5546e79bbe375a3f4bcb7f9651f7ba8018861");
    OK(aead_new(&k, AEAD_OPEN, &open, &e), &e);
    OK(aead_open(open, nonce, BYTES_OF(sealed), back, &authentic, &e), &e);
    cr_assert(authentic && memcmp(back, "sealed", 6) == 0);
}

CASE(crypto_aead, opens_nothing_that_was_changed_or_cut)
{
    OWNED(aead) seal = NULL;
    OWNED(aead) open = NULL;
    const uint8_t nonce[AEAD_NONCE] = { 0 };
    uint8_t sealed[6 + AEAD_TAG], back[6];
    struct key k = { { 9 } };
    struct err e = { 0 };

    OK(aead_new(&k, AEAD_SEAL, &seal, &e), &e);
    OK(aead_new(&k, AEAD_OPEN, &open, &e), &e);
    OK(aead_seal(seal, nonce, bytes_str("sealed"), sealed, &e), &e);
    for (size_t i = 0; i <= sizeof sealed; i++) {
        struct bytes cut = { sealed, i };
        bool authentic = true;

        if (i < sizeof sealed)
            sealed[i] ^= 1;
        else
            cut.n--;
        OK(aead_open(open, nonce, BYTES_OF(sealed), back, &authentic, &e), &e);
        cr_assert(!authentic || i == sizeof sealed, "byte %zu", i);
        if (i < sizeof sealed)
            sealed[i] ^= 1;
        OK(aead_open(open, nonce, cut, back, &authentic, &e), &e);
        cr_assert(!authentic, "cut to %zu", cut.n);
    }
}
