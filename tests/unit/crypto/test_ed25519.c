#include "crypto/ed25519.h"

#include "tests/lib/case.h"
#include "util/str.h"

/* RFC 8032, section 7.1. */
static const struct {
    const char *seed, *public, *message, *signature;
} vectors[] = {
    { "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
      "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
      "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc6"
      "1e"
      "39701cf9b46bd25bf5f0595bbe24655141438e7a100b" },
    { "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
      "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "r",
      "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e45"
      "8f"
      "3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00" },
};

static void from_hex(const char *hex, uint8_t *out, size_t n)
{
    cr_assert(str_unhex(hex, out, n), "%s", hex);
}

CASE(crypto_ed25519, has_the_published_values)
{
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        uint8_t public[32], wanted[32], signature[ED25519_SIGNATURE], made[64];
        struct bytes message = bytes_str(vectors[i].message);
        struct err e = { 0 };
        struct key seed;
        bool good = false;

        from_hex(vectors[i].seed, seed.b, sizeof seed.b);
        from_hex(vectors[i].public, wanted, sizeof wanted);
        from_hex(vectors[i].signature, signature, sizeof signature);
        OK(ed25519_public(&seed, public, &e), &e);
        cr_assert_arr_eq(public, wanted, sizeof wanted);
        OK(ed25519_sign(&seed, message, made, &e), &e);
        cr_assert_arr_eq(made, signature, sizeof made);
        OK(ed25519_verify(public, message, signature, &good, &e), &e);
        cr_assert(good);
    }
}

CASE(crypto_ed25519, any_flipped_bit_is_seen)
{
    uint8_t public[32], signature[ED25519_SIGNATURE];
    struct key seed = { { 7 } };
    struct err e = { 0 };

    OK(ed25519_public(&seed, public, &e), &e);
    OK(ed25519_sign(&seed, bytes_str("m"), signature, &e), &e);
    for (size_t bit = 0; bit < sizeof signature * 8; bit++) {
        bool good = true;

        signature[bit / 8] ^= (uint8_t)(1 << bit % 8);
        OK(ed25519_verify(public, bytes_str("m"), signature, &good, &e), &e);
        cr_assert(!good, "bit %zu", bit);
        signature[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}
