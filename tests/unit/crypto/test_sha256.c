#include "crypto/sha256.h"

#include "tests/lib/case.h"
#include "util/str.h"

/* FIPS 180-2, appendix B. */
CASE(crypto_sha256, has_the_published_value_in_any_pieces)
{
    static const char text[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";

    for (size_t piece = 1; piece <= sizeof text; piece++) {
        OWNED(sha256) h = NULL;
        uint8_t digest[SHA256_SIZE];
        char hex[2 * SHA256_SIZE + 1];
        struct err e = { 0 };

        OK(sha256_new(&h, &e), &e);
        for (size_t at = 0; at < sizeof text - 1; at += piece) {
            size_t left = sizeof text - 1 - at;

            OK(sha256_add(h, text + at, left < piece ? left : piece, &e), &e);
        }
        OK(sha256_end(h, digest, &e), &e);
        str_hex(hex, digest, sizeof digest);
        cr_assert_str_eq(
            hex, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
            "pieces of %zu", piece);
    }
}
