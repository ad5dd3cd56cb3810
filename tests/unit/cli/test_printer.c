#include "cli/printer.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/case.h"
#include "tests/lib/fault.h"
#include "tests/lib/stuck.h"
#include "util/clock.h"
#include "util/own.h"

CASE(cli_printer, keeps_text_when_it_has_no_descriptor)
{
    struct printer s = { .fd = -1 };
    struct err e;

    printer_put(&s, "a");
    printer_printf(&s, "%d%s", 7, "b");
    printer_fill(&s, '-', 3);
    OK(printer_flush(&s, &e), &e);
    cr_assert_str_eq(printer_text(&s), "a7b---");
    printer_put_printable(&s, "\x1b[0m\n");
    cr_assert_str_eq(printer_text(&s), "a7b---\\x1b[0m\\x0a");
    printer_clear(&s);
}

CASE(cli_printer, wraps_words)
{
    struct printer s = { .fd = -1 };

    printer_put(&s, "  -x");
    printer_wrap(
        &s, 4, 10,
        "one two three four five six seven eight nine ten eleven twelve thirteen "
        "fourteen\n\nand\nmore");
    cr_assert_str_eq(printer_text(&s),
                     "  -x      one two three four five six seven eight nine ten eleven "
                     "twelve\n          thirteen fourteen\n\n          and more\n");
    printer_clear(&s);
    printer_wrap(&s, 0, 2, "");
    cr_assert_str_eq(printer_text(&s), "\n");
    printer_clear(&s);
}

CASE(cli_printer, writes_much_before_the_end)
{
    struct printer s = { .name = "a pipe" };
    char back[100];
    int ends[2];
    struct err e;

    cr_assert_eq(pipe(ends), 0);
    cr_assert_gt(fcntl(ends[1], F_SETPIPE_SZ, 1 << 20), 0);
    s.fd = ends[1];
    printer_fill(&s, 'x', 70000);
    cr_assert_eq(read(ends[0], back, sizeof back), sizeof back,
                 "64 KiB are on their way");
    cr_assert_lt(s.text.n, 5000);
    OK(printer_flush(&s, &e), &e);
    cr_assert_eq(s.text.n, 0);
    close(ends[0]);
    close(ends[1]);
    printer_clear(&s);
}

CASE(cli_printer, a_failure_stays)
{
    struct printer s = { .name = "out" };
    struct err e;

    s.fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    printer_put(&s, "x");
    cr_assert_eq(printer_flush(&s, &e), RC_STORAGE);
    cr_assert_str_eq(e.why, "cannot write 'out': No space left on device");
    printer_put(&s, "y");
    printer_printf(&s, "%s", "y");
    printer_put_printable(&s, "y");
    cr_assert_eq(printer_flush(&s, &e), RC_STORAGE);
    cr_assert_eq(s.text.n, 1, "nothing is added after a failure");
    close(s.fd);
    printer_clear(&s);
}

CASE(cli_printer, memory_may_run_out_anywhere)
{
    unsigned runs = 0;

    FAULT_SWEEP(FAULT_ALLOC, nth, 0) {
        struct printer s = { .fd = -1 };
        struct err e;
        enum rc rc;

        printer_put(&s, "a");
        printer_printf(&s, "%s", "b");
        printer_put_printable(&s, "c");
        rc = printer_flush(&s, &e);
        cr_assert(rc == RC_OK || rc == RC_NOMEM, "allocation %u", nth);
        if (rc == RC_OK)
            cr_assert_str_eq(printer_text(&s), "abc");
        runs = nth;
        printer_clear(&s);
    }
    cr_assert_geq(runs, 4);
}

/* ---- nobody reads ----------------------------------------------------------------- */

static void say(struct printer *s, const char *text)
{
    struct err e = { 0 };

    printer_put(s, text);
    OK(printer_flush(s, &e), &e);
}

CASE(cli_printer, what_is_said_to_nobody_is_dropped_and_counted)
{
    AT_END(stuck_end) struct stuck pipe = stuck_pipe();
    AT_END(printer_clear) struct printer s = { .fd = pipe.writer, .may_drop = true };
    uint64_t began = clock_ms();
    char text[200];

    for (int i = 0; i < 1000; i++)
        say(&s, "one more\n");
    cr_assert_lt(clock_ms() - began, 20 * 1000, "a second, and not one for each");
    stuck_read(&pipe, text, sizeof text);
    say(&s, "there you are\n");
    stuck_read(&pipe, text, sizeof text);
    cr_assert_str_eq(text,
                     "\nholdfast: warning: 1000 message(s) were dropped here: nobody "
                     "read\nthere you are\n");
    say(&s, "and go on\n");
    stuck_read(&pipe, text, sizeof text);
    cr_assert_str_eq(text, "and go on\n");
}

CASE(cli_printer, what_is_said_into_a_full_disk_is_said_when_it_has_room)
{
    AT_END(stuck_end) struct stuck pipe = stuck_pipe();
    const int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    AT_END(printer_clear) struct printer s = { .fd = full, .may_drop = true };
    char text[200];

    say(&s, "lost\n");
    stuck_read(&pipe, text, sizeof text);
    s.fd = pipe.writer;
    say(&s, "kept\n");
    stuck_read(&pipe, text, sizeof text);
    cr_assert_str_eq(text, "\nholdfast: warning: 1 message(s) were dropped here: nobody "
                           "read\nkept\n");
    close(full);
}

CASE(cli_printer, a_result_on_record_does_not_wait_for_ever)
{
    AT_END(stuck_end) struct stuck pipe = stuck_pipe();
    AT_END(printer_clear)
    struct printer s = { .fd = pipe.writer, .name = "a pipe", .on_record = true };
    struct err e = { 0 };

    printer_put(&s, "the result\n");
    cr_assert_eq(printer_flush(&s, &e), RC_STORAGE);
    cr_assert_str_eq(e.why, "nobody reads 'a pipe'");
}
