#include "util/patient.h"

#include <errno.h>
#include <signal.h>

#include "tests/lib/case.h"
#include "tests/lib/stuck.h"
#include "util/clock.h"
#include "util/own.h"
#include "util/stop.h"

static size_t write_for(const struct stuck *s, uint64_t wait_ms)
{
    struct err e = { 0 };
    size_t done = 99;
    int cause = 0;

    OK(patient_write(s->writer, "hello", 5, wait_ms, &done, "a pipe", &cause, &e), &e);
    return done;
}

CASE(util_patient, nobody_is_waited_for_longer_than_said)
{
    AT_END(stuck_end) struct stuck s = stuck_pipe();
    uint64_t began = clock_ms();
    char text[100];

    cr_assert_eq(write_for(&s, 0), 0);
    cr_assert_eq(write_for(&s, 300), 0);
    cr_assert_geq(clock_ms() - began, 300);
    stuck_read(&s, text, sizeof text);
    cr_assert_str_empty(text);
    cr_assert_eq(write_for(&s, 0), 5, "there is room again");
    cr_assert_eq(write_for(&s, PATIENT_FOR_EVER), 5);
    stuck_read(&s, text, sizeof text);
    cr_assert_str_eq(text, "hellohello");
}

CASE(util_patient, what_fits_is_written)
{
    AT_END(stuck_end) struct stuck s = stuck_pipe();
    static char much[200000];
    struct err e = { 0 };
    char text[10];
    size_t done;
    int cause;

    stuck_read(&s, text, sizeof text);
    OK(patient_write(s.writer, much, sizeof much, 0, &done, "a pipe", &cause, &e), &e);
    cr_assert_eq(done, STUCK_SIZE);
}

CASE(util_patient, a_stop_ends_the_wait)
{
    AT_END(stuck_end) struct stuck s = stuck_pipe();

    stop_request();
    cr_assert_eq(write_for(&s, 3600 * 1000), 0);
    stop_reset();
}

static void on_alarm(int number)
{
    (void)number;
    stop_request();
}

/* Also the wait without an end, which is one blocking call. */
CASE(util_patient, a_signal_ends_the_endless_wait)
{
    AT_END(stuck_end) struct stuck s = stuck_pipe();
    const struct sigaction sa = { .sa_handler = on_alarm };

    sigaction(SIGALRM, &sa, NULL);
    ualarm(100 * 1000, 100 * 1000);
    cr_assert_eq(write_for(&s, PATIENT_FOR_EVER), 0);
    ualarm(0, 0);
    stop_reset();
}

CASE(util_patient, who_has_left_and_what_is_full_are_errors)
{
    struct stuck s = stuck_pipe();
    const int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    struct err e = { 0 };
    int cause = 0;
    size_t done;

    signal(SIGPIPE, SIG_IGN);
    close(s.reader);
    cr_assert_eq(patient_write(s.writer, "x", 1, 1000, &done, "a pipe", &cause, &e),
                 RC_STORAGE);
    cr_assert_eq(cause, EPIPE);
    cr_assert_eq(patient_write(full, "x", 1, 1000, &done, "a file", &cause, &e),
                 RC_STORAGE);
    cr_assert_eq(cause, ENOSPC);
    close(s.writer);
    close(full);
}
