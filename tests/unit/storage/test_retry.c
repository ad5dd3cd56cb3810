#include "storage/retry.h"

#include <string.h>

#include "tests/lib/case.h"
#include "util/clock.h"
#include "util/stop.h"

/* Fails `failures` times with `rc`, then goes well. */
static unsigned run(uint64_t deadline_ms, unsigned failures, enum rc rc, bool moving,
                    enum rc *end, struct err *e)
{
    struct retry r = retry_begin(deadline_ms);
    unsigned calls = 0;

    retry_first_ms = 1;
    do {
        *end = calls++ < failures ? err_set(e, rc, "attempt %u failed", calls) : RC_OK;
        if (moving)
            retry_progress(&r);
    } while (retry_again(&r, end, e));
    return calls;
}

CASE(retry, only_what_may_pass_is_tried_again)
{
    struct err e = { 0 };
    enum rc end;

    cr_assert_eq(run(60000, 0, RC_NET, false, &end, &e), 1);
    cr_assert_eq(end, RC_OK);
    cr_assert_eq(run(60000, 3, RC_NET, false, &end, &e), 4);
    cr_assert_eq(end, RC_OK);
    cr_assert_eq(run(60000, 3, RC_AUTH, false, &end, &e), 1);
    cr_assert_eq(end, RC_AUTH);
    cr_assert_str_eq(e.what, "");
}

CASE(retry, it_gives_up_and_says_so)
{
    struct err e = { 0 };
    enum rc end;

    cr_assert_eq(run(60000, 1000, RC_NET, false, &end, &e), RETRY_TRIES);
    cr_assert_eq(end, RC_NET);
    cr_assert(strstr(e.what, "gave up after 8 tries in ") == e.what, "%s", e.what);
    cr_assert_str_eq(e.why, "attempt 8 failed");
}

CASE(retry, progress_begins_the_count_again)
{
    struct err e = { 0 };
    enum rc end;

    cr_assert_eq(run(60000, 40, RC_NET, true, &end, &e), 41);
    cr_assert_eq(end, RC_OK);
}

CASE(retry, a_deadline_ends_it)
{
    struct err e = { 0 };
    enum rc end;

    cr_assert_eq(run(0, 1000, RC_NET, false, &end, &e), 1);
    cr_assert_eq(end, RC_NET);
}

CASE(retry, a_wanted_stop_ends_it)
{
    struct err e = { 0 };
    enum rc end;

    stop_request();
    cr_assert_eq(run(60000, 1000, RC_NET, false, &end, &e), 1);
    cr_assert_eq(end, RC_INTERRUPTED);
    stop_reset();
}

CASE(retry, the_other_side_may_ask_for_a_longer_pause)
{
    struct retry r = retry_begin(60000);
    uint64_t before = clock_ms();
    enum rc rc = RC_NET;
    struct err e = { 0 };

    retry_first_ms = 1;
    r.at_least_ms = 120;
    cr_assert(retry_again(&r, &rc, &e));
    cr_assert_geq(clock_ms() - before, 120);
    cr_assert_eq(r.at_least_ms, 0, "once");
}
