#include "util/program.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/lib/case.h"
#include "util/clock.h"
#include "util/stop.h"

#define RESULT [[gnu::cleanup(program_result_clear)]] struct program_result
#define SHELL(text) ((const char *const[]){ "sh", "-c", text, NULL })

static enum rc run(const struct program *c, struct program_result *r, struct err *e)
{
    *e = (struct err){ 0 };
    return program_run(c, r, e);
}

CASE(program, says_what_it_said)
{
    RESULT r = { 0 };
    struct err e;
    const struct program c = {
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

CASE(program, keeps_the_end_of_long_complaints)
{
    RESULT r = { 0 };
    struct err e;
    const struct program c = { .argv = SHELL(
                                   "i=0; while [ $i -lt 3000 ]; do echo line $i >&2; "
                                   "i=$((i+1)); done") };

    OK(run(&c, &r, &e), &e);
    cr_assert_eq(strlen(r.tail), PROGRAM_TAIL);
    cr_assert_str_eq(r.tail + PROGRAM_TAIL - 10, "line 2999\n");
}

CASE(program, too_much_is_an_error_and_no_memory)
{
    RESULT r = { 0 };
    struct err e;
    const struct program c = { .argv = SHELL("head -c 3000000 /dev/zero"),
                               .out_max = 1 << 20 };

    cr_assert_eq(run(&c, &r, &e), RC_CORRUPT);
    cr_assert(r.out.n <= 1 << 20);
}

CASE(program, of_what_nobody_hears_nothing_is_kept)
{
    RESULT r = { 0 };
    struct err e;
    const struct program c = { .argv = SHELL("head -c 3000000 /dev/zero; exit 3"),
                               .unheard = true };

    OK(run(&c, &r, &e), &e);
    cr_assert_eq(r.status, 3);
    cr_assert_eq(r.out.n, 0);
}

CASE(program, what_is_not_there)
{
    RESULT r = { 0 };
    struct err e;
    const struct program c = { .argv = (const char *const[]){ "/nonexistent/program",
                                                              NULL } };

    cr_assert_eq(run(&c, &r, &e), RC_NOTFOUND);
}

CASE(program, ends_in_time_with_all_it_started)
{
    RESULT r = { 0 };
    struct err e;
    const struct program c = { .argv = SHELL("sleep 300 & sleep 300"),
                               .timeout_ms = 300 };
    const uint64_t began = clock_ms();

    OK(run(&c, &r, &e), &e);
    cr_assert(r.timed_out);
    cr_assert_eq(r.status, 128 + 15);
    cr_assert(clock_ms() - began < 60000);
}

CASE(program, a_stop_ends_it)
{
    RESULT r = { 0 };
    struct err e;
    const struct program c = { .argv = SHELL("sleep 300") };

    stop_request();
    cr_assert_eq(run(&c, &r, &e), RC_INTERRUPTED);
    stop_reset();
}

CASE(program, takes_signals_though_the_thread_that_starts_it_does_not)
{
    RESULT r = { 0 };
    struct err e;
    sigset_t all;
    const struct program c = { .argv = SHELL("trap 'exit 9' TERM; kill $$; exit 3") };

    sigfillset(&all);
    cr_assert_eq(pthread_sigmask(SIG_SETMASK, &all, NULL), 0);
    OK(run(&c, &r, &e), &e);
    cr_assert_eq(r.status, 9);
}

CASE(program, idle_has_the_least_priority)
{
    RESULT r = { 0 };
    struct err e;
    const struct program c = { .argv = SHELL("nice"), .idle = true };

    OK(run(&c, &r, &e), &e);
    cr_assert_arr_eq(r.out.p, "19", 2);
}

CASE(program, what_it_leaves_behind_is_not_waited_for)
{
    RESULT r = { 0 };
    struct err e;
    const struct program c = { .argv = SHELL("sleep 5 & echo done") };
    const uint64_t began = clock_ms();

    OK(run(&c, &r, &e), &e);
    cr_assert_eq(r.status, 0);
    cr_assert(clock_ms() - began < 4000);
}
