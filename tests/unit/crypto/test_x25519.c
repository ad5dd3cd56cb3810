#include "crypto/x25519.h"

#include <errno.h>

#include "tests/lib/case.h"
#include "util/os.h"
#include "util/str.h"

static struct key key_of(const char *hex)
{
    struct key k;

    cr_assert(str_unhex(hex, k.b, sizeof k.b));
    return k;
}

static void assert_key(const struct key *k, const char *hex)
{
    char text[65];

    str_hex(text, k->b, sizeof k->b);
    cr_assert_str_eq(text, hex);
}

/* RFC 7748, section 6.1. */
CASE(crypto_x25519, has_the_published_values)
{
    struct key alice =
        key_of("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
    struct key bob =
        key_of("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
    struct key point, shared;
    struct err e = { 0 };
    bool usable = false;

    OK(x25519_public(&alice, &point, &e), &e);
    assert_key(&point,
               "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
    OK(x25519_shared(&alice, &bob, &shared, &usable, &e), &e);
    cr_assert(usable);
    assert_key(&shared,
               "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
}

/* The points of order 1, 2, 4 and 8 and their unreduced twins (RFC 7748, section 7). */
CASE(crypto_x25519, tells_points_of_low_order)
{
    static const char *const low[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    };
    struct key secret = { { 42 } }, shared;

    for (size_t i = 0; i < sizeof low / sizeof low[0]; i++) {
        struct key point = key_of(low[i]);
        struct err e = { 0 };
        bool usable = true;

        OK(x25519_shared(&secret, &point, &shared, &usable, &e), &e);
        cr_assert(!usable, "%s", low[i]);
    }
}

static ssize_t no_random(void *p, size_t n, unsigned flags)
{
    (void)p;
    (void)n;
    (void)flags;
    errno = ENOSYS;
    return -1;
}

CASE(crypto_x25519, generates_nothing_without_randomness)
{
    struct key secret = { { 1 } }, point = { { 2 } };
    struct os_calls real = os;
    struct err e = { 0 };

    os.getrandom = no_random;
    cr_assert_eq(x25519_generate(&secret, &point, &e), RC_INTERNAL);
    os = real;
    cr_assert_str_eq(e.why, "the kernel gives no random bytes: Function not implemented");
    cr_assert(secret.b[0] == 1 && point.b[0] == 2, "the outputs were touched");
}
