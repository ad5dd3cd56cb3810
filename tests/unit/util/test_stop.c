#include "util/stop.h"

#include "tests/lib/case.h"

CASE(stop, a_wish_that_is_held_is_told_later)
{
    struct err e = { 0 };

    stop_hold(true);
    stop_request();
    cr_assert(!stop_wanted());
    OK(stop_check(&e), &e);
    stop_hold(false);
    cr_assert(stop_wanted());
    cr_assert_eq(stop_check(&e), RC_INTERRUPTED);
    stop_reset();
    OK(stop_check(&e), &e);
}
