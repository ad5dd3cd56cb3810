#include "util/command.h"

#include <stdlib.h>
#include <unistd.h>

#include "tests/lib/case.h"
#include "util/clock.h"
#include "util/stop.h"

#define RESULT [[gnu::cleanup(command_result_clear)]] struct command_result
#define SHELL(text) ((const char *const[]){ "sh", "-c", text, NULL })

static enum rc run(const struct command *c, struct command_result *r, struct err *e)
{
    *e = (struct err){ 0 };
    return command_run(c, r, e);
}

CASE(command, says_what_it_said)
{
    RESULT r = { 0 };
    struct err e;
    const struct command c = {
        .argv = SHELL("printf 'a\\0b'; echo \"$COLOUR\" >&2; cat; exit 7"),
        .env = (const char *const[]){ "COLOUR=green", NULL },
    };

    OK(run(&c, &r, &e), &e);
    cr_assert_eq(r.status, 7);
    cr_assert_eq(r.out.n, 3);
    cr_assert_arr_eq(r.out.p, "a\0b", 3);
    cr_assert_str_eq(r.tail, "green\n");
    cr_assert(!r.timed_out);
}

CASE(command, keeps_the_end_of_long_complaints)
{
    RESULT r = { 0 };
    struct err e;
    const struct command c = { .argv = SHELL(
                                   "i=0; while [ $i -lt 3000 ]; do echo line $i >&2; "
                                   "i=$((i+1)); done") };

    OK(run(&c, &r, &e), &e);
    cr_assert_eq(strlen(r.tail), COMMAND_TAIL);
    cr_assert_str_eq(r.tail + COMMAND_TAIL - 10, "line 2999\n");
}

CASE(command, too_much_is_an_error_and_no_memory)
{
    RESULT r = { 0 };
    struct err e;
    const struct command c = { .argv = SHELL("head -c 3000000 /dev/zero"),
                               .out_max = 1 << 20 };

    cr_assert_eq(run(&c, &r, &e), RC_CORRUPT);
    cr_assert(r.out.n <= 1 << 20);
}

CASE(command, what_is_not_there)
{
    RESULT r = { 0 };
    struct err e;
    const struct command c = { .argv = (const char *const[]){ "/nonexistent/program",
                                                              NULL } };

    cr_assert_eq(run(&c, &r, &e), RC_NOTFOUND);
}

CASE(command, ends_in_time_with_all_it_started)
{
    RESULT r = { 0 };
    struct err e;
    const struct command c = { .argv = SHELL("sleep 300 & sleep 300"),
                               .timeout_ms = 300 };
    const uint64_t began = clock_ms();

    OK(run(&c, &r, &e), &e);
    cr_assert(r.timed_out);
    cr_assert_eq(r.status, 128 + 15);
    cr_assert(clock_ms() - began < 60000);
}

CASE(command, a_stop_ends_it)
{
    RESULT r = { 0 };
    struct err e;
    const struct command c = { .argv = SHELL("sleep 300") };

    stop_request();
    cr_assert_eq(run(&c, &r, &e), RC_INTERRUPTED);
    stop_reset();
}

CASE(command, idle_has_the_least_priority)
{
    RESULT r = { 0 };
    struct err e;
    const struct command c = { .argv = SHELL("nice"), .idle = true };

    OK(run(&c, &r, &e), &e);
    cr_assert_arr_eq(r.out.p, "19", 2);
}

CASE(command, what_it_leaves_behind_is_not_waited_for)
{
    RESULT r = { 0 };
    struct err e;
    const struct command c = { .argv = SHELL("sleep 5 & echo done") };
    const uint64_t began = clock_ms();

    OK(run(&c, &r, &e), &e);
    cr_assert_eq(r.status, 0);
    cr_assert(clock_ms() - began < 4000);
}
