#include "http/date.h"

#include "tests/lib/case.h"

CASE(http_date, one_form_and_no_other)
{
    static const char *const bad[] = {
        "",
        "Fri, 24 May 2013 00:00:00",
        "Fri, 24 May 2013 00:00:00 GMT, and more",
        "Fri, 24 May 2013 00:00:00 CET",
        "2013-05-24T00:00:00Z",
    };
    int64_t t = 7;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert(!http_date(bad[i], &t) && t == 7, "'%s'", bad[i]);
    cr_assert(http_date("Fri, 24 May 2013 00:00:00 GMT", &t));
    cr_assert_eq(t, 1369353600);
}
