#include "util/bytes.h"

#include "tests/lib/case.h"

CASE(util_bytes, trim_takes_blanks_around_and_leaves_those_inside)
{
    static const struct {
        const char *text, *expected;
    } rows[] = {
        { "", "" }, { " \t\r\n", "" }, { "a b", "a b" }, { "\t a\nb \r\n", "a\nb" }
    };

    for (size_t i = 0; i < 4; i++)
        cr_assert(bytes_is(bytes_trim(bytes_str(rows[i].text)), rows[i].expected),
                  "row %zu", i);
    cr_assert_eq(bytes_trim((struct bytes){ (const uint8_t *)" \0 ", 3 }).n, 1);
}
