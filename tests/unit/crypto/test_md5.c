#include "crypto/md5.h"

#include "tests/lib/case.h"
#include "util/str.h"

/* RFC 1321, appendix A.5. */
CASE(crypto_md5, has_the_published_values)
{
    static const struct {
        const char *text, *hex;
    } rows[] = { { "", "d41d8cd98f00b204e9800998ecf8427e" },
                 { "message digest", "f96b697d7cb7938d525a2f31aaf161d0" } };

    for (size_t i = 0; i < 2; i++) {
        uint8_t digest[MD5_SIZE];
        struct err e = { 0 };
        char hex[2 * MD5_SIZE + 1];

        OK(md5(bytes_str(rows[i].text), digest, &e), &e);
        str_hex(hex, digest, sizeof digest);
        cr_assert_str_eq(hex, rows[i].hex);
    }
}
