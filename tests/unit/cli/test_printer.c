#include "cli/printer.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/case.h"
#include "tests/lib/fault.h"

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
