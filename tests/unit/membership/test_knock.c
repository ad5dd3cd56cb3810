#include "membership/knock.h"

#include <stdio.h>

#include "tests/lib/case.h"
#include "tests/lib/proc.h"

static bool stranger(const char *answer)
{
    return membership_is_stranger(bytes_str(answer), 10501334649042878790u);
}

CASE(knock, a_list_without_the_member_is_a_strangers)
{
    cr_assert(stranger("[{\"id\":1,\"name\":\"m1\"},{\"id\":2}]"));
    cr_assert_not(stranger("[{\"id\":1},{\"id\":10501334649042878790}]"));
}

/* A learner that has just begun knows nobody yet; and anything may listen there. */
CASE(knock, what_is_not_understood_tells_nothing)
{
    static const char *const answers[] = { "",   "[]",           "null",
                                           "{}", "[{\"no\":1}]", "404 page not found\n" };

    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++)
        cr_assert_not(stranger(answers[i]), "'%s'", answers[i]);
}

CASE(knock, nobody_is_no_stranger)
{
    AT_END(str_list_clear) struct str_list urls = { 0 };
    const struct http_options trust = { 0 };
    struct err e = { 0 };
    char url[64];
    bool yes = true;

    snprintf(url, sizeof url, "http://127.0.0.1:%d", free_port());
    OK(str_list_add(&urls, url, &e), &e);
    OK(membership_knock(&trust, &urls, 1, &yes, &e), &e);
    cr_assert_not(yes);
}
