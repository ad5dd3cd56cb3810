#include "grpcd/text.h"

#include "tests/lib/case.h"

CASE(grpcd_text, timeouts_are_read_and_rounded_up)
{
    static const struct {
        const char *text;
        uint64_t ms;
    } good[] = { { "0S", 0 },       { "1n", 1 },
                 { "1000000n", 1 }, { "1000001n", 2 },
                 { "1500u", 2 },    { "300m", 300 },
                 { "5S", 5000 },    { "2M", 120000 },
                 { "1H", 3600000 }, { "99999999H", 359999996400000 } };
    static const char *const bad[] = { "",    "5",   "S",   "5s",         "-5S",
                                       "+5S", "5SS", "5 S", "123456789S", "0x5S" };
    uint64_t ms;

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        cr_assert(text_timeout(good[i].text, &ms), "%s", good[i].text);
        cr_assert_eq(ms, good[i].ms, "%s", good[i].text);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_not(text_timeout(bad[i], &ms), "%s", bad[i]);
}

CASE(grpcd_text, messages_are_percent_encoded)
{
    struct buf b = { 0 };
    struct err e = { 0 };

    OK(text_percent(&b, "a~ 5%\x7f\r\n\xff", &e), &e);
    cr_assert(bytes_is((struct bytes){ b.p, b.n }, "a~ 5%25%7F%0D%0A%FF"));
    buf_clear(&b);
}
